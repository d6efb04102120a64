"""A room with memory: everything that was ever said in it, by whom, and proof of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, overload

import msgspec

from linkup_nb.connection.connection import WRITE_TIMEOUT
from linkup_nb.errors import DecodeError, InvalidImage, NodeClosed, NotAvailable, UsageError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.loops import Tasks, from_any_loop
from linkup_nb.rooms.avatar import scale_avatar
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.arrivals import Taken
from linkup_nb.rooms.memory.block import Body, Kind
from linkup_nb.rooms.memory.index import Link, Row, State
from linkup_nb.rooms.memory.invite import Invite
from linkup_nb.rooms.memory.keys import place_of, short_id
from linkup_nb.rooms.memory.message import (
    Edition,
    Provenance,
    RoomAudioMessage,
    RoomFileMessage,
    RoomMessage,
    RoomTextMessage,
    RoomUnknownMessage,
)
from linkup_nb.rooms.memory.people import People
from linkup_nb.rooms.memory.search import parse_query
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.rooms.memory.timeline import Timeline
from linkup_nb.rooms.names import file_name
from linkup_nb.rooms.room import Room
from linkup_nb.wire.keys import z32decode

MAX_STRANGER_PIXELS = 16_000_000  # of an avatar that a member sends
MAX_AVATARS = 256  # pictures of one room that are looked at when it is opened
PAGE = 200  # rows that are read at a time


class Backend(Protocol):
    """What a room needs of the node that has joined it."""

    async def leave(self, room: "MemoryRoom") -> None:
        """Forget the room; one that has been left already is nothing to it."""


class MemoryRoom(Room):
    """A room whose history every member keeps, encrypted, and gives to whoever comes later.

    `room.messages` is a lazy sequence of what people said, oldest first, as it is now. Emits `message` (a RoomMessage)
    in the order of arrival, `change` (a RoomMessage that was edited, retracted, reacted to), and `update` when the
    people in it have changed.
    """

    def __init__(self, name: str, session: RoomSession, backend: Backend) -> None:
        super().__init__(asyncio.get_running_loop())
        self.topic = session.keys.topic
        self.name = name
        self._session = session
        self._backend = backend
        self._people = People()
        self._people.load(session.index, session.feeds.rows)
        self._arrived = session.index.count()
        self._arrival = asyncio.Event()
        self._closed = False
        self._tasks = Tasks()
        self._scaling = asyncio.Lock()  # one picture at a time: each may take 100 MB while it is decoded
        for row in session.index.latest(Kind.ICON)[:MAX_AVATARS]:
            self._tasks.start(self._take_avatar(row, session.feed_of(row.tie).identity), "scaling an avatar")
        session.on("taken", self._taken)
        session.on("update", lambda: self.emit("update"))

    @property
    def invite(self) -> str:
        """The word by which others join: whoever reads it can come in, and read everything."""
        return Invite(self._session.keys, self.name).link()

    @property
    def messages(self) -> Timeline:
        """What people said, oldest first, as it is at this moment."""
        return Timeline(self._session.index, self._arrived, self._build)

    @property
    def peers(self) -> tuple[Member, ...]:
        """The others: those who are here first."""
        here = {peer.device for peer in tuple(self._session.peers)}
        return self._people.members(self._session.feeds.members, here, self._session.identity.public_key)

    @property
    def drive(self) -> Drive:
        """Your own drive of this room, where files that you send are."""
        return self._session.drive

    @property
    def unread(self) -> int:
        """How many messages you have not read."""
        return self._session.index.unread()

    def message(self, id: str) -> RoomMessage:
        """The message of this id. Raises `UsageError` if it is not here."""
        try:
            row = self._row(id)
        except (DecodeError, ValueError):
            row = None
        if row is None or row.arrival is None:
            raise UsageError(f"There is no message {id!r} here: ids are what `message.id` says.")
        return self._build(row)

    def __len__(self) -> int:
        return self._arrived

    @overload
    def __getitem__(self, index: int) -> RoomMessage: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[RoomMessage, ...]: ...
    def __getitem__(self, index: int | slice) -> RoomMessage | tuple[RoomMessage, ...]:
        return self.messages[index]

    def __aiter__(self) -> AsyncIterator[RoomMessage]:
        return self._follow(self._arrived)

    async def _follow(self, arrival: int) -> AsyncIterator[RoomMessage]:
        while True:
            for message in await self._arrived_after(arrival):
                arrival = message.index
                yield message
            if self._closed:
                return

    @from_any_loop
    async def _arrived_after(self, arrival: int) -> tuple[RoomMessage, ...]:
        while self._arrived <= arrival and not self._closed:
            await self._arrival.wait()
        return tuple(map(self._build, self._session.index.arrived(arrival, PAGE)))

    def shares_name(self, name: str) -> bool:
        """Whether two people of this room have used a name that looks like this: show short keys beside it then."""
        return self._people.shares(name)

    @from_any_loop
    async def send(
        self, text: str, *, to: RoomMessage | None = None, channel: str = "", timeout: float = WRITE_TIMEOUT
    ) -> RoomTextMessage:
        """Send a text in Markdown, or answer the message `to`; returns when it is on disk, whoever is here.

        Raises `UsageError` for a text that is empty or too long, `StoreError` if the disk refuses.
        """
        if not text.strip():
            raise UsageError("There is nothing to send: type a message first.")
        # A text typed on a page may hold half of an emoji, which UTF-8 cannot.
        whole = text.encode(errors="replace").decode()
        mentions = self._mentions(whole)
        body: Body = blocks.Reply(to.id, whole, mentions) if to else blocks.Message(whole, mentions)
        message = await self._write(body, channel or (to.channel if to else ""))
        assert isinstance(message, RoomTextMessage)
        return message

    @from_any_loop
    async def send_file(
        self, file: str | os.PathLike[str] | tuple[str, bytes], *, channel: str = "", timeout: float = WRITE_TIMEOUT
    ) -> RoomFileMessage:
        """Put a file into your drive of this room, and say so; a second one of the same name is a new version of it.

        Raises `UsageError` if there is no such file, `StoreError` if the disk refuses.
        """
        name, data = file if isinstance(file, tuple) else await asyncio.to_thread(_read_file, Path(file))
        name = file_name(name)
        path = f"/files/{name}"
        version = await self._put(path, data)
        message = await self._write(blocks.File(name, path, version, len(data)), channel)
        assert isinstance(message, RoomFileMessage)
        return message

    @from_any_loop
    async def send_audio(
        self, data: bytes, *, channel: str = "", duration: float = 0.0, timeout: float = WRITE_TIMEOUT
    ) -> RoomAudioMessage:
        """Put a recorded clip into your drive of this room, and say so."""
        if not data:
            raise UsageError("The recording is empty: record again.")
        name = f"{datetime.now(UTC).timestamp() * 1000:.0f}.webm"
        path = f"/audio/{name}"
        version = await self._put(path, data)
        body = blocks.Audio(name, path, version, len(data), "audio/webm", duration=duration)
        message = await self._write(body, channel)
        assert isinstance(message, RoomAudioMessage)
        return message

    @from_any_loop
    async def mark_read(self, message: RoomMessage | None = None) -> None:
        """Count a message as read, or everything that is here."""
        await self._session.mark_read(message.id if message else None)
        self.emit("update")

    @from_any_loop
    async def search(
        self,
        text: str,
        *,
        from_: Member | None = None,
        channel: str | None = None,
        before: RoomMessage | None = None,
        limit: int = 50,
    ) -> tuple[RoomMessage, ...]:
        """The messages in which all these words, `begin*` and "phrases" stand, the newest first.

        Accents and case do not count. `before` goes on from the last one of an earlier search. The first search of a
        room makes its table of words, which takes a second for 100,000 messages. Raises `UsageError` for no words.
        """
        query = parse_query(text)
        if query.like == "%%":
            raise UsageError("There is nothing to search for: type a word.")
        rows = await self._session.search(
            query,
            tie=[row.tie for row in self._session.feeds.members if from_ and row.identity == from_.key],
            channel=channel,
            before=before.place if before else None,
            limit=limit,
        )
        return tuple(map(self._build, rows))

    @from_any_loop
    async def export(self, path: str | os.PathLike[str]) -> int:
        """Write the room to a file that anybody can check with `lu.verify_export(path)`; how many blocks that were.

        Whoever has the file can read all of it, and nothing else of the room. Raises `OSError` if it cannot be written.
        """
        return await self._session.export(self.name, await asyncio.to_thread(Path(path).expanduser))

    @from_any_loop
    async def leave(self) -> None:
        """Say that you leave, and join it no more; what is here of it stays, and another join finds it."""
        await self._backend.leave(self)

    async def clear(self) -> None:
        """A room with memory is not cleared: raises `UsageError`."""
        raise UsageError("A room with memory keeps what was said: nothing is cleared here.")

    @from_any_loop
    async def close(self) -> None:
        """Stop taking part; called by the node."""
        self._closed = True
        self._wake()
        await self._tasks.cancel()
        await self._session.close()
        self.emit("update")

    # What its messages call

    def editions(self, message: RoomMessage) -> tuple[Edition, ...]:
        """All texts of a message, the first one first."""
        row = self._row(message.id)
        if row is None or row.text is None:
            return ()
        first = Edition(row.text, _moment(row.timestamp))
        later = [Edition(link.value or "", _moment(link.t // 1000)) for link in self._own_links(row, Kind.EDIT)]
        return (first, *later)

    def reactions(self, message: RoomMessage) -> Mapping[str, tuple[bytes, ...]]:
        """The identities that reacted with each symbol; of each the last word counts."""
        last: dict[tuple[bytes, str], bool] = {}
        for link in self._links(message.id, Kind.REACTION):
            value = link.value or "+"
            last[link.identity, value[1:]] = value[0] == "+"
        found: dict[str, list[bytes]] = {}
        for (identity, symbol), stands in last.items():
            if stands:
                found.setdefault(symbol, []).append(identity)
        return {symbol: tuple(who) for symbol, who in found.items()}

    def replies(self, message: RoomMessage) -> tuple[RoomMessage, ...]:
        """The messages that answer one, in order."""
        rows = [
            self._session.index.row_at(link.from_tie, link.from_seq) for link in self._links(message.id, Kind.REPLY)
        ]
        return tuple(self._build(row) for row in rows if row)

    def missing(self, message: RoomMessage) -> tuple[str, ...]:
        """The ids of the blocks that a message names and that are not here."""
        lengths = {short_id(row.key): max(row.next, row.high) for row in self._session.feeds.rows}
        return tuple(f"{id}/{length - 1}" for id, length in message.heads.items() if length > lengths.get(id, 0))

    async def reply(self, message: RoomMessage, text: str) -> RoomTextMessage:
        """Answer a message."""
        return await self.send(text, to=message)

    @from_any_loop
    async def react(self, message: RoomMessage, symbol: str, *, remove: bool) -> None:
        """React to a message."""
        await self._session.write([blocks.Reaction(message.id, symbol, remove)], channel=message.channel)

    @from_any_loop
    async def edit(self, message: RoomMessage, text: str) -> None:
        """Give a message of one's own another text."""
        self._check_own(message)
        await self._session.write([blocks.Edit(message.id, text)], channel=message.channel)

    @from_any_loop
    async def retract(self, message: RoomMessage) -> None:
        """Take a message of one's own back."""
        self._check_own(message)
        await self._session.write([blocks.Retract(message.id)], channel=message.channel)

    @from_any_loop
    async def provenance(self, message: RoomMessage) -> Provenance:
        """What proves a message."""
        row, core = self._row(message.id), self._session.core_of(message.id)
        if row is None or core is None:
            raise NotAvailable("The block of this message is not here.")
        return Provenance(await core.proof(row.seq), row.seq, _moment(row.received))

    @from_any_loop
    async def verify(self, message: RoomMessage) -> None:
        """Check the proof of a message."""
        core = self._session.core_of(message.id)
        if core is None:
            raise NotAvailable("The block of this message is not here.")
        await core.verify((await self.provenance(message)).evidence)

    @from_any_loop
    async def load(self, message: "RoomFileMessage | RoomAudioMessage", timeout: float) -> bytes:
        """The file that a message names, from here or from whoever has it."""
        return await self._session.load(message.drive, message.path, message.version, timeout)

    # Inside

    async def _put(self, path: str, data: bytes) -> int:
        async with self.drive.batch() as batch:
            await batch.put(path, data)
        return self.drive.version

    async def _write(self, body: Body, channel: str) -> RoomMessage:
        if self._closed:
            raise NodeClosed("This room has been left, or its node closed: join it again.")
        rows = await self._session.write([body], channel=channel)
        return self._build(rows[0])

    def _mentions(self, text: str) -> list[str]:
        return [short_id(member.key) for member in self.peers if f"@{member.name}" in text]

    def _check_own(self, message: RoomMessage) -> None:
        if not message.own:
            raise UsageError("This message is somebody else's: only its author can change it.")

    def _taken(self, taken: Taken) -> None:
        identities = {row.tie: row.identity for row in self._session.feeds.rows}
        introductions = [row for row in taken.rows if row.kind in (Kind.HELLO, Kind.ICON)]
        for row in introductions:
            self._people.take(row, identities.get(row.tie))
            if row.kind == Kind.ICON:
                self._tasks.start(self._take_avatar(row, identities.get(row.tie)), "scaling an avatar")
        if introductions:
            self.emit("update")
        self._arrived = max([self._arrived, *(row.arrival for row in taken.rows if row.arrival)])
        self._wake()
        changed = set(taken.changed)
        for row in taken.rows:
            if row.arrival is not None:
                self.emit("message", self._build(row))
            elif row.kind in (Kind.EDIT, Kind.RETRACT, Kind.REACTION) and row.body:
                _, body = blocks.decode(row.body).body()
                if to := getattr(body, "to", None):
                    changed.add(place_of(to))
        for tie, seq in changed:
            found = self._session.index.row_at(tie, seq)
            if found and found.arrival is not None:
                self.emit("change", self._build(found))

    async def _take_avatar(self, row: Row, identity: bytes | None) -> None:
        """A stranger's picture is made anew before it is shown anywhere."""
        _, body = blocks.decode(row.body or b"").body()
        if identity is None or not isinstance(body, blocks.Icon) or not body.avatar:
            return
        with suppress(InvalidImage):
            async with self._scaling:
                picture = await asyncio.to_thread(scale_avatar, body.avatar, max_pixels=MAX_STRANGER_PIXELS)
            self._people.set_avatar(identity, row.t, picture)
            self.emit("update")

    def _wake(self) -> None:
        self._arrival.set()
        self._arrival = asyncio.Event()

    def _row(self, id: str) -> Row | None:
        return self._session.index.row_at(*place_of(id))

    def _links(self, id: str, kind: Kind) -> list[Link]:
        return [link for link in self._session.index.links(*place_of(id)) if link.kind == kind]

    def _own_links(self, row: Row, kind: Kind) -> list[Link]:
        """What the author of a row, on any device, wrote about it."""
        author = self._session.feed_of(row.tie).identity
        links = self._session.index.links(row.tie, row.seq)
        return [link for link in links if link.kind == kind and link.identity == author]

    def _build(self, row: Row) -> RoomMessage:
        feed = self._session.feed_of(row.tie)
        identity = feed.identity or feed.key
        retracted = bool(self._own_links(row, Kind.RETRACT))
        edits = self._own_links(row, Kind.EDIT)
        _, body = blocks.decode(row.body).body() if row.body else (Kind.MESSAGE, None)
        common: dict[str, Any] = {
            "name": self._people.name(identity),
            "key": identity,
            "topic": self.topic,
            "timestamp": _moment(row.timestamp),
            "received": _moment(row.received),
            "index": row.arrival or -1,
            "own": identity == self._session.identity.public_key,
            "id": f"{short_id(feed.key)}/{row.seq}",
            "place": (row.t, row.tie, row.seq),
            "channel": row.channel,
            "device": feed.device or b"",
            "heads": msgspec.json.decode(row.heads) if row.heads else {},
            "late": bool(row.state & State.LATE),
            "unread": bool(row.state & State.UNREAD),
            "mentions_me": bool(row.state & State.MENTIONS_ME),
            "refused": bool(row.state & (State.REFUSED | State.OUT_OF_ORDER)),
            "edited": bool(edits),
            "retracted": retracted,
            "to": getattr(body, "to", None),
            "origin": self,
        }
        if isinstance(body, blocks.File | blocks.Audio):
            drive = z32decode(body.drive) if body.drive else feed.drive or b""
            common |= {"drive": drive, "path": body.path, "version": body.version, "mime": body.mime}
            common |= {"length": body.size, "data": b""}
            if isinstance(body, blocks.Audio):
                return RoomAudioMessage(**common, duration=body.duration)
            return RoomFileMessage(**common, file_name=file_name(body.file_name))
        if row.text is not None:
            text = "" if retracted else edits[-1].value or "" if edits else row.text
            return RoomTextMessage(**common, text=text)
        envelope = blocks.decode(row.body or b"")
        fields = {key: _plain(value) for key, value in blocks.unknown_fields(envelope).items()}
        return RoomUnknownMessage(**common, type=envelope.type, fields=fields)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _plain(value: Any) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float | bool | None) else msgspec.json.encode(value).decode()


def _read_file(path: Path) -> tuple[str, bytes]:
    path = path.expanduser()
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}: check its path.")
    return path.name, path.read_bytes()
