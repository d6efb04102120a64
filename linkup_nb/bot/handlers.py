"""The handlers of a bot at work: each beside the others, so that one that fails or never returns stops nobody."""

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any

from linkup_nb.errors import UsageError
from linkup_nb.loops import Tasks

SLOW = 30.0  # seconds after which a handler that still runs is named in the log
LOOK_EVERY = 1.0  # seconds between two looks for such handlers
MAX_RUNNING = 256  # handlers that run at once; what comes while so many do is dropped, and logged

log = logging.getLogger("linkup_nb.bot")


@dataclass(eq=False, slots=True)
class _Running:
    what: str
    about: object
    since: float
    named: bool = False


class Handlers:
    """The handlers that run now. A thread looks after them, for one that never gives way stops their loop too."""

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._running: set[_Running] = set()
        self._closed = threading.Event()

    def open(self) -> None:
        """Begin to look for slow ones."""
        self._closed = threading.Event()
        threading.Thread(target=self._watch, args=(self._closed,), name="linkup_nb bot", daemon=True).start()

    async def close(self) -> None:
        """Cancel all. A plain function goes on in its thread, and what it returns is dropped."""
        self._closed.set()
        await self._tasks.cancel()

    def start(self, work: Callable[[], Awaitable[None]], what: str, about: object) -> None:
        """Run a handler; `what` and `about` name it in the log. It is dropped if `MAX_RUNNING` run already."""
        if len(self._running) >= MAX_RUNNING:
            log.warning("%d handlers run already: %s is not handled for %r.", MAX_RUNNING, what, about)
            return
        one = _Running(what, about, time.monotonic())
        self._running.add(one)
        self._tasks.start(self._run(work, one), what)

    def repeat(self, period: float, handler: Callable[[], Any], wanted: Callable[[], bool]) -> None:
        """Run a handler `period` seconds after the end of the last time, as long as it is `wanted`."""
        name = getattr(handler, "__name__", repr(handler))

        async def repeated() -> None:
            await asyncio.sleep(period)
            while wanted():
                one = _Running(f"every {period:g} s", name, time.monotonic())
                self._running.add(one)
                await self._run(partial(call, handler, {}), one)
                await asyncio.sleep(period)

        self._tasks.start(repeated(), f"repeating {name}")

    async def _run(self, work: Callable[[], Awaitable[Any]], one: _Running) -> None:
        try:
            await work()
        except Exception:
            log.exception("%s failed, for %r.", one.what, one.about)
        finally:
            self._running.discard(one)

    def _watch(self, closed: threading.Event) -> None:
        while not closed.wait(LOOK_EVERY):
            for one in tuple(self._running):
                if not one.named and time.monotonic() - one.since >= SLOW:
                    one.named = True
                    log.warning("%s has been running for %.0f s, for %r.", one.what, SLOW, one.about)


async def call(handler: Callable[..., Any], named: Mapping[str, Any], values: Sequence[Any] = ()) -> Any:
    """What a handler returns: a coroutine function on this loop, any other in a thread, where it may take its time.

    `named` are given to the parameters of those names, `values` to the others in their order.
    """
    rest = iter(values)
    words: list[Any] = []
    options: dict[str, Any] = {}
    for one in inspect.signature(handler).parameters.values():
        if one.kind is one.KEYWORD_ONLY:
            options |= {one.name: named[one.name]} if one.name in named else {}
        elif one.name in named:
            words.append(named[one.name])
        elif one.kind is one.VAR_POSITIONAL:
            words += rest
        else:
            words += [value for value in [next(rest, one.default)] if value is not one.empty]
    work = partial(handler, *words, **options)
    result = work() if inspect.iscoroutinefunction(handler) else await _in_thread(work)
    return await result if inspect.isawaitable(result) else result


async def _in_thread(work: Callable[[], Any]) -> Any:
    """As `asyncio.to_thread`, in a thread that need not have ended for the process to end."""
    done: Future[tuple[Any, BaseException | None]] = Future()
    done.set_running_or_notify_cancel()  # from now on nobody can cancel it before it has its result
    context = copy_context()

    def run() -> None:
        try:
            done.set_result((context.run(work), None))
        except BaseException as error:  # noqa: BLE001  # raised below, where it is awaited
            done.set_result((None, error))

    threading.Thread(target=run, name="linkup_nb handler", daemon=True).start()
    result, error = await asyncio.wrap_future(done)
    if error is not None:
        raise error
    return result


def names_of(handler: Callable[..., Any], given: Sequence[str], event: str) -> list[str]:
    """Which of the values of an event a handler names. Raises `UsageError` if it wants any other."""
    parameters = inspect.signature(handler).parameters.values()
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for one in parameters:
        if one.name not in given and one.default is one.empty and one.kind not in optional:
            raise UsageError(f"A handler of {event!r} can take {' and '.join(given)}: there is no {one.name!r}.")
    return [one.name for one in parameters if one.name in given]
