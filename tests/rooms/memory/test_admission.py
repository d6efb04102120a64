"""Limited invites between real nodes: who is let in, who is not, and what waits."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import linkup_nb as lu
from linkup_nb.channels import Channels
from linkup_nb.errors import InvalidInvite, NotAvailable
from linkup_nb.rooms.commands import run
from linkup_nb.rooms.memory.admission import MAX_PENDING, MAX_REQUESTS, Admission
from linkup_nb.rooms.memory.invite import Invite, parse_invite
from linkup_nb.rooms.memory.invites import Invites, LimitedInvite
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.waiting import WaitingRoom
from linkup_nb.rooms.status import Level
from linkup_nb.wire.blind_pairing import PROTOCOL, REQUEST, RESPONSE, PairingInvite, PairingRequest, PairingResponse
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.keys import discovery_key
from tests.rooms.memory.test_rooms import WAIT, joined, node, texts, until


def word(invite: LimitedInvite) -> str:
    assert invite.link
    return invite.link


async def waits(one: lu.Node, invite: LimitedInvite | str) -> WaitingRoom:
    room = await one.join(invite if isinstance(invite, str) else word(invite))
    assert isinstance(room, WaitingRoom)
    return room


async def test_any_member_lets_in_who_holds_a_limited_invite(tmp_path: Path) -> None:
    async with node(tmp_path / "bob", "bob") as bob:
        async with node(tmp_path / "ann", "ann") as ann:
            hers = await ann.create_room("physics")
            await hers.send("before")
            his = await joined(bob, hers.invite)
            invite = await hers.create_invite(expires=timedelta(days=2), uses=1)
            await until(his, lambda: len(his.invites) == 1)
        async with node(tmp_path / "cat", "cat") as cat:
            waiting = await waits(cat, invite)
            room = await waiting.admitted(timeout=WAIT)
            assert cat.rooms == (room,)
            assert room.name == "physics"
            await until(room, lambda: texts(room) == ["before"])
            await room.send("after")
            await until(his, lambda: texts(his) == ["before", "after"])
            assert his.invites[0].used_by == {cat.public_key}
            assert not his.invites[0].open
            assert await cat.join(word(invite)) is room


async def test_an_invite_is_good_for_so_many_and_until_it_is_revoked(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "bob", "bob") as bob:
        hers = await ann.create_room("physics")
        once = await hers.create_invite(uses=1)
        await (await waits(bob, once)).admitted(timeout=WAIT)
        async with node(tmp_path / "cat", "cat") as cat:
            waiting = await waits(cat, once)
            with pytest.raises(InvalidInvite, match=r"has been used up\. Ask for another one\.$"):
                await waiting.admitted(timeout=WAIT)
            assert cat.rooms == (waiting,)
            assert cat.status.text == waiting.refusal
            revoked = await hers.create_invite()
            await hers.invites[1].revoke()
            waiting = await waits(cat, revoked)
            with pytest.raises(InvalidInvite, match="was revoked"):
                await waiting.admitted(timeout=WAIT)
            with pytest.raises(lu.UsageError, match="was revoked"):
                await waiting.send("hello?")
            await waiting.leave()
            assert not cat.rooms
        assert [invite.open for invite in hers.invites] == [False, False]


async def test_who_waits_says_so_goes_on_after_a_restart_and_may_give_up(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann:
        invite = await (await ann.create_room("physics")).create_invite()
    async with node(tmp_path / "bob", "bob") as bob:
        waiting = await waits(bob, invite)
        assert bob.status.text == "Waiting for a member to let you in to physics."
        assert bob.status_of(waiting).level is Level.WAITING
        assert (len(waiting), waiting[:], waiting.peers) == (0, (), ())
        with pytest.raises(lu.UsageError, match="No member has let you in yet"):
            await waiting.send("hello?")
        with pytest.raises(lu.UsageError, match="No member has let you in yet"):
            await run("~invite", bob, waiting)
        with pytest.raises(NotAvailable, match="No member has answered yet"):
            await waiting.admitted(timeout=0)
        assert word(invite)[7:27] not in repr(waiting) + repr(bob)
    async with node(tmp_path / "bob") as bob:
        [again] = bob.rooms
        assert isinstance(again, WaitingRoom)
        async with node(tmp_path / "ann") as ann:
            room = await again.admitted(timeout=WAIT)
            assert (bob.rooms, room.name) == ((room,), "physics")
            await until(ann.rooms[0], lambda: len(ann.rooms[0].peers) == 1)
    async with node(tmp_path / "cat", "cat") as cat:
        await (await waits(cat, invite)).leave()
        assert cat.rooms == ()
    async with node(tmp_path / "cat") as cat:
        assert cat.rooms == ()


async def test_an_invite_that_has_expired_is_refused_at_once(tmp_path: Path) -> None:
    expired = Invite(PairingInvite(b"s" * 32, discovery_key(b"r" * 32), 1_000_000_000)).link()
    async with node(tmp_path / "ann", "ann") as ann:
        with pytest.raises(InvalidInvite, match="has expired"):
            await ann.join(expired)
        assert ann.rooms == ()


async def test_the_command_makes_one_and_says_how_long_it_is_good(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "bob", "bob") as bob:
        room = await ann.create_room("physics")
        reply = await run("~invite --expires 2d --uses 1", ann, room)
        assert reply.text.startswith("This invite is good until ")
        assert " and for 1 person. " in reply.text
        said = await run(f"~join {reply.text.split('`')[1]}", bob, None)
        assert said.text == "Waiting for a member to let you in to **physics**, also after a restart."
        assert isinstance(said.room, WaitingRoom)
        await said.room.admitted(timeout=WAIT)
        for line, sentence in {
            "~invite --expires soon": "a time like 30m",
            "~invite --uses many": "followed by a number",
            "~invite --uses 0": "1 to 1,000 people",
            "~invite --forever": "no option --forever",
            "~invite bob": "takes nothing else",
        }.items():
            with pytest.raises(lu.UsageError, match=sentence):
                await run(line, ann, room)


async def test_nobody_elses_invite_is_revoked_but_by_moderators(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "bob", "bob") as bob:
        hers = await ann.create_room("physics")
        his = await joined(bob, hers.invite)
        await his.create_invite()
        await until(hers, lambda: len(hers.invites) == 1)
        assert hers.invites[0].link is None
        await until(his, lambda: len(his.peers) == 1)
        await hers.create_invite()
        await until(his, lambda: len(his.invites) == 2)
        with pytest.raises(lu.UsageError, match="somebody else's"):
            await his.invites[1].revoke()
        await hers.invites[0].revoke()
        await until(his, lambda: not his.invites[0].open)


class Asker:
    """A peer on a bare connection that asks what it likes."""

    def __init__(self, connection: lu.Connection, topic: bytes) -> None:
        self.channels = Channels.of(connection)
        self.answers: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.channel = self.channels.open(PROTOCOL, topic, b"", self)

    def ask(self, request: bytes) -> None:
        self.channels.send(self.channel, REQUEST, bytes(Encoder().buffer(request)))

    def opened(self, handshake: bytes) -> None: ...
    def drained(self) -> None: ...
    def received(self, type: int, payload: bytes) -> None:
        assert type == RESPONSE
        self.answers.put_nowait(Decoder(payload).buffer())

    def ended(self) -> None:
        self.answers.put_nowait(None)

    async def answer(self) -> bytes | None:
        return await asyncio.wait_for(self.answers.get(), WAIT)


def _now() -> int:
    return time.time_ns() // 1000


class Desk:
    """A member's admission behind a server on loopback."""

    def __init__(self, secret: bytes) -> None:
        self.invites = Invites(lambda identity, place: False)
        self.used: list[bytes] = []
        self.admission = Admission(
            discovery_key(secret),
            secret,
            self.invites,
            self._use,
            lambda identity: False,
            lambda: time.time_ns() // 1000,
        )

    async def _use(self, id: bytes, identity: bytes) -> None:
        self.used.append(identity)

    def connected(self, connection: lu.Connection) -> None:
        Channels.of(connection).accept(PROTOCOL, self._accept(Channels.of(connection)))

    def _accept(self, channels: Channels) -> Callable[[bytes], bool]:
        def accept(topic: bytes) -> bool:
            self.admission.accept(channels)
            return True

        return accept


async def test_what_a_stranger_asks_is_bounded() -> None:
    secret = b"r" * 32
    desk = Desk(secret)
    server = await lu.listen("127.0.0.1", 0, desk.connected)
    connection = await lu.connect("127.0.0.1", server.port)
    try:
        asker = Asker(connection, discovery_key(secret))
        for number in range(MAX_REQUESTS):
            unknown = PairingInvite(number.to_bytes(32, "big"), discovery_key(secret))
            asker.ask(bytes(PairingRequest.make(unknown, b"i" * 32)))
        asker.ask(bytes(PairingRequest.make(PairingInvite(b"x" * 32, discovery_key(secret)), b"i" * 32)))
        assert await asker.answer() is None
        assert len(desk.admission._pending) == MAX_PENDING
        assert not desk.used
    finally:
        await connection.close()
        await server.close()
        await desk.admission.close()


async def test_the_secret_goes_to_who_asks_for_its_topic_only(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann:
        room = await ann.create_room("physics")
        assert isinstance(room, MemoryRoom)
        invite = parse_invite(word(await room.create_invite()))
        assert isinstance(invite.credential, PairingInvite)
        lie = PairingResponse.confirm(invite.credential.public_key, b"s" * 32, b"another room's secret...........")
        with pytest.raises(lu.PeerError, match="another room"):
            lie.open(invite.credential, b"s" * 32)
