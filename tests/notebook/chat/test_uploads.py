from itertools import count

import pytest

from linkup_nb.errors import FileTooLarge, UsageError
from linkup_nb.notebook.chat.requests import UploadBeginRequest
from linkup_nb.notebook.chat.uploads import CHUNK, MAX_UPLOADS, UPLOAD_IDLE, Uploads, chunk_count
from linkup_nb.rooms.linkup.messages import MAX_FILE

numbers = count()


def begin(size: int, name: str = "a", chunks: int | None = None) -> UploadBeginRequest:
    chunks = chunk_count(size) if chunks is None else chunks
    return UploadBeginRequest(id=f"{next(numbers)}", view="v", upload=name, purpose="file", size=size, chunks=chunks)


def test_chunks_may_come_twice_and_in_any_order() -> None:
    uploads = Uploads()
    uploads.begin(begin(CHUNK + 3))
    for index, chunk in ((1, b"end"), (0, b"x" * CHUNK), (1, b"end"), (0, b"x" * CHUNK)):
        uploads.add("a", index, memoryview(chunk))
    about, data = uploads.finish("a")
    assert about.size == CHUNK + 3
    assert data == b"x" * CHUNK + b"end"


def test_an_empty_file_needs_no_chunks() -> None:
    uploads = Uploads()
    uploads.begin(begin(0))
    assert uploads.finish("a")[1] == b""


def test_a_file_with_a_missing_chunk_is_not_finished() -> None:
    uploads = Uploads()
    uploads.begin(begin(2 * CHUNK))
    uploads.add("a", 1, bytes(CHUNK))
    with pytest.raises(UsageError, match="did not arrive"):
        uploads.finish("a")


@pytest.mark.parametrize(("index", "data"), [(0, b"x"), (1, b"xx"), (1, b""), (2, b"x"), (2**53, b"x")])
def test_a_chunk_that_does_not_belong_there_is_refused(index: int, data: bytes) -> None:
    uploads = Uploads()
    uploads.begin(begin(CHUNK + 1))
    with pytest.raises(UsageError, match="wrong length"):
        uploads.add("a", index, data)


def test_a_file_over_the_limit_is_refused_before_any_of_it_travels() -> None:
    with pytest.raises(
        FileTooLarge, match=r"^This file has 10\.0 MiB, and 10 MiB fit in a message: send a smaller one"
    ):
        Uploads().begin(begin(MAX_FILE + 1))
    with pytest.raises(UsageError, match="wrong number of pieces"):
        Uploads().begin(begin(CHUNK, chunks=2**50))


def test_there_are_only_so_many_uploads_at_a_time_and_stale_ones_make_room() -> None:
    now = 0.0
    uploads = Uploads(lambda: now)
    for number in range(MAX_UPLOADS):
        uploads.begin(begin(2, f"{number}"))
    with pytest.raises(UsageError, match="on their way already"):
        uploads.begin(begin(2, "one more"))
    now = UPLOAD_IDLE
    uploads.add("0", 0, b"ab")
    now = UPLOAD_IDLE + 1
    uploads.begin(begin(2, "one more"))
    assert uploads.finish("0")[1] == b"ab"
    with pytest.raises(UsageError, match="has been forgotten"):
        uploads.finish("1")


def test_a_cancelled_upload_is_forgotten() -> None:
    uploads = Uploads()
    uploads.begin(begin(2))
    uploads.cancel("a")
    uploads.cancel("a")
    with pytest.raises(UsageError, match="has been forgotten"):
        uploads.add("a", 0, b"ab")
