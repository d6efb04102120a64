import asyncio
import builtins
import io
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas
import pytest
from PIL import Image

import linkup_nb as lu
from linkup_nb.errors import FileTooLarge, NodeClosed, UnknownRoom
from linkup_nb.loops import Events
from linkup_nb.rooms.linkup import state
from linkup_nb.rooms.linkup.messages import MAX_FILE, MAX_TEXT
from linkup_nb.rooms.linkup.room import LinkUpRoom
from tests.rooms.nodes import MakeNode, until


async def pair(make_node: MakeNode) -> tuple[lu.Room, lu.Room]:
    """The same room at two nodes, each of which has seen the other."""
    kestrel, otter = await make_node("kestrel"), await make_node("otter")
    ours = await kestrel.create_room("lobby", linkup=True)
    theirs = await otter.join(ours.topic.hex())
    await until(lambda: [m.name for m in ours.peers] == ["otter"], ours)
    await until(lambda: [m.name for m in theirs.peers] == ["kestrel"], theirs)
    return ours, theirs


async def test_what_one_says_the_other_hears(make_node: MakeNode, tmp_path: Path) -> None:
    ours, theirs = await pair(make_node)
    path = tmp_path / "a.csv"
    path.write_bytes(b"1,2")
    await ours.send("**hello** ö")
    await ours.send_file(path)
    await ours.send_file(("../b.bin", bytes(9 * 1024 * 1024)))
    await ours.send_audio(b"webm")
    await until(lambda: len(theirs) == 4, theirs)

    text, file, large, audio = theirs.messages
    assert isinstance(text, lu.TextMessage)
    assert (text.text, text.name, text.key, text.own) == ("**hello** ö", "kestrel", ours[0].key, False)
    assert isinstance(file, lu.FileMessage)
    assert (file.file_name, file.data) == ("a.csv", b"1,2")
    assert isinstance(large, lu.FileMessage)
    assert (large.file_name, large.data) == ("b.bin", bytes(9 * 1024 * 1024))
    assert isinstance(audio, lu.AudioMessage)
    assert audio.data == b"webm"
    assert [message.index for message in theirs] == [0, 1, 2, 3]


async def test_names_of_files_arrive_as_they_are(make_node: MakeNode, tmp_path: Path) -> None:
    ours, theirs = await pair(make_node)
    names = [".env", "two  spaces.txt", "no end."]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
        await ours.send_file(tmp_path / name)
    await until(lambda: len(theirs) == len(names), theirs)
    for room in (ours, theirs):
        assert [message.file_name for message in room if isinstance(message, lu.FileMessage)] == names


async def test_a_room_shows_nothing_of_what_its_node_does_with_it(make_node: MakeNode) -> None:
    room = await (await make_node("kestrel")).create_room("lobby", linkup=True)
    assert isinstance(room, lu.Room)
    public = {name for name in dir(room) if not name.startswith("_")} - set(dir(Events))
    assert public == {
        *("name", "topic", "drive", "messages", "peers", "shares_name", "to_pandas"),
        *("send", "send_file", "send_audio", "clear", "rename", "leave"),
    }


async def test_a_message_stands_in_the_room_before_it_is_written(make_node: MakeNode) -> None:
    ours, theirs = await pair(make_node)
    order: list[tuple[str, int]] = []
    ours.on("message", lambda message: order.append(("message", message.recipients)))
    ours.on("delivery", lambda message: order.append(("delivery", message.recipients)))
    theirs.on("message", lambda _: order.append(("received", 0)))
    sent = await ours.send("hi")
    await until(lambda: len(theirs) == 1, theirs)
    assert order[0] == ("message", 0)
    assert ("delivery", 1) in order
    assert sent.recipients == 1
    assert ours[-1] is sent


async def test_messages_arrive_in_the_order_in_which_they_were_said(make_node: MakeNode) -> None:
    ours, theirs = await pair(make_node)
    await asyncio.gather(*(ours.send(str(number)) for number in range(300)))
    await until(lambda: len(theirs) == 300, theirs)
    assert [message.text for message in theirs.messages if isinstance(message, lu.TextMessage)] == [
        str(number) for number in range(300)
    ]


async def test_alone_a_message_has_no_recipients(make_node: MakeNode) -> None:
    room = await (await make_node("kestrel")).create_room("lobby", linkup=True)
    assert (await room.send("anyone?")).recipients == 0
    assert room.messages == (room[0],) == room[:]


async def test_giving_up_on_send_does_not_take_the_message_back(make_node: MakeNode) -> None:
    ours, theirs = await pair(make_node)
    sending = asyncio.create_task(ours.send("hi"))
    ours.once("message", lambda _: sending.cancel())
    with pytest.raises(asyncio.CancelledError):
        await sending
    await until(lambda: len(theirs) == 1, theirs)


async def test_iterating_waits_for_what_comes_next(make_node: MakeNode) -> None:
    ours, theirs = await pair(make_node)
    await ours.send("before")
    await until(lambda: len(theirs) == 1, theirs)
    coming = aiter(theirs)
    for text in ("one", "two", "three"):
        await ours.send(text)
    received = [await asyncio.wait_for(anext(coming), 5) for _ in range(3)]
    assert [message.text for message in received if isinstance(message, lu.TextMessage)] == ["one", "two", "three"]

    last = asyncio.ensure_future(anext(coming))
    await theirs.leave()
    with pytest.raises(StopAsyncIteration):
        await last


async def test_a_room_can_be_used_from_another_thread(make_node: MakeNode) -> None:
    ours, theirs = await pair(make_node)
    received: list[lu.Message] = []

    async def elsewhere() -> None:
        coming = aiter(ours)
        await ours.send("from a thread")
        received.append(await anext(coming))

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    await until(lambda: len(theirs) == 1, theirs)
    await asyncio.to_thread(thread.join)
    assert [message.index for message in received] == [0]


@pytest.mark.parametrize("text", ["", "  \n"])
async def test_nothing_is_not_sent(make_node: MakeNode, text: str) -> None:
    room = await (await make_node("kestrel")).create_room("lobby", linkup=True)
    with pytest.raises(lu.UsageError, match="type a message first"):
        await room.send(text)
    with pytest.raises(lu.UsageError, match="record again"):
        await room.send_audio(b"")
    assert len(room) == 0


async def test_what_is_too_large_is_refused_and_not_kept(make_node: MakeNode, tmp_path: Path) -> None:
    room = await (await make_node("kestrel")).create_room("lobby", linkup=True)
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(MAX_FILE + 1)
    with pytest.raises(FileTooLarge, match="over 10 MiB: send a smaller one"):
        await room.send_file(large)
    with pytest.raises(FileTooLarge):
        await room.send_file(("large.bin", bytes(MAX_FILE + 1)))
    with pytest.raises(lu.UsageError, match="send it as a file"):
        await room.send("x" * (MAX_TEXT + 1))
    for missing in (tmp_path / "missing", tmp_path):
        with pytest.raises(lu.UsageError, match="There is no file"):
            await room.send_file(missing)
    assert len(room) == 0


async def test_half_an_emoji_can_be_sent(make_node: MakeNode) -> None:
    ours, theirs = await pair(make_node)
    await ours.send("half \ud83d")
    await until(lambda: len(theirs) == 1, theirs)
    assert isinstance(theirs[0], lu.TextMessage)
    assert theirs[0].text == "half ?"


async def test_the_oldest_messages_go_first(make_node: MakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_MESSAGES", 3)
    room = await (await make_node("kestrel")).create_room("lobby", linkup=True)
    for number in range(5):
        await room.send(str(number))
    assert [message.index for message in room.messages] == [2, 3, 4]
    monkeypatch.setattr(state, "MAX_KEPT_BYTES", 2_000_000)
    for _ in range(4):
        await room.send_file(("a.bin", bytes(900_000)))
    assert [message.index for message in room.messages] == [7, 8]


async def test_clearing_keeps_counting(make_node: MakeNode) -> None:
    room = await (await make_node("kestrel")).create_room("lobby", linkup=True)
    cleared: list[bool] = []
    room.on("clear", lambda: cleared.append(True))
    await room.send("one")
    await room.clear()
    assert (room.messages, cleared, bool(room)) == ((), [True], True)
    assert (await room.send("two")).index == 1
    assert room[0].index == 1


async def test_after_leaving_nothing_can_be_said(make_node: MakeNode) -> None:
    ours, theirs = await pair(make_node)
    await theirs.send("bye")
    await theirs.leave()
    with pytest.raises(UnknownRoom, match="join it again by its topic"):
        await theirs.send("hello?")
    assert len(theirs) == 1
    await until(lambda: [member.status for member in ours.peers] == ["away"], ours)
    await theirs.leave()


async def test_after_the_node_is_closed_nothing_can_be_said(make_node: MakeNode) -> None:
    node = await make_node("kestrel")
    room = await node.create_room("lobby", linkup=True)
    await node.close()
    with pytest.raises(NodeClosed):
        await room.send("hello?")


async def test_a_room_is_one_line_without_its_topic(make_node: MakeNode) -> None:
    room = await (await make_node("kestrel")).create_room("lobby", linkup=True)
    assert repr(room) == f"<Room 'lobby' {room.topic.hex()[:6]}…, 0 messages, 0 peers>"


async def test_the_messages_as_a_table(make_node: MakeNode) -> None:
    node = await make_node("kestrel")
    room = await node.create_room("lobby", linkup=True)
    await room.send("hi")
    await room.send_file(("a.csv", b"1,2"))
    table = room.to_pandas()
    assert list(table.columns) == ["time", "name", "key", "kind", "text", "file", "size", "own", "recipients"]
    assert list(table["kind"]) == ["text", "file"]
    assert table.loc[1, "size"] == 3
    assert isinstance(table.loc[0, "time"], pandas.Timestamp)
    await room.clear()
    assert len(room.to_pandas()) == 0


async def test_without_pandas_one_sentence_says_what_to_do(
    make_node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await (await make_node("kestrel")).create_room("lobby", linkup=True)
    real = builtins.__import__

    def no_pandas(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, globals, locals, fromlist or (), level)

    monkeypatch.setattr(builtins, "__import__", no_pandas)
    with pytest.raises(lu.UsageError, match="run %pip install pandas, then try again"):
        room.to_pandas()


class Drawn:
    """Shows itself as a picture, as a figure of matplotlib does."""

    def __init__(self, picture: bytes) -> None:
        self._picture = picture

    def _repr_png_(self) -> bytes:
        return self._picture


async def test_anything_else_is_sent_as_the_nearest_that_linkup_shows(make_node: MakeNode) -> None:
    ours, theirs = await pair(make_node)
    out = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(out, "PNG")
    await ours.send(pandas.DataFrame({"a": [1], "b": ["x"]}))
    await ours.send(Drawn(out.getvalue()))
    await ours.send({"key": "``` not the end"})
    await ours.send("x" * 20_000)
    await ours.send(["x" * 20_000])
    await until(lambda: len(theirs) == 5, theirs)
    table, picture, code, text, long = theirs.messages
    assert isinstance(table, lu.FileMessage)
    assert (table.file_name, table.data) == ("table.csv", b"a,b\n1,x\n")
    assert isinstance(picture, lu.FileMessage)
    assert (picture.file_name, picture.data) == ("picture.png", out.getvalue())
    assert isinstance(code, lu.TextMessage)
    assert code.text == "````\n{'key': '``` not the end'}\n````"
    assert isinstance(text, lu.TextMessage)
    assert isinstance(long, lu.FileMessage)
    assert long.file_name == "output.txt"


async def test_the_name_of_a_room_is_kept(tmp_path: Path) -> None:
    async with lu.Node(tmp_path, discovery=[]) as node:
        await node.create_room("other", linkup=True)
        room = await node.create_room("lobby", linkup=True)
        assert isinstance(room, LinkUpRoom)
        await room.leave()
        await room.rename("gone")
        assert [room.name for room in node.rooms] == ["other"]
        other = node.rooms[0]
        assert isinstance(other, LinkUpRoom)
        await other.rename("physics")
        assert other.name == "physics"
    async with lu.Node(tmp_path, discovery=[]) as node:
        assert [room.name for room in node.rooms] == ["physics"]
