"""Two copies of one profile write: who notices tells the others, who check it, and all agree on what is left."""

import asyncio
import io
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

import linkup_nb as lu
from linkup_nb.errors import DecodeError, ProtocolError
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.merkle import Peaks
from linkup_nb.hypercore.proof import Proof, UpgradeProof
from linkup_nb.rooms import commands
from linkup_nb.rooms.memory import disputes
from linkup_nb.rooms.memory import peer as peers
from linkup_nb.rooms.memory.block import ChannelBody, IconBody, TopicBody
from linkup_nb.rooms.memory.disputes import MAX_WAITING
from linkup_nb.rooms.memory.faults import TWO_COPIES, Fault
from linkup_nb.rooms.memory.keys import RoomKeys, short_id
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.wire import rooms as wire
from linkup_nb.wire.rate_limit import Rate
from tests.rooms.memory.members import WAIT, TestMember, connect, ids, say, texts, until
from tests.rooms.memory.test_room import Alone

MakeMember = Callable[[str], Awaitable[TestMember]]
TwoCopies = tuple[TestMember, RoomSession, TestMember, RoomSession]
ROOM = RoomKeys(b"r" * 32)


@pytest.fixture
async def two_copies(make_member: MakeMember, tmp_path: Path) -> AsyncIterator[TwoCopies]:
    """Ann, who has said three things, and a copy of her profile on another machine, who have both gone on writing."""
    ann = await make_member("ann")
    hers = await ann.enter(ROOM)
    for text in ("one", "two", "three"):
        await say(hers, text)
    await ann.close()
    shutil.copytree(ann.path, tmp_path / "copy")
    ann, copy = await make_member("ann"), TestMember(tmp_path / "copy", "ann", ann.executor)
    await copy.open()
    hers, theirs = await ann.enter(ROOM), await copy.enter(ROOM)
    for session, said in ((hers, ["at home", "more at home"]), (theirs, ["on the road"])):
        shutil.rmtree(tmp_path / "state")  # each machine knows its own lengths
        for text in said:
            await say(session, text)
    yield ann, hers, copy, theirs
    await copy.close()


def own_core(session: RoomSession) -> Core:
    """The feed that a member writes to."""
    assert session.feeds.own
    return session.feeds.own


def feed_of(session: RoomSession, key: bytes) -> Core:
    """A feed that a member follows."""
    core = session.feeds.core(key)
    assert core
    return core


def disputed_from(session: RoomSession, key: bytes) -> int | None:
    """From which block on a feed is disputed."""
    return next((row.disputed for row in session.feeds.members if row.key == key), None)


async def test_who_notices_tells_the_others_and_what_is_undisputed_stays(
    make_member: MakeMember, two_copies: TwoCopies
) -> None:
    ann, hers, copy, theirs = two_copies
    feed = own_core(hers).key
    bob, cat, eve = await make_member("bob"), await make_member("cat"), await make_member("eve")
    his, cats, eves = await bob.enter(ROOM), await cat.enter(ROOM), await eve.enter(ROOM)
    room = MemoryRoom("physics", eves, Alone())
    heard: list[Fault] = []
    room.on("conflict", heard.append)
    await connect(ann, bob)
    await connect(bob, eve)
    await connect(copy, cat)
    await until(eves, lambda: texts(eves)[3:] == ["at home", "more at home"])
    await until(cats, lambda: texts(cats)[3:] == ["on the road"])

    await connect(bob, cat)
    for session in (his, cats, eves, hers, theirs):
        await until(session, lambda session=session: disputed_from(session, feed) == 4)  # type: ignore[misc]
        assert texts(session) == ["one", "two", "three"]

    assert [(fault.member, fault.feed, str(fault)) for fault in heard] == [
        (ann.identity.public_key, short_id(feed), TWO_COPIES)
    ]
    assert room.faults == tuple(heard)
    [member] = [one for one in room.peers if one.key == ann.identity.public_key]
    assert member.faults == (TWO_COPIES,)
    assert [(message.text, message.disputed) for message in room.disputed] == [  # type: ignore[attr-defined]
        ("at home", True),
        ("more at home", True),
    ]
    assert not any(room[number].disputed for number in range(len(room)))
    await room.disputed[0].verify()
    listed = (await commands.run("~disputed", cast(Any, None), room)).text.splitlines()
    assert [line.rpartition(": ")[2] for line in listed] == ["more at home", "at home"]
    for session in (cats, his, eves):
        await until(session, lambda session=session: len(ids(session)) == 7)  # type: ignore[misc]
    assert ids(cats) == ids(his) == ids(eves)

    await say(hers, "at home again")
    assert own_core(hers).key != feed
    await until(eves, lambda: texts(eves)[-1] == "at home again")
    await until(cats, lambda: texts(cats)[-1] == "at home again")


async def test_it_is_known_after_a_restart_and_by_who_comes_later(
    make_member: MakeMember, two_copies: TwoCopies
) -> None:
    ann, hers, copy, _ = two_copies
    feed = own_core(hers).key
    bob = await make_member("bob")
    his = await bob.enter(ROOM)
    await connect(ann, bob)
    await until(his, lambda: len(texts(his)) == 5)
    await connect(copy, bob)
    await until(his, lambda: disputed_from(his, feed) == 4)
    before = ids(his)
    await ann.close()
    await copy.close()
    for lost in ((), bob.path.glob("*.sqlite3*")):
        await bob.close()
        for file in lost:
            file.unlink()
        bob = await make_member("bob")
        his = await bob.enter(ROOM)
        room = MemoryRoom("physics", his, Alone())
        await until(his, lambda: len(room.disputed) == 2)  # noqa: B023
        assert [str(fault) for fault in room.faults] == [TWO_COPIES]
        assert ids(his) == before
        assert [message.text for message in room.messages] == ["one", "two", "three"]  # type: ignore[attr-defined]

    dan = await make_member("dan")
    dans = await dan.enter(ROOM)
    await connect(bob, dan)
    await until(dans, lambda: disputed_from(dans, feed) == 4 and texts(dans) == ["one", "two", "three"])
    await until(his, lambda: ids(dans) == ids(his))
    assert feed_of(dans, feed).conflict


@pytest.mark.parametrize("known", [True, False], ids=["known before", "noticed by the newcomer"])
async def test_who_comes_later_and_meets_both_histories_has_what_all_have(
    make_member: MakeMember, two_copies: TwoCopies, known: bool
) -> None:
    ann, hers, copy, _ = two_copies
    feed = own_core(hers).key
    bob, cat, dan = await make_member("bob"), await make_member("cat"), await make_member("dan")
    his, cats = await bob.enter(ROOM), await cat.enter(ROOM)
    await connect(ann, bob)
    await connect(copy, cat)
    await until(his, lambda: len(texts(his)) == 5)
    await until(cats, lambda: len(texts(cats)) == 4)
    await ann.close()
    await copy.close()
    if known:
        await connect(bob, cat)
        await until(cats, lambda: disputed_from(cats, feed) == 4)
        await until(his, lambda: disputed_from(his, feed) == 4)
    dans = await dan.enter(ROOM)
    await asyncio.gather(connect(bob, dan), connect(cat, dan))
    for session in (dans, his, cats):
        await until(session, lambda session=session: disputed_from(session, feed) == 4 and len(ids(session)) == 7)  # type: ignore[misc]
        assert texts(session) == ["one", "two", "three"]
    assert ids(dans) == ids(his) == ids(cats)


def another_head(core: Core, agreed: int, length: int) -> wire.Conflict:
    """What shows that the author of a core signed another history of this length, which parts after so many blocks."""
    log = core._log
    assert log.manifest
    assert log.key_pair
    peaks = Peaks([node for index in flat.roots(agreed) if (node := log.find(index))])
    peaks.append([b"never said"] * (length - agreed))
    signature = log.manifest.sign(log.key_pair, log.key, peaks.hash(), length, 0)
    proof = Proof(upgrade=UpgradeProof(0, length, tuple(peaks.roots), (), signature))
    return wire.Conflict(log.synced.head_at(length).encode(), Evidence(log.key, 0, log.manifest, proof).encode())


def heads(shown: wire.Conflict) -> tuple[Evidence, Evidence]:
    """What a conflict shows."""
    return Evidence.decode(shown.one), Evidence.decode(shown.other)


async def three_members(make_member: MakeMember, said: int) -> tuple[RoomSession, RoomSession, RoomSession]:
    """Ann, who has said so much; bob, who is connected with her; and eve, who has it from bob."""
    ann, bob, eve = await make_member("ann"), await make_member("bob"), await make_member("eve")
    hers, his, eves = await ann.enter(ROOM), await bob.enter(ROOM), await eve.enter(ROOM)
    for number in range(said):
        await say(hers, f"{number}")
    await connect(ann, bob)
    await connect(bob, eve)
    await until(eves, lambda: len(texts(eves)) == said)
    return hers, his, eves


async def test_of_several_points_the_least_counts_for_all(make_member: MakeMember) -> None:
    hers, his, eves = await three_members(make_member, 14)
    core = own_core(hers)
    for agreed, length, point in ((14, 15, 14), (9, 10, 8), (12, 13, 8), (4, 5, 4)):
        [peer] = eves.peers
        peer.send(another_head(core, agreed, length))
        for session in (his, eves):
            await until(session, lambda session=session, point=point: disputed_from(session, core.key) == point)  # type: ignore[misc]
            assert texts(session) == [f"{number}" for number in range(point - 1)]


async def test_what_a_member_builds_on_stays_whatever_becomes_of_it(make_member: MakeMember) -> None:
    hers, his, eves = await three_members(make_member, 7)
    core = own_core(hers)
    row = await say(his, "an answer to all of that")
    await until(eves, lambda: len(texts(eves)) == 8)
    [peer] = eves.peers
    peer.send(another_head(core, 4, 5))
    await until(eves, lambda: disputed_from(eves, core.key) == 4)
    room = MemoryRoom("physics", eves, Alone())
    assert texts(eves) == ["0", "1", "2", "an answer to all of that"]
    assert room[-1].heads[short_id(core.key)] == 8
    assert not room[-1].refused
    assert room[-1].missing == ()
    assert row.seq == 1


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        (lambda shown: wire.Conflict(shown.one, shown.one), ProtocolError, "do not contradict"),
        (lambda shown: wire.Conflict(shown.one, shown.other[:-70] + bytes(70)), ProtocolError, "conflict that is none"),
        (lambda shown: wire.Conflict(b"", shown.other), ProtocolError, "conflict that is none"),
        (lambda shown: wire.Conflict(shown.one, bytes(wire.MAX_EVIDENCE + 1)), DecodeError, "over 65536 bytes"),
    ],
    ids=["no contradiction", "not signed", "nothing", "too large"],
)
async def test_who_shows_a_conflict_that_is_none_is_hung_up_on_and_nothing_is_disputed(
    make_member: MakeMember,
    change: Callable[[wire.Conflict], wire.Conflict],
    error: type[Exception],
    reason: str,
) -> None:
    ann, eve = await make_member("ann"), await make_member("eve")
    hers, liar = await ann.enter(ROOM), await eve.enter(ROOM)
    for number in range(3):
        await say(hers, f"{number}")
    connection = await connect(eve, ann)
    await until(liar, lambda: len(texts(liar)) == 3)
    [peer] = liar.peers
    peer.send(change(another_head(own_core(hers), 2, 3)))
    await asyncio.wait_for(connection.wait_closed(), WAIT)
    assert isinstance(connection.close_reason, error)
    assert reason in str(connection.close_reason)
    assert not hers.feeds.disputed
    assert len(texts(hers)) == 3


async def test_evidence_of_feeds_that_are_not_here_waits_for_them_within_bounds(
    make_member: MakeMember, tmp_path: Path
) -> None:
    bob, eve, zoe = await make_member("bob"), await make_member("eve"), await make_member("zoe")
    his, liar, late = await bob.enter(ROOM), await eve.enter(ROOM), await zoe.enter(ROOM)
    connection = await connect(eve, bob)
    await until(his, lambda: bool(his.peers))
    await until(liar, lambda: bool(liar.peers))
    [to_bob], [from_eve] = liar.peers, his.peers
    async with lu.Corestore(tmp_path / "other") as store:
        await say(late, "hello")
        to_bob.send(another_head(own_core(late), 1, 2))
        for number in range(MAX_WAITING):
            core = await store.core(name=f"{number}")
            await core.append([b"one", b"two"])
            to_bob.send(another_head(core, 1, 2))
    await say(liar, "after that")
    await until(his, lambda: texts(his) == ["after that"])
    assert from_eve.dropped == 1
    assert not connection.closed
    await connect(zoe, bob)
    await until(his, lambda: disputed_from(his, own_core(late).key) == 1)
    assert texts(his) == ["after that"]


async def test_a_member_tells_of_many_conflicts_no_faster_than_others_listen(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disputes, "CONFLICT_GAP", 0.2)
    monkeypatch.setitem(peers.RATES, wire.MessageType.CONFLICT, Rate(10, 3))
    hers, his, eves = await three_members(make_member, 14)
    core = own_core(hers)
    for agreed in range(14, 0, -2):
        await his.feeds.dispute(core.key, *heads(another_head(core, agreed, agreed + 1)))
    await until(eves, lambda: disputed_from(eves, core.key) == disputed_from(his, core.key))
    assert not any(peer.dropped for session in (hers, eves) for peer in session.peers)


async def test_what_the_disputed_part_says_of_names_pictures_and_channels_goes_with_it(
    make_member: MakeMember, two_copies: TwoCopies
) -> None:
    ann, hers, copy, _ = two_copies
    bob, cat = await make_member("bob"), await make_member("cat")
    his, cats = await bob.enter(ROOM), await cat.enter(ROOM)
    room = MemoryRoom("physics", his, Alone())
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    await hers.write([IconBody("Ann at home", picture.getvalue()), ChannelBody("home"), TopicBody("home")])
    await connect(ann, bob)
    who = ann.identity.public_key
    await until(his, lambda: room.subject == "home")
    changed = asyncio.Event()
    room.on("update", lambda: changed.set())
    async with asyncio.timeout(WAIT):
        while not room.peers or not room.peers[0].avatar:
            changed.clear()
            await changed.wait()
    assert (room.name_of(who), [channel.name for channel in room.channels]) == ("Ann at home", ["home"])

    await connect(copy, cat)
    await until(cats, lambda: texts(cats)[3:] == ["on the road"])
    await connect(bob, cat)
    await until(his, lambda: not room.channels)
    assert (room.name_of(who), room.subject) == ("ann", "")
    assert [member.avatar for member in room.peers if member.key == who] == [None]
    await room.close()
