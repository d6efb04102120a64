"""Files on their way from the page, chunk by chunk."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from linkup_nb.errors import FileTooLarge, UsageError
from linkup_nb.notebook.chat.requests import UploadBeginRequest
from linkup_nb.rooms.linkup.messages import MAX_FILE

CHUNK = 1_048_576  # bytes; a message over 10 MiB makes the Jupyter server drop the page's connection
MAX_UPLOADS = 8  # of one panel at a time
UPLOAD_IDLE = 120.0  # seconds without a chunk, after which an upload may be forgotten


@dataclass
class _Upload:
    request: UploadBeginRequest
    touched: float
    chunks: dict[int, bytes] = field(default_factory=dict)


def chunk_count(size: int) -> int:
    """How many chunks carry `size` bytes."""
    return -(-size // CHUNK)


class Uploads:
    """What the page is sending, until `finish` or `cancel`. Chunks may come twice and in any order."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._uploads: dict[str, _Upload] = {}

    def begin(self, request: UploadBeginRequest) -> None:
        """Expect an upload. Raises `FileTooLarge`, or `UsageError` when too many are under way."""
        if request.size > MAX_FILE:
            size, limit = request.size / 1_048_576, MAX_FILE // 1_048_576
            raise FileTooLarge(f"This file has {size:.1f} MiB, and {limit} MiB fit in a message: send a smaller one.")
        if request.chunks != chunk_count(request.size):
            raise UsageError("The page cut this file into the wrong number of pieces: reload the page.")
        now = self._clock()
        for upload in [name for name, one in self._uploads.items() if now - one.touched > UPLOAD_IDLE]:
            del self._uploads[upload]
        if len(self._uploads) >= MAX_UPLOADS:
            raise UsageError(f"{MAX_UPLOADS} files are on their way already: wait until one has arrived.")
        self._uploads[request.upload] = _Upload(request, now)

    def add(self, upload: str, index: int, data: bytes | memoryview) -> None:
        """Take one chunk. Raises `UsageError` for one that does not belong there."""
        one = self._find(upload)
        size = min(CHUNK, one.request.size - index * CHUNK)
        if size <= 0 or len(data) != size:
            raise UsageError("A piece of this file has the wrong length: send the file again.")
        one.touched = self._clock()
        one.chunks.setdefault(index, bytes(data))

    def finish(self, upload: str) -> tuple[UploadBeginRequest, bytes]:
        """What was uploaded, which is forgotten here. Raises `UsageError` if a chunk is missing."""
        one = self._find(upload)
        if len(one.chunks) != one.request.chunks:
            raise UsageError("A piece of this file did not arrive: send the file again.")
        del self._uploads[upload]
        return one.request, b"".join(one.chunks[index] for index in range(one.request.chunks))

    def purpose(self, upload: str) -> str:
        """What an upload is for: "file", "audio" or "avatar"."""
        return self._find(upload).request.purpose

    def cancel(self, upload: str) -> None:
        """Forget an upload, known or not."""
        self._uploads.pop(upload, None)

    def _find(self, upload: str) -> _Upload:
        if upload not in self._uploads:
            raise UsageError("This file has been forgotten, for it stopped coming: send it again.")
        return self._uploads[upload]
