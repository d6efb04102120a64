"""One file of a drive, open as `fsspec` opens files."""

import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fsspec.asyn import sync
from fsspec.caching import BaseCache, register_cache
from fsspec.spec import AbstractBufferedFile

from linkup_nb.hyperdrive.blobs import BLOCK_SIZE

if TYPE_CHECKING:
    from linkup_nb.hyperdrive.filesystem import DriveFileSystem

MAX_AHEAD = 4 * 1024 * 1024  # bytes fetched before they are asked for
MAX_SPOOL = 8 * 1024 * 1024  # bytes of a file that is being written, in memory; more of it waits on disk


class ReadOn(BaseCache):  # type: ignore[misc]  # fsspec has no types
    """Fetches what is asked for and no more, but for who reads on from there: then more and more ahead."""

    name = "linkup"

    def __init__(self, blocksize: int, fetcher: Callable[[int, int], bytes], size: int) -> None:
        super().__init__(blocksize, fetcher, size)
        self._start = 0
        self._held = b""
        self._ahead = 0
        self._next = -1

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        begin = start or 0
        end = self.size if stop is None else min(stop, self.size)
        if begin >= end:
            return b""
        if not (self._start <= begin and end <= self._start + len(self._held)):
            self._ahead = min(max(2 * self._ahead, BLOCK_SIZE), MAX_AHEAD) if begin == self._next else 0
            self._move(begin, min(end + self._ahead, self.size))
        self._next = end
        return self._held[begin - self._start : end - self._start]

    def _move(self, begin: int, end: int) -> None:
        held = self._held[begin - self._start :] if begin >= self._start else b""
        self._held = held + self.fetcher(begin + len(held), end)
        self._start = begin


register_cache(ReadOn)


class DriveFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """A file of one version, or one that is being written: others see it when it is closed, and not before."""

    def __init__(
        self, fs: "DriveFileSystem", path: str, mode: str = "rb", *, cache_type: str = ReadOn.name, **options: Any
    ) -> None:
        if mode == "rb":
            self._drive, self._entry, self._details = sync(fs.loop, fs._opened, path)
            options["size"] = self._details["size"]
        else:
            sync(fs.loop, fs._writable, path, create=mode == "xb")
        super().__init__(fs, path, mode, cache_type=cache_type, **options)

    def _fetch_range(self, start: int, end: int) -> bytes:
        data: bytes = sync(self.fs.loop, self.fs._read, self._drive, self._entry, start, min(end, self.size))
        return data

    def _initiate_upload(self) -> None:
        self._spool = tempfile.SpooledTemporaryFile(MAX_SPOOL)  # noqa: SIM115  # open until `commit` or `discard`
        if self.mode == "ab" and self.fs.exists(self.path):
            with self.fs.open(self.path) as before:
                while piece := before.read(MAX_AHEAD):
                    self._spool.write(piece)

    def _upload_chunk(self, final: bool = False) -> bool:
        self._spool.write(self.buffer.getvalue())
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        """Put what was written into the drive."""
        with self._spool:
            self._spool.seek(0)
            sync(self.fs.loop, self.fs._put_spooled, self.path, self._spool, create=self.mode == "xb")

    def discard(self) -> None:
        """Forget what was written."""
        self._spool.close()
