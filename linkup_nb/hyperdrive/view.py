"""The readable half of a drive: what is in it now, or was at a version.

Format: the npm package `hyperdrive` 13.3: a bee of entries, and a core of file contents whose key the bee's gives.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from linkup_nb.arguments import number
from linkup_nb.errors import NotAvailable, UsageError
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.download import Downloads
from linkup_nb.hyperdrive.bee import Bee, BeeEntry
from linkup_nb.hyperdrive.blobs import Blobs
from linkup_nb.hyperdrive.comparison import Comparison, compare
from linkup_nb.hyperdrive.entry import FILES, Entry, folder_of, key_of, named, normalize
from linkup_nb.hyperdrive.history import Bisection, Diff, History, bisect
from linkup_nb.hyperdrive.mirror import Steps, mirror_to
from linkup_nb.loops import from_any_loop
from linkup_nb.progress import Tally, shown
from linkup_nb.wire.keys import z32encode

PAGE = 256  # entries of a folder that are read together, at most
MAX_LINKS = 16  # symbolic links followed one after the other

_WRITING = frozenset(("batch", "delete", "mirror_from", "put", "put_stream", "restore", "symlink"))  # what `Drive` adds


class DriveInfo(NamedTuple):
    """A drive at one moment; sizes are bytes."""

    key: bytes
    version: int
    writable: bool
    byte_length: int
    blobs_key: bytes | None
    peers: int


class DrivePeer(NamedTuple):
    """Somebody who has a drive open with us: how many blocks they have of its history, and of its files' contents."""

    public_key: bytes
    history: int
    contents: int


class Stored(NamedTuple):
    """So many of the blocks of a file are here, of all."""

    here: int
    total: int


class DriveSource(NamedTuple):
    """How the cores of a drive are opened."""

    store: Corestore
    encryption_key: bytes | None
    timeout: float | None


class DriveView:
    """A drive as it was at a version, read-only: what `drive[version]` is. Closed with the drive that it is of."""

    def __init__(
        self, core: Core, bee: Bee, blobs: "asyncio.Future[Blobs]", source: "DriveSource", version: int | None = None
    ) -> None:
        self._core = core
        self._bee = bee
        self._blobs = blobs
        self._source = source
        self._at = version
        self._loop = core.loop

    def __repr__(self) -> str:
        kind = "past" if self._at is not None else "writable" if self.writable else "read-only"
        return f"Drive({self.id[:8]}…, version {self.version}, {kind})"

    if not TYPE_CHECKING:  # a type checker should go on to know what is not there

        def __getattr__(self, name: str) -> Any:
            if name in _WRITING:
                raise AttributeError(f"The past of a drive cannot be changed: call {name} of the drive itself.")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

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
    def peers(self) -> tuple[DrivePeer, ...]:
        """Who has it open with us, and how much of it they have; its history has as many blocks as it has versions."""
        contents = self._blobs.result().core.counts if self._blobs.done() else {}
        return tuple(DrivePeer(key, count, contents.get(key, 0)) for key, count in self._core.counts.items())

    @property
    def writable(self) -> bool:
        """Whether files can be put here."""
        return self._at is None and self._core.writable

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

    @from_any_loop
    async def content_key(self) -> bytes:
        """The key of the core that holds the files' contents. Raises `NotAvailable` if nothing of the drive comes."""
        return (await self._contents()).core.key

    # Reading

    @from_any_loop
    async def update(self) -> bool:
        """Ask the peers for a newer version; whether there was one."""
        return await self._core.update(timeout=self._source.timeout)

    @from_any_loop
    async def arrived(self) -> None:
        """Wait for the first of somebody else's drive; returns at once if it is yours, or if any of it is here.

        Until then it looks like an empty drive. Raises `NotAvailable` after the drive's timeout.
        """
        if self._core.length or self._core.writable:
            return
        try:
            await self._core.wait_for_length(1, timeout=self._source.timeout)
        except NotAvailable:
            raise NotAvailable(
                f"No peer sent anything of {self!r} within {self._source.timeout} s; is anybody online who has it?"
            ) from None

    @from_any_loop
    async def entry(self, path: str, *, follow: bool = False) -> Entry | None:
        """What there is at a path, `None` for nothing; with `follow`, what a symbolic link there points at."""
        if not self._core.length:
            await self.arrived()
        for _ in range(MAX_LINKS):
            found = await self._bee.get(key_of(path))
            if found is None:
                return None
            entry = Entry.decode(found)
            if not follow or entry.linkname is None:
                return entry
            path = entry.leads_to
        raise UsageError(f"{named(path)} is one of over {MAX_LINKS} symbolic links that lead to each other.")

    @from_any_loop
    async def exists(self, path: str) -> bool:
        """Whether there is a file or a symbolic link at a path."""
        if not self._core.length:
            await self.arrived()
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
            raise UsageError(f"Bytes {start} to {end} of a file.")
        entry = path if isinstance(path, Entry) else await self.entry(path, follow=True)
        if entry is None or entry.blob is None:
            raise UsageError(f"There is no file {path} in version {self.version}.")
        if entry.blob.block_length:
            blobs = await self._contents_anywhere()
            async for piece in blobs.stream(entry.blob, start, end):
                yield piece

    @from_any_loop
    async def size(self, entry: Entry) -> int:
        """Bytes of a file. For one that JavaScript put with `dedup`, `entry.size` is less; may request blocks."""
        if entry.blob is None or not entry.blob.mapped:
            return entry.size
        return await (await self._contents()).size(entry.blob)

    async def list(self, folder: str = "/", *, recursive: bool = True) -> AsyncIterator[Entry]:
        """The entries in a folder and, with `recursive`, in the folders in it, in the order of their paths."""
        base = folder_of(folder)
        prefix = FILES + base.encode()
        if not self._core.length:
            await self.arrived()
        async for found in self._bee.range(gte=prefix, lt=prefix[:-1] + b"0"):
            entry = Entry.decode(found)
            if recursive or "/" not in entry.path[len(base) :]:
                yield entry

    async def readdir(self, folder: str = "/") -> AsyncIterator[str]:
        """The names in a folder, of files and of folders, in order; what is in the folders is skipped, not read."""
        given: set[str] = set()  # a name may be that of a file and of a folder
        async for path, _ in self.children(folder):
            name = path.rpartition("/")[2]
            if name not in given:
                given.add(name)
                yield name

    async def children(self, folder: str = "/") -> AsyncIterator[tuple[str, BeeEntry | None]]:
        """The paths in a folder and what the bee has of them, not decoded; `None` for a folder, which is not read.

        Others wrote this drive: a name that no path can have cannot be opened, and is left out.
        """
        prefix = FILES + folder_of(folder).encode()
        after, limit, more = prefix, 1, True
        if not self._core.length:
            await self.arrived()
        while more:
            page = [found async for found in self._bee.range(gte=after, lt=prefix[:-1] + b"0", limit=limit)]
            more = len(page) == limit
            limit = min(2 * limit, PAGE)
            for found in page:
                name, inside, _ = found.key[len(prefix) :].partition(b"/")
                path = _path_of(prefix[len(FILES) :] + name)
                if path is not None:
                    yield path, None if inside else found
                if inside:
                    after, limit, more = prefix + name + b"0", 1, True
                    break
                after = found.key + b"\x00"

    # The past

    def checkout(self, version: int) -> "DriveView":
        """This drive as it was at a version. Raises `UsageError` for one that never was."""
        return DriveView(self._core, self._bee.checkout(version), self._blobs, self._source, version)

    def __getitem__(self, version: int) -> "DriveView":
        return self.checkout(version)

    def diff(self, a: int, b: int | None = None, folder: str = "/") -> Diff:
        """What has changed in a folder from version `a` to version `b`, or to this one, in the order of the paths.

        `async for change in drive.diff(a, b)`, or `await` it to have all.
        """
        return Diff(self, a, b, folder)

    def history(self, path: str = "/", *, newest_first: bool = False) -> History:
        """Every change of a file, or of all files in a folder: `async for event in drive.history(path)`, or `await`."""
        return History(self, path, newest_first=newest_first)

    @from_any_loop
    async def bisect(
        self, predicate: "Callable[[DriveView], bool | Awaitable[bool]]", start: int = 1, end: int | None = None
    ) -> Bisection | None:
        """The first version of which the predicate holds, `None` if it never does; it has to go on to hold then.

        What is returned is a number, with the `looks` that it took.
        """
        return await bisect(self.checkout, predicate, start, self.version if end is None else end)

    @from_any_loop
    async def compare(self, path: str, a: int, b: int) -> Comparison:
        """How a file differs between two versions: texts by lines, tables by rows, the rest by size and hash."""
        return await compare(path, (a, b), [await self.checkout(version).get(path) for version in (a, b)])

    async def watch(self, folder: str = "/") -> AsyncIterator[tuple["DriveView", "DriveView"]]:
        """From now on, the drive before and after each change in a folder; changes that come together are one."""
        if self._at is not None:
            raise UsageError("The past of a drive does not change; watch the drive itself.")
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
        """Begin to fetch the contents of all files in a folder; `await` the result's `done()`.

        That of a whole drive fetches its history too: all that `drive[version]` has, but for contents.
        """
        if not self._core.length:
            await self.arrived()
        # A whole drive needs every block of the bee: fetching them in a row is quicker than along the tree.
        whole = [await self._core.download(0, self.version)] if folder_of(folder) == "/" else []
        entries = [entry async for entry in self.list(folder)]
        blobs = [entry.blob for entry in entries if entry.blob and entry.blob.block_length]
        contents = await (await self._contents()).download(blobs) if blobs else []
        return Downloads([*whole, *contents])

    # Copies here

    @property
    def cores(self) -> tuple[Core, ...]:
        """The logs that it consists of, as far as they are known here: its history, and the contents of its files."""
        return (self._core, self._blobs.result().core) if self._blobs.done() else (self._core,)

    @property
    def core_keys(self) -> frozenset[bytes]:
        """Their keys; `store.usage()` counts by them."""
        return frozenset(core.key for core in self.cores)

    @from_any_loop
    async def stored(self, entry: Entry) -> Stored:
        """How much of the content of a file is here; the rest is fetched when it is read."""
        if entry.blob is None or not entry.blob.block_length:
            return Stored(0, 0)
        start, end = entry.blob.block_offset, entry.blob.block_offset + entry.blob.block_length
        core = (await self._contents()).core
        return Stored(core.log.blocks.count(start, end), end - start)

    @from_any_loop
    async def clear(self, path: str) -> bool:
        """Forget a file's content here, to make room, with "/" that of every file of every version.

        Whether there was any. Peers may still have it: it is fetched again when it is read. What nobody else has is
        gone.
        """
        if not path.strip("/"):
            core = (await self._contents()).core
            before = core.length
            await core.clear(0, before)
            return before > 0
        entry = await self.entry(path)
        if entry is None or entry.blob is None:
            return False
        blobs = await self._contents()
        await blobs.core.clear(entry.blob.block_offset, entry.blob.block_offset + entry.blob.block_length)
        return True

    async def mirror_to(
        self,
        folder: Path | str,
        *,
        of: str = "/",
        prune: bool = True,
        dry_run: bool = False,
        progress: bool | None = None,
    ) -> Steps:
        """Make a local folder like a folder of this drive; see `hyperdrive.mirror`, and `put_stream` for `progress`."""
        tally = Tally()
        work = self._mirror_to(folder, tally, of, prune, dry_run)
        return await shown(work, lambda: (tally.done, tally.total), "B", progress)

    @from_any_loop
    async def _mirror_to(self, folder: Path | str, tally: Tally, of: str, prune: bool, dry_run: bool) -> Steps:
        if not self._core.length:
            await self.arrived()
        return await mirror_to(self.checkout(self.version), folder, tally, of=of, prune=prune, dry_run=dry_run)

    # Life

    @from_any_loop
    async def _contents_anywhere(self) -> Blobs:
        return await self._contents()

    async def _contents(self) -> Blobs:
        """The contents; their core is known once the bee's manifest, or its header, has come."""
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
            await self.arrived()
        if core.manifest is None:
            raise NotAvailable(f"No peer sent the beginning of {self!r}; is anybody online who has it?")
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _path_of(key: bytes) -> str | None:
    """The path that is written so; `None` if no path is."""
    try:
        path = key.decode()
        return path if normalize(path) == path else None
    except (UnicodeDecodeError, UsageError):
        return None
