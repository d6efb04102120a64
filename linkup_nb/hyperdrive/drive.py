"""Drives: folders and files with every earlier version, which anybody who knows the key can copy and check.

Format: the npm package `hyperdrive` 13: a bee of entries, and a core of file contents whose key the bee's gives.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from linkup_nb.arguments import content, number
from linkup_nb.errors import NotAvailable, NotWritable, UsageError
from linkup_nb.hypercore.core import GET_TIMEOUT, Core
from linkup_nb.hypercore.corestore import Corestore, Namespace
from linkup_nb.hypercore.download import Downloads
from linkup_nb.hyperdrive.batch import BATCH_BYTES, DriveBatch
from linkup_nb.hyperdrive.bee import Bee
from linkup_nb.hyperdrive.blobs import Blobs
from linkup_nb.hyperdrive.entry import FILES, Entry, folder_of, key_of, named, normalize, sizes
from linkup_nb.loops import from_any_loop
from linkup_nb.progress import Tally, shown
from linkup_nb.wire.keys import z32encode

if TYPE_CHECKING:
    from linkup_nb.hyperdrive.comparison import Comparison
    from linkup_nb.hyperdrive.history import Diff, History
    from linkup_nb.hyperdrive.mirror import Step
    from linkup_nb.hyperdrive.serve import DriveServer

MAX_LINKS = 16  # symbolic links followed one after the other

R = TypeVar("R")


class Change(NamedTuple):
    """A path that differs between two versions, with its entry in each, `None` where it is not there."""

    path: str
    before: Entry | None
    after: Entry | None

    def __repr__(self) -> str:
        if self.before is None:
            return f"Change({named(self.path)} is new: {self.after})"
        if self.after is None:
            return f"Change({named(self.path)} is gone: {self.before})"
        return f"Change({named(self.path)}: {sizes(self.before.size, self.after.size)})"


class DriveInfo(NamedTuple):
    """A drive at one moment; sizes are bytes."""

    key: bytes
    version: int
    writable: bool
    byte_length: int
    blobs_key: bytes | None
    peers: int


class _Source(NamedTuple):
    """How the cores of a drive are opened."""

    store: Corestore
    encryption_key: bytes | None
    timeout: float | None


class Drive:
    """Files with a history; made by `Drive.open`. `async with` it, or `close` it.

    `drive[version]` and `checkout` give the past, which stays as it was.
    """

    def __init__(
        self, core: Core, bee: Bee, blobs: "asyncio.Future[Blobs]", source: "_Source", version: int | None = None
    ) -> None:
        self._core = core
        self._bee = bee
        self._blobs = blobs
        self._source = source
        self._at = version
        self._loop = core.loop

    @classmethod
    async def open(
        cls,
        store: Corestore | Namespace,
        key: bytes | str | None = None,
        *,
        encryption_key: bytes | None = None,
        timeout: float | None = GET_TIMEOUT,
    ) -> "Drive":
        """Your drive of this store, or of a namespace of it; or with `key` somebody's (32 bytes, or their text).

        `timeout` is how many seconds its methods wait for a peer that has what they need.
        """
        if not isinstance(store, Corestore | Namespace):
            raise UsageError(f"a drive is opened in a store, not in {type(store).__name__}: Drive.open(store, key)")
        return await _open(store, cls, key, encryption_key, timeout)

    def __repr__(self) -> str:
        kind = "past" if self._at is not None else "writable" if self.writable else "read-only"
        return f"Drive({self.id[:8]}…, version {self.version}, {kind})"

    @property
    def key(self) -> bytes:
        """32 bytes by which anybody can find and check this drive."""
        return self._core.key

    @property
    def discovery_key(self) -> bytes:
        """32 bytes by which peers that know the key find each other."""
        return self._core.discovery_key

    @property
    def id(self) -> str:
        """The key as 52 letters and digits."""
        return z32encode(self.key)

    @property
    def version(self) -> int:
        """Grows by one with each change; 0 and 1 are empty."""
        return self._bee.version

    @property
    def writable(self) -> bool:
        """Whether files can be put here."""
        return self._core.writable and self._at is None

    @property
    def bee(self) -> Bee:
        """The keys and values under the files."""
        return self._bee

    @from_any_loop
    async def info(self) -> DriveInfo:
        """What there is to know about this drive, now."""
        blobs = self._blobs.result().core if self._blobs.done() else None
        key, size = (blobs.key, blobs.byte_length) if blobs is not None else (None, 0)
        return DriveInfo(self.key, self.version, self.writable, self._core.byte_length + size, key, self._core.peers)

    # Reading

    @from_any_loop
    async def update(self) -> bool:
        """Ask the peers for a newer version; whether there was one."""
        return await self._core.update(timeout=self._source.timeout)

    @from_any_loop
    async def entry(self, path: str, *, follow: bool = False) -> Entry | None:
        """What there is at a path, `None` for nothing; with `follow`, what a symbolic link there points at."""
        for _ in range(MAX_LINKS):
            found = await self._bee.get(key_of(path))
            if found is None:
                return None
            entry = Entry.decode(found)
            if not follow or entry.linkname is None:
                return entry
            path = entry.linkname if entry.linkname.startswith("/") else f"{entry.path}/../{entry.linkname}"
        raise UsageError(f"over {MAX_LINKS} symbolic links, one after the other")

    @from_any_loop
    async def exists(self, path: str) -> bool:
        """Whether there is a file or a symbolic link at a path."""
        return await self._bee.get(key_of(path)) is not None

    @from_any_loop
    async def get(self, path: str) -> bytes | None:
        """The content of a file, through symbolic links; `None` if there is none. Raises `NotAvailable`."""
        entry = await self.entry(path, follow=True)
        if entry is None or entry.blob is None:
            return None
        if not entry.blob.block_length:
            return b""
        return await (await self._contents()).get(entry.blob)

    async def stream(self, path: str | Entry, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a file from `start` to before `end`, in pieces. Raises `UsageError` if there is no such file.

        An `Entry` of this drive saves looking up its path.
        """
        start = number(start, "the number of a byte")
        end = None if end is None else number(end, "the number of a byte")
        if start < 0 or (end is not None and end < 0):
            raise UsageError(f"bytes {start} to {end} of a file")
        entry = path if isinstance(path, Entry) else await self.entry(path, follow=True)
        if entry is None or entry.blob is None:
            raise UsageError(f"there is no file {path} in version {self.version}")
        if entry.blob.block_length:
            blobs = await self._contents_anywhere()
            async for piece in blobs.stream(entry.blob, start, end):
                yield piece

    @from_any_loop
    async def size(self, entry: Entry) -> int:
        """Bytes of a file. For one that JavaScript put with `dedup`, `entry.size` is less, and this may ask a peer."""
        if entry.blob is None or not entry.blob.mapped:
            return entry.size
        return await (await self._contents()).size(entry.blob)

    async def list(self, folder: str = "/", *, recursive: bool = True) -> AsyncIterator[Entry]:
        """The entries in a folder and, unless told not to, in the folders in it, in the order of their paths."""
        base = folder_of(folder)
        prefix = FILES + base.encode()
        async for found in self._bee.range(gte=prefix, lt=prefix[:-1] + b"0"):
            entry = Entry.decode(found)
            if recursive or "/" not in entry.path[len(base) :]:
                yield entry

    async def readdir(self, folder: str = "/") -> AsyncIterator[str]:
        """The names in a folder, of files and of folders, in order; what is in the folders is skipped, not read."""
        async for name, _ in self._names(folder):
            yield name

    async def _names(self, folder: str) -> AsyncIterator[tuple[str, bool]]:
        """The names in a folder, and whether each is that of a folder."""
        prefix = FILES + folder_of(folder).encode()
        after = prefix
        while True:
            page = [found async for found in self._bee.range(gte=after, lt=prefix[:-1] + b"0", limit=1)]
            if not page:
                return
            name, inside, _ = page[0].key[len(prefix) :].partition(b"/")
            yield name.decode(errors="replace"), bool(inside)
            after = prefix + name + (b"0" if inside else b"\x00")

    # Writing

    async def put(
        self,
        path: str,
        data: bytes,
        *,
        executable: bool = False,
        metadata: Any = None,
        progress: bool | None = None,
    ) -> None:
        """Set the content of a file; on disk when this returns. `metadata` is anything that JSON can say.

        See `put_stream` for `progress`.
        """
        data = content(data, "a file's content")
        size = len(data)
        work = self._put(path, data, executable, metadata)
        if not self.writable or (size < BATCH_BYTES and not progress):
            await work
            return
        core = (await self._contents_anywhere()).core
        before = core.byte_length
        await shown(work, lambda: (min(core.byte_length - before, size), size), "B", progress)

    @from_any_loop
    async def _put(self, path: str, data: bytes, executable: bool, metadata: Any) -> None:
        async with self.batch() as batch:
            await batch.put(path, data, executable=executable, metadata=metadata)

    async def put_stream(
        self,
        path: str,
        pieces: AsyncIterable[bytes],
        *,
        executable: bool = False,
        metadata: Any = None,
        progress: bool | None = None,
    ) -> None:
        """Set the content of a file to what comes, which is never all in memory; nobody sees it before its end.

        With `progress` a bar counts the bytes; without, only in a notebook, when it takes over a second.
        """
        entry = Entry(normalize(path), 0, None, executable, None, metadata)
        entry.encode()
        if not isinstance(pieces, AsyncIterable):
            raise UsageError(f"the pieces come from `async for`, not from {type(pieces).__name__}; put takes bytes")
        if not self.writable:
            raise NotWritable(f"{self!r} cannot be changed: {'it is the past' if self._at else 'only its author can'}")
        tally = Tally()
        work = self._put_stream(key_of(path), entry, tally.count(pieces))
        await shown(work, lambda: (tally.done, tally.total), "B", progress)

    @from_any_loop
    async def _put_stream(self, key: bytes, entry: Entry, pieces: AsyncIterable[bytes]) -> None:
        blobs = await self._contents()
        async with blobs.core.write_lock:
            blob = await blobs.put_stream(pieces)
            await self._bee.put(key, replace(entry, blob=blob).encode())

    @from_any_loop
    async def symlink(self, path: str, target: str) -> None:
        """Put a symbolic link; `target` may be relative to the link's folder, and need not exist."""
        async with self.batch() as batch:
            await batch.symlink(path, target)

    @from_any_loop
    async def delete(self, path: str) -> bool:
        """Remove what is at a path; whether there was anything. Earlier versions keep it."""
        async with self.batch() as batch:
            return await batch.delete(path)

    def batch(self) -> DriveBatch:
        """Many changes that others see at once or not at all: `async with drive.batch() as b: await b.put(…)`."""
        if self._at is not None:
            raise UsageError("the past of a drive cannot be changed")
        return DriveBatch(self)

    @from_any_loop
    async def clear(self, path: str) -> bool:
        """Forget a file's content here, to make room; whether there was any. Peers may still have it."""
        entry = await self.entry(path)
        if entry is None or entry.blob is None:
            return False
        blobs = await self._contents()
        await blobs.core.clear(entry.blob.block_offset, entry.blob.block_offset + entry.blob.block_length)
        return True

    @from_any_loop
    async def purge(self) -> None:
        """Forget all that is here of this drive; its key stays, and peers may still have it."""
        blobs = await self._contents()
        await blobs.core.clear(0, blobs.core.length)
        await self._core.clear(0, self._core.length)

    # The past

    def checkout(self, version: int) -> "Drive":
        """This drive as it was at a version. Raises `UsageError` for one that never was."""
        return Drive(self._core, self._bee.checkout(version), self._blobs, self._source, version)

    def __getitem__(self, version: int) -> "Drive":
        return self.checkout(version)

    def diff(self, a: int, b: int | None = None, folder: str = "/") -> "Diff":
        """What has changed in a folder from version `a` to version `b`, or to this one, in the order of the paths.

        `async for change in drive.diff(a, b)`, or `await` it to have all.
        """
        from linkup_nb.hyperdrive.history import Diff

        return Diff(self, a, b, folder)

    def history(self, path: str = "/", *, newest_first: bool = False) -> "History":
        """Every change of a file, or of all files in a folder: `async for event in drive.history(path)`, or `await`."""
        from linkup_nb.hyperdrive.history import History

        return History(self, path, newest_first=newest_first)

    @from_any_loop
    async def bisect(
        self, predicate: "Callable[[Drive], bool | Awaitable[bool]]", start: int = 1, end: int | None = None
    ) -> int | None:
        """The first version of which the predicate holds, `None` if it never does; it has to go on to hold then."""
        from linkup_nb.hyperdrive.history import bisect

        return await bisect(self, predicate, start, end)

    @from_any_loop
    async def compare(self, path: str, a: int, b: int) -> "Comparison":
        """How a file differs between two versions: texts by lines, tables by rows, the rest by size and hash."""
        from linkup_nb.hyperdrive.comparison import compare

        return await compare(self, path, a, b)

    async def watch(self, folder: str = "/") -> AsyncIterator[tuple["Drive", "Drive"]]:
        """From now on, the drive before and after each change in a folder; changes that come together are one."""
        if self._at is not None:
            raise UsageError("the past of a drive does not change; watch the drive itself")
        folder_of(folder)
        before = self.version
        while True:
            await self._core.wait_for_length(before + 1, timeout=None)
            after = self.version
            if [change async for change in self.checkout(after).diff(before, folder=folder)]:
                yield self.checkout(before), self.checkout(after)
            before = after

    @from_any_loop
    async def download(self, folder: str = "/") -> Downloads:
        """Begin to fetch the contents of all files in a folder; `await` the result's `done()`."""
        # A whole drive needs every block of the bee: fetching them in a row is quicker than along the tree.
        async with self._core.prefetch(0, self.version if folder_of(folder) == "/" else 0):
            entries = [entry async for entry in self.list(folder)]
        blobs = [entry.blob for entry in entries if entry.blob and entry.blob.block_length]
        if not blobs:
            return Downloads()
        return await (await self._contents()).download(blobs)

    async def mirror_to(
        self,
        folder: Path | str,
        *,
        of: str = "/",
        prune: bool = True,
        dry_run: bool = False,
        progress: bool | None = None,
    ) -> "Sequence[Step]":
        """Make a local folder like a folder of this drive; see `hyperdrive.mirror`, and `put_stream` for `progress`."""
        from linkup_nb.hyperdrive.mirror import local, mirror_to

        tally = Tally()
        work = self._here(mirror_to(self, local(folder), tally, of=of, prune=prune, dry_run=dry_run))
        return await shown(work, lambda: (tally.done, tally.total), "B", progress)

    async def mirror_from(
        self,
        folder: Path | str,
        *,
        to: str = "/",
        prune: bool = True,
        dry_run: bool = False,
        progress: bool | None = None,
    ) -> "Sequence[Step]":
        """Make a folder of this drive like a local folder; see `hyperdrive.mirror`, and `put_stream` for `progress`."""
        from linkup_nb.hyperdrive.mirror import local, mirror_from

        tally = Tally()
        work = self._here(mirror_from(self, local(folder), tally, to=to, prune=prune, dry_run=dry_run))
        return await shown(work, lambda: (tally.done, tally.total), "B", progress)

    @from_any_loop
    async def serve(self, *, port: int = 0, token: str | bool = True) -> "DriveServer":
        """Serve this drive to this computer's browsers; the result's `url` says where. See `hyperdrive.serve`."""
        from linkup_nb.hyperdrive.serve import serve

        return await serve(self, port=port, token=token)

    # Life

    @from_any_loop
    async def _here(self, work: Coroutine[Any, Any, R]) -> R:
        return await work

    @from_any_loop
    async def _contents_anywhere(self) -> Blobs:
        return await self._contents()

    async def _contents(self) -> Blobs:
        """The contents; who they belong to is known once the bee's manifest, or its header, has come."""
        if not self._blobs.done():
            core = await self._open_blobs()
            if not self._blobs.done():
                self._blobs.set_result(Blobs(core, timeout=self._source.timeout))
        return self._blobs.result()

    async def _open_blobs(self) -> Core:
        core = self._core
        if core.length:
            feed = await self._bee.content_feed()
            if feed:
                return await self._source.store.core(key=feed[:32], encryption_key=self._source.encryption_key)
        if core.manifest is None:
            await core.wait_for_length(1, timeout=self._source.timeout)
        if core.manifest is None:
            raise NotAvailable(f"no peer sent the beginning of {self!r}")
        manifest = core.manifest.for_blobs(core.key)
        if core.key_pair:
            return await self._source.store.core(
                key_pair=core.key_pair, manifest=manifest, encryption_key=self._source.encryption_key
            )
        return await self._source.store.core(key=manifest.key, encryption_key=self._source.encryption_key)

    @from_any_loop
    async def close(self) -> None:
        """Stop using this drive; a drive of its past is closed with it."""
        if self._at is None:
            await self._core.close()
            if self._blobs.done():
                await self._blobs.result().core.close()

    async def __aenter__(self) -> "Drive":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@from_any_loop
async def _open(
    store: Corestore | Namespace,
    kind: type[Drive],
    key: bytes | str | None,
    encryption_key: bytes | None,
    timeout: float | None,
) -> Drive:
    root = store.store if isinstance(store, Namespace) else store
    if key is None:
        core = await store.core(name="db", encryption_key=encryption_key)
    else:
        core = await root.core(key=key, encryption_key=encryption_key)
    blobs: asyncio.Future[Blobs] = asyncio.get_running_loop().create_future()
    return kind(core, Bee(core, metadata=b"", timeout=timeout), blobs, _Source(root, encryption_key, timeout))
