"""What a panel shows of a room with memory, between two nodes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import linkup_nb as lu
from linkup_nb.notebook.chat import history
from linkup_nb.notebook.chat.feed import WINDOW
from linkup_nb.notebook.chat.history import HistoryFeed, place_of_row, row_place
from linkup_nb.notebook.chat.rendering import Avatars, Meter, Renderer
from linkup_nb.notebook.chat.updates import Row
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.rooms.nodes import PATIENCE, until

Rooms = tuple[MemoryRoom, MemoryRoom]


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    """A room of kestrel's, and otter in it."""

    def node(name: str) -> lu.Node:
        return lu.Node(tmp_path / name, name=name, discovery=[lu.Local(mdns=False)])

    async with asyncio.timeout(PATIENCE), node("kestrel") as kestrel, node("otter") as otter:
        room = await kestrel.create_room("physics")
        theirs = await otter.join(room.invite)
        assert isinstance(theirs, MemoryRoom)
        await until(lambda: any(peer.here for peer in room.peers), room, kestrel)
        yield room, theirs


def feed_of(room: MemoryRoom, channel: str = "") -> HistoryFeed:
    return HistoryFeed(room, channel, Renderer(Avatars(), Meter()))


def texts(rows: list[Row]) -> list[str]:
    return [row.text or row.html or "" for row in rows if row.kind != "notice"]


async def arrived(room: MemoryRoom, count: int) -> None:
    await until(lambda: len(room) >= count, room)


async def test_every_window_fits_to_the_next_and_notices_stand_among_the_rows(rooms: Rooms) -> None:
    room, _ = rooms
    feed = feed_of(room)
    for number in range(25):
        await room.send(f"n {number}")
    newest = feed.newest(10, {})
    assert (texts(newest.rows), newest.start, newest.end) == ([f"n {n}" for n in range(15, 25)], False, True)
    earlier = feed.before(newest.rows[0].place, 10, {})
    first = feed.before(earlier.rows[0].place, 30, {})
    assert (texts(earlier.rows), first.start) == ([f"n {n}" for n in range(5, 15)], True)
    assert [row.html for row in first.rows[:2]] == [
        "<p><strong>kestrel</strong> joined</p>\n",
        "<p><strong>kestrel</strong> made this room</p>\n",
    ]
    assert feed.after(earlier.rows[-1].place, 10, {}).rows == newest.rows
    places = [row.place for row in (*first.rows, *earlier.rows, *newest.rows)]
    assert places == sorted(places)
    assert all(row_place(place_of_row(place)) == place for place in places)
    middle = feed.around(newest.rows[0].id, 4, {})
    assert texts(middle.rows) == ["n 13", "n 14", "n 15", "n 16", "n 17"]
    assert feed.around("nonsense", 10, {}).rows == newest.rows
    for wrong in ("", "nonsense", "f" * 64):
        assert len(feed.before(wrong, 10, {}).rows) <= 10


async def test_what_others_make_of_a_message_is_a_change_of_its_row(rooms: Rooms) -> None:
    room, theirs = rooms
    feed = feed_of(room)
    sent = await room.send("Looks critical. Did you keep the seeds?")
    await arrived(theirs, 1)
    version = feed.version
    reply = await theirs[0].reply("All of them, @kestrel")
    await theirs[0].react("👍")
    await until(lambda: bool(room[0].reactions) and len(room) == 2, room)
    await reply.edit("All of them, **@kestrel**")
    changed = asyncio.Event()
    feed.on("changed", changed.set)
    while True:
        rows = {row.id: row for row in feed.news(version, 100, {}) or []}
        if reply.id in rows and rows[reply.id].edited and rows[sent.id].reactions:
            break
        changed.clear()
        await changed.wait()
    row = rows[reply.id]
    assert row.reply
    assert (row.reply.id, row.reply.name, row.reply.text) == (
        sent.id,
        "kestrel",
        "Looks critical. Did you keep the seeds?",
    )
    assert (row.html, row.source) == ("<p>All of them, <strong>@kestrel</strong></p>\n", "All of them, **@kestrel**")
    assert row.mention
    assert row.actions == ["reply", "react", "copy", "verify", "hide", "mute", "block", "remove"]
    [reaction] = rows[sent.id].reactions
    assert (reaction.symbol, reaction.count, reaction.own, reaction.names) == ("👍", 1, False, ["otter"])
    assert rows[sent.id].actions == ["reply", "react", "copy", "edit", "retract", "verify"]
    assert rows[sent.id].delivery == "held by 1"

    await reply.retract()
    while not (last := feed.row(reply.id, {})) or not last.retracted:
        changed.clear()
        await changed.wait()
    assert (last.text, last.html, last.actions) == (None, None, ["verify", "hide", "mute", "block", "remove"])


async def test_one_begins_at_what_is_unread_and_reads_what_one_sees(rooms: Rooms) -> None:
    room, theirs = rooms
    feed = feed_of(room)
    await theirs.send("first")
    await arrived(room, 1)
    await room.mark_read()
    for number in range(WINDOW + 5):
        await theirs.send(f"n {number}")
    await arrived(room, WINDOW + 6)
    window = feed.first({})
    assert window.divider
    assert texts(window.rows)[:2] == ["first", "n 0"]
    assert (window.end, feed.unread) == (False, WINDOW + 5)
    ids = [row.id for row in window.rows if row.unread][:3]
    await feed.read(ids, None, None)
    assert feed.unread == WINDOW + 2
    assert not any(row.unread for row in feed.around(ids[0], 4, {}).rows if row.id in ids)
    newest = feed.newest(10, {})
    await feed.read([], ids[0] and window.rows[0].place, newest.rows[-1].place)
    assert feed.unread == 0
    assert feed.first({}).end


async def test_with_very_much_unread_one_begins_at_the_newest(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    room, theirs = rooms
    monkeypatch.setattr(history, "MAX_UNREAD", 5)
    for number in range(6):
        await theirs.send(f"n {number}")
    await arrived(room, 6)
    window = feed_of(room).first({})
    assert (window.divider, window.end) == (None, True)


async def test_channels_are_apart(rooms: Rooms) -> None:
    room, _ = rooms
    channel = await room.create_channel("results")
    main, results = feed_of(room), feed_of(room, "results")
    await room.send("in the main channel")
    await channel.send("in the other")
    assert texts(main.newest(10, {}).rows) == ["in the main channel"]
    assert [row.text for row in results.newest(10, {}).rows] == ["in the other"]
    assert "made the channel results" in str(main.newest(10, {}).rows)
    assert (main.version, results.version) == (1, 1)


async def test_who_is_muted_is_folded_and_who_is_blocked_or_removed_is_not_shown(rooms: Rooms) -> None:
    room, theirs = rooms
    feed = feed_of(room)
    sent = await theirs.send("**hello**")
    await arrived(room, 1)
    epoch = feed.epoch
    await room.mute(sent.key)
    assert feed.epoch != epoch
    row = feed.row(sent.id, {})
    assert row
    assert (row.hidden, row.html) == ("You have muted who wrote this.", "<p><strong>hello</strong></p>\n")
    await room.mute(sent.key, on=False)
    await room.block(sent.key)
    row = feed.row(sent.id, {})
    assert row
    assert (row.hidden, row.html, row.text) == ("You have blocked who wrote this.", None, None)


async def test_answers_to_commands_stand_at_the_end_and_are_few(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    room, _ = rooms
    monkeypatch.setattr(history, "MAX_NOTICES", 2)
    feed = feed_of(room)
    await room.send("one")
    for number in range(3):
        feed.notice(f"answer {number}")
    await room.send("two")
    shown = [row.text or row.html for row in feed.newest(10, {}).rows]
    assert shown[-4:] == ["one", "<p>answer 1</p>\n", "<p>answer 2</p>\n", "two"]


async def test_only_so_many_rows_are_kept_as_they_were_rendered(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    room, _ = rooms
    monkeypatch.setattr(history, "MAX_RENDERED", 3)
    feed = feed_of(room)
    for number in range(6):
        await room.send(f"n {number}")
    feed.newest(10, {})
    assert len(feed._rendered) == 3


HOSTILE = "<img src=x onerror=alert(1)>"


async def test_what_strangers_call_things_is_only_text(rooms: Rooms) -> None:
    room, theirs = rooms
    feed = feed_of(room)
    await theirs.create_channel(HOSTILE[:30])
    await theirs.set_subject(f"{HOSTILE} **bold** {{name}} {{0.__class__}}")
    sent = await theirs.send(HOSTILE)
    await sent.react("<b>x</b>")
    await theirs.send_file((f"{HOSTILE}.png", b"\x89PNG not a picture"))
    await until(lambda: len(room) == 2 and bool(room[0].reactions), room)
    for row in feed.newest(20, {}).rows:
        assert "<img" not in (row.html or "")
        assert "**bold**" not in (row.html or "") or "<strong>bold" not in (row.html or "")
    [file] = [row.file for row in feed.newest(20, {}).rows if row.file]
    assert (file.mime, file.inline) == ("application/octet-stream", False)


async def test_a_late_row_says_when_it_came(rooms: Rooms) -> None:
    room, theirs = rooms
    sent = await theirs.send("written long ago, as its clock says")
    await arrived(room, 1)
    message = room[0]
    late = type(message)(**{f: getattr(message, f) for f in message.__dataclass_fields__} | {"late": True})
    row = Renderer(Avatars(), Meter()).row(room, late, sent.id, "", {})
    assert row.received == round(message.received.timestamp() * 1000)
    assert message.received - datetime.now(UTC) < timedelta(0)
