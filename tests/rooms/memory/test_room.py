import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.rooms.memory.book import Choices
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.message import RoomFileMessage, RoomMessage, RoomTextMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.rooms.memory.members import WAIT, TestMember, connect

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)


class Alone:
    """A node that has nothing to do when a room is left."""

    async def keep(self, room: MemoryRoom, choices: Choices) -> None: ...
    async def rename(self, room: MemoryRoom, name: str) -> None: ...

    async def leave(self, room: MemoryRoom, forget: bool) -> None:
        await room.close()


async def a_room(member: TestMember) -> MemoryRoom:
    return MemoryRoom("physics", await member.enter(ROOM), Alone())


async def two_rooms(make_member: MakeMember) -> tuple[MemoryRoom, MemoryRoom]:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await a_room(ann), await a_room(bob)
    await connect(ann, bob)
    return hers, his


async def comes(room: MemoryRoom, event: str, condition: Callable[[], bool]) -> None:
    happened = asyncio.Event()
    room.on(event, lambda *_: happened.set())
    async with asyncio.timeout(WAIT):
        while not condition():
            happened.clear()
            await happened.wait()


async def test_what_is_sent_is_a_live_object_on_both_sides(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    sent = await hers.send("**hello**")
    assert (sent.text, sent.own, sent.name, sent.unread) == ("**hello**", True, "ann", False)
    await comes(his, "message", lambda: len(his) == 1)
    received = his[-1]
    assert isinstance(received, RoomTextMessage)
    assert (received.text, received.own, received.name, received.unread) == ("**hello**", False, "ann", True)
    assert received == sent
    assert [message.id for message in his.messages] == [sent.id]
    assert his.message(sent.id) == received
    for id in ("", "x/1", f"{sent.id}1", "y" * 13 + "/0"):
        with pytest.raises(UsageError, match="There is no message"):
            his.message(id)
    assert [member.name for member in his.peers] == ["ann"]


async def test_answers_edits_reactions_and_retractions(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    sent = await hers.send("helo")
    await comes(his, "message", lambda: len(his) == 1)
    answer = await his[0].reply("hi ann")
    await his[0].react("👍")
    await sent.edit("hello")
    await comes(his, "change", lambda: his[0].edited)
    await comes(hers, "message", lambda: len(hers) == 2)
    await comes(hers, "change", lambda: bool(hers[0].reactions))
    for room in (hers, his):
        first = room[0]
        assert isinstance(first, RoomTextMessage)
        assert first.text == "hello"
        assert [edition.text for edition in first.edits] == ["helo", "hello"]
        assert {symbol: len(who) for symbol, who in first.reactions.items()} == {"👍": 1}
        assert [reply.id for reply in first.replies] == [answer.id]
        assert room[1].to == first.id
    await his[0].react("👍", remove=True)
    await hers[0].retract()
    await comes(his, "change", lambda: his[0].retracted)
    await comes(hers, "change", lambda: not hers[0].reactions)
    retracted = his[0]
    assert isinstance(retracted, RoomTextMessage)
    assert retracted.text == ""


async def test_only_the_author_changes_a_message(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    await hers.send("mine")
    await comes(his, "message", lambda: len(his) == 1)
    with pytest.raises(UsageError, match="only its author"):
        await his[0].edit("yours")
    with pytest.raises(UsageError, match="only its author"):
        await his[0].retract()


async def test_a_file_is_in_the_drive_of_its_author_with_its_versions(make_member: MakeMember, tmp_path: Path) -> None:
    hers, his = await two_rooms(make_member)
    (tmp_path / "a b.csv").write_bytes(b"1,2\n")
    first = await hers.send_file(tmp_path / "a b.csv")
    second = await hers.send_file(("a b.csv", b"3,4\n"))
    assert (first.path, second.path, second.version > first.version) == ("/files/a b.csv", "/files/a b.csv", True)
    await comes(his, "message", lambda: len(his) == 2)
    for message, data in zip(his.messages, (b"1,2\n", b"3,4\n"), strict=True):
        assert isinstance(message, RoomFileMessage)
        assert (message.file_name, message.size) == ("a b.csv", 4)
        assert await message.load(timeout=WAIT) == data


async def test_a_file_comes_from_whoever_has_it(make_member: MakeMember) -> None:
    ann, bob, eve = await make_member("ann"), await make_member("bob"), await make_member("eve")
    hers, his = await a_room(ann), await a_room(bob)
    connection = await connect(ann, bob)
    await hers.send_file(("a.txt", b"content"))
    await comes(his, "message", lambda: len(his) == 1)
    file = his[0]
    assert isinstance(file, RoomFileMessage)
    await file.load(timeout=WAIT)
    await connection.close()
    await ann.close()
    late = await a_room(eve)
    await connect(bob, eve)
    await comes(late, "message", lambda: len(late) == 1)
    file = late[0]
    assert isinstance(file, RoomFileMessage)
    assert await file.load(timeout=WAIT) == b"content"


async def test_a_message_is_proven_by_its_authors_signature(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    await hers.send("a claim")
    await comes(his, "message", lambda: len(his) == 1)
    await his[0].verify()
    provenance = await his[0].provenance()
    assert provenance.evidence.check().length == 2
    assert provenance.seq == 1


async def test_who_follows_a_room_gets_each_message_once_in_the_order_of_arrival(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    await hers.send("before")
    await comes(his, "message", lambda: len(his) == 1)
    seen: list[RoomMessage] = []

    async def follow() -> None:
        async for message in his:
            seen.append(message)
            if len(seen) == 300:
                return

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    for number in range(300):
        await hers.send(f"{number}")
    await asyncio.wait_for(following, WAIT)
    assert [message.text for message in seen if isinstance(message, RoomTextMessage)] == [str(n) for n in range(300)]


async def test_a_snapshot_does_not_change_and_reads_pages(make_member: MakeMember) -> None:
    room = await a_room(await make_member("ann"))
    for number in range(250):
        await room.send(f"{number}")
    messages = room.messages
    await room.send("later")
    texts = [message.text for message in messages if isinstance(message, RoomTextMessage)]
    assert texts == [str(number) for number in range(250)]
    assert len(messages) == 250
    assert [messages[at].id for at in (0, 124, 126, 249, -1)] == [
        list(messages)[at].id for at in (0, 124, 126, 249, 249)
    ]
    assert [message.id for message in reversed(messages)] == [message.id for message in messages][::-1]
    middle = messages[100]
    assert messages.around(middle, 4) == messages[98:103]
    assert messages[10:20:3] == tuple(messages[at] for at in (10, 13, 16, 19))
    assert messages.at(middle.timestamp - timedelta(days=1))[0] == messages[0]
    with pytest.raises(IndexError):
        messages[250]


async def test_what_is_unread_is_counted_until_it_is_read(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    await comes(hers, "update", lambda: bool(hers.peers))
    await hers.send("one")
    await hers.send("two @bob")
    await comes(his, "message", lambda: len(his) == 2)
    assert (his.unread, hers.unread) == (2, 0)
    assert [message.mentions_me for message in his.messages] == [False, True]
    await his.mark_read(his[0])
    assert his.unread == 1
    await his.mark_read()
    assert his.unread == 0


async def test_wrong_calls_are_answered_in_one_sentence(make_member: MakeMember) -> None:
    room = await a_room(await make_member("ann"))
    for call in (
        room.send("  "),
        room.send_file("/no/such/file"),
        room.send_audio(b""),
        room.clear(),
        room.send("x" * 70_000),
    ):
        with pytest.raises(UsageError, match=r"^[A-Z].*\.$"):
            await call
    await room.leave()
    with pytest.raises(NodeClosed):
        await room.send("too late")


async def test_nothing_shows_the_invite(make_member: MakeMember) -> None:
    room = await a_room(await make_member("ann"))
    message = await room.send("hello")
    shown = f"{room!r} {message!r} {room.messages!r} {room.peers!r} {vars(message)!r}"
    assert room.invite[7:27] not in shown
    assert ROOM.secret.hex() not in shown
    assert abs(message.received - datetime.now(UTC)) < timedelta(minutes=1)


async def test_what_was_said_is_found_by_its_words(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    for text in ("the Café is open", "a wonderful world", 'she said "well done"', "100% sure", "東京都に行く"):
        await hers.send(text)
    await comes(his, "message", lambda: len(his) == 5)

    async def found(text: str) -> list[str]:
        return [message.text for message in await his.search(text) if isinstance(message, RoomTextMessage)]

    assert await found("cafe") == ["the Café is open"]
    assert await found("wor* wonder*") == ["a wonderful world"]
    assert await found('"well done') == ['she said "well done"']
    assert await found("done well") == ['she said "well done"']
    assert await found("京都") == ["東京都に行く"]
    assert await found("100%") == ["100% sure"]
    assert await found("AND OR NOT (") == []
    await hers[1].edit("something else")
    await hers[0].retract()
    await comes(his, "change", lambda: his[0].retracted and his[1].edited)
    assert await found("wonderful") == await found("cafe") == []
    assert await found("something") == ["something else"]
    assert await his.search("else", from_=his.peers[0], channel="") == (his[1],)
    assert await his.search("e*", limit=1, before=his[1]) == ()
    with pytest.raises(UsageError, match="type a word"):
        await his.search("  ")


async def test_a_room_as_a_table(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    sent = await hers.send("one")
    await hers.create_channel("random")
    await comes(his, "message", lambda: len(his) == 1)
    answer = await his.send("two", to=his[0], channel="random")
    await his.send_file(("a.txt", b"abc"))
    table = his.to_pandas()
    assert list(table.index)[:2] == [sent.id, answer.id]
    assert list(table["kind"]) == ["text", "text", "file"]
    assert list(table["text"])[:2] == ["one", "two"]
    assert list(table["channel"]) == ["", "random", ""]
    assert list(table["to"].isna()) == [True, False, True]
    assert table["to"][answer.id] == sent.id
    assert list(table["size"]) == [3, 3, 3]
    assert table["state"][sent.id] == ""


async def test_a_room_is_followed_from_another_loop(make_member: MakeMember) -> None:
    """As a cell does, whose loop is not the node's."""
    hers, his = await two_rooms(make_member)
    seen: list[str] = []

    async def follow() -> None:
        started.set()
        async for message in his:
            seen.append(message.id)
            if len(seen) == 3:
                return

    started = threading.Event()
    following = asyncio.create_task(asyncio.to_thread(asyncio.run, asyncio.wait_for(follow(), WAIT)))
    await asyncio.to_thread(started.wait)
    sent = [await hers.send(f"{number}") for number in range(3)]
    await asyncio.wait_for(following, WAIT)
    assert seen == [message.id for message in sent]
