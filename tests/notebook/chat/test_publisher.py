import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from linkup_nb import Node, Room
from linkup_nb.notebook.bridge import Bridge
from linkup_nb.notebook.chat import publisher as publishers
from linkup_nb.notebook.chat.feeds import feeds_of
from linkup_nb.notebook.chat.publisher import MOST, Cursor, Publisher, Shown
from linkup_nb.rooms.message import TextMessage
from tests.rooms.nodes import add_member, receive

PATIENCE = 10.0  # seconds
NOTHING = Cursor(None, 0)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Listener:
    """A page that keeps what it receives."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self._changed = asyncio.Event()

    def receive(self, content: dict[str, Any], buffers: object) -> None:
        self.received.append(content)
        self._changed.set()

    def batches(self) -> list[dict[str, Any]]:
        return [content for content in self.received if content["type"] == "rows"]

    async def until(self, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while not any(map(matches, self.received)):
                self._changed.clear()
                await self._changed.wait()
        return next(filter(matches, self.received))

    async def until_row(self, seq: int) -> None:
        await self.until(lambda content: content["type"] == "rows" and seq in numbers(content))


def numbers(batch: dict[str, Any]) -> list[int]:
    return [int(row["id"]) for row in batch["rows"]]


class Scene:
    """A room, and a publisher that follows it."""

    def __init__(self, node: Node, room: Room) -> None:
        self.room = room
        self.feeds = feeds_of(node)
        self.shown = Shown(room)
        self.page = Listener()
        self.publisher = Publisher(node, self.feeds, self.shown, Bridge(self.page.receive), "lu.start()")
        self.feeds.on("changed", self.publisher.wake)

    def receive(self, count: int, text: str = "hello") -> None:
        about: dict[str, Any] = {"name": "otter", "key": bytes(32), "topic": self.room.topic}
        for _ in range(count):
            receive(self.room, TextMessage(**about, timestamp=NOON, received=NOON, text=text))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with Node(tmp_path / "kestrel", name="kestrel", discovery=[]) as node:
        scene = Scene(node, await node.create_room("lobby", linkup=True))
        publishing = asyncio.ensure_future(scene.publisher.run())
        yield scene
        publishing.cancel()


async def test_a_long_room_is_sent_from_its_end(scene: Scene) -> None:
    scene.receive(1_000)
    scene.publisher.subscribe("one", NOTHING)
    await scene.page.until_row(999)
    [batch] = scene.page.batches()
    assert (batch["reset"], batch["start"], batch["end"]) == (True, False, True)
    assert numbers(batch) == list(range(1_000 - len(batch["rows"]), 1_000))


async def test_more_changes_than_can_be_told_are_a_window(scene: Scene) -> None:
    scene.publisher.subscribe("one", NOTHING)
    await scene.page.until(lambda content: content["type"] == "rows")
    scene.receive(MOST)
    await scene.page.until_row(MOST - 1)
    assert numbers(scene.page.batches()[-1]) == list(range(MOST))
    scene.receive(MOST + 1)
    await scene.page.until_row(2 * MOST)
    assert [batch["reset"] for batch in scene.page.batches()] == [True, False, True]


async def test_a_burst_of_messages_is_a_few_messages_to_the_page(scene: Scene) -> None:
    scene.publisher.subscribe("one", NOTHING)
    await scene.page.until(lambda content: content["type"] == "rows")
    for _ in range(100):
        scene.receive(10)
        await asyncio.sleep(0)
    await scene.page.until_row(999)
    # JupyterLab's server passes on 1,000 messages a second of all kinds, and drops what is over that.
    assert len(scene.page.received) < 30


async def test_many_deliveries_are_few_messages_to_the_page(scene: Scene) -> None:
    scene.publisher.subscribe("one", NOTHING)
    await scene.page.until(lambda content: content["type"] == "rows")
    await asyncio.gather(*(scene.room.send(f"number {number}") for number in range(1000)))
    await scene.room.send("the last one")
    await scene.page.until_row(1000)
    assert len(scene.page.received) < 30
    last = {row["id"]: row for batch in scene.page.batches() for row in batch["rows"]}
    assert {row["delivery"] for row in list(last.values())[:-1]} == {"nobody was here"}


async def test_views_at_one_place_share_a_message(scene: Scene) -> None:
    scene.publisher.subscribe("one", NOTHING)
    scene.publisher.subscribe("two", NOTHING)
    scene.receive(1)
    await scene.page.until_row(0)
    assert [batch.get("view") for batch in scene.page.batches()] == [None]


async def test_a_view_that_is_behind_is_served_alone(scene: Scene) -> None:
    scene.receive(2)
    feed = scene.feeds.of(scene.room)
    scene.publisher.subscribe("one", Cursor(feed.epoch, feed.version))
    scene.publisher.subscribe("two", Cursor(feed.epoch, 1))
    scene.publisher.subscribe("three", Cursor("another epoch", 1))
    await scene.page.until_row(0)
    sent = [(batch["view"], batch["reset"], numbers(batch)) for batch in scene.page.batches()]
    assert sent == [("two", False, [1]), ("three", True, [0, 1])]


@pytest.mark.parametrize("version", [-5, 3, 2**40])
async def test_a_cursor_from_nowhere_is_a_reset(scene: Scene, version: int) -> None:
    scene.receive(2)
    scene.publisher.subscribe("one", Cursor(scene.feeds.of(scene.room).epoch, version))
    await scene.page.until_row(0)
    assert [batch["reset"] for batch in scene.page.batches()] == [True]


async def test_pictures_are_sent_once_and_only_so_many_are_remembered(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pictures() -> int:
        return sum(content["type"] == "avatar" for content in scene.page.received)

    scene.publisher.subscribe("one", NOTHING)
    scene.receive(1)
    await scene.page.until_row(0)
    add_member(scene.room, bytes(32), "otter", b"\x89PNG a picture")
    scene.receive(1)
    await scene.page.until_row(1)
    assert pictures() == 2
    add_member(scene.room, bytes(32), "heron")
    scene.receive(1)
    await scene.page.until_row(2)
    assert pictures() == 2
    monkeypatch.setattr(publishers, "MAX_AVATARS", 1)
    add_member(scene.room, bytes(32), "heron", b"\x89PNG another")
    scene.receive(1)
    await scene.page.until_row(3)
    assert pictures() == 3
    assert len(scene.publisher._avatars) == 1


async def test_only_so_many_views_are_served(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.notebook.open_views.MAX_VIEWS", 2)
    scene.receive(1)
    epoch = scene.feeds.of(scene.room).epoch
    for view in ("one", "two", "three"):
        scene.publisher.subscribe(view, NOTHING if view != "three" else Cursor(epoch, 1))
    await scene.page.until_row(0)
    assert [batch["view"] for batch in scene.page.batches()] == ["two"]


async def test_a_failure_is_shown_and_ends_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.publisher.subscribe("one", NOTHING)
    await scene.page.until(lambda content: content["type"] == "rows")
    with monkeypatch.context() as broken:
        broken.setattr(type(scene.room), "peers", None)
        scene.receive(1)
        failure = await scene.page.until(lambda content: content["type"] == "error")
    assert failure["text"].startswith("This went wrong in the kernel: TypeError: ")
    scene.receive(1)
    await scene.page.until_row(1)


async def test_the_state_is_sent_when_it_has_changed_and_only_then(scene: Scene) -> None:
    scene.publisher.subscribe("one", NOTHING)
    await scene.page.until(lambda content: content["type"] == "rows")
    scene.publisher.wake()
    scene.shown.recording = True
    scene.publisher.wake()
    await scene.page.until(lambda content: content["type"] == "state" and content["recording"])
    assert [content["recording"] for content in scene.page.received if content["type"] == "state"] == [False, True]
