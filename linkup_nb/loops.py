"""Objects that live on one event loop, used from any other, or from any thread."""

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401  # it registers a callback, which has to be there before: see `at_exit`
import contextlib
import functools
import logging
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

from pyee.asyncio import AsyncIOEventEmitter

from linkup_nb.errors import NodeClosed, UsageError

log = logging.getLogger("linkup_nb")

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

CLOSED = "This node has been closed; lu.start() makes a new one."

# In which process each loop with objects of ours runs: a fork has a copy of the loop, not of the thread that runs it.
_processes: "WeakKeyDictionary[asyncio.AbstractEventLoop, int]" = WeakKeyDictionary()


class OnLoop(Protocol):
    """Something whose state belongs to one loop, named by `_loop`."""

    _loop: asyncio.AbstractEventLoop


S = TypeVar("S", bound=OnLoop)


def from_any_loop(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Let any loop await a coroutine method whose object lives on another loop.

    The body always runs on `self._loop`. Cancelling the caller cancels the body. Raises `NodeClosed` if that loop has
    ended, and `UsageError` in a fork of the process that it runs in.
    """

    async def call_from_elsewhere(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if asyncio.get_running_loop() is self._loop:
            return await method(self, *args, **kwargs)
        check_process(self)
        work = method(self, *args, **kwargs)
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise NodeClosed(CLOSED) from None
        return await asyncio.wrap_future(future)

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        if asyncio._get_running_loop() is self._loop:
            return method(self, *args, **kwargs)  # nothing stands between it and its caller, as nearly always
        return call_from_elsewhere(self, *args, **kwargs)

    return call


@from_any_loop
async def _next_of(self: OnLoop, items: AsyncGenerator[T, None]) -> tuple[T] | None:
    async for item in items:
        return (item,)
    return None


@from_any_loop
async def _close_of(self: OnLoop, items: AsyncGenerator[T, None]) -> None:
    await items.aclose()


def iterated_from_any_loop(
    method: Callable[Concatenate[S, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[S, P], AsyncGenerator[T, None]]:
    """Let any loop iterate over an asynchronous generator whose object lives on another loop, as `from_any_loop`."""

    async def iterate_from_elsewhere(self: S, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        there = method(self, *args, **kwargs)
        try:
            while (items := await _next_of(self, there)) is not None:
                yield items[0]
        finally:
            await _close_of(self, there)

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        if asyncio._get_running_loop() is self._loop:
            return method(self, *args, **kwargs)
        return iterate_from_elsewhere(self, *args, **kwargs)

    return call


def on_own_loop(method: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Let any thread call a method that returns nothing and whose object lives on a loop.

    On that loop it runs at once, from elsewhere at the loop's next turn. Raises `NodeClosed` if the loop has ended.
    """

    @functools.wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if asyncio._get_running_loop() is self._loop:
            method(self, *args, **kwargs)
            return
        check_process(self)
        try:
            self._loop.call_soon_threadsafe(functools.partial(method, self, *args, **kwargs))
        except RuntimeError:
            raise NodeClosed(CLOSED) from None

    return call


class Inbox(Generic[T]):
    """A queue that any thread puts into; `get` is for the loop on which it was made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[T] = asyncio.Queue()

    def put(self, item: T) -> None:
        """Add an item; it is dropped if the loop of the reader has ended."""
        if asyncio._get_running_loop() is self._loop:
            self._items.put_nowait(item)
        else:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._items.put_nowait, item)

    async def get(self) -> T:
        """The oldest item, taken out; waits for one."""
        return await self._items.get()


def is_of_this_process(thing: OnLoop) -> bool:
    """Whether the loop of an object runs in this process, and not in the one that this is a fork of."""
    return _processes.get(thing._loop, os.getpid()) == os.getpid()


def check_process(thing: OnLoop) -> None:
    """Raises `UsageError` for an object of the process that this is a fork of: nobody here would ever answer."""
    if not is_of_this_process(thing):
        raise UsageError(
            f"{thing!r} was made in process {_processes[thing._loop]}, and this is process {os.getpid()}, a fork of it:"
            " use it there, or open one of its own here."
        )


class Events(AsyncIOEventEmitter):
    """An event emitter whose handlers may fail: a failure is logged and reaches nobody else.

    `@thing.on("event")` takes functions and coroutine functions; both run on the loop that owns the thing, in a copy of
    the context (`contextvars`) in which they were registered, as asyncio's own callbacks do. In a notebook, what they
    print, and the log of their failures, so goes to the output of the cell that registered them.
    """

    _loop: asyncio.AbstractEventLoop

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._loop = loop
        _processes.setdefault(loop, os.getpid())
        self.on("error", self._handler_failed)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that owns it: its coroutine methods run there, wherever they are awaited."""
        return self._loop

    def _add_event_handler(self, event: str, k: Callable[..., Any], v: Callable[..., Any]) -> None:
        context = copy_context()

        def run(*args: Any, **kwargs: Any) -> None:
            # A copy, for a handler may emit what calls it again.
            context.copy().run(super(Events, self)._emit_run, v, args, kwargs)

        # A failure is handled in the context of the handler that failed.
        super()._add_event_handler(event, k, v if event == "error" else run)

    def _handler_failed(self, error: Exception) -> None:
        log.error("A handler of %r failed.", type(self).__name__, exc_info=error)


def at_exit(callback: Callable[[], object]) -> None:
    """Call this when the interpreter ends, while executors still take work; what was registered last is called first.

    Callbacks of `atexit` come after executors have ended, too late to close a store.
    """
    register: Callable[[Callable[[], object]], object] = getattr(threading, "_register_atexit", atexit.register)
    register(callback)


class LoopThread:
    """A loop on a thread of its own, so that it goes on while the caller's stands still; call `stop` in the end."""

    def __init__(self, name: str) -> None:
        self.loop = _new_loop()
        # ipykernel 7.0 sends on behalf of the cell that the sender's context names, and a new thread has no context.
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name=name, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, R]) -> "Future[R]":
        """Run a coroutine there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def stop(self) -> None:
        """End the loop and the thread, without waiting for it."""
        self.loop.call_soon_threadsafe(self.loop.stop)

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended, for so many seconds at most."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self.loop.run_forever()
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            self.loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


class Tasks:
    """The background tasks of one object: none ends unseen, none outlives it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, R], name: str, *, awaited: bool = False) -> asyncio.Task[R]:
        """Run `work` on the running loop; a failure is logged under `name`, unless the caller has it `awaited`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard if awaited else self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s failed.", task.get_name(), exc_info=error)

    async def wait(self) -> None:
        """Wait until all that still run have ended."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def cancel(self) -> None:
        """Cancel all that still run, and wait until they have ended."""
        others = self._running - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Timers:
    """Delayed calls by name; one that waits is not started a second time."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    def start(self, name: str, delay: float, action: Callable[[], object]) -> None:
        """Call `action()` in `delay` seconds, unless a call of this name waits already."""
        if name not in self._waiting and not self._closed:
            self._waiting[name] = asyncio.get_running_loop().call_later(delay, self._run, name, action)

    def cancel(self, name: str) -> None:
        """Do not make this call, if it waits."""
        if timer := self._waiting.pop(name, None):
            timer.cancel()

    def close(self) -> None:
        """Make no more calls."""
        self._closed = True
        for name in tuple(self._waiting):
            self.cancel(name)

    def _run(self, name: str, action: Callable[[], object]) -> None:
        del self._waiting[name]
        action()


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; raises what it raised, and the caller's own cancellation, if that comes."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def every(awaitables: list[Awaitable[object]]) -> None:
    """Wait for all, whatever becomes of each; failures are logged."""
    for result in await asyncio.gather(*awaitables, return_exceptions=True):
        if isinstance(result, Exception):
            log.error("A task failed.", exc_info=result)
