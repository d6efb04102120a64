"""What the messages of a room call: their texts, reactions, replies and proofs, and what one does about them."""

import asyncio
import os
from collections.abc import AsyncIterator, Container, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from linkup_nb.errors import DecodeError, NodeClosed, NotAvailable, UsageError
from linkup_nb.hyperdrive.history import Event
from linkup_nb.loops import from_any_loop
from linkup_nb.rooms.frames import MAX_FRAME_FILE, has_frame, read_frame
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.block import SAID, Body, Kind
from linkup_nb.rooms.memory.faults import TOO_LONG, Fault, faults_of
from linkup_nb.rooms.memory.invite import Invite
from linkup_nb.rooms.memory.invites import MAX_INVITES, MAX_USES, LimitedInvite, expiry
from linkup_nb.rooms.memory.keys import place_of, short_id, tie_of_id
from linkup_nb.rooms.memory.message import (
    Edition,
    InDrive,
    Provenance,
    RoomAudioMessage,
    RoomFileMessage,
    RoomMessage,
    RoomNotice,
    RoomOutputMessage,
    RoomTextMessage,
    RoomUnknownMessage,
)
from linkup_nb.rooms.memory.moderator import Moderator
from linkup_nb.rooms.memory.outputs import drive_body, frame_body, inline, inline_body, read_output
from linkup_nb.rooms.memory.past import Clock, clock_of
from linkup_nb.rooms.memory.people import People
from linkup_nb.rooms.memory.rows import BlockRow, FeedRow, Link, State
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.rooms.names import clean, file_name
from linkup_nb.rooms.outputs import MAX_OUTPUT_BYTES, FrameOutput, Output
from linkup_nb.wire.blind_pairing import PairingInvite, invite_id
from linkup_nb.wire.keys import KEY_SIZE, z32decode, z32encode

if TYPE_CHECKING:
    import pandas as pd

PRUNED = "You have deleted this here, to make room. Others may have it."


class RoomOrigin:
    """Makes the messages of one room out of its rows, and answers what they ask."""

    def __init__(self, session: RoomSession, people: People, moderator: Moderator) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._people = people
        self._moderator = moderator

    def build(self, row: BlockRow, clock: Clock | None = None) -> RoomMessage:
        """The message of a row; with a vector clock, as its text was for who had seen that much."""
        feed = self._session.feed_of(row.tie)
        identity = feed.identity or feed.key
        id = f"{short_id(feed.key)}/{row.seq}"
        retracted = bool(self._own_links(row, Kind.RETRACT, clock))
        edits = self._own_links(row, Kind.EDIT, clock)
        kind, body = blocks.decode(row.body).body() if row.body else (Kind.MESSAGE, None)
        common: dict[str, Any] = {
            "name": self._people.name(identity),
            "key": identity,
            "topic": self._session.keys.topic,
            "timestamp": _moment(row.timestamp),
            "received": _moment(row.received),
            "index": row.arrival or -1,
            "own": identity == self._session.identity.public_key,
            "id": id,
            "hidden": self._moderator.hidden(identity, id),
            "place": (row.t, row.tie, row.seq),
            "channel": row.channel,
            "device": feed.device or b"",
            "heads": msgspec.json.decode(row.heads) if row.heads else {},
            "late": bool(row.state & State.LATE),
            "unread": bool(row.state & State.UNREAD),
            "mentions_me": bool(row.state & State.MENTIONS_ME),
            "refused": bool(row.state & (State.REFUSED | State.OUT_OF_ORDER)),
            "disputed": feed.disputed is not None and row.seq >= feed.disputed,
            "edited": bool(edits),
            "retracted": retracted,
            "to": getattr(body, "to", None),
            "origin": self,
        }
        if row.state & State.PRUNED:
            return RoomTextMessage(**common | {"hidden": PRUNED}, text="")
        if isinstance(body, blocks.FileBody | blocks.AudioBody):
            drive = z32decode(body.drive) if body.drive else feed.drive or b""
            common |= {"drive": drive, "path": body.path, "version": body.version, "mime": body.mime}
            common |= {"length": body.size, "data": b""}
            if isinstance(body, blocks.AudioBody):
                return RoomAudioMessage(**common, duration=body.duration)
            return RoomFileMessage(**common, file_name=file_name(body.file_name), width=body.width, height=body.height)
        if isinstance(body, blocks.OutputBody):
            output = Output() if retracted else inline(body)
            common |= {"drive": feed.drive or b"", "path": body.path, "version": body.version}
            return RoomOutputMessage(**common, data=output.data, metadata=output.metadata)
        if kind not in SAID:
            return RoomNotice(**common, kind=kind.name.lower(), fields=notice_fields(row.body or b""))
        if row.text is not None:
            text = "" if retracted else edits[-1].value or "" if edits else row.text
            return RoomTextMessage(**common, text=text)
        envelope = blocks.decode(row.body or b"")
        return RoomUnknownMessage(**common, type=envelope.type, fields=_fields(envelope))

    def row(self, id: str) -> BlockRow | None:
        """The row of a message id."""
        return self._session.index.row_at(*place_of(id))

    def _links(self, id: str, kind: Kind) -> list[Link]:
        return [link for link in self._session.index.links(*place_of(id)) if link.kind == kind]

    def _own_links(self, row: BlockRow, kind: Kind, clock: Clock | None = None) -> list[Link]:
        """What the author of a row, on any device, wrote about it."""
        author = self._session.feed_of(row.tie).identity
        links = self._session.index.links(row.tie, row.seq)
        own = [link for link in links if link.kind == kind and link.identity == author]
        return own if clock is None else [link for link in own if link.from_seq < clock.get(link.from_tie, 0)]

    @from_any_loop
    async def say(self, said: str | Output | FrameOutput, to: RoomMessage | None, channel: str) -> RoomMessage:
        """Write a text, an answer, or an output; that of a data frame and a large one is put into the drive first."""
        path = f"/outputs/{self._session.clock() // 1000}"
        match said:
            case str():
                return await self.send(said, to, channel)
            case FrameOutput(output, frame):
                path += frame.suffix
                body = frame_body(output, frame, path, await self.put(path, frame.data))
            case _ if small := inline_body(said):
                body = small
            case _:
                path += ".json"
                body = drive_body(said, path, await self.put(path, msgspec.json.encode(said)))
        return await self.write(body, channel)

    async def send(self, text: str, to: RoomMessage | None, channel: str) -> RoomTextMessage:
        """Write a text, or an answer."""
        if not text.strip():
            raise UsageError("There is nothing to send: type a message first.")
        # A text typed on a page may hold half of an emoji, which UTF-8 cannot.
        whole = text.encode(errors="replace").decode()
        others = {row.identity for row in self._session.feeds.members} - {self._session.identity.public_key}
        mentions = [short_id(key) for key in others if key and f"@{self._people.name(key)}" in whole]
        body: Body = blocks.ReplyBody(to.id, whole, mentions) if to else blocks.MessageBody(whole, mentions)
        message = await self.write(body, channel)
        assert isinstance(message, RoomTextMessage)
        return message

    async def put(self, path: str, data: bytes) -> int:
        """Put a file into one's own drive of the room, if one may write; the version that has it."""
        await self._moderator.check_writer()
        return await self._session.put(path, data)

    async def write(self, body: Body, channel: str) -> RoomMessage:
        """Write a block of the conversation."""
        if self._session.closed:
            raise NodeClosed("This room has been left, or its node closed: join it again.")
        return self.build(await self._moderator.publish(body, channel))

    # What the room asks

    def members(self) -> tuple[Member, ...]:
        """The others: those who are here first."""
        session, exchange = self._session, self._session.exchange
        me = session.identity.public_key
        removed = self._moderator.ruling.removed
        feeds = [feed for feed in session.feeds.members if feed.identity not in removed]
        now = self._session.clock() / 1e6
        return self._people.members(feeds, exchange.here(), dict(exchange.seen), me, now, self.faults)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with the feeds of members, one's own too."""
        feeds = self._session.feeds
        return faults_of(feeds.members, feeds.disputed, dict.fromkeys(tuple(feeds.too_long), TOO_LONG))

    def conflicts(self, key: bytes) -> tuple[Fault, ...]:
        """What is wrong with a feed that is rewritten; nothing if it is no member's yet."""
        feeds = self._session.feeds
        return faults_of([feed._replace(faults=0) for feed in feeds.members if feed.key == key], feeds.disputed)

    def seen(self, moment: RoomMessage | Mapping[str, int]) -> tuple[Clock, int]:
        """The vector clock of who wrote a message, before it, or had seen these heads; and how many heads it took."""
        if not isinstance(moment, RoomMessage):
            return clock_of(self._session.index, {tie_of_id(id): length for id, length in moment.items()})
        _, tie, seq = moment.place
        clock, followed = clock_of(self._session.index, {tie: seq + 1})
        return clock | {tie: seq}, followed

    @property
    def settled_until(self) -> int:
        """The t above which alone members can still write, in µs."""
        return min((_tau(feed) for feed in self._writers()), default=self._session.clock())

    def _writers(self) -> list[FeedRow]:
        """The feeds that may grow at any place: not the one that is written here, which grows now, nor a disputed."""
        own = self._session.feeds.own
        left = {(row.tie, row.seq + 1) for row in self._session.index.latest(Kind.LEAVE)}
        return [
            feed
            for feed in self._session.feeds.members
            if (own is None or feed.key != own.key)
            and (feed.tie, max(feed.next, feed.high)) not in left
            and feed.identity is not None
            and self._moderator.ruling.may_write(feed.identity)
            and feed.disputed is None
        ]

    @property
    def subject(self) -> str:
        """What the room is about."""
        for row in self._session.index.latest(Kind.TOPIC, 1):
            return clean(row.text or "")
        return ""

    # What messages call

    def settled(self, message: RoomMessage) -> bool:
        """Whether nothing can be written above a message any more."""
        return message.t <= self.settled_until

    def may_follow(self, message: RoomMessage) -> tuple[Member, ...]:
        """Who could still write something that stands above a message."""
        could = {feed.identity for feed in self._writers() if _tau(feed) < message.t}
        return tuple(member for member in self.members() if member.key in could)

    def held_by(self, message: RoomMessage) -> tuple[Member, ...]:
        """Who has a message of one's own."""
        return self._those(self._session.exchange.delivery.held_by(*message.place[1:]))

    def kept_by(self, message: RoomMessage) -> tuple[bytes, ...]:
        """The blind peers that have a message."""
        core = self._session.core_of(message.id)
        held = core.held if core else {}
        return tuple(key for key in self._session.blind_peers if held.get(key, 0) > message.place[2])

    def read_by(self, message: RoomMessage) -> tuple[Member, ...]:
        """Who has read a message of one's own."""
        exchange = self._session.exchange
        return self._those(exchange.delivery.read_by(*message.place[1:])) if exchange.share_reads else ()

    def _those(self, identities: Container[bytes]) -> tuple[Member, ...]:
        return tuple(member for member in self.members() if member.key in identities) if identities else ()

    def editions(self, message: RoomMessage) -> tuple[Edition, ...]:
        """All texts of a message, the first one first."""
        row = self.row(message.id)
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
        return tuple(self.build(row) for row in rows if row)

    def missing(self, message: RoomMessage) -> tuple[str, ...]:
        """The ids of the blocks that a message names and that are not here."""
        feeds = {short_id(row.key): row for row in self._session.feeds.rows}
        return tuple(
            f"{id}/{length - 1}" for id, length in message.heads.items() if not self._has(feeds.get(id), length)
        )

    def _has(self, feed: FeedRow | None, length: int) -> bool:
        """Whether so many blocks of a feed are here; nobody waits for what is not in the room."""
        if feed is None:
            return False
        end = self._session.feeds.end_of(feed)
        return max(feed.next, feed.high) >= (length if end is None else min(length, end))

    @from_any_loop
    async def reply(self, message: RoomMessage, text: str) -> RoomTextMessage:
        """Answer a message."""
        return await self.send(text, message, message.channel)

    @from_any_loop
    async def react(self, message: RoomMessage, symbol: str, *, remove: bool) -> None:
        """React to a message."""
        await self._moderator.publish(blocks.ReactionBody(message.id, symbol, remove), message.channel)

    @from_any_loop
    async def edit(self, message: RoomMessage, text: str) -> None:
        """Give a message of one's own another text."""
        self._check_own(message)
        await self._moderator.publish(blocks.EditBody(message.id, text), message.channel)

    @from_any_loop
    async def retract(self, message: RoomMessage) -> None:
        """Take a message of one's own back."""
        self._check_own(message)
        await self._moderator.publish(blocks.RetractBody(message.id), message.channel)

    @from_any_loop
    async def provenance(self, message: RoomMessage) -> Provenance:
        """What proves a message."""
        seq, core = message.place[2], self._session.core_of(message.id)
        if core is None:
            raise NotAvailable("The block of this message is not here.")
        return Provenance(await core.proof(seq), seq, message.received)

    @from_any_loop
    async def verify(self, message: RoomMessage) -> None:
        """Check the proof of a message."""
        core = self._session.core_of(message.id)
        if core is None:
            raise NotAvailable("The block of this message is not here.")
        await core.verify((await self.provenance(message)).evidence)

    @from_any_loop
    async def load(self, message: InDrive, timeout: float) -> bytes:
        """The file that a message names, from here or from whoever has it."""
        async with asyncio.timeout(timeout):
            return b"".join([piece async for piece in self.stream(message, timeout=timeout)])

    async def stream(
        self,
        message: InDrive | RoomOutputMessage,
        start: int = 0,
        end: int | None = None,
        *,
        version: int | None = None,
        timeout: float,
    ) -> AsyncIterator[bytes]:
        """The bytes of it from `start` to before `end`, or those of another version; each waits `timeout` seconds."""
        wanted = message.version if version is None else version
        if message.path is None or wanted is None:
            raise UsageError("This message has no file.")
        view, entry = await self._session.file(message.drive, message.path, wanted, timeout)
        async for piece in view.stream(entry, start, end):
            yield piece

    @from_any_loop
    async def load_output(self, message: RoomOutputMessage, timeout: float) -> Output:
        """All of an output, from here or from whoever has it. Raises `DecodeError` for what is none, or too large."""
        if message.path is None or message.version is None or has_frame(message.path):
            return Output(dict(message.data), dict(message.metadata))
        file = await self._whole(message, MAX_OUTPUT_BYTES, timeout)
        return await asyncio.to_thread(read_output, file)

    @from_any_loop
    async def load_frame(self, message: RoomOutputMessage, timeout: float) -> "pd.DataFrame":
        """The data frame of an output, from here or from whoever has it. Raises what `read_frame` raises."""
        file = await self._whole(message, MAX_FRAME_FILE, timeout)
        return await asyncio.to_thread(read_frame, message.path or "", file, message.metadata)

    async def _whole(self, message: RoomOutputMessage, most: int, timeout: float) -> bytes:
        pieces, size = [], 0
        async with asyncio.timeout(timeout):
            async for piece in self.stream(message, timeout=timeout):
                pieces.append(piece)
                size += len(piece)
                if size > most:
                    raise DecodeError(f"This output has more than {most // 1_048_576} MiB.")
        return b"".join(pieces)

    @from_any_loop
    async def versions(self, message: InDrive, timeout: float) -> tuple[Event, ...]:
        """The changes of the file that a message names, the newest first."""
        view, _ = await self._session.file(message.drive, message.path, message.version, timeout)
        async with asyncio.timeout(timeout):
            return tuple([event async for event in view.history(message.path, newest_first=True)])

    # Invites

    async def create_invite(
        self, name: str, expires: datetime | timedelta | None, uses: int | None, role: str
    ) -> LimitedInvite:
        """Make an invite that ends; see `MemoryRoom.create_invite`."""
        await self._moderator.check_invite(role)
        if uses is not None and not 1 <= uses <= MAX_USES:
            raise UsageError(f"An invite is for 1 to {MAX_USES:,} people, not {uses}.")
        me = self._session.identity.public_key
        if self._session.invites.made_by(me) >= MAX_INVITES:
            raise UsageError(f"You have made {MAX_INVITES} invites to this room, the most there can be.")
        ends = expiry(expires, datetime.fromtimestamp(self._session.clock() / 1e6, UTC))
        pairing = PairingInvite(os.urandom(KEY_SIZE), self._session.keys.topic, ends)
        id = invite_id(pairing.public_key)
        await self._moderator.publish(
            blocks.InviteMadeBody(z32encode(id), z32encode(pairing.public_key), ends, uses, role)
        )
        [invite] = [one for one in self._session.invites.all(self) if one.id == id]
        return replace(invite, link=Invite(pairing, name, *self._session.ways).link())

    @from_any_loop
    async def revoke(self, invite: LimitedInvite) -> None:
        """End an invite."""
        me = self._session.identity.public_key
        if invite.maker != me and not self._moderator.may_moderate(me):
            raise UsageError("This invite is somebody else's: only who made it, and moderators, can revoke it.")
        key = self._session.invites.public_key(invite.id)
        assert key is not None
        await self._moderator.publish(blocks.InviteMadeBody(z32encode(invite.id), z32encode(key), revoked=True))

    def _check_own(self, message: RoomMessage) -> None:
        if not message.own:
            raise UsageError("This message is somebody else's: only its author can change it.")


def notice_fields(block: bytes) -> dict[str, str | int | float | bool | None]:
    """What a notice says, without what is of no use to people."""
    fields = _fields(blocks.decode(block))
    return {name: value for name, value in fields.items() if name not in ("signatures", "avatar", "nonce", "before")}


def _fields(envelope: blocks.Envelope) -> dict[str, str | int | float | bool | None]:
    return {key: _plain(value) for key, value in blocks.unknown_fields(envelope).items()}


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _plain(value: Any) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float | bool | None) else msgspec.json.encode(value).decode()


def _tau(feed: FeedRow) -> int:
    """The t above which the feed goes on; where something of it is not here, that may be there."""
    return feed.tau if feed.next < feed.high else max(feed.tau, feed.high_tau)
