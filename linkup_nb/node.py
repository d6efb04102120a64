"""One peer: your identity, store, swarm and rooms."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, Self, overload

from linkup_nb.blind.status import BlindPeer, blind_peer_keys
from linkup_nb.connection.addresses import offline
from linkup_nb.discovery.check import Report
from linkup_nb.discovery.protocol import Discovery, SharedDiscovery
from linkup_nb.drives import NodeDrives
from linkup_nb.errors import NodeClosed, StoreError, UnknownRoom, UsageError
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive import place
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.lending import Lending
from linkup_nb.loops import Events, from_any_loop, on_own_loop
from linkup_nb.own_networks import OwnNetworks
from linkup_nb.rooms import status
from linkup_nb.rooms.avatar import read_avatar
from linkup_nb.rooms.linkup.lobby import Lobby
from linkup_nb.rooms.linkup.room import LinkUpRoom
from linkup_nb.rooms.memory.device import device_key
from linkup_nb.rooms.memory.invite import is_invite, parse_invite
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.rooms import MemoryRooms
from linkup_nb.rooms.memory.waiting import WaitingRoom
from linkup_nb.rooms.memory.writers import ADMITTED, ALL
from linkup_nb.rooms.names import check_name
from linkup_nb.rooms.profile import Profile
from linkup_nb.rooms.room import Room
from linkup_nb.rooms.status import Status
from linkup_nb.rooms.topic import TOPIC_BYTES, parse_topic, short_topic
from linkup_nb.swarm.swarm import Swarm


class Node(Events):
    """A peer that keeps its identity and its rooms in the directory `path`.

    `async with Node(path, name="me") as node` opens it, joins its saved rooms again, and closes it. `discovery` is by
    default `Local()` and the public `HyperDHT()`. If `bootstrap`, config.json or `LINKUP_BOOTSTRAP` name peers, it is
    their private networks instead: `Kademlia` for "host:port", `HyperDHT` for "hyperdht:host:port". `clock` gives the
    seconds since 1970 with which rooms with memory stamp what is written. Emits `room` (a Room), `message` (a Room, a
    Message), `update`, and `closing` before it closes.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        discovery: Sequence[Discovery] | None = None,
        bootstrap: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.path = Path(path)
        self.profile = Profile(self.path)
        self._name = None if name is None else check_name(name)
        self._clock = clock
        self._networks = OwnNetworks(self.profile, discovery, bootstrap)
        self._swarm: Swarm | None = None
        self._linkup_swarm: Swarm | None = None
        self._memory: MemoryRooms | None = None
        self._drives: NodeDrives | None = None
        self._lending: Lending | None = None
        self._lobby: Lobby | None = None
        self._store: Corestore | None = None
        self._store_fault: StoreError | None = None
        self._away = False
        self._changing = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Node {self.name!r}, {len(self.rooms)} rooms: {self.status.text}>" if self._lobby else "<Node, closed>"

    @from_any_loop
    async def open(self) -> None:
        """Take the profile, start the swarm and join the saved rooms.

        Raises `ProfileInUse` while another process holds the profile, `UsageError` for a file in it that is damaged.
        """
        async with self._changing:
            if self._lobby:
                return
            await asyncio.to_thread(self.profile.open)
            try:
                await self._start()
            except BaseException:
                await self._end()
                raise

    async def _start(self) -> None:
        if self._name and self._name != self.profile.name:
            self.profile.name = self._name
            await asyncio.to_thread(self.profile.save)
        store = Corestore(self.path / "store", self.profile.primary_key)
        try:
            await store.open()
            self._store, self._store_fault = store, None
        except StoreError as error:
            self._store_fault = error  # the chat does without it; `store` raises it
        device = await asyncio.to_thread(device_key, self.path / "device")
        discoveries = self._networks.discoveries(self.path / "hyperdht.json")
        # A LinkUp peer cannot read what else goes over a connection: its rooms have connections of their own.
        self._linkup_swarm = Swarm(self.profile.key_pair, discovery=discoveries)
        shared = [one.share() for one in discoveries if isinstance(one, SharedDiscovery)]
        self._swarm = Swarm(device, discovery=shared)
        self._lobby = Lobby(self.profile, self._linkup_swarm)
        parts: list[Events] = [self._lobby]
        if self._store:
            self._lending = Lending(self.profile, self._swarm)
            identity = self.profile.key_pair
            name = self._lobby.name
            self._memory = MemoryRooms(
                self.path,
                self._store,
                self._swarm,
                identity=identity,
                name=name,
                share_reads=self.profile.share_reads,
                via=tuple(self._networks.peers),
                blind_peers=self._lending.keys,
                enter=partial(self._networks.enter, swarm=self._swarm),
                shared=lambda core: bool(self._drives and self._drives.has(core)),
                clock=self._clock,
            )
            self._drives = NodeDrives(self.path, self._store, self._swarm, self._memory.copy)
            self._lobby.drives = self._drives
            self._drives.set_blind_peers(self._lending.keys)
            parts += [self._memory, self._drives, self._lending]
            place.reach_by(self._store, self._drives.reach)
        for swarm in (self._swarm, self._linkup_swarm):
            swarm.on("update", partial(self.emit, "update"))
        for part in parts:
            for event in ("room", "message", "update"):
                part.on(event, partial(self.emit, event))
        await self._lobby.open()
        if self._memory and self._drives and self._lending:
            await self._memory.open()
            await self._drives.open()
            self._lending.lend(self._memory, self._drives)

    @from_any_loop
    async def close(self) -> None:
        """Send the messages under way, withdraw from discovery, close all connections, and release the profile."""
        if self._lobby:
            self.emit("closing")
        async with self._changing:
            await self._end()

    async def _end(self) -> None:
        lobby, memory, drives, store = self._lobby, self._memory, self._drives, self._store
        lending, self._lending = self._lending, None
        swarms = [swarm for swarm in (self._swarm, self._linkup_swarm) if swarm]
        self._lobby = self._memory = self._drives = self._swarm = self._linkup_swarm = self._store = None
        try:
            if lending:
                await lending.close()
            if lobby:
                await lobby.close()
            if memory:
                await memory.close()
            if drives:
                await drives.close()
            for swarm in swarms:
                await swarm.close()
        finally:
            try:
                if store:
                    await store.close()
            finally:
                self.profile.close()
        self.emit("update")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def name(self) -> str:
        """Your name; your short key while you have chosen none (`node.profile.name` is `None` then)."""
        return self._opened.name

    @property
    def avatar(self) -> bytes:
        """Your picture, a PNG, JPEG or WebP of at most 64 KiB; a generated one if you have chosen none."""
        return self._opened.avatar

    @property
    def share_reads(self) -> bool:
        """Whether others see what you have read in rooms with memory, and you what they have; kept in the profile.

        `node.share_reads = False` ends both.
        """
        return self.profile.share_reads

    @share_reads.setter
    def share_reads(self, share: bool) -> None:
        self.profile.share_reads = share
        self._save_shares()

    @on_own_loop
    def _save_shares(self) -> None:
        self.profile.save()
        if self._memory:
            self._memory.set_share_reads(self.profile.share_reads)

    @property
    def share_typing(self) -> bool:
        """Whether the panel lets those who are connected see that you are writing; kept in the profile."""
        return self.profile.share_typing

    @share_typing.setter
    def share_typing(self, share: bool) -> None:
        self.profile.share_typing = share
        self._save_shares()

    @property
    def away(self) -> bool:
        """Whether others see that nobody looks here, though this node is connected; a panel sets it after a while.

        `node.away = True` says so in every room with memory.
        """
        return self._away

    @away.setter
    def away(self, away: bool) -> None:
        self._set_away(away)

    @on_own_loop
    def _set_away(self, away: bool) -> None:
        self._away = away
        if self._memory:
            self._memory.set_away(away)

    @property
    def blind_peers(self) -> tuple[BlindPeer, ...]:
        """Services that hold your rooms with memory and your drives, encrypted, while everybody is away.

        `node.blind_peers = [key, …]` names them by their keys (32 bytes, or their text in hexadecimal or z-base-32) and
        keeps them in the profile. Invites name the first ones, by which who comes finds a room there; those that the
        invites to your rooms have named are among them. Each has a `state`, and its `text` in a sentence. Raises
        `UsageError` for what is no key, and `StoreError` if the store could not be opened.
        """
        return self._lends.status

    @blind_peers.setter
    def blind_peers(self, keys: Sequence[bytes | str | BlindPeer]) -> None:
        self._lends.choose(blind_peer_keys(keys))

    @property
    def _lends(self) -> Lending:
        if not self._lending:
            _ = self.store  # raises the reason
            raise _closed()
        return self._lending

    @on_own_loop
    def set_networks(self, *, bootstrap: str | None = None, relay: str | None = None) -> None:
        """Keep in the profile how this node finds others and is reached; used when it opens the next time.

        `bootstrap` names peers as "host:port" or "hyperdht:host:port", with commas between, "" none: then it is the
        public HyperDHT. `relay` is a relay's key in hexadecimal, "" none. `None` leaves either as it is. Raises
        `UsageError` for what neither can be.
        """
        from linkup_nb.networks import named_peers, parse_relay

        peers = None if bootstrap is None else named_peers(bootstrap)
        key = None if relay is None else parse_relay(relay)
        if peers is not None:
            self.profile.bootstrap = peers
        if key is not None:
            self.profile.relay = key.hex()
        self.profile.save()

    @property
    def public_key(self) -> bytes:
        """Your public key, by which others know you: 32 bytes."""
        return self.profile.key_pair.public_key

    @property
    def swarm(self) -> Swarm:
        """Connections and known peers of the rooms with memory and of drives; its key is that of this device."""
        if not self._swarm:
            raise _closed()
        return self._swarm

    @property
    def linkup_swarm(self) -> Swarm:
        """Connections and known peers of LinkUp rooms; its key is `node.public_key`."""
        if not self._linkup_swarm:
            raise _closed()
        return self._linkup_swarm

    @property
    def store(self) -> Corestore:
        """Your logs and drives, kept in the directory of this node.

        The connections of LinkUp rooms carry messages only: `replicate` copies the store over one of your own. Raises
        `StoreError` if it could not be opened; the chat goes on without it.
        """
        if self._lobby and self._store_fault:
            raise self._store_fault
        if not self._store:
            raise _closed()
        return self._store

    @property
    def drives(self) -> Mapping[str, Drive]:
        """The drives on the network: your own by name, those of others by the text of their keys; see `node.drive`."""
        return self._drives.drives if self._drives else {}

    @from_any_loop
    async def drive(self, key: bytes | str | None = None, *, name: str | None = None) -> Drive:
        """Somebody's drive by its key, or your own by its name; it is kept among `node.drives` until it is forgotten.

        A key is 32 bytes, their text in hexadecimal or z-base-32, or a link: linkup://, hyper:// or pear://. Returns at
        once: what you read is fetched then, and your copy is given to others who have the key, as is your own drive,
        which is made if there is none of this name. Raises `UsageError`, `StoreError` if the store is not open.
        """
        if (key is None) == (name is None):
            raise UsageError('A drive is opened by its key, or as your own by name: node.drive(name="results").')
        drives = self._on_network
        return await (drives.own(name) if key is None and name is not None else drives.mount(key or b""))

    @from_any_loop
    async def forget(self, drive: Drive) -> None:
        """Announce a drive no more, and delete what is here of it.

        What is your own is then gone unless somebody else has it. Raises `UsageError` for one that is not in
        `node.drives`.
        """
        await self._on_network.forget(drive)

    @from_any_loop
    async def share(self, core: Core) -> None:
        """Copy a log of `node.store` with everybody who has its key, both ways, until this node closes.

        It is announced: others who share a log of this key find this node, wherever they are. Returns at once.
        """
        await self._on_network.share(core)

    @from_any_loop
    async def clear_copies(self) -> None:
        """Delete what is stored here of the contents of others' drives, to make room; your own are never touched.

        It is fetched again when it is read, if somebody has it.
        """
        for drive in self.drives.values():
            if not drive.writable and drive.version:
                await drive.clear("/")

    @property
    def rooms(self) -> tuple[Room, ...]:
        """The rooms that you are in, in the order in which you joined them; none while the node is not open."""
        memory: tuple[Room, ...] = self._memory.rooms if self._memory else ()
        return (*memory, *(self._lobby.rooms if self._lobby else ()))

    @property
    def status(self) -> Status:
        """Whether you are connected, and to which people, over all rooms."""
        if not self._lobby:
            return status.CLOSED
        if not self.rooms:
            return status.NO_ROOM
        if len(self.rooms) == 1:
            return self.status_of(self.rooms[0])
        members = [member for room in self.rooms for member in room.peers]
        return status.describe("your rooms", members, offline=offline())

    def status_of(self, room: Room | None, finding: str = "") -> Status:
        """The status of one room; that of the node for `None`. `finding` is what the doctor found to be wrong."""
        if not room or room not in self.rooms:
            return self.status
        if isinstance(room, WaitingRoom):
            return status.waiting(room.name, room.refusal)
        share = "its invite" if isinstance(room, MemoryRoom) else "its topic"
        return status.describe(room.name, room.peers, offline=offline(), finding=finding, share=share)

    def room(self, topic: str | bytes) -> Room:
        """The room with this topic. Raises `InvalidTopic`, or `UnknownRoom` if you are not in it."""
        wanted = parse_topic(topic)
        for room in self.rooms:
            if room.topic == wanted:
                return room
        raise UnknownRoom(f"You are not in the room {short_topic(wanted)}: join it by its topic first.")

    @from_any_loop
    async def export_profile(self, path: str | os.PathLike[str]) -> Path:
        """Write your key and the secrets of your rooms into one new file, to go on elsewhere by `lu.import_profile`.

        Whoever has the file can speak as you. Logs and drives stay here: they are another device's. Raises `UsageError`
        if there is such a file already.
        """
        from linkup_nb.rooms.moving import export_profile

        return await asyncio.to_thread(export_profile, self.path, Path(path))

    @from_any_loop
    async def doctor(self) -> Report:
        """What works between you and others, what does not, and what to try; takes at most `EXAMINE_TIMEOUT` s."""
        from linkup_nb.swarm.doctor import examine  # most nodes are never ill

        swarm = self.swarm if self.swarm.topics or not self.linkup_swarm.topics else self.linkup_swarm
        report = await examine(swarm)
        return Report((*report.checks, *(peer.check() for peer in (self._lending.status if self._lending else ()))))

    @overload
    async def create_room(
        self, name: str, *, writers: Literal["all", "admitted"] = "all", linkup: Literal[False] = False
    ) -> MemoryRoom: ...
    @overload
    async def create_room(self, name: str, *, linkup: Literal[True]) -> LinkUpRoom: ...
    @overload
    async def create_room(self, name: str, *, writers: str = "all", linkup: bool = False) -> Room: ...
    async def create_room(self, name: str, *, writers: str = "all", linkup: bool = False) -> Room:
        """A new room with memory; `room.invite` is the word by which others join.

        For the writers "admitted", who comes by that word only reads until you or a moderator let them write, by
        `room.admit` or by an invite of yours: see `room.create_invite`. This is for good. With `linkup` it is a LinkUp
        room, which forgets; `room.topic.hex()` is what others join by then. Raises `InvalidName`, `UsageError` for
        other writers, and for a room with memory `StoreError` if the store could not be opened.
        """
        return await self._create_room(check_name(name), writers, linkup)

    @from_any_loop
    async def _create_room(self, name: str, writers: str, linkup: bool) -> Room:
        if writers not in (ALL, ADMITTED):
            raise UsageError(f"The writers of a room are {ALL!r} or {ADMITTED!r}, not {writers!r}.")
        if linkup and writers != ALL:
            raise UsageError("In a LinkUp room everybody writes: only a room with memory can be for admitted writers.")
        if linkup:
            return await self._opened.join(os.urandom(TOPIC_BYTES), name)
        return await self._with_memory.create(name, writers)

    @from_any_loop
    async def join(self, topic: str | bytes, *, name: str | None = None) -> Room:
        """The room of an invite ("linkup:…"), or the LinkUp room with a topic (64 hexadecimal digits, or 32 bytes).

        `name` is what you call it here. Returns once it is saved and being announced, whoever is there. By a limited
        invite it is a WaitingRoom until a member lets you in, which may take days and goes on after a restart:
        `await room.admitted(timeout=…)` is the room itself. Raises `InvalidInvite`, `InvalidTopic` or `InvalidName`.
        """
        if isinstance(topic, str) and is_invite(topic):
            return await self._with_memory.join(parse_invite(topic), None if name is None else check_name(name))
        wanted = parse_topic(topic)
        return await self._opened.join(wanted, short_topic(wanted) if name is None else check_name(name))

    @from_any_loop
    async def set_name(self, name: str) -> None:
        """Change your name, here and for everybody in your rooms. Raises `InvalidName`."""
        await self._opened.introduce(name=name)
        await self._introduce()

    @from_any_loop
    async def set_avatar(self, image: bytes | str | os.PathLike[str] | None) -> None:
        """Change your avatar to a picture, given by its bytes or path and scaled down; `None` for a generated one.

        Raises `InvalidImage`.
        """
        avatar = b"" if image is None else await asyncio.to_thread(read_avatar, image)
        await self._opened.introduce(avatar=avatar)
        await self._introduce()

    async def _introduce(self) -> None:
        if self._memory:
            await self._memory.introduce(self.name, self.avatar)

    @property
    def _with_memory(self) -> MemoryRooms:
        if not self._memory:
            _ = self.store  # raises the reason
            raise _closed()
        return self._memory

    @property
    def _on_network(self) -> NodeDrives:
        if not self._drives:
            _ = self.store  # raises the reason
            raise _closed()
        return self._drives

    @property
    def _opened(self) -> Lobby:
        if not self._lobby:
            raise _closed()
        return self._lobby


def _closed() -> NodeClosed:
    return NodeClosed("This node is not open: lu.start() opens one, and so does `async with lu.Node(path)`.")
