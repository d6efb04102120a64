import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pygments.lexers import PythonLexer

from linkup_nb import Node, Room
from linkup_nb.notebook.chat import changes, rendering
from linkup_nb.notebook.chat import feed as feeds
from linkup_nb.notebook.chat.feed import LineFeed
from linkup_nb.notebook.chat.feeds import feeds_of
from linkup_nb.notebook.chat.rendering import Avatars, Meter, Renderer
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
async def feed(room: Room) -> LineFeed:
    return of(room)


def of(room: Room) -> LineFeed:
    return LineFeed(room, Renderer(Avatars(), Meter()))


def hear(room: Room, text: str, key: bytes = OTTER, name: str = "otter") -> None:
    """Have a stranger say something, as the lobby would."""
    add_member(room, key, name)
    receive(room, TextMessage(name=name, key=key, topic=room.topic, timestamp=NOON, received=NOON, text=text))


def fields(feed: LineFeed) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(row) for row in feed.newest(100, {}).rows]


def number(seq: int) -> str:
    return f"{seq:012d}"


async def test_rows_are_in_order_and_rendered_once(room: Room, feed: LineFeed) -> None:
    hear(room, "plain")
    hear(room, "**bold**")
    plain, bold = fields(feed)
    assert plain == {
        "id": number(0),
        "place": number(0),
        "kind": "text",
        "name": "otter",
        "key": OTTER.hex(),
        "time": round(NOON.timestamp() * 1000),
        "text": "plain",
        "unread": True,
    }
    assert bold["html"] == "<p><strong>bold</strong></p>\n"
    assert plain["place"] < bold["place"]
    assert feed.row(bold["id"], {}) is feed.row(bold["id"], {})


async def test_every_window_of_a_room_fits_to_the_next(room: Room, feed: LineFeed) -> None:
    for each in range(25):
        hear(room, f"n {each}")
    newest = feed.newest(10, {})
    assert (newest.start, newest.end) == (False, True)
    earlier = feed.before(newest.rows[0].place, 10, {})
    first = feed.before(earlier.rows[0].place, 10, {})
    assert (first.start, first.end) == (True, False)
    assert [row.text for row in (*first.rows, *earlier.rows, *newest.rows)] == [f"n {each}" for each in range(25)]
    again = feed.after(first.rows[-1].place, 10, {})
    assert again.rows == earlier.rows
    middle = feed.around(number(12), 10, {})
    assert [row.text for row in middle.rows] == [f"n {each}" for each in range(7, 17)]
    assert feed.around("nonsense", 10, {}).rows == newest.rows
    assert feed.before("nonsense", 10, {}).rows == []


async def test_one_begins_at_what_is_unread_with_a_little_before_it(room: Room, feed: LineFeed) -> None:
    for each in range(200):
        hear(room, f"n {each}")
    assert feed.first({}).end
    await feed.read([number(99)], None, None)
    window = feed.first({})
    assert window.divider == number(100)
    assert [row.text for row in window.rows[:3]] == ["n 98", "n 99", "n 100"]
    assert (window.start, window.end) == (False, False)
    assert [row.unread for row in window.rows[:3]] == [False, False, True]


async def test_a_page_that_has_been_away_gets_what_changed(
    room: Room, feed: LineFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear(room, "old")
    version = feed.version
    hear(room, "new")
    sent = await room.send("mine")
    news = feed.news(version, 10, {})
    assert news is not None
    assert [(row.text, row.delivery) for row in news] == [("new", None), ("mine", "nobody was here")]
    assert sent.recipients == 0
    assert feed.news(feed.version, 10, {}) == []
    assert feed.news(version, 1, {}) is None
    assert feed.news(feed.version + 1, 10, {}) is None
    monkeypatch.setattr(changes, "MAX_CHANGES", 1)
    hear(room, "newer")
    assert feed.news(version, 10, {}) is None


async def test_what_was_said_before_the_panel_was_opened_is_there(room: Room) -> None:
    hear(room, "early")
    await room.send("mine")
    feed = of(room)
    assert [row["text"] for row in fields(feed)] == ["early", "mine"]
    assert feed.unread == 1


async def test_a_shared_name_comes_with_a_short_key(room: Room, feed: LineFeed) -> None:
    hear(room, "hi")
    hear(room, "hi", HERON, "OTTER")
    first, second = fields(feed)
    assert (first["short"], second["short"]) == (room[0].short_key, room[1].short_key)


async def test_what_a_stranger_calls_a_type_is_only_text(room: Room, feed: LineFeed) -> None:
    about: dict[str, Any] = {"name": "otter", "key": OTTER, "topic": room.topic, "timestamp": NOON, "received": NOON}
    receive(room, UnknownMessage(**about, type="**poll** <b>", fields={"x": 1}))
    assert fields(feed)[0]["html"] == (
        "<p>A message of a type that this version does not know: <strong>**poll** &lt;b&gt;</strong></p>\n"
    )


async def test_a_delivery_reaches_the_row(room: Room, feed: LineFeed) -> None:
    sending = asyncio.ensure_future(room.send("to nobody"))
    await asyncio.sleep(0)
    assert "delivery" not in fields(feed)[0]
    version = feed.version
    await sending
    assert feed.version > version
    assert fields(feed)[0]["delivery"] == "nobody was here"


async def test_clearing_the_room_starts_anew(room: Room, feed: LineFeed) -> None:
    hear(room, "old")
    epoch = feed.epoch
    await room.clear()
    assert (feed.empty, feed.unread) == (True, 0)
    assert feed.epoch != epoch
    hear(room, "new")
    assert [row["text"] for row in fields(feed)] == ["new"]


async def test_rows_go_with_their_messages(room: Room, feed: LineFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_MESSAGES", 2)
    for each in range(5):
        hear(room, f"number {each}")
    assert feed.message(number(2)) is None
    assert [row["text"] for row in fields(feed)] == ["number 3", "number 4"]


async def test_notices_cannot_pile_up(feed: LineFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_ROWS", 3)
    for each in range(5):
        feed.notice(f"*{each}*")
    assert [row["html"] for row in fields(feed)] == [f"<p><em>{each}</em></p>\n" for each in (2, 3, 4)]


async def test_html_cannot_pile_up(room: Room, feed: LineFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_ROWS_BYTES", 2_000)
    for _ in range(5):
        hear(room, "*x* " * 100)
    feed.newest(100, {})
    assert len(fields(feed)) == 1


async def test_unread_rows_are_those_of_others_after_the_one_seen(room: Room, feed: LineFeed) -> None:
    hear(room, "one")
    await room.send("mine")
    hear(room, "two")
    feed.notice("ours")
    assert feed.unread == 2
    await feed.read([number(1)], None, None)
    assert feed.unread == 1
    await feed.read([number(0), "nonsense"], None, None)
    assert feed.unread == 1
    await feed.read([], number(0), number(10**9))
    hear(room, "three")
    assert feed.unread == 1
    await feed.read([number(4)], None, None)
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
    monkeypatch.setattr(rendering, "MAX_AVATARS", 2)
    avatars = Avatars()
    names = [avatars.name(picture) or "" for picture in (b"one", b"two", b"three")]
    assert [avatars.find(name) is not None for name in names] == [False, True, True]


async def test_an_author_who_costs_too_much_is_shown_as_typed(
    room: Room, feed: LineFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "RENDER_BURST", 0.001)
    monkeypatch.setattr(rendering, "RENDER_FREE", 0.0)
    monkeypatch.setattr(rendering, "RENDER_SHARE", 0.0)
    hear(room, "![" * 2_000)
    hear(room, "**bold**")
    hear(room, "**bold**", HERON)
    _, second, third = fields(feed)
    assert second["html"] == "<p>**bold**</p>"
    assert third["html"] == "<p><strong>bold</strong></p>\n"


async def test_a_text_that_pygments_fails_on_is_shown_as_typed(
    room: Room, feed: LineFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PythonLexer, "get_tokens", None)
    hear(room, "```python\nx\n```")
    hear(room, "**next**")
    first, second = fields(feed)
    assert first["html"] == "<p>```python<br>x<br>```</p>"
    assert second["html"] == "<p><strong>next</strong></p>\n"


async def test_only_so_many_authors_are_metered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "MAX_AUTHORS", 2)
    meter = Meter()
    for each in range(5):
        meter.render("**x**", bytes([each]))
    assert len(meter._accounts) == 2


async def test_a_file_is_described_without_its_bytes(room: Room, feed: LineFeed) -> None:
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
    assert feed.empty
    await node.close()
    assert feeds_of(node) is not shared
