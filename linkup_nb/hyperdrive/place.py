"""A path in a drive of a store that this process has open: what is there, and what is in it."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.hypercore.corestore import Corestore, open_stores, parse_key
from linkup_nb.hyperdrive.bee import BeeEntry
from linkup_nb.hyperdrive.blobs import check_mapped
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import FILES, Entry, folder_of, key_of
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.loops import from_any_loop

HEAD_TIMEOUT = 2.0  # seconds that a copy waits for peers to announce a newer version
SILENCE = 30.0  # seconds for which peers that did not announce one are not waited for again


class _Open:
    """The drives of one store that were opened here, by key, encryption key and timeout."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.drives: dict[tuple[bytes, bytes | None, float | None], Drive] = {}
        self.silent: dict[Drive, float] = {}
        self.reach: Callable[[bytes], Awaitable[None]] | None = None


_open: dict[Corestore, _Open] = {}


class Address(NamedTuple):
    """`KEY/path`, or `KEY+VERSION/path`; `root` is what stands before the path."""

    root: str
    key: bytes
    version: int | None
    path: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read it. Raises `UsageError` if it names no drive."""
        root, _, path = text.partition("/")
        key, plus, version = root.partition("+")
        if not key or (plus and not (version.isascii() and version.isdigit())):
            raise UsageError(f"{text!r} names no drive: it is linkup://KEY/path, or linkup://KEY+VERSION/path.")
        return cls(root, parse_key(key), int(version) if plus else None, path)

    def __str__(self) -> str:
        return f"linkup://{self.root}/{self.path}"

    def at(self, version: int) -> str:
        """The same path, in a version of the drive."""
        return f"linkup://{self.root.partition('+')[0]}+{version}/{self.path}"

    def not_found(self) -> FileNotFoundError:
        """What to raise if there is nothing."""
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))


def reach_by(store: Corestore, reach: Callable[[bytes], Awaitable[None]]) -> None:
    """Call `reach` with the key of each drive that is opened here by an address: it looks for peers that have it."""
    _open.setdefault(store, _Open()).reach = reach


def store_of(key: bytes) -> Corestore:
    """The open store that can write the drive with this key, else one that knows it, else the first.

    Raises `UsageError` when none is open.
    """
    stores = open_stores()
    if not stores:
        raise UsageError(
            "No store of drives is open in this process: lu.start() opens that of your node, and"
            ' storage_options={"store": store} names another. What was opened in another process is read there.'
        )
    if len(stores) == 1:
        return stores[0]
    known = [(core.writable, store) for store in stores for core in store.cores if core.key == key]
    return max(known, key=lambda found: found[0])[1] if known else stores[0]


@from_any_loop
async def open_drive(
    store: Corestore, address: Address, encryption_key: bytes | None, timeout: float | None
) -> DriveView:
    """The drive at an address, at the newest version that the peers announce. Stays open until its store is closed.

    Raises `NotAvailable` after `timeout` seconds if nobody has sent its beginning.
    """
    for closed in [other for other in list(_open) if other.closed]:
        _open.pop(closed, None)
    here = _open.setdefault(store, _Open())
    wanted = (address.key, encryption_key, timeout)
    async with here.turn:
        drive = here.drives.get(wanted)
        if drive is None or drive._core.closed:
            if here.reach:
                await here.reach(address.key)
            drive = await Drive.open(store, address.key, encryption_key=encryption_key, timeout=timeout)
            here.drives[wanted] = drive
    if not drive.writable and (address.version is None or address.version > drive.version):
        await _renew(here, drive, timeout)
    if address.version is None:
        return drive
    if address.version > drive.version:
        raise UsageError(f"linkup://{address.root} is not there yet: the newest version known here is {drive.version}.")
    return drive.checkout(address.version)


async def _renew(here: _Open, drive: Drive, timeout: float | None) -> None:
    now = asyncio.get_running_loop().time()
    await drive.arrived()
    if here.silent.get(drive, now) <= now:
        try:
            async with asyncio.timeout(HEAD_TIMEOUT):
                await drive.update()
        except TimeoutError:
            here.silent[drive] = now + SILENCE


@from_any_loop
async def describe(drive: DriveView, address: Address) -> dict[str, Any] | None:
    """What fsspec wants to know of a file or folder; `None` for nothing. What is both is a folder, as in a listing."""
    folder = {"name": f"{address.root}/{address.path}".rstrip("/"), "size": 0, "type": "directory"}
    if not address.path:
        return folder
    await drive.arrived()
    prefix = FILES + folder_of(address.path).encode()
    async for _ in drive.bee.range(gte=prefix, lt=prefix[:-1] + b"0", limit=1):
        return folder
    found = await drive.bee.get(key_of(address.path))
    return await _describe_entry(drive, address.root, found) if found else None


@from_any_loop
async def list_folder(drive: DriveView, address: Address) -> list[dict[str, Any]]:
    """What is in a folder, not in the folders in it, in order; those are skipped, not read."""
    found: dict[str, dict[str, Any]] = {}
    async for path, entry in drive.children(address.path or "/"):
        if entry is None:
            found[path] = {"name": address.root + path, "size": 0, "type": "directory"}
        else:
            found[path] = await _describe_entry(drive, address.root, entry)
    return list(found.values())


async def _describe_entry(drive: DriveView, root: str, found: BeeEntry) -> dict[str, Any]:
    """Whatever its author put there, it has a place in the listing of its folder."""
    try:
        return await _describe_decoded(drive, root, Entry.decode(found))
    except DecodeError:
        path = found.key.removeprefix(FILES).decode(errors="replace")
        return {"name": root + path, "size": 0, "type": "other", "version": found.seq + 1}


async def _describe_decoded(drive: DriveView, root: str, entry: Entry) -> dict[str, Any]:
    about = {
        "name": root + entry.path,
        "size": await drive.size(entry),
        "type": "file",
        "version": entry.version,
        "executable": entry.executable,
        "metadata": entry.metadata,
    }
    if entry.linkname is not None:
        target = await _target(drive, entry)
        about |= {"islink": True, "destination": entry.linkname}
        about |= {"size": await drive.size(target), "version": target.version} if target else {"type": "link"}
    return about


async def _target(drive: DriveView, link: Entry) -> Entry | None:
    """The file that a link leads to; `None` if it leads to a folder, to nothing, or in a circle."""
    try:
        return await drive.entry(link.path, follow=True)
    except (UsageError, DecodeError):
        return None


@from_any_loop
async def find_file(drive: DriveView, path: str) -> tuple[Entry, int] | None:
    """The file at a path, through symbolic links, and how many bytes it has; `None` if there is none."""
    entry = await drive.entry(path, follow=True) if path else None
    return (entry, await drive.size(entry)) if entry and entry.blob else None


@from_any_loop
async def read(drive: DriveView, entry: Entry, start: int, end: int) -> bytes:
    """The bytes of a file from `start` to before `end`; only their blocks are fetched."""
    if entry.blob and entry.blob.mapped:
        check_mapped(end - start)
    return b"".join([piece async for piece in drive.stream(entry, start, end)])


@from_any_loop
async def put(drive: Drive, files: Sequence[tuple[Address, bytes]]) -> None:
    """Set the contents of all files at once, or of none."""
    async with drive.batch() as batch:
        for address, data in files:
            await batch.put(address.path, data)


@from_any_loop
async def remove(drive: Drive, addresses: Sequence[Address], *, missing_ok: bool) -> None:
    """Remove all at once, or nothing. Raises `FileNotFoundError` for a path at which nothing is."""
    async with drive.batch() as batch:
        for address in addresses:
            if not (address.path and await batch.delete(address.path)) and not missing_ok:
                raise address.not_found()
