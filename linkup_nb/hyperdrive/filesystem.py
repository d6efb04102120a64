"""Drives as a file system of `fsspec`: `pd.read_csv("linkup://KEY/path")`, `linkup://KEY+VERSION/path` for the past.

https://filesystem-spec.readthedocs.io/en/latest/developer.html
"""

import asyncio
import functools
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

from fsspec.asyn import AsyncFileSystem, sync
from fsspec.caching import BaseCache, register_cache
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.core import has_magic
from fsspec.spec import AbstractBufferedFile

from linkup_nb.errors import DriveUnreachable, NotAvailable, NotWritable, UsageError
from linkup_nb.hypercore.core import GET_TIMEOUT
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive import place
from linkup_nb.hyperdrive.blobs import BLOCK_SIZE
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import Entry
from linkup_nb.hyperdrive.folder import open_file
from linkup_nb.hyperdrive.place import Address
from linkup_nb.hyperdrive.view import DriveView

PIECE = 1024 * 1024  # bytes of a local file read at a time
MAX_AHEAD = 4 * 1024 * 1024  # bytes read ahead of their use
MAX_SPOOL = 8 * 1024 * 1024  # bytes of a file that is being written, in memory; more of it waits on disk

P = ParamSpec("P")
R = TypeVar("R")

# The loop that stands still until fsspec has its answer.
_blocked: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("_blocked", default=None)


def _reaching(method: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Raise `DriveUnreachable` for `NotAvailable`."""

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except NotAvailable as error:
            raise DriveUnreachable(str(error)) from error

    return call


class ReadOn(BaseCache):  # type: ignore[misc]  # fsspec has no types
    """A cache that fetches no more than is read; for sequential reads it fetches more and more ahead."""

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


class DriveFileSystem(AsyncFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Every drive that the stores of this process can reach, and those of `store` alone if that is given.

    Without it, a drive is looked for in all stores that are open: the one that can write it, else one that knows it,
    else the one that was opened first. `timeout` is how many seconds each step waits for a peer. Nothing is cached
    between calls: each sees the newest version that the peers have announced. An open file stays as it was.
    Drives have no folders but those of their files: `mkdir` does nothing.
    """

    protocol = "linkup"
    cachable = False  # two stores at the same path, one after the other, look the same to fsspec

    def __init__(
        self,
        *args: Any,
        store: Corestore | None = None,
        encryption_key: bytes | None = None,
        timeout: float | None = GET_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._store = store
        self._encryption_key = encryption_key
        self._timeout = timeout

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of fsspec's own thread."""
        # fsspec reads it on the thread that then waits for the result.
        try:
            _blocked.set(asyncio.get_running_loop())
        except RuntimeError:
            _blocked.set(None)
        if self._pid != os.getpid():
            raise UsageError(f"{self!r} was made in process {self._pid}, of which this is a fork: make it here anew.")
        loop: asyncio.AbstractEventLoop = super().loop
        return loop

    def __reduce__(self) -> Any:
        if self._store:
            raise UsageError(
                "A file system of a certain store cannot be pickled; without store=, it uses the stores that are open"
                " in the process that it is sent to."
            )
        return super().__reduce__()

    # Reading

    @_reaching
    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        drive, address = await self._reach(path)
        about = await place.describe(drive, address)
        if about is None:
            raise address.not_found()
        return about

    @_reaching
    async def _ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        drive, address = await self._reach(path)
        found = await place.list_folder(drive, address)
        if not found and address.path:
            about = await place.describe(drive, address)
            if about is None:
                raise address.not_found()
            found = [about]
        return found if detail else [about["name"] for about in found]

    @_reaching
    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        drive, entry, size = await self._file(path)
        first, last, _step = slice(start, end).indices(size)
        return await place.read(drive, entry, first, last)

    @_reaching
    async def _get_file(self, rpath: str, lpath: str, callback: Any = DEFAULT_CALLBACK, **_: Any) -> None:
        is_folder = await self._isdir(rpath)
        try:
            drive, entry, size = await self._file(rpath)
        except IsADirectoryError:
            await asyncio.to_thread(os.makedirs, lpath, exist_ok=True)
            return
        if is_folder:
            raise UsageError(f"{rpath} is both a file and a folder, which no disk can hold; cat_file reads the file.")
        callback.set_size(size)
        target = Path(lpath)
        await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
        with await asyncio.to_thread(target.open, "wb") as file:
            async for piece in drive.stream(entry):
                await asyncio.to_thread(file.write, piece)
                callback.relative_update(len(piece))
        if entry.executable:
            await asyncio.to_thread(target.chmod, 0o755)

    async def _expand_path(
        self, path: Any, recursive: bool = False, maxdepth: int | None = None, assume_literal: bool = False
    ) -> list[str]:
        """What a pattern stands for; a path at which something is stands for itself, whatever signs it has."""
        paths = [path] if isinstance(path, str) else path
        exact = [one for one in paths if assume_literal or (has_magic(one) and await self._exists(one))]
        others = [one for one in paths if one not in exact]
        found: set[str] = set()
        if exact:
            found |= set(await super()._expand_path(exact, recursive, maxdepth, assume_literal=True))
        if others or not exact:
            found |= set(await super()._expand_path(others, recursive, maxdepth))
        return sorted(found)

    async def _get(self, rpath: Any, lpath: Any, recursive: bool = False, **options: Any) -> Any:
        if await self._is_exact(rpath, recursive) and await asyncio.to_thread(_names_a_file, lpath):
            rpath, lpath = [rpath], [lpath]
        return await super()._get(rpath, lpath, recursive=recursive, **options)

    async def _copy(self, path1: Any, path2: Any, recursive: bool = False, **options: Any) -> Any:
        if await self._is_exact(path1, recursive) and not path2.endswith("/") and not await self._isdir(path2):
            path1, path2 = [path1], [path2]
        return await super()._copy(path1, path2, recursive=recursive, **options)

    async def _is_exact(self, path: Any, recursive: bool) -> bool:
        """Whether a path with the signs of a pattern is that of a file."""
        return not recursive and isinstance(path, str) and has_magic(path) and await self._isfile(path)

    async def _isfile(self, path: str) -> bool:
        try:
            return bool((await self._info(path))["type"] == "file")
        except FileNotFoundError:
            return False

    def created(self, path: str) -> datetime:
        """When a file was made: `created` or `birthtime` of its metadata, as ISO 8601 or milliseconds, else 1970."""
        return _moment(self.info(path), ("created", "birthtime"))

    def modified(self, path: str) -> datetime:
        """When a file was changed: `modified` or `mtime` of its metadata, as ISO 8601 or milliseconds, else 1970.

        A drive does not know when its versions were made; `ukey` changes when a file has changed.
        """
        return _moment(self.info(path), ("modified", "mtime"))

    def _open(self, path: str, mode: str = "rb", **options: Any) -> "DriveFile":
        return DriveFile(self, path, mode, **options)

    # Writing

    @_reaching
    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        drive, address = await self._writable(path, create=mode == "create")
        await drive.put(address.path, value)

    @_reaching
    async def _pipe(self, path: Any, value: Any = None, mode: str = "overwrite", **_: Any) -> None:
        """All files of one drive are written at once, or none of them."""
        drives: dict[str, tuple[Drive, list[tuple[Address, bytes]]]] = {}
        for name, data in (path if isinstance(path, dict) else {path: value}).items():
            drive, address = await self._writable(name, create=mode == "create")
            drives.setdefault(address.root, (drive, []))[1].append((address, data))
        for drive, files in drives.values():
            await place.put(drive, files)

    @_reaching
    async def _put_file(
        self, lpath: str, rpath: str, mode: str = "overwrite", callback: Any = DEFAULT_CALLBACK, **_: Any
    ) -> None:
        source = Path(lpath)
        if await asyncio.to_thread(source.is_dir):
            return
        drive, address = await self._writable(rpath, create=mode == "create")
        with await asyncio.to_thread(open_file, source) as file:
            status = os.fstat(file.fileno())
            callback.set_size(status.st_size)
            pieces = _pieces(file, callback.relative_update)
            await drive.put_stream(address.path, pieces, executable=bool(status.st_mode & 0o100))

    @_reaching
    async def _put_spooled(self, path: str, file: IO[bytes], *, create: bool) -> None:
        drive, address = await self._writable(path, create=create)
        await drive.put_stream(address.path, _pieces(file))

    @_reaching
    async def _cp_file(self, path1: str, path2: str, **_: Any) -> None:
        try:
            source, entry, _size = await self._file(path1)
        except IsADirectoryError:
            return
        drive, address = await self._writable(path2)
        await drive.put_stream(address.path, source.stream(entry), executable=entry.executable, metadata=entry.metadata)

    async def _rm_file(self, path: str, **_: Any) -> None:
        drive, address = await self._writable(path)
        await place.remove(drive, [address], missing_ok=False)

    @_reaching
    async def _rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None, **_: Any) -> None:
        """All paths of one drive are removed at once, or none of them."""
        drives: dict[str, list[Address]] = {}
        for found in await self._expand_path(path, recursive=recursive, maxdepth=maxdepth):
            address = Address.parse(found)
            drives.setdefault(address.root, []).append(address)
        for root, addresses in drives.items():
            drive, _address = await self._writable(f"{root}/")
            # What a folder expands to names the folders in it too.
            await place.remove(drive, addresses, missing_ok=recursive)

    # Drives

    async def _reach(self, path: str) -> tuple[DriveView, Address]:
        """The drive in which a path is. Raises `UsageError` if it cannot be reached from here."""
        address = Address.parse(self._strip_protocol(path))
        store = self._store or place.store_of(address.key)
        if store.loop is _blocked.get() and asyncio.get_running_loop() is not store.loop:
            raise UsageError(
                f"{store!r} lives on the event loop that would wait for it: call this in a thread, as in"
                " `await asyncio.to_thread(pd.read_csv, ...)`, or use the store of lu.start()."
            )
        if not store.loop.is_running():
            raise UsageError(f"The event loop of {store!r} does not run, so nothing can be read from it.")
        return await place.open_drive(store, address, self._encryption_key, self._timeout), address

    async def _file(self, path: str) -> tuple[DriveView, Entry, int]:
        drive, address = await self._reach(path)
        return drive, *await self._file_at(drive, address)

    async def _file_at(self, drive: DriveView, address: Address) -> tuple[Entry, int]:
        found = await place.find_file(drive, address.path)
        if found is None:
            if (await place.describe(drive, address) or {}).get("type") == "directory":
                raise IsADirectoryError(f"{address} is a folder.")
            raise address.not_found()
        return found

    @_reaching
    async def _writable(self, path: str, *, create: bool = False) -> tuple[Drive, Address]:
        drive, address = await self._reach(path)
        if not isinstance(drive, Drive):
            raise NotWritable(f"linkup://{address.root} is the past, which stays as it was.")
        if not drive.writable:
            raise NotWritable(f"linkup://{address.root} is somebody else's drive: only its author can change it.")
        if create and await drive.exists(address.path):
            raise FileExistsError(f"{address} is there already.")
        return drive, address

    @_reaching
    async def _opened(self, path: str) -> tuple[DriveView, Entry, dict[str, Any]]:
        """A file that is being opened: whatever the drive's author does, it stays this version of it."""
        live, address = await self._reach(path)
        drive = live.checkout(live.version)
        entry, size = await self._file_at(drive, address)
        about = await place.describe(drive, address) or {}
        return drive, entry, about | {"type": "file", "size": size, "version": entry.version}

    @_reaching
    async def _size_before(self, path: str, mode: str) -> int:
        """Bytes of the file that is about to be written: those that `ab` keeps."""
        drive, address = await self._writable(path, create=mode == "xb")
        found = await place.find_file(drive, address.path) if mode == "ab" else None
        return found[1] if found else 0

    @_reaching
    async def _read(self, drive: DriveView, entry: Entry, start: int, end: int) -> bytes:
        return await place.read(drive, entry, start, end)


async def _pieces(file: IO[bytes], progress: Callable[[int], None] = lambda _: None) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, PIECE):
        yield piece
        progress(len(piece))


def _names_a_file(path: Any) -> bool:
    return isinstance(path, str) and not path.endswith((os.sep, "/")) and not os.path.isdir(path)


def _moment(about: dict[str, Any], names: tuple[str, str]) -> datetime:
    metadata = about.get("metadata")
    for value in (metadata.get(name) for name in names) if isinstance(metadata, dict) else ():
        try:
            if isinstance(value, str):
                moment = datetime.fromisoformat(value)
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            if isinstance(value, int | float):
                return datetime.fromtimestamp(value / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            continue
    return datetime.fromtimestamp(0, UTC)


class DriveFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """A file of one version, or one that is being written: others see it when it is closed, and not before."""

    def __init__(
        self, fs: DriveFileSystem, path: str, mode: str = "rb", *, cache_type: str = ReadOn.name, **options: Any
    ) -> None:
        if mode == "rb":
            self._drive, self._entry, self._details = sync(fs.loop, fs._opened, path)
            options["size"] = self._details["size"]
        start = 0 if mode == "rb" else sync(fs.loop, fs._size_before, path, mode)
        self._spool: IO[bytes] | None = None
        super().__init__(fs, path, mode, cache_type=cache_type, **options)
        self.loc = start

    def __reduce__(self) -> Any:
        if self.mode != "rb":
            raise UsageError("A file that is being written cannot be pickled: close it first.")
        pinned = Address.parse(self.path).at(self._drive.version)
        return _reopen, (self.fs, pinned, self.blocksize, self.cache.name, self.loc)

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
        assert self._spool
        self._spool.write(self.buffer.getvalue())
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        """Put what was written into the drive."""
        if not self.closed and not self.autocommit:  # a transaction ends before the file is closed
            self.close()
        assert self._spool
        with self._spool:
            self._spool.seek(0)
            sync(self.fs.loop, self.fs._put_spooled, self.path, self._spool, create=self.mode == "xb")

    def discard(self) -> None:
        """Forget what was written."""
        self.closed = True
        if self._spool:
            self._spool.close()


def _reopen(fs: DriveFileSystem, path: str, blocksize: int, cache_type: str, offset: int) -> DriveFile:
    file = DriveFile(fs, path, block_size=blocksize, cache_type=cache_type)
    file.seek(offset)
    return file
