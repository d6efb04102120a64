"""Feeds that come by whole subtrees: as fast as they can be hashed, and nothing that is false."""

import asyncio
from typing import Any

import pytest

import linkup_nb as lu
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.subtrees import RUN
from linkup_nb.rooms.memory import runs
from linkup_nb.rooms.memory.block import MessageBody
from linkup_nb.rooms.memory.peer import RoomPeer
from linkup_nb.rooms.memory.runs import MAX_WAITING
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.wire import rooms as wire
from tests.rooms.memory.members import WAIT, connect, texts, until
from tests.rooms.memory.test_strange_feeds import ROOM, MakeMember

MANY = 5 * RUN + 100


def spy(session: RoomSession) -> list[Any]:
    """The answers with something in them that a session gets from now on."""
    answers: list[Any] = []
    received = session.runs.received

    def watched(peer: Any, message: Any) -> None:
        if isinstance(message, wire.Skeleton | wire.Run) and (
            getattr(message, "nodes", None) or getattr(message, "blocks", None)
        ):
            answers.append(message)
        received(peer, message)

    session.runs.received = watched  # type: ignore[method-assign]
    return answers


async def closed(peer: RoomPeer) -> str:
    """Why the connection with a peer has ended, once it has."""
    connection = peer.channels.connection
    assert isinstance(connection, lu.Connection)
    await asyncio.wait_for(connection.wait_closed(), WAIT)
    return str(connection.close_reason)


async def fill(session: RoomSession, count: int = MANY, text: str = "message") -> Core:
    await session.write([MessageBody(f"{text} {number}") for number in range(count)])
    assert session.feeds.own is not None
    return session.feeds.own


async def test_a_newcomer_gets_whole_subtrees_and_the_rest_block_by_block(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    own = await fill(hers)
    answers = spy(his)
    await connect(ann, bob)
    await until(his, lambda: len(texts(his)) == MANY)
    assert texts(his) == texts(hers)
    copy = his.feeds.core(own.key)
    assert copy is not None
    assert copy.contiguous_length == own.length
    [skeleton, *came] = answers
    assert len(skeleton.nodes) == own.length // RUN
    assert len(came) == own.length // RUN
    assert sum(len(run.blocks) for run in came) == own.length // RUN * RUN
    assert (await copy.audit()).faults == ()
    carol = await make_member("carol")  # what came so is passed on so, and block by block with its proof
    theirs = await carol.enter(ROOM)
    passed_on = spy(theirs)
    await ann.cut()
    await bob.cut()
    await connect(bob, carol)
    await until(theirs, lambda: len(texts(theirs)) == MANY)
    assert len(passed_on) == 1 + own.length // RUN
    await copy.verify(await copy.proof(3))


async def test_a_peer_that_cannot_gets_all_the_same(make_member: MakeMember, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    monkeypatch.setattr(RoomSession, "flags", 0)
    answers = spy(his)
    await fill(hers)
    await connect(ann, bob)
    await until(his, lambda: len(texts(his)) == MANY)
    assert answers == []


async def test_runs_that_are_too_large_or_not_whole_come_block_by_block(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob, carol = await make_member("ann"), await make_member("bob"), await make_member("carol")
    hers, his, theirs = await ann.enter(ROOM), await bob.enter(ROOM), await carol.enter(ROOM)
    own = await fill(hers)
    monkeypatch.setattr(wire, "MAX_RUN_BYTES", 100)
    answers = spy(his)
    await connect(ann, bob)
    await until(his, lambda: len(texts(his)) == MANY)
    assert [type(answer) for answer in answers] == [wire.Skeleton]
    monkeypatch.undo()
    await ann.cut()
    copy = his.feeds.core(own.key)
    assert copy is not None
    await copy.clear(2 * RUN + 7)
    some = spy(theirs)
    await connect(bob, carol)
    await until(
        theirs, lambda: len(theirs.feeds.rows) == 3 and some.count(None) == 0 and len(some) == own.length // RUN
    )
    assert 2 * RUN not in {run.id for run in some if isinstance(run, wire.Run) and len(run.blocks) != RUN}
    await connect(ann, carol)
    await until(theirs, lambda: len(texts(theirs)) == MANY)


@pytest.mark.parametrize("lie", ["block", "node", "count"])
async def test_who_sends_a_false_one_is_hung_up_on_and_nothing_of_it_is_kept(make_member: MakeMember, lie: str) -> None:
    ann, eve = await make_member("ann"), await make_member("eve")
    hers, liar = await ann.enter(ROOM), await eve.enter(ROOM)
    own = await fill(liar, 1)
    await connect(ann, eve)
    await until(hers, lambda: len(texts(hers)) == 1)
    await ann.cut()
    await eve.cut()
    await fill(liar)
    answer = liar.runs._answer

    def lying(request: Any) -> Any:
        true = answer(request)
        if isinstance(true, wire.Run) and true.blocks and lie == "block":
            return wire.Run(true.id, (*true.blocks[:9], bytes(len(true.blocks[9])), *true.blocks[10:]))
        if isinstance(true, wire.Run) and true.blocks and lie == "count":
            return wire.Run(true.id, true.blocks[:-1])
        if isinstance(true, wire.Skeleton) and true.nodes and lie == "node":
            [(index, size, hash), *rest] = true.nodes
            return wire.Skeleton(true.id, ((index, size + 1, hash), *rest))
        return true

    liar.runs._answer = lying  # type: ignore[method-assign]
    await connect(ann, eve)
    await until(hers, lambda: bool(hers.peers))
    [peer] = hers.peers
    reason = await closed(peer)
    assert "not those of" in reason or "A subtree has 256 blocks" in reason
    copy = hers.feeds.core(own.key)
    assert copy is not None
    assert (await copy.audit()).faults == ()


async def test_a_peer_that_requests_without_reading_is_hung_up_on(make_member: MakeMember) -> None:
    ann, eve = await make_member("ann"), await make_member("eve")
    hers, his = await ann.enter(ROOM), await eve.enter(ROOM)
    own = await fill(hers)
    await connect(ann, eve)
    await until(his, lambda: bool(his.peers and hers.peers))
    [peer], [seen] = his.peers, hers.peers
    [partner] = hers.runs._partners.values()
    partner.ready = False  # as after answers that are not read
    for number in range(MAX_WAITING + 1):
        peer.send(wire.RunRequest(number, own.key[: wire.TAG_SIZE], 0))
    assert "without reading the answers" in await closed(seen)


async def test_who_does_not_answer_delays_nothing_for_ever(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "ANSWER_TIMEOUT", 0.2)
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    await fill(hers)
    hers.runs.received = lambda peer, message: None  # type: ignore[method-assign]
    await connect(ann, bob)
    await until(his, lambda: len(texts(his)) == MANY)
