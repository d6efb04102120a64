"""What people do about each other, on real nodes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

import linkup_nb as lu
from linkup_nb.errors import InvalidInvite
from linkup_nb.rooms.memory.block import MessageBody
from linkup_nb.rooms.memory.message import RoomMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.waiting import WaitingRoom
from tests.rooms.memory.test_rooms import WAIT, joined, joined_room, node, texts, until


class Three(NamedTuple):
    """Ann has founded a room that Bob and Cat are in; each has said something."""

    ann: lu.Node
    bob: lu.Node
    cat: lu.Node
    hers: MemoryRoom
    his: MemoryRoom
    cats: MemoryRoom


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Three]:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(tmp_path / name, name)) for name in ("ann", "bob", "cat")]
        hers = await nodes[0].create_room("physics")
        rooms = [hers, *[await joined(one, hers.invite) for one in nodes[1:]]]
        for number, room in enumerate(rooms):
            await room.send(f"{number}")
            for other in rooms:
                await until(other, lambda other=other, number=number: len(other) == number + 1)  # type: ignore[misc]
        yield Three(nodes[0], nodes[1], nodes[2], rooms[0], rooms[1], rooms[2])


async def test_the_founder_is_known_by_the_rooms_secret(three: Three) -> None:
    for room in (three.hers, three.his, three.cats):
        await until(room, lambda room=room: room.founder == three.ann.public_key)  # type: ignore[misc]


async def test_who_is_removed_is_shown_to_nobody_from_then_on_and_comes_back_when_let_in(three: Three) -> None:
    _, bob, _, hers, his, cats = three
    await hers.remove(bob.public_key)
    await until(cats, lambda: cats.removed == (bob.public_key,))
    await until(his, lambda: his.removed == (bob.public_key,))
    with pytest.raises(lu.UsageError, match="You were removed from this room"):
        await his.send("I am still here")
    await his._session.write([MessageBody("from a program that does not ask")])
    await hers.send("without bob")
    device = bob.swarm.public_key
    await until(cats, lambda: len(cats) == 4)
    for room in (hers, cats):
        assert texts(room) == ["0", "1", "2", "without bob"]
        assert bob.public_key not in [member.key for member in room.peers]
        await until(room, lambda room=room: device not in {peer.device for peer in room._session.peers})  # type: ignore[misc]
    await hers.admit(bob.public_key)
    await until(cats, lambda: not cats.removed)
    for room in (hers, cats, his):
        await until(room, lambda room=room: len(room) == 5)  # type: ignore[misc]
        assert "from a program that does not ask" in texts(room)
    await his.send("back")
    await until(hers, lambda: texts(hers)[-1] == "back")


async def test_moderators_are_appointed_by_the_founder_and_remove_whoever_is_none(three: Three) -> None:
    ann, bob, cat, hers, his, cats = three
    for attempt in (his.remove(cat.public_key), his.hide(cat.public_key), his.admit(cat.public_key)):
        with pytest.raises(lu.UsageError, match="Only the founder and the moderators"):
            await attempt
    with pytest.raises(lu.UsageError, match="Only the founder of a room appoints"):
        await his.appoint(bob.public_key)
    await hers.appoint(bob.public_key)
    await until(his, lambda: his.moderators == (bob.public_key,))
    with pytest.raises(lu.UsageError, match="Nobody acts on the founder"):
        await his.remove(ann.public_key)
    with pytest.raises(lu.UsageError, match="This is you"):
        await his.remove(bob.public_key)
    await his.remove(cat.public_key)
    await until(hers, lambda: hers.removed == (cat.public_key,))
    await hers.appoint(bob.public_key, False)
    await until(his, lambda: not his.moderators)
    assert hers.removed == his.removed == (cat.public_key,)
    await until(cats, lambda: cats.removed == (cat.public_key,))


async def test_who_was_removed_is_not_let_in_by_an_invite(three: Three, tmp_path: Path) -> None:
    _, _, cat, hers, _, _ = three
    invite = await hers.create_invite()
    assert invite.link
    await hers.remove(cat.public_key)
    identity = (tmp_path / "cat" / "seed").read_bytes()
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "seed").write_bytes(identity)
    async with node(tmp_path / "again", "cat again") as again:
        waiting = await again.join(invite.link)
        assert isinstance(waiting, WaitingRoom)
        with pytest.raises(InvalidInvite, match="or you were removed"):
            await waiting.admitted(timeout=WAIT)


async def test_what_a_moderator_hides_is_hidden_for_who_follows_them(three: Three) -> None:
    _, bob, _, hers, his, cats = three
    await cats.set_follow_moderators(False)
    await hers.hide(hers[1], reason="spam")
    await until(his, lambda: his[1].hidden == "Hidden by a moderator: spam")
    assert [message.hidden for message in his.messages] == [None, "Hidden by a moderator: spam", None]
    await hers.hide(bob.public_key)
    await his.send("more")
    await until(hers, lambda: len(hers) == 4)
    assert hers[3].hidden == "Hidden by a moderator."
    await until(cats, lambda: len(cats) == 4)
    assert [message.hidden for message in cats.messages] == [None] * 4
    await hers.hide(hers[1], False)
    await hers.hide(bob.public_key, False)
    assert [message.hidden for message in hers.messages] == [None] * 4


async def test_what_one_mutes_blocks_and_hides_is_ones_own_affair_and_kept(three: Three, tmp_path: Path) -> None:
    _, bob, cat, hers, his, cats = three
    await his.mute(cat.public_key)
    await his.hide(his[0])
    assert [message.hidden for message in his.messages] == [
        "You have hidden this.",
        None,
        "You have muted who wrote this.",
    ]
    unread = his.unread
    await cats.send("muted")
    await until(his, lambda: len(his) == 4)
    assert his.unread == unread
    assert [message.hidden for message in hers.messages] == [None] * len(hers)
    assert not hers.removed
    with pytest.raises(lu.UsageError, match="This is you"):
        await his.mute(bob.public_key)
    await bob.close()
    async with node(tmp_path / "bob") as again:
        room = joined_room(again.rooms[0])
        assert room[2].hidden == "You have muted who wrote this."
        assert room[0].hidden == "You have hidden this."
        await room.mute(cat.public_key, False)
        await room.hide(room[0], False)
        assert {message.hidden for message in room.messages} == {None}


async def test_nobody_speaks_with_whom_one_has_blocked(three: Three) -> None:
    ann, _, _, hers, his, cats = three
    await his.block(ann.public_key)
    await until(his, lambda: ann.swarm.public_key not in {peer.device for peer in his._session.peers})
    assert his[0].hidden == "You have blocked who wrote this."
    await hers.send("who hears me?")
    await until(cats, lambda: texts(cats)[-1] == "who hears me?")
    await cats.send("I do")
    await until(his, lambda: texts(his)[-1] == "I do")
    assert "who hears me?" not in texts(his)
    await his.block(ann.public_key, False)
    await until(his, lambda: "who hears me?" in texts(his))
    assert all(isinstance(message, RoomMessage) and not message.hidden for message in his.messages)
