import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pygments.lexers import PythonLexer

from linkup_nb import Node, Room
from linkup_nb.notebook.chat import feed as feeds
from linkup_nb.notebook.chat.feed import Avatars, Feed, Line, Meter, feeds_of
from linkup_nb.rooms.avatar import generated_avatar
from linkup_nb.rooms.linkup import state
from linkup_nb.rooms.message import FileMessage, TextMessage, UnknownMessage
from tests.rooms.nodes import add_member, receive

OTTER, HERON = bytes(range(32)), bytes(32)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with Node(tmp_path / "kestrel", name="kestrel", discovery=[]) as node:
        yield node


@pytest.fixture
async def room(node: Node) -> Room:
    return await node.create_room("lobby", linkup=True)


@pytest.fixture
async def feed(room: Room) -> Feed:
    return Feed(room, Avatars(), Meter())


def hear(room: Room, text: str, key: bytes = OTTER, name: str = "otter") -> None:
    """Have a stranger say something, as the lobby would."""
    add_member(room, key, name)
    receive(room, TextMessage(name=name, key=key, topic=room.topic, timestamp=NOON, received=NOON, text=text))


def fields(feed: Feed) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(feed.prepare(line, {})) for line in feed.since(0, 100)]


async def test_rows_are_numbered_and_rendered_once(room: Room, feed: Feed) -> None:
    hear(room, "plain")
    hear(room, "**bold**")
    plain, bold = fields(feed)
    assert plain == {
        "seq": 0,
        "kind": "text",
        "name": "otter",
        "key": OTTER.hex(),
        "time": round(NOON.timestamp() * 1000),
        "text": "plain",
    }
    assert (bold["seq"], bold["html"]) == (1, "<p><strong>bold</strong></p>\n")
    [_, line] = feed.since(0, 2)
    assert feed.prepare(line, {}) is line.row


async def test_what_was_said_before_the_panel_was_opened_is_there(room: Room) -> None:
    hear(room, "early")
    await room.send("mine")
    feed = Feed(room, Avatars(), Meter())
    assert [row["text"] for row in fields(feed)] == ["early", "mine"]
    assert feed.unread == 1


async def test_a_shared_name_comes_with_a_short_key(room: Room, feed: Feed) -> None:
    hear(room, "hi")
    hear(room, "hi", HERON, "OTTER")
    first, second = fields(feed)
    assert (first["short"], second["short"]) == (room[0].short_key, room[1].short_key)


async def test_what_a_stranger_calls_a_type_is_only_text(room: Room, feed: Feed) -> None:
    about: dict[str, Any] = {"name": "otter", "key": OTTER, "topic": room.topic, "timestamp": NOON, "received": NOON}
    receive(room, UnknownMessage(**about, type="**poll** <b>", fields={"x": 1}))
    assert fields(feed)[0]["html"] == (
        "<p>A message of a type that this version does not know: <strong>**poll** &lt;b&gt;</strong></p>\n"
    )


async def test_a_delivery_reaches_the_row(room: Room, feed: Feed) -> None:
    delivered: list[Line] = []
    feed.on("delivered", delivered.append)
    sending = asyncio.ensure_future(room.send("to nobody"))
    await asyncio.sleep(0)
    assert "recipients" not in fields(feed)[0]
    await sending
    assert [line.message for line in delivered] == [room[0]]
    assert fields(feed)[0]["recipients"] == 0


async def test_clearing_the_room_starts_anew(room: Room, feed: Feed) -> None:
    hear(room, "old")
    epoch = feed.epoch
    await room.clear()
    assert (feed.first, feed.end, feed.unread) == (0, 0, 0)
    assert feed.epoch != epoch
    hear(room, "new")
    assert [row["seq"] for row in fields(feed)] == [0]


async def test_rows_go_with_their_messages(room: Room, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_MESSAGES", 2)
    for number in range(5):
        hear(room, f"number {number}")
    assert (feed.first, feed.end) == (3, 5)
    assert feed.line(2) is None
    assert [row["text"] for row in fields(feed)] == ["number 3", "number 4"]


async def test_notices_cannot_pile_up(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_ROWS", 3)
    for number in range(5):
        feed.notice(f"*{number}*")
    assert [row["html"] for row in fields(feed)] == [f"<p><em>{number}</em></p>\n" for number in (2, 3, 4)]


async def test_html_cannot_pile_up(room: Room, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_ROWS_BYTES", 2_000)
    for _ in range(5):
        hear(room, "*x* " * 100)
    for line in list(feed.since(0, 100)):
        feed.prepare(line, {})
    assert (feed.first, feed.end) == (4, 5)


async def test_unread_rows_are_those_of_others_after_the_one_seen(room: Room, feed: Feed) -> None:
    hear(room, "one")
    await room.send("mine")
    hear(room, "two")
    feed.notice("ours")
    assert feed.unread == 2
    feed.read(1)
    assert feed.unread == 1
    feed.read(0)
    assert (feed.seen, feed.unread) == (1, 1)
    feed.read(10**9)
    hear(room, "three")
    assert feed.unread == 1
    feed.read(4)
    assert feed.unread == 0


async def test_the_picture_of_a_stranger_is_known_by_its_content() -> None:
    avatars = Avatars()
    picture = generated_avatar("o", OTTER)
    name = avatars.name(picture)
    assert name
    assert avatars.name(bytes(bytearray(picture))) == name
    assert avatars.find(name) == ("image/png", picture)
    assert avatars.name(None) is None
    assert avatars.find("nonsense") is None


async def test_only_so_many_pictures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_AVATARS", 2)
    avatars = Avatars()
    names = [avatars.name(picture) or "" for picture in (b"one", b"two", b"three")]
    assert [avatars.find(name) is not None for name in names] == [False, True, True]


async def test_an_author_who_costs_too_much_is_shown_as_typed(
    room: Room, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "RENDER_BURST", 0.001)
    monkeypatch.setattr(feeds, "RENDER_FREE", 0.0)
    monkeypatch.setattr(feeds, "RENDER_SHARE", 0.0)
    hear(room, "![" * 2_000)
    hear(room, "**bold**")
    hear(room, "**bold**", HERON)
    _, second, third = fields(feed)
    assert second["html"] == "<p>**bold**</p>"
    assert third["html"] == "<p><strong>bold</strong></p>\n"


async def test_a_text_that_pygments_fails_on_is_shown_as_typed(
    room: Room, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PythonLexer, "get_tokens", None)
    hear(room, "```python\nx\n```")
    hear(room, "**next**")
    first, second = fields(feed)
    assert first["html"] == "<p>```python<br>x<br>```</p>"
    assert second["html"] == "<p><strong>next</strong></p>\n"


async def test_only_so_many_authors_are_metered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_AUTHORS", 2)
    meter = Meter()
    for number in range(5):
        meter.render("**x**", bytes([number]))
    assert len(meter._accounts) == 2


async def test_a_file_is_described_without_its_bytes(room: Room, feed: Feed) -> None:
    about: dict[str, Any] = {"name": "otter", "key": OTTER, "topic": room.topic, "timestamp": NOON, "received": NOON}
    receive(room, FileMessage(**about, file_name="a.csv", data=b"1,2"))
    assert fields(feed)[0]["file"] == {
        "name": "a.csv",
        "size": 3,
        "mime": "application/octet-stream",
        "inline": False,
    }


async def test_all_panels_of_a_node_share_its_feeds_until_it_closes(node: Node, room: Room) -> None:
    shared = feeds_of(node)
    feed = shared.of(room)
    assert feeds_of(node) is shared
    assert shared.of(room) is feed
    await room.leave()
    hear(room, "after we left")
    assert feed.end == 0
    await node.close()
    assert feeds_of(node) is not shared
