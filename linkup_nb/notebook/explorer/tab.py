"""The Drive tab of one widget, in the kernel: the requests of its page, carried out on the drives of a node."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from linkup_nb.errors import NotAvailable, UsageError
from linkup_nb.hypercore.download import Downloads
from linkup_nb.hyperdrive.bee import BeeEntry
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import Entry, folder_of, normalize
from linkup_nb.hyperdrive.serve import DriveServer
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.loops import Tasks
from linkup_nb.node import Node
from linkup_nb.notebook.bridge import Bridge
from linkup_nb.notebook.chat.uploads import CHUNK, chunk_count
from linkup_nb.notebook.explorer import requests
from linkup_nb.notebook.explorer.comparing import compared
from linkup_nb.notebook.explorer.marks import History
from linkup_nb.notebook.explorer.mirroring import mirrored
from linkup_nb.notebook.explorer.preview import preview
from linkup_nb.notebook.open_views import OpenViews
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.status import Level
from linkup_nb.wire.keys import z32encode

MAX_MEMBERS = 256  # drives of members of rooms that are listed
MAX_LISTED = 20_000  # files and folders of one folder that the page gets
MAX_CHANGES = 500  # changes of one file that are listed
MAX_PUT = 256 * 1_048_576  # bytes of one file that is dropped
MAX_PUTS = 8  # files on their way into drives
PATIENCE = 20.0  # seconds for a peer to send what a listing needs
PROGRESS_EVERY = 0.5  # seconds
PAUSE = 0.2  # seconds for which changes are gathered

CHANGES = ("append", "truncate", "conflict")  # of the log of a drive

T = TypeVar("T")

NOBODY = "Nobody who has this drive is here: what you see is all that has come. It is looked for all the time."


class ExplorerTab:
    """Shows a node's drives, or `only` that one, to a page; `select` is called with what is clicked.

    Lives on the node's loop.
    """

    def __init__(
        self,
        node: Node,
        bridge: Bridge,
        node_expression: str,
        select: Callable[[object], object],
        *,
        only: str | None = None,
    ) -> None:
        self._node = node
        self._only = only
        self._bridge = bridge
        self._expression = node_expression
        self._select = select
        self.shown: Drive | None = None
        """The drive that was looked at last."""
        self.versions: tuple[int, ...] = ()
        """The version that was looked at last; two where they are compared."""
        self._views = OpenViews[None]()
        self._histories: dict[str, History] = {}
        self._watched: dict[str, Drive] = {}
        self._opened: dict[str, Drive] = {}  # of members of rooms
        self._puts: dict[str, dict[int, bytes]] = {}
        self._served: dict[str, DriveServer] = {}
        self._downloads: dict[str, Downloads] = {}
        self._changed = asyncio.Event()
        self._sent: list[requests.DriveEntry] = []
        self._tasks = Tasks()
        self._tasks.start(self._run(), "showing the drives")
        node.on("update", self._wake)
        on = bridge.on
        on(requests.DrivesRequest, self._drives)
        on(requests.DrivesCloseRequest, self._leave)
        on(requests.MountRequest, self._mount)
        on(requests.ForgetDriveRequest, self._forget)
        on(requests.FolderRequest, self._folder)
        on(requests.MarksRequest, self._marks)
        on(requests.PreviewRequest, self._preview)
        on(requests.CompareRequest, self._compare)
        on(requests.FileHistoryRequest, self._history)
        on(requests.FindRequest, self._find)
        on(requests.RestoreRequest, self._restore)
        on(requests.ReadRequest, self._read)
        on(requests.PutRequest, self._put)
        on(requests.ServeRequest, self._serve)
        on(requests.DownloadDriveRequest, self._download)
        on(requests.MirrorRequest, self._mirror)
        on(requests.ClearDriveRequest, self._clear)

    def has(self, id: str) -> bool:
        """Whether this drive is among those that are shown."""
        return any(drive.id == id for _, _, drive, _ in self._all())

    def close(self) -> None:
        """Send the page nothing more."""
        self._node.remove_listener("update", self._wake)
        for drive in self._watched.values():
            for event in CHANGES:
                drive.bee.core.remove_listener(event, self._wake)
        self._ending = asyncio.gather(self._tasks.cancel(), *(server.close() for server in self._served.values()))

    async def _drives(self, request: requests.DrivesRequest) -> requests.Drives:
        self._views.open(request.view, None)
        await self._open_members()
        return requests.Drives(drives=self._list())

    async def _leave(self, request: requests.DrivesCloseRequest) -> None:
        self._views.pop(request.view, None)

    async def _open_members(self) -> None:
        """Open the drives of the members of rooms; nothing is fetched of one that nobody looks at but its length."""
        for room in [room for room in self._node.rooms if isinstance(room, MemoryRoom)]:
            for id, (_, key) in _drives_of_others(room).items():
                if id not in self._opened and len(self._opened) < MAX_MEMBERS:
                    self._opened[id] = await room.drive_of(key)

    def _list(self) -> list[requests.DriveEntry]:
        found = []
        for group, name, drive, python in self._all():
            if drive.id not in self._watched:
                self._watched[drive.id] = drive
                for event in CHANGES:
                    drive.bee.core.on(event, self._wake)
            entry = requests.DriveEntry(
                id=drive.id,
                name=name,
                group=group,
                version=drive.version,
                writable=drive.writable,
                python=python,
                fetching=_progress(self._downloads.get(drive.id)),
                trouble=_trouble(drive),
            )
            found.append(entry)
        return found

    def _all(self) -> list[tuple[str, str, Drive, str]]:
        """Each drive once, with its group, its name there, and the Python that gives it."""
        found: dict[str, tuple[str, str, Drive, str]] = {}
        for name, drive in self._node.drives.items():
            own = drive.writable
            shown = name if own else f"{drive.id[:4]}…{drive.id[-4:]}"
            python = f"{self._expression}.drives[{name!r}]"
            found[drive.id] = ("yours" if own else "by key", shown, drive, python)
        for number, room in enumerate(self._node.rooms):
            if isinstance(room, MemoryRoom):
                python = f"{self._expression}.rooms[{number}].drive"
                found.setdefault(room.drive.id, (room.name, "you", room.drive, python))
                for id, (name, key) in _drives_of_others(room).items():
                    if theirs := self._opened.get(id):
                        python = f"(await {self._expression}.rooms[{number}].drive_of(bytes.fromhex({key.hex()!r})))"
                        found.setdefault(id, (room.name, name, theirs, python))
        if self._only is not None:
            return [one for id, one in found.items() if id == self._only]
        return sorted(found.values(), key=lambda one: ({"yours": 0, "by key": 1}.get(one[0], 2), one[0], one[1]))

    def _wake(self, *_: object) -> None:
        self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._views and self._node.status.level is not Level.OFF:
                await self._open_members()
                drives = self._list()
                if drives != self._sent:
                    self._sent = drives
                    self._bridge.send(requests.DrivesUpdate(drives=drives))
            await asyncio.sleep(PAUSE)

    def _find_drive(self, id: str) -> tuple[Drive, str]:
        for _, _, drive, python in self._all():
            if drive.id == id:
                return drive, python
        raise UsageError("This drive is no longer among yours: choose another.")

    def _at(self, id: str, version: int) -> tuple[DriveView, str]:
        drive, python = self._find_drive(id)
        if version > drive.version:
            raise UsageError(f"This drive has {drive.version} versions, and no version {version}.")
        self.shown, self.versions = drive, (version or drive.version,)
        if version in (0, drive.version):
            return drive, python
        return drive[version], f"{python}[{version}]"

    async def _mount(self, request: requests.MountRequest) -> requests.OneDrive:
        key, name = request.key.strip(), request.name.strip()
        drive = await (self._node.drive(key) if key else self._node.drive(name=name))
        return requests.OneDrive(drive=drive.id)

    async def _forget(self, request: requests.ForgetDriveRequest) -> None:
        drive, _ = self._find_drive(request.drive)
        await self._node.forget(drive)
        self._watched.pop(request.drive, None)
        self._histories.pop(request.drive, None)

    async def _folder(self, request: requests.FolderRequest) -> requests.Folder:
        view, python = self._at(request.drive, request.version)
        folder = folder_of(request.folder)
        if not view.version and not view.writable:
            raise NotAvailable(NOBODY)
        changes: dict[str, str] = {}
        if request.since is not None:
            changes = await _within(self._changes(view, request.since, folder))
            self.versions = tuple(sorted((request.since, view.version)))
        files, left_out = await _within(self._listing(view, folder, changes))
        python += f".diff({request.since}, {view.version})" if request.since is not None else ""
        return requests.Folder(files=files, left_out=left_out, changed=len(changes), python=python)

    async def _changes(self, view: DriveView, since: int, folder: str) -> dict[str, str]:
        found = {}
        async for change in view.diff(since, folder=folder):
            found[change.path] = "+" if change.before is None else "-" if change.after is None else "~"
        return found

    async def _listing(
        self, view: DriveView, folder: str, changes: dict[str, str]
    ) -> tuple[list[requests.FileEntry], int]:
        found: dict[tuple[str, bool], requests.FileEntry] = {}
        left_out = 0
        below: dict[str, set[str]] = {}  # how what is in each folder has changed
        for path, sign in changes.items():
            name, inside, _ = path[len(folder) :].partition("/")
            if inside:
                below.setdefault(folder + name, set()).add(sign)
        async for path, entry in _children(view, folder):
            if len(found) >= MAX_LISTED:
                left_out += 1
                continue
            if entry is None:
                found[path, True] = _file(path, None, _sign(below.get(path, set())))
            else:
                found[path, False] = _file(path, Entry.decode(entry), changes.get(path, ""))
        gone = [(path, False) for path, sign in changes.items() if sign == "-" and "/" not in path[len(folder) :]]
        gone += [(path, True) for path, signs in below.items() if "-" in signs]
        for path, is_folder in gone:
            if (path, is_folder) not in found and len(found) < MAX_LISTED:
                found[path, is_folder] = _file(path, None, "-", folder=is_folder)
        files = sorted(found.values(), key=lambda file: (not file.folder, file.name.casefold(), file.name))
        return files, left_out

    async def _marks(self, request: requests.MarksRequest) -> requests.Marks:
        drive, _ = self._find_drive(request.drive)
        history = self._histories.setdefault(request.drive, History())
        if drive.version:
            await _within(history.read(drive))
        return requests.Marks(marks=history.marks(request.path, request.most), head=drive.version)

    async def _entry(self, view: DriveView, path: str) -> Entry:
        entry = await _within(view.entry(path))
        if entry is None:
            raise UsageError(f"There is no file {path} in version {view.version}.")
        return entry

    async def _preview(self, request: requests.PreviewRequest) -> requests.Preview:
        if request.beside:
            drive, python = self._find_drive(request.drive)
            view = drive.checkout(request.version)
            entry = await self._entry(view, request.path)
        else:
            view, python = self._at(request.drive, request.version)
            entry = await self._entry(view, request.path)
            self._select(entry)
        return await preview(view, entry, f"await {python}.get({entry.path!r})")

    async def _compare(self, request: requests.CompareRequest) -> requests.Compared:
        drive, python = self._find_drive(request.drive)
        comparison = await _within(drive.compare(request.path, request.a, request.b))
        self._select(comparison)
        self.shown, self.versions = drive, (request.a, request.b)
        return compared(comparison, f"await {python}.compare({request.path!r}, {request.a}, {request.b})")

    async def _history(self, request: requests.FileHistoryRequest) -> requests.FileHistory:
        drive, _ = self._find_drive(request.drive)
        found = [event async for event in drive.history(request.path, newest_first=True)]
        changes = [
            requests.VersionOfFile(
                version=event.version,
                operation=event.operation.value,
                before=event.size_before,
                after=event.size_after,
            )
            for event in found[:MAX_CHANGES]
        ]
        return requests.FileHistory(changes=changes, left_out=len(found) - len(changes))

    async def _find(self, request: requests.FindRequest) -> requests.FoundVersion:
        drive, _ = self._find_drive(request.drive)
        wanted, looked = request.text.encode(), 0
        versions = [event.version async for event in drive.history(request.path)]
        if not versions:
            raise UsageError(f"There has never been a file {request.path}.")

        async def holds(version: int) -> bool:
            nonlocal looked
            looked += 1
            return wanted in (await _within(drive[version].get(request.path)) or b"")

        if not await holds(versions[-1]):
            sentence = f"Not in the newest version of the file, v{versions[-1]}: it is looked for from there back."
            return requests.FoundVersion(found=None, sentence=sentence)
        low, high = 0, len(versions) - 1
        while low < high:
            middle = (low + high) // 2
            if await holds(versions[middle]):
                high = middle
            else:
                low = middle + 1
        sentence = f"In the file since v{versions[low]}. Looked at {looked} of {len(versions)} versions."
        return requests.FoundVersion(found=versions[low], sentence=sentence)

    async def _restore(self, request: requests.RestoreRequest) -> requests.Restored:
        drive, _ = self._find_drive(request.drive)
        changed = await _within(drive.restore(request.path, request.version))
        return requests.Restored(version=drive.version, changed=changed)

    async def _mirror(self, request: requests.MirrorRequest) -> requests.Mirrored:
        drive, python = self._find_drive(request.drive)
        view, python_of_view = self._at(request.drive, request.version)
        local = Path(os.path.expanduser(request.local.strip()))  # noqa: ASYNC240  # it looks at no disk
        if not request.local.strip():
            raise UsageError("Name a folder of this computer: ~/results, for example.")
        if request.back:
            steps = await drive.mirror_from(local, to=request.folder, dry_run=request.dry, progress=False)
            python = f"await {python}.mirror_from({str(local)!r}, to={request.folder!r})"
        else:
            steps = await view.mirror_to(local, of=request.folder, dry_run=request.dry, progress=False)
            python = f"await {python_of_view}.mirror_to({str(local)!r}, of={request.folder!r})"
        where = request.folder if request.back else str(local)
        return requests.Mirrored(sentence=mirrored(steps, where, dry=request.dry), changed=len(steps), python=python)

    async def _clear(self, request: requests.ClearDriveRequest) -> None:
        drive, _ = self._find_drive(request.drive)
        if drive.writable:
            raise UsageError("This drive is yours: what is here of it may be nowhere else.")
        await drive.clear("/")

    async def _read(self, request: requests.ReadRequest) -> requests.Piece:
        view, _ = self._at(request.drive, request.version)
        entry = await self._entry(view, request.path)
        size, start = await view.size(entry), request.index * CHUNK
        data = await _within(_joined(view.stream(entry, start, min(size, start + CHUNK)))) if start < size else b""
        return requests.Piece(chunks=max(1, chunk_count(size)), size=size, data=data)

    async def _put(self, request: requests.PutRequest) -> requests.Put:
        drive, _ = self._find_drive(request.drive)
        drive.check_writable()
        path = normalize(request.path)
        if request.chunks > chunk_count(MAX_PUT) or len(request.data) > CHUNK:
            raise UsageError(f"At most {MAX_PUT // 1_048_576} MiB can be dropped here: use drive.mirror_from(folder).")
        if request.upload not in self._puts and len(self._puts) >= MAX_PUTS:
            raise UsageError(f"{MAX_PUTS} files are on their way already: wait until one has arrived.")
        pieces = self._puts.setdefault(request.upload, {})
        pieces[request.index] = request.data
        if len(pieces) < request.chunks:
            return requests.Put(version=None)
        del self._puts[request.upload]
        await drive.put(path, b"".join(pieces[index] for index in sorted(pieces)), progress=False)
        return requests.Put(version=drive.version)

    async def _serve(self, request: requests.ServeRequest) -> requests.Address:
        drive, _ = self._find_drive(request.drive)
        if request.drive not in self._served:
            self._served[request.drive] = await drive.serve()
        version = None if request.version in (0, drive.version) else request.version
        return requests.Address(link=self._served[request.drive].link(request.path, version=version))

    async def _download(self, request: requests.DownloadDriveRequest) -> None:
        drive, _ = self._find_drive(request.drive)
        if request.drive not in self._downloads:
            self._downloads[request.drive] = await _within(drive.download())
            self._tasks.start(self._fetch(request.drive), "fetching all of a drive")
            self._wake()

    async def _fetch(self, id: str) -> None:
        """Fetch what is wanted of a drive, and show how far that is."""
        downloads = self._downloads[id]
        done = asyncio.ensure_future(downloads.done(progress=False))
        try:
            while not done.done():
                await asyncio.wait({done}, timeout=PROGRESS_EVERY)
                self._wake()
        finally:
            done.cancel()
            downloads.cancel()
            del self._downloads[id]
            self._wake()


def _trouble(drive: Drive) -> str:
    """What its author has done to a drive that others should know."""
    core = drive.bee.core
    if core.conflict:
        return "Its author has signed two histories of it: nothing more of it is taken."
    return "Its author has cut its history and written on: a version may be another than before." if core.fork else ""


def _progress(downloads: Downloads | None) -> str:
    return f"{100 * downloads.downloaded // max(1, downloads.total)} %" if downloads else ""


async def _children(view: DriveView, folder: str) -> AsyncIterator[tuple[str, BeeEntry | None]]:
    if view.version:
        async for child in view.children(folder):
            yield child


def _drives_of_others(room: MemoryRoom) -> dict[str, tuple[str, bytes]]:
    """The names of the other members, and the keys of their drives, by the drives' ids."""
    names = {member.key: member.name for member in room.peers}
    return {z32encode(key): (names[who], key) for who, key in room.drive_keys.items() if who in names}


def _sign(signs: set[str]) -> str:
    """How a folder has changed in which files have changed so."""
    return "" if not signs else next(iter(signs)) if len(signs) == 1 else "~"


def _file(path: str, entry: Entry | None, change: str, *, folder: bool | None = None) -> requests.FileEntry:
    return requests.FileEntry(
        path=path,
        name=path.rpartition("/")[2],
        folder=entry is None if folder is None else folder,
        size=entry.size if entry else 0,
        version=entry.version if entry else 0,
        change=change,  # type: ignore[arg-type]
    )


async def _within(work: Awaitable[T]) -> T:
    """What it gives; `NotAvailable` with a sentence where no peer sends what it needs."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await work
    except TimeoutError:
        raise NotAvailable(NOBODY) from None


async def _joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])
