"""A room with memory: everything that was ever said in it, by whom, and proof of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from linkup_nb.connection.connection import WRITE_TIMEOUT
from linkup_nb.errors import UsageError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.loops import Tasks, from_any_loop, on_own_loop
from linkup_nb.rooms.files import read_file
from linkup_nb.rooms.media import picture
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.arrivals import Taken
from linkup_nb.rooms.memory.block import Kind
from linkup_nb.rooms.memory.book import Choices
from linkup_nb.rooms.memory.channel import RoomChannel, RoomChannels
from linkup_nb.rooms.memory.faces import Faces
from linkup_nb.rooms.memory.invite import Invite
from linkup_nb.rooms.memory.invites import LimitedInvite
from linkup_nb.rooms.memory.keys import place_of
from linkup_nb.rooms.memory.message import (
    RoomAudioMessage,
    RoomFileMessage,
    RoomMessage,
    RoomNotice,
    RoomOutputMessage,
    RoomTextMessage,
)
from linkup_nb.rooms.memory.moderator import Moderator
from linkup_nb.rooms.memory.origin import RoomOrigin
from linkup_nb.rooms.memory.past import make_marks
from linkup_nb.rooms.memory.people import People
from linkup_nb.rooms.memory.qr import QrCode
from linkup_nb.rooms.memory.rows import CONVERSATION, TIMELINE
from linkup_nb.rooms.memory.search import parse_query
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.rooms.memory.shown import ShownRoom
from linkup_nb.rooms.memory.timeline import Timeline
from linkup_nb.rooms.names import check_name, clean, file_name
from linkup_nb.rooms.outputs import said_of
from linkup_nb.rooms.room import row_of, table

if TYPE_CHECKING:
    import pandas

PAGE = 200  # rows that are read at a time
FOLLOWED = 8_192  # heads that `at` may have to follow: if there were more, it is made quicker for the next time


class RoomBackend(Protocol):
    """What a room needs of the node that has joined it."""

    async def leave(self, room: "MemoryRoom", forget: bool) -> None:
        """Leave the room; one that has been left already is nothing to it."""

    async def keep(self, room: "MemoryRoom", choices: Choices) -> None:
        """Keep what one has chosen for oneself in the room."""

    async def rename(self, room: "MemoryRoom", name: str) -> None:
        """Keep what one calls the room."""


class MemoryRoom(ShownRoom):
    """A room whose history every member keeps, encrypted, and gives to whoever comes later.

    `room.messages` is a lazy sequence of what people said, oldest first, as it is now. Emits `message` (a RoomMessage)
    in the order of arrival, `change` (a RoomMessage that was edited, retracted, reacted to), `notice` (a RoomNotice),
    `delivery` (one of your own that more people have, or have read), `typing`, `moderated` when messages are shown or
    hidden that were not, `conflict` (a Fault) when a member's feed turns out to be rewritten, and `update` when the
    people in it, or its channels, have changed.
    """

    def __init__(
        self,
        name: str,
        session: RoomSession,
        backend: RoomBackend,
        choices: Choices = Choices(),  # noqa: B008  # frozen
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.topic = session.keys.topic
        self.name = name
        self._session = session
        self._backend = backend
        self._people = People()
        self._moderator = Moderator(session, choices, lambda changed: backend.keep(self, changed))
        self._moderator.on("update", self._moderated)
        self._origin = RoomOrigin(session, self._people, self._moderator)
        self._faces = Faces(session, self._people, lambda: self.emit("update"))
        self._load_notices()
        self._arrived = session.index.count()
        self._number = session.index.number()
        self._arrival = asyncio.Event()
        self._closed = False
        self._keeping = False
        self._tasks = Tasks()
        session.on("taken", self._taken)
        session.on("update", lambda: self.emit("update"))
        session.on("conflict", lambda key: [self.emit("conflict", fault) for fault in self._origin.conflicts(key)])
        session.exchange.on("delivery", lambda row: self.emit("delivery", self._origin.build(row)))
        session.exchange.on("typing", lambda: self.emit("typing"))
        for event in ("here", "read"):
            session.exchange.on(event, lambda: self.emit("update"))

    @property
    def invite(self) -> str:
        """The word by which others join: whoever reads it can come in, and read everything."""
        return Invite(self._session.keys, self.name, *self._session.ways).link()

    def invite_qr(self) -> QrCode:
        """The invite as a QR code: `print` it, or show its `svg`."""
        return QrCode(self.invite)

    @from_any_loop
    async def create_invite(
        self, *, expires: datetime | timedelta | None = None, uses: int | None = None, role: str = "writer"
    ) -> LimitedInvite:
        """An invite that ends: at a moment or after a time, after so many people, or when it is revoked.

        Its `link` is the word to send. Until then it is as good as the room's secret to whoever can reach a member;
        two members who cannot reach each other may both honour its last use. With the `role` "reader" it lets nobody
        write, in a room for admitted writers. Raises `UsageError` for a moment that has passed, for too many invites,
        or for a role that you cannot give.
        """
        return await self._origin.create_invite(self.name, expires, uses, role)

    @property
    def invites(self) -> tuple[LimitedInvite, ...]:
        """The limited invites of everybody in the room, those that have ended too, the first one first."""
        return self._session.invites.all(self._origin)

    @property
    def messages(self) -> Timeline:
        """What people said, oldest first, as it is at this moment."""
        return Timeline(self._session.index, self._arrived, self._origin.build)

    @property
    def muted(self) -> bool:
        """Whether you want no counts of what is new here; see `set_muted`."""
        return self._moderator.choices.quiet

    @from_any_loop
    async def set_muted(self, on: bool) -> None:
        """Show no counts of what is new in this room, for you only, or show them again."""
        await self._moderator.quiet(on)

    @from_any_loop
    async def rename(self, name: str) -> None:
        """Call the room something else, for you only. Raises `InvalidName`."""
        name = check_name(name)
        await self._backend.rename(self, name)
        self.name = name
        self.emit("update")

    @property
    def peers(self) -> tuple[Member, ...]:
        """The others: those who are here first."""
        return self._origin.members()

    @property
    def timeline(self) -> Timeline:
        """What people said, and notices of what became of the room, oldest first, as it is at this moment."""
        return Timeline(self._session.index, self._number, self._origin.build, TIMELINE)

    def at(self, moment: RoomMessage | Mapping[str, int]) -> Timeline:
        """The conversation as it was for the author of a message when they wrote it, that message not included.

        Texts are as they had been edited by then. Takes heads, too: {feed id: length}, as `message.heads` says. What
        of it is not here, is not in it.
        """
        clock, followed = self._origin.seen(moment)
        if followed > FOLLOWED:
            self._keep_clocks()
        index, seen = self._session.index, tuple(clock.items())
        view = CONVERSATION._replace(clock=seen or ((0, 0),), top=index.last_t(seen))
        return Timeline(index, self._arrived, partial(self._origin.build, clock=clock), view)

    @property
    def settled_until(self) -> datetime:
        """What stands before this moment stays as it is: no member that is known here can write above it any more."""
        return datetime.fromtimestamp(self._origin.settled_until / 1e6, UTC)

    @property
    def subject(self) -> str:
        """What the room is about, as somebody has last said."""
        return self._origin.subject

    @from_any_loop
    async def set_subject(self, text: str) -> None:
        """Say what the room is about; everybody can. Raises `UsageError` for a text that is too long."""
        await self._moderator.publish(blocks.TopicBody(clean(text)))

    @property
    def channels(self) -> tuple[RoomChannel, ...]:
        """The channels that members have made, in that order; `room.channel("")` is the main one."""
        return tuple(RoomChannel(self, info) for info in self._channels.all)

    def channel(self, name: str) -> RoomChannel:
        """A channel by its name. Raises `UsageError` if there is none."""
        return RoomChannel(self, self._channels.get(name))

    @from_any_loop
    async def create_channel(self, name: str, topic: str = "") -> RoomChannel:
        """Make a channel, or change the topic of one. Everybody in the room is in all its channels.

        Raises `UsageError` for a name that is empty or too long, or if there are too many.
        """
        name = self._channels.check_new(name)
        await self._moderator.publish(blocks.ChannelBody(name, clean(topic)))
        return self.channel(name)

    @property
    def typing(self) -> Mapping[str, tuple[Member, ...]]:
        """Who is typing now, by the name of the channel, "" for the main one."""
        found: dict[str, tuple[Member, ...]] = {}
        typists = self._session.exchange.typists()
        for member in self.peers if typists else ():
            if member.key in typists:
                channel = typists[member.key]
                found[channel] = (*found.get(channel, ()), member)
        return found

    @from_any_loop
    async def set_typing(self, channel: str = "") -> None:
        """Let those who are connected know that you are typing: call it at each key, it is sent every 3 seconds."""
        self._session.exchange.set_typing(channel)

    @from_any_loop
    async def allow(self, member: Member) -> None:
        """Fetch all that a member has written, however long it is; see `faults`. Holds until the room is closed."""
        for row in self._session.feeds.members:
            if row.identity == member.key:
                self._session.feeds.allow(row.key)

    @property
    def drive(self) -> Drive:
        """Your own drive of this room, where files that you send are."""
        return self._session.drive

    def message(self, id: str) -> RoomMessage:
        """The message of this id. Raises `UsageError` if it is not here."""
        found = self.find(id)
        if found is None or isinstance(found, RoomNotice):
            raise UsageError(f"There is no message {id!r} here: ids are what `message.id` says.")
        return found

    def __len__(self) -> int:
        return len(self.messages)

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
        return tuple(map(self._origin.build, self._session.index.arrived(arrival, PAGE)))

    def shares_name(self, name: str) -> bool:
        """Whether two people of this room have used a name that looks like this: show short keys beside it then."""
        return self._people.shares(name)

    @overload
    def send(  # type: ignore[overload-overlap]  # a text is always taken for one
        self, text: str, *, to: RoomMessage | None = None, channel: str = "", timeout: float = WRITE_TIMEOUT
    ) -> Coroutine[Any, Any, RoomTextMessage]: ...
    @overload
    def send(
        self, text: object, *, channel: str = "", timeout: float = WRITE_TIMEOUT
    ) -> Coroutine[Any, Any, RoomOutputMessage]: ...
    def send(
        self, text: object, *, to: RoomMessage | None = None, channel: str = "", timeout: float = WRITE_TIMEOUT
    ) -> Coroutine[Any, Any, RoomMessage]:
        """Send a text in Markdown, or answer the message `to`; returns when it is on disk, whoever is here.

        Anything else is sent as a cell would show it: a figure, or what it prints as; of a data frame of pandas others
        `load` the whole. Raises `UsageError` for what is empty or too large, `StoreError` if the disk refuses.
        """
        if to and not isinstance(text, str):
            raise UsageError("Only a text can answer a message: send this without `to`, then answer it.")
        # Here, for a figure belongs to its thread.
        return self._origin.say(said_of(text), to, channel or (to.channel if to else ""))

    @from_any_loop
    async def send_file(
        self, file: str | os.PathLike[str] | tuple[str, bytes], *, channel: str = "", timeout: float = WRITE_TIMEOUT
    ) -> RoomFileMessage:
        """Put a file into your drive of this room, and say so; a second one of the same name is a new version of it.

        Raises `UsageError` if there is no such file, `StoreError` if the disk refuses.
        """
        name, data = file if isinstance(file, tuple) else await asyncio.to_thread(read_file, Path(file))
        name = file_name(name)
        path = f"/files/{name}"
        version = await self._origin.put(path, data)
        mime, size = picture(data)
        body = blocks.FileBody(name, path, version, len(data), mime, width=size and size[0], height=size and size[1])
        message = await self._origin.write(body, channel)
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
        version = await self._origin.put(path, data)
        body = blocks.AudioBody(name, path, version, len(data), "audio/webm", duration=duration)
        message = await self._origin.write(body, channel)
        assert isinstance(message, RoomAudioMessage)
        return message

    @from_any_loop
    async def mark_read(self, message: RoomMessage | None = None, *, channel: str | None = None) -> None:
        """Count a message as read, or all of a channel, or everything that is here."""
        await self._session.mark_read(message.id if message else None, channel)
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
        return tuple(map(self._origin.build, rows))

    def to_pandas(self) -> "pandas.DataFrame":
        """The messages as a table by their ids, in order: what a LinkUp room's has, and where each stands.

        Besides time, name, key, kind, text, file, size (bytes) and own: received, channel, to (the id of what it
        answers), edited, retracted, late, and for your own the state. Raises `UsageError` if pandas is not installed.
        """
        plain = ["time", "name", "key", "kind", "text", "file", "size", "own"]
        more = ["received", "channel", "to", "edited", "retracted", "late", "state"]
        return table(["id", *plain, *more], map(_row, self.messages))

    @from_any_loop
    async def export(self, path: str | os.PathLike[str]) -> int:
        """Write the room to a file that anybody can check with `lu.verify_export(path)`; how many blocks that were.

        Whoever has the file can read all of it, and nothing else of the room. Raises `OSError` if it cannot be written.
        """
        return await self._session.export(self.name, await asyncio.to_thread(Path(path).expanduser))

    @from_any_loop
    async def prune(self, before: datetime | RoomMessage) -> int:
        """Delete here what others said before a moment or a message, to make room; how many blocks that were.

        Their places stay, and what you wrote. The others keep theirs; nothing of it is fetched again by itself. Raises
        `StoreError` if the disk refuses.
        """
        t = before.t if isinstance(before, RoomMessage) else round(before.timestamp() * 1e6)
        pruned = await self._session.prune(t)
        self._moderated()
        return pruned

    @from_any_loop
    async def leave(self, *, forget: bool = False) -> None:
        """Say that you leave, and join it no more; what is here of it stays, and another join finds it.

        With `forget` it is deleted here: messages, files, the secret. The others keep what they have. Raises
        `StoreError` if the disk refuses; then the next start goes on with it.
        """
        await self._backend.leave(self, forget)

    async def clear(self) -> None:
        """A room with memory is not cleared: raises `UsageError`."""
        raise UsageError("A room with memory keeps what was said: nothing is cleared here.")

    @from_any_loop
    async def close(self) -> None:
        """Stop taking part; called by the node."""
        self._closed = True
        self._wake()
        await self._tasks.cancel()
        await self._faces.close()
        await self._moderator.close()
        await self._session.close()
        self.emit("update")

    # Inside

    def _taken(self, taken: Taken) -> None:
        identities = {row.tie: row.identity for row in self._session.feeds.rows}
        shown = self._session.shown(taken)
        introductions = [row for row in shown if row.kind in (Kind.HELLO, Kind.ICON)]
        for row in introductions:
            self._people.take(row, identities.get(row.tie))
            if row.kind == Kind.ICON:
                self._faces.take(row)
        if taken.ruled:
            self._moderator.enforce()
        self._arrived = max([self._arrived, *(row.arrival for row in taken.rows if row.arrival)])
        self._number = max([self._number, *(row.number for row in taken.rows if row.number)])
        about = [row for row in shown if row.kind in (Kind.CHANNEL, Kind.TOPIC)]
        for row in about:
            self._channels.take(row)
        self._wake()
        if taken.ruled:
            self._load_notices()
            self._moderated()
        elif introductions or about:
            self.emit("update")
        changed = set(taken.changed)
        for row in shown:
            if row.arrival is not None:
                self.emit("message", self._origin.build(row))
            elif row.number is not None:
                self.emit("notice", self._origin.build(row))
            elif row.kind in (Kind.EDIT, Kind.RETRACT, Kind.REACTION) and row.body:
                _, body = blocks.decode(row.body).body()
                if to := getattr(body, "to", None):
                    changed.add(place_of(to))
        for tie, seq in changed:
            found = self._session.index.row_at(tie, seq)
            if found and found.arrival is not None:
                self.emit("change", self._origin.build(found))
            elif found:  # a notice that counts no more, or again
                self._load_notices()

    def _moderated(self) -> None:
        self.emit("moderated")
        self.emit("update")

    def _load_notices(self) -> None:
        """What notices say may have gone from the room, or come back: look at all of them."""
        index = self._session.index
        self._people.load(index, self._session.feeds.rows)
        self._channels = RoomChannels(index)
        self._faces.load()

    @on_own_loop
    def _keep_clocks(self) -> None:
        """Much had to be followed to know what somebody had seen: remember it from now on."""
        if not self._keeping:
            self._keeping = True
            self._tasks.start(self._make_clocks(), "making vector clocks")

    async def _make_clocks(self) -> None:
        try:
            feeds = self._session.feeds
            lengths = await self._session.on_index(lambda: {row.tie: row.next for row in feeds.rows})
            marks = await asyncio.to_thread(lambda: list(make_marks(self._session.index, lengths)))
            await self._session.on_index(partial(self._session.index.save_marks, marks))
        finally:
            self._keeping = False

    def _wake(self) -> None:
        self._arrival.set()
        self._arrival = asyncio.Event()


def _row(message: RoomMessage) -> tuple[object, ...]:
    more = (message.received, message.channel, message.to, message.edited, message.retracted, message.late)
    return (message.id, *row_of(message), *more, message.state)
