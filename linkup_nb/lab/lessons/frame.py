"""What every lesson is: it owns networks, stores and files, keeps predictions, and checks what the learner did."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import TimeoutError as NotInTime
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from linkup_nb.errors import LinkupError, NodeClosed, UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.lab.folder import LabFolder
from linkup_nb.lab.lessons import progress
from linkup_nb.lab.lessons.checks import Check, Hint, NotRun, Said, common
from linkup_nb.lab.lessons.said import Explained, Kept, Outcome, Verdict, Way
from linkup_nb.lab.network import LabNetwork
from linkup_nb.lab.opening import testnet
from linkup_nb.loops import Events, LoopThread
from linkup_nb.node import Node
from linkup_nb.notebook.cells import shell
from linkup_nb.rooms.room import Room
from linkup_nb.wire.dht.table import K

R = TypeVar("R")

CHECK_TIMEOUT = 5.0  # seconds that a check may take
CLOSE_TIMEOUT = 10.0  # seconds for everything that a lesson has opened to close
PATIENCE = 30.0  # seconds for what a lesson makes by itself
TRIES = 3  # wrong answers to a check, after which the way is offered
EVENTS = ("message", "update", "connection", "disconnection", "conflict")
MAX_BREAK = 300.0  # seconds between two checks that count as time at the lesson; the rest is a break


async def until(condition: Callable[[], bool], timeout: float, *emitters: Events) -> None:
    """Wait until a condition holds, looked at whenever an emitter, on whichever loop, reports a change.

    Raises `TimeoutError`.
    """
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def look(*_: object) -> None:
        loop.call_soon_threadsafe(changed.set)

    for emitter in emitters:
        for event in EVENTS:
            emitter.on(event, look)
    try:
        async with asyncio.timeout(timeout):
            while not condition():
                changed.clear()
                await changed.wait()
    finally:
        for emitter in emitters:
            for event in EVENTS:
                emitter.remove_listener(event, look)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What learners are asked to foresee; `beliefs` are the answers that many give, each with what speaks out of it."""

    question: str
    beliefs: tuple[tuple[Any, str], ...] = field(default=())


class Lesson:
    """A lesson, made by `lu.lab.lesson(n)`. What it has made is closed with it, at the latest with the kernel."""

    number: ClassVar[int]
    title: ClassVar[str]
    predictions: ClassVar[Mapping[str, Prediction]] = {}
    answers: ClassVar[Mapping[str, str]] = {}
    """Model answers of what is to be explained, by name."""

    def __init__(self) -> None:
        self.closed = False
        self._thread = LoopThread(f"linkup_nb lesson {self.number}")
        self._folder = LabFolder()
        self._closing = ExitStack()
        self._predicted: dict[str, object] = {}
        self._wrong: dict[str, int] = {}
        self._since = time.monotonic()
        try:
            self.prepare()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        if self.closed:
            return f"<Lesson {self.number}, closed>"
        checks = ", ".join(repr(name) for name in self._checks())
        return f"Lesson {self.number}: {self.title}. It has the checks {checks}."

    def prepare(self) -> None:
        """Make what the lesson begins with."""

    def predict(self, name: str, answer: object = ...) -> Kept:
        """Keep what somebody foresees; nobody judges it. Raises `UsageError` for a name that is not there."""
        prediction = self._named(name, self.predictions, "prediction")
        self._predicted[name] = answer
        return Kept(prediction.question, answer)

    def outcome(self, name: str, value: object) -> Outcome:
        """What came out, beside what was predicted."""
        prediction = self._named(name, self.predictions, "prediction")
        predicted = self._predicted.get(name, ...)
        if predicted is ... or predicted == value:
            return Outcome(predicted, value, "" if predicted is ... else "As you said.")
        belief = next((sentence for answer, sentence in prediction.beliefs if answer == predicted), "")
        return Outcome(predicted, value, belief)

    def explain(self, name: str, words: object = ...) -> Explained:
        """Show our own words beside the learner's. Raises `UsageError` for a name that is not there."""
        return Explained(words, self._named(name, self.answers, "question"))

    def check(self, name: str, answer: object = None) -> Verdict:
        """Look at what the learner has done, and at the answer; returns within `CHECK_TIMEOUT` seconds.

        Raises `UsageError` for a name that is not there.
        """
        asked = self._named(name, self._checks(), "check")
        said = self._judge(asked, answer)
        right = isinstance(said, str)
        now = time.monotonic()
        progress.keep(self.number, name, done=right, seconds=min(now - self._since, MAX_BREAK))
        self._since = now
        if isinstance(said, str):
            return Verdict(name, True, said)
        self._wrong[name] = self._wrong.get(name, 0) + 1
        return Verdict(name, False, said.text, said.name, said.look, self._wrong[name] >= TRIES)

    def show(self, name: str) -> Way:
        """The source of a cell that answers a check, in a cell of its own where Jupyter can make one."""
        way = self._named(name, self._checks(), "check").solution
        here = shell()
        if here is not None and hasattr(here, "set_next_input"):
            here.set_next_input(way)
        return Way(way)

    @property
    def progress(self) -> progress.Progress:
        """How far the learner is in each lesson; kept from kernel to kernel."""
        return progress.read()

    async def share(self, room: Room) -> None:
        """Put one's progress into a room: the names of the checks, tries and minutes, and no answer."""
        await room.send(self.progress)

    def close(self) -> None:
        """Close all that the lesson has made; does nothing a second time."""
        if self.closed:
            return
        self.closed = True
        try:
            self._closing.close()
        finally:
            self._thread.stop()
            self._thread.join(CLOSE_TIMEOUT)
            self._folder.close()

    # For the lessons themselves

    def run(self, work: Coroutine[Any, Any, R], timeout: float = PATIENCE) -> R:
        """Wait for something on the lesson's own loop. Raises `TimeoutError`."""
        running = self._thread.call(work)
        try:
            return running.result(timeout)
        except BaseException:
            running.cancel()  # an interrupted cell waits no more, and neither does what it began
            raise

    def closes(self, close: Callable[[], object]) -> None:
        """Call this when the lesson ends; what came last is closed first."""
        self._closing.callback(close)

    def network(self, n: int, *, seed: int, k: int = K) -> LabNetwork[Node]:
        """A network of the lab, which ends with the lesson."""
        net = testnet(n, seed=seed, k=k)
        self.closes(net.close)
        return net

    def blackboard(self, n: int, *, seed: int, k: int) -> LabNetwork[DhtNode]:
        """One of nodes of the DHT alone, whose ids have 8 bits and who ask one at a time."""
        net = testnet(n, seed=seed, bits=8, k=k, alpha=1, dht_only=True)
        self.closes(net.close)
        return net

    def new_store(self, name: str, secret: bytes) -> Corestore:
        """An open store in the lesson's folder, on the lesson's loop, whose keys repeat."""

        async def opened() -> Corestore:
            store = Corestore(self._folder.path / name, primary_key=secret)
            await store.open()
            return store

        store = self.run(opened())
        self.closes(lambda: self.run(store.close()))
        return store

    def folder(self, name: str) -> Path:
        """A place for files, which goes with the lesson."""
        return self._folder.path / name

    def hint(self, check: str, name: str) -> Hint:
        """The hint of this name."""
        return self._checks()[check].hints[name]

    def _judge(self, asked: Check, answer: object) -> Said:
        if self.closed:
            return Hint("closed", "This lesson has ended: begin it again.", f"lesson = lu.lab.lesson({self.number})")
        try:
            return self.run(self._ask(asked, answer), CHECK_TIMEOUT)
        except NotRun as missing:
            return Hint("not run", f"{missing}", "")
        except NodeClosed as error:
            return Hint("closed", f"Something that this looks at has been closed: {error}"[:160], "")
        except (NotInTime, TimeoutError):
            return Hint(
                "slow", f"This took over {CHECK_TIMEOUT:g} seconds: does a peer that it needs live?", "lesson.net"
            )
        except LinkupError as error:
            return Hint("error", f"What you gave cannot be looked at: {error}"[:160], "")

    async def _ask(self, asked: Check, answer: object) -> Said:
        if found := common(asked.kind, answer):
            return found
        async with asyncio.timeout(CHECK_TIMEOUT):
            return await asked.judge(self, *(() if asked.kind is None else (answer,)))

    @classmethod
    def _checks(cls) -> dict[str, Check]:
        return {one.name: one for one in vars(cls).values() if isinstance(one, Check)}

    def _named(self, name: str, among: Mapping[str, R], noun: str) -> R:
        if name not in among:
            there = " and ".join(repr(one) for one in among) or "none"
            raise UsageError(f"Lesson {self.number} has no {noun} {name!r}; there are: {there}.")
        return among[name]
