import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextvars import ContextVar

import pytest

from linkup_nb.errors import NodeClosed
from linkup_nb.loops import Events, LoopThread, Tasks, end, every, from_any_loop, iterated_from_any_loop


class Counter:
    """Something that lives on one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.ran_on: asyncio.AbstractEventLoop | None = None
        self.cancelled = threading.Event()
        self.waiting = threading.Event()

    @from_any_loop
    async def add(self, one: int, *, two: int) -> int:
        """One and two."""
        self.ran_on = asyncio.get_running_loop()
        return one + two

    @iterated_from_any_loop
    async def count(self) -> AsyncGenerator[int, None]:
        """0, 1, 2, and so on."""
        self.ran_on = asyncio.get_running_loop()
        try:
            for number in range(10):
                yield number
        except GeneratorExit:
            self.cancelled.set()
            raise

    @from_any_loop
    async def fail(self) -> None:
        raise KeyError("inside")

    @from_any_loop
    async def wait(self) -> None:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@pytest.fixture
def elsewhere() -> Iterator[Counter]:
    """A counter on a loop that runs on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Counter(loop)
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def test_a_call_runs_on_the_loop_that_owns_the_object(elsewhere: Counter) -> None:
    assert await elsewhere.add(1, two=2) == 3
    assert elsewhere.ran_on is elsewhere._loop
    assert elsewhere.add.__doc__ == "One and two."


async def test_on_its_own_loop_a_call_is_just_a_call() -> None:
    counter = Counter(asyncio.get_running_loop())
    assert await counter.add(1, two=2) == 3


async def test_errors_come_back(elsewhere: Counter) -> None:
    with pytest.raises(KeyError, match="inside"):
        await elsewhere.fail()


async def test_cancelling_the_caller_cancels_the_call(elsewhere: Counter) -> None:
    call = asyncio.create_task(elsewhere.wait())
    await asyncio.to_thread(elsewhere.waiting.wait, 5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(elsewhere.cancelled.wait, 5)


async def test_once_the_loop_has_ended_a_call_says_so() -> None:
    loop = asyncio.new_event_loop()
    counter = Counter(loop)
    loop.close()
    with pytest.raises(NodeClosed, match=r"lu\.start\(\) makes a new one"):
        await counter.add(1, two=2)


async def test_a_handler_that_fails_is_logged_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    events = Events(asyncio.get_running_loop())
    ran = asyncio.Event()

    @events.on("it")
    def fail() -> None:
        raise ValueError("a bug in a handler")

    @events.on("it")
    async def fail_later() -> None:
        raise ValueError("a bug in a coroutine")

    @events.on("it")
    async def run() -> None:
        ran.set()

    events.emit("it")
    await asyncio.wait_for(ran.wait(), 5)
    assert "a bug in a handler" in caplog.text
    assert "a bug in a coroutine" in caplog.text


async def test_handlers_run_in_the_context_in_which_they_were_registered() -> None:
    cell: ContextVar[str] = ContextVar("cell", default="none")
    events = Events(asyncio.get_running_loop())
    seen: list[tuple[str, str]] = []
    done = asyncio.Event()

    def register() -> None:
        @events.on("it")
        def plain() -> None:
            seen.append(("plain", cell.get()))
            raise ValueError("a bug in a handler")

        @events.once("it")
        async def coroutine() -> None:
            await asyncio.sleep(0)
            seen.append(("coroutine", cell.get()))
            done.set()

    @events.on("error")
    def failed(_: Exception) -> None:
        seen.append(("failure", cell.get()))

    cell.set("registering")
    await asyncio.to_thread(register)
    cell.set("emitting")
    events.emit("it")
    await asyncio.wait_for(done.wait(), 5)
    assert seen == [("plain", "registering"), ("failure", "registering"), ("coroutine", "registering")]
    events.emit("it")
    assert len(seen) == 5
    assert cell.get() == "emitting"


async def test_a_handler_that_emits_its_own_event_is_called_again() -> None:
    events = Events(asyncio.get_running_loop())
    seen: list[int] = []

    @events.on("it")
    def again(left: int) -> None:
        seen.append(left)
        if left:
            events.emit("it", left - 1)

    events.emit("it", 2)
    assert seen == [2, 1, 0]


async def test_a_background_task_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()

    async def fail() -> None:
        raise ValueError("a bug in the background")

    await asyncio.wait([tasks.start(fail(), "looking around")])
    assert "looking around failed" in caplog.text
    assert "a bug in the background" in caplog.text


async def test_cancelled_background_tasks_have_ended() -> None:
    tasks = Tasks()
    running = tasks.start(asyncio.Event().wait(), "waiting")
    await tasks.cancel()
    assert running.cancelled()


async def test_every_waits_for_all_and_logs_what_failed(caplog: pytest.LogCaptureFixture) -> None:
    done = []

    async def fail() -> None:
        raise ValueError("one of several")

    async def succeed() -> None:
        await asyncio.sleep(0)
        done.append(True)

    await every([fail(), succeed()])
    assert done == [True]
    assert "one of several" in caplog.text


async def test_the_end_of_a_task_is_waited_for_and_does_not_swallow_a_cancellation() -> None:
    begun, released = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await released.wait()

    task = asyncio.create_task(slow())
    await begun.wait()
    caller = asyncio.create_task(end(task))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    released.set()
    await end(task)
    assert task.cancelled()


async def test_a_generator_on_another_loop_is_iterated_over_and_closed_where_it_lives() -> None:
    thread = LoopThread("a loop of a test")
    try:
        counter = Counter(thread.loop)
        assert [number async for number in counter.count()] == list(range(10))
        assert counter.ran_on is thread.loop
        assert not counter.cancelled.is_set()
        some = counter.count()
        assert await anext(some) == 0
        await some.aclose()
        assert counter.cancelled.is_set()
        here = Counter(asyncio.get_running_loop())
        assert [number async for number in here.count()] == list(range(10))
    finally:
        thread.stop()
        thread.join(20)
    assert thread.loop.is_closed()
