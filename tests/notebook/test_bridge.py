import asyncio
from typing import Any

import pytest

from linkup_nb.errors import UsageError
from linkup_nb.notebook.bridge import MAX_ID, MISUNDERSTOOD, Answer, Bridge, Request, Update

PATIENCE = 5.0  # seconds


class LookUp(Request, kw_only=True, frozen=True):
    word: str


class Put(Request, kw_only=True, frozen=True):
    data: bytes


class Found(Answer, kw_only=True):
    place: int
    note: str | None = None
    data: bytes | None = None


class Changed(Update, kw_only=True):
    count: int
    data: bytes | None = None


class Page:
    """What a bridge sends, oldest first."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, Any], list[bytes] | None]] = []
        self._new = asyncio.Event()

    def receive(self, content: dict[str, Any], buffers: list[bytes] | None) -> None:
        self.got.append((content, buffers))
        self._new.set()

    async def until(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE):
            while len(self.got) < count:
                self._new.clear()
                await self._new.wait()
        return [content for content, _ in self.got]


def ask(kind: str, number: str = "1", **fields: object) -> dict[str, object]:
    return {"type": kind, "id": number, "view": "v", **fields}


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
async def bridge(page: Page) -> Bridge:
    return Bridge(page.receive)


async def test_a_request_is_answered_with_what_its_handler_returns(page: Page, bridge: Bridge) -> None:
    async def look_up(request: LookUp) -> Found:
        return Found(place=len(request.word))

    bridge.on(LookUp, look_up)
    bridge.receive(ask("look_up", word="four"), [])
    assert await page.until(1) == [{"type": "reply", "id": "1", "view": "v", "ok": True, "place": 4}]


async def test_bytes_travel_as_the_one_buffer_both_ways(page: Page, bridge: Bridge) -> None:
    async def put(request: Put) -> Found:
        return Found(place=0, data=request.data[::-1])

    bridge.on(Put, put)
    bridge.receive(ask("put", data="what a page says here counts for nothing"), [memoryview(b"abc")])
    await page.until(1)
    bridge.receive(ask("put"), [])
    assert [content["ok"] for content in await page.until(2)] == [True, True]
    bridge.send(Changed(count=1, data=b"xyz"))
    assert [buffers for _, buffers in page.got] == [[b"cba"], [b""], [b"xyz"]]
    assert not any("data" in content for content, _ in page.got)


async def test_what_a_handler_raises_is_the_answer(page: Page, bridge: Bridge) -> None:
    async def refuse(request: LookUp) -> None:
        raise UsageError("there is no such word: try another.")

    async def fail(request: Put) -> None:
        raise ValueError("a bug")

    bridge.on(LookUp, refuse)
    bridge.on(Put, fail)
    bridge.receive(ask("look_up", "1", word="x"), [])
    bridge.receive(ask("put", "2"), [])
    replies = {content["id"]: (content["ok"], content["error"]) for content in await page.until(2)}
    assert replies["1"] == (False, "There is no such word: try another.")
    assert replies["2"] == (False, "This went wrong in the kernel: ValueError: a bug")


async def test_a_request_that_comes_again_meanwhile_is_answered_once(page: Page, bridge: Bridge) -> None:
    free = asyncio.Event()
    calls: list[str] = []

    async def look_up(request: LookUp) -> None:
        calls.append(request.id)
        await free.wait()

    bridge.on(LookUp, look_up)
    for _ in range(3):
        bridge.receive(ask("look_up", word="x"), [])
    bridge.receive(ask("look_up", "2", word="x"), [])
    await asyncio.sleep(0)
    free.set()
    assert [content["id"] for content in await page.until(2)] == ["1", "2"]
    assert calls == ["1", "2"]
    bridge.receive(ask("look_up", word="x"), [])  # the answer was lost
    assert [content["id"] for content in await page.until(3)] == ["1", "2", "1"]


@pytest.mark.parametrize(
    "content",
    [
        ask("nonsense"),
        ask("LookUp", word="x"),
        ask("look_up"),
        ask("look_up", word=None),
        ask("look_up", number="", word="x"),
        ask("look_up", number="1" * (MAX_ID + 1), word="x"),
        {"type": "look_up", "id": "1", "word": "x"},
        {"type": "look_up", "id": "1", "view": 7, "word": "x"},
        {"type": ["look_up"], "id": "1"},
        {"id": "1"},
    ],
)
async def test_what_is_malformed_is_refused_with_one_sentence(
    page: Page, bridge: Bridge, content: dict[str, object]
) -> None:
    async def look_up(request: LookUp) -> None:
        raise AssertionError(request)

    bridge.on(LookUp, look_up)
    bridge.receive(content, [])
    [reply] = await page.until(1)
    assert (reply["id"], reply["ok"], reply["error"]) == (content["id"], False, MISUNDERSTOOD)


@pytest.mark.parametrize("content", [None, [], "hello", {}, {"id": 7, "type": "look_up"}, {"type": "look_up"}])
async def test_what_has_no_id_gets_no_answer(page: Page, bridge: Bridge, content: object) -> None:
    bridge.receive(content, [])
    bridge.fail("The end.")
    assert await page.until(1) == [{"type": "error", "text": "The end."}]


async def test_an_update_is_for_all_views_unless_it_names_one(page: Page, bridge: Bridge) -> None:
    bridge.send(Changed(count=1))
    bridge.send(Changed(count=2, view="v"))
    assert await page.until(2) == [{"type": "changed", "count": 1}, {"type": "changed", "count": 2, "view": "v"}]


async def test_a_closed_bridge_answers_no_more(page: Page, bridge: Bridge) -> None:
    free = asyncio.Event()

    async def look_up(request: LookUp) -> None:
        await free.wait()

    bridge.on(LookUp, look_up)
    bridge.receive(ask("look_up", word="x"), [])
    await asyncio.sleep(0)
    await bridge.close()
    free.set()
    assert page.got == []
