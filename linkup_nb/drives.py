"""The drives of a node on its network: its own, for whoever has their key, and those of others, mounted by theirs.

They are kept in `drives.json` of the profile, and announced and looked for again at the next start. A drive is found at
its discovery key, as Hyperswarm programs do it, and copied to whoever proves to know its key.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from linkup_nb.errors import LinkupError, UsageError
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore, Namespace, parse_key
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.loops import Events, Tasks
from linkup_nb.rooms.files import write_private
from linkup_nb.rooms.names import check_name
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import z32encode

MAX_DRIVES = 256  # drives of one profile, each of which is a topic that is announced
MAX_DRIVES_FILE = 1_048_576  # bytes of drives.json
SCHEMES = ("linkup://", "hyper://", "pear://")
_NAMESPACE = "linkup-nb/drives"


class DriveEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A drive that is mounted: its key in z-base-32, and if it is one's own its name.

    The entry of one's own outlives forgetting: the next drive of that name has another key, for one that is written
    again from its beginning would be forked.
    """

    key: str
    name: str | None = None
    forgotten: bool = False


class NodeDrives(Events):
    """The drives of a node. Emits `update` when one is mounted or forgotten."""

    def __init__(self, path: Path, store: Corestore, swarm: Swarm, copy: Callable[[], None]) -> None:
        super().__init__(asyncio.get_running_loop())
        self._path = path / "drives.json"
        self._store = store
        self._swarm = swarm
        self._copy = copy
        """Offers the cores that `has` accepts on every connection."""
        self._entries: dict[str, DriveEntry] = {}
        self._drives: dict[str, Drive] = {}
        self._cores: set[bytes] = set()
        self._of_rooms: dict[bytes, Drive] = {}
        self._tasks = Tasks()
        self._changing = asyncio.Lock()

    @property
    def drives(self) -> Mapping[str, Drive]:
        """Those that are mounted: one's own by their names, others by the text of their keys."""
        drives = self._drives.copy()
        return {self._entries[id].name or id: drive for id, drive in drives.items()}

    def has(self, core: bytes) -> bool:
        """Whether a core belongs to a drive that is mounted, or is shared."""
        return core in self._cores

    async def open(self) -> None:
        """Mount the drives of the profile again. Raises `UsageError` for a file that is damaged."""
        for entry in await asyncio.to_thread(_read, self._path):
            self._entries[entry.key] = entry
            if not entry.forgotten:
                await self._offer(await Drive.open(self._store, entry.key))

    async def own(self, name: str) -> Drive:
        """One's own drive of this name, made if there is none."""
        name = check_name(name)
        async with self._changing:
            # A copy of this profile on another machine is another device, and has drives of its own.
            space = self._store.namespace(_NAMESPACE).namespace(z32encode(self._swarm.key_pair.public_key)[:13])
            earlier = [entry for entry in self._entries.values() if entry.name == name and entry.forgotten]
            drive = await Drive.open(space.namespace(name).namespace(str(len(earlier))))
            if drive.id in self._drives:
                await drive.close()
                return self._drives[drive.id]
            return await self._add(DriveEntry(drive.id, name), drive)

    def of_room(self, topic: bytes) -> Drive | None:
        """One's own drive of a LinkUp room, once something has been put into it."""
        return self._of_rooms.get(topic)

    async def put_for_room(self, topic: bytes, path: str, data: bytes) -> Drive:
        """Put a file into that drive, which is made if there is none; it is not encrypted, as LinkUp's are not."""
        async with self._changing:
            drive = self._of_rooms.get(topic) or await Drive.open(self._space_of_room(topic))
            await drive.put(path, data)
            if topic not in self._of_rooms:
                await self._serve(drive)
                self._of_rooms[topic] = drive
            return drive

    async def enter_room(self, topic: bytes) -> None:
        """Announce the drive of a room that is joined again, if it has one."""
        key = Manifest.of(self._space_of_room(topic).key_pair("db").public_key).key
        if not any(core.key == key and core.length for core in self._store.cores):
            return
        async with self._changing:
            if topic not in self._of_rooms:
                self._of_rooms[topic] = drive = await Drive.open(self._space_of_room(topic))
                await self._serve(drive)

    async def leave_room(self, topic: bytes) -> None:
        """Announce the drive of a room no more; it stays in the store."""
        async with self._changing:
            if drive := self._of_rooms.pop(topic, None):
                await self._swarm.leave(drive.discovery_key)
                self._cores -= {drive.key, await drive.content_key()}
                await drive.close()

    def _space_of_room(self, topic: bytes) -> Namespace:
        device = z32encode(self._swarm.key_pair.public_key)[:13]
        return self._store.namespace("linkup").namespace(topic.hex()).namespace(device)

    async def mount(self, key: bytes | str) -> Drive:
        """The drive with this key. Returns at once, whoever is there."""
        async with self._changing:
            drive = await Drive.open(self._store, parse_drive_key(key))
            if drive.id in self._drives:
                await drive.close()
                return self._drives[drive.id]
            return await self._add(DriveEntry(drive.id), drive)

    async def forget(self, drive: Drive) -> None:
        """Announce a drive no more, and free what it takes here."""
        async with self._changing:
            found = self._drives.get(drive.id)
            if found is None:
                raise UsageError(f"{drive!r} is none of this node's drives: `node.drives` are those.")
            entry = self._entries[drive.id]
            entries = {id: one for id, one in self._entries.items() if id != drive.id}
            if entry.name is not None:
                entries[drive.id] = msgspec.structs.replace(entry, forgotten=True)
            await self._save(entries)
            del self._drives[drive.id]
            await self._swarm.leave(found.discovery_key)
            await found.purge()
            await found.close()
        self.emit("update")

    async def reach(self, key: bytes) -> None:
        """Mount a drive that somebody reads by its address, unless it is one's own, or known here already."""
        if not any(core.key == key for core in self._store.cores):
            await self.mount(key)

    async def share(self, core: Core) -> None:
        """Copy a log of the store with everybody who has its key, and announce it."""
        self._cores.add(core.key)
        await self._swarm.join(core.discovery_key)
        self._copy()

    async def close(self) -> None:
        """Close all; the swarm is left by whoever owns it."""
        await self._tasks.cancel()
        for drive in (*self._drives.values(), *self._of_rooms.values()):
            await drive.close()

    async def _add(self, entry: DriveEntry, drive: Drive) -> Drive:
        if len(self._drives) >= MAX_DRIVES:
            await drive.close()
            raise UsageError(f"This node has {MAX_DRIVES} drives, the most there can be: forget one first.")
        await self._save(self._entries | {drive.id: entry})
        await self._offer(drive)
        self.emit("update")
        return drive

    async def _offer(self, drive: Drive) -> None:
        self._drives[drive.id] = drive
        await self._serve(drive)

    async def _serve(self, drive: Drive) -> None:
        self._cores.add(drive.key)
        self._tasks.start(self._offer_contents(drive), "sharing the contents of a drive")
        await self._swarm.join(drive.discovery_key, client=not drive.writable)
        self._copy()

    async def _offer_contents(self, drive: Drive) -> None:
        """The key of the contents is known once the beginning of the drive has come."""
        if not drive.writable:
            await drive.bee.core.wait_for_length(1, timeout=None)
        self._cores.add(await drive.content_key())
        self._copy()

    async def _save(self, entries: dict[str, DriveEntry]) -> None:
        await asyncio.to_thread(write_private, self._path, msgspec.json.encode(list(entries.values())))
        self._entries = entries


def parse_drive_key(key: bytes | str) -> bytes:
    """32 bytes out of themselves, hexadecimal digits, z-base-32, or a link with one of `SCHEMES`; `UsageError` else."""
    if isinstance(key, str):
        text = key.strip()
        for scheme in SCHEMES:
            if text.lower().startswith(scheme):
                text = text[len(scheme) :].partition("/")[0].partition("+")[0]
        if "://" in text:
            raise UsageError(f"A drive's link begins with {', '.join(SCHEMES)}: this one begins otherwise.")
        key = text
    return parse_key(key)


def _read(path: Path) -> list[DriveEntry]:
    try:
        if not path.exists():
            return []
        if path.stat().st_size > MAX_DRIVES_FILE:
            raise ValueError(f"it is over {MAX_DRIVES_FILE // 1_048_576} MiB")
        entries = msgspec.json.decode(path.read_bytes(), type=list[DriveEntry])
        for entry in entries:
            parse_key(entry.key)
        return entries
    except (OSError, ValueError, LinkupError) as error:
        raise UsageError(f"{path} cannot be read ({error}): put back its copy, or move it away.") from None
