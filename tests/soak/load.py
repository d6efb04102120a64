"""Much at once, and much in all: what others notice of a flood; how the cost of each thing grows with a drive or a log.

`--size` makes it smaller: so many connections, entries and blocks. What a time is compared with is said only at full
size; a time that grows by more than `MAX_GROWTH` from the smallest to the largest is lost, for what reads all there is
grows a thousandfold.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.proof import ProofRequest
from linkup_nb.hyperdrive.drive import Drive
from tests.hypercore.liar import Liar
from tests.hypercore.vectors import KEY_PAIR, Log
from tests.soak import crowd
from tests.soak.campaign import Round, Trial
from tests.soak.processes import Say, Victim

CONNECTIONS = 64
PERIODS = 10  # quiet ones, and as many with a flood, in turn
PERIOD = 2.0  # seconds
OUTSTANDING = 1000  # requests of who floods
BLOCKS = 1000
MAX_RATIO = 2.0  # of the p99 of the others' round trips
ENTRIES = 1_000_000  # of a drive
LENGTH = 10_000_000  # blocks of a log
TOGETHER = 5_000  # entries of a batch
TIMES = 30  # each thing is done; the median counts
MAX_GROWTH = 30.0
PRIMARY = bytes(32)


async def serve(folder: Path, say: Say, _: Random) -> None:
    """A log whose blocks everybody asks for."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(key_pair=KEY_PAIR)
        await core.append([bytes(1000 + 60_000 * (index % 20 == 0)) for index in range(BLOCKS)])
        server = await listen("127.0.0.1", 0, store.replicate)
        say(server.port)
        await asyncio.Event().wait()


async def client(port: int) -> Liar:
    """Somebody who may ask for blocks."""
    one = Liar(await connect("127.0.0.1", port), Log([]))
    one.answering = False
    await one.hears(msg.Sync)
    return one


async def ask(port: int, count: int, say: Say, rolls: Random) -> None:
    """Connections that ask for the next block once they have one; says how long each answer took."""

    async def one_asks(one: Liar) -> None:
        number = 0
        while True:
            number += 1
            started = time.perf_counter()
            one.send(msg.DataRequest(number, 0, ProofRequest(block=(1 + 20 * rolls.randrange(BLOCKS // 20), 0))))
            await one.hears(msg.Data)
            say(time.perf_counter() - started)

    clients = [await client(port) for _ in range(count)]
    say("ready")
    async with asyncio.TaskGroup() as tasks:
        for one in clients:
            tasks.create_task(one_asks(one))


async def flood(port: int, say: Say, rolls: Random) -> None:
    """One connection that asks for as much as it can get."""
    one = await client(port)
    say("ready")
    number, answered = 0, 0
    while True:
        while number - answered < OUTSTANDING:
            number += 1
            one.send(msg.DataRequest(number, 0, ProofRequest(block=(rolls.randrange(BLOCKS), 0))))
        one.news.clear()
        await one.news.wait()
        answered += len(one.heard)
        one.heard.clear()


def p99(times: list[float]) -> float:
    return sorted(times)[int(0.99 * len(times))]


def flooding(this: Round) -> None:
    """Quiet and a flood in turn: the round trips of all others."""
    count = this.size or CONNECTIONS
    server = Victim(partial(serve, this.folder / "store"), 0)
    server.wait_for(1)
    (port,) = server.said[0]
    others = Victim(partial(ask, port, count - 1), this.seed)
    others.wait_for(1)
    others.said.clear()
    quiet, loud = [], []
    for _ in range(PERIODS):
        quiet.append(period(others, count))
        flooder = Victim(partial(flood, port), this.seed)
        flooder.wait_for(1)
        loud.append(period(others, count))
        flooder.kill()
        this.survived(len(quiet[-1]) + len(loud[-1]))
    others.kill()
    server.kill()
    for name, periods in (("quiet", quiet), ("beside a flood", loud)):
        p50 = statistics.quantiles(map(statistics.median, periods), n=4)[0]
        this.note(name, f"p50 {1000 * p50:.1f} ms, p99 {1000 * calm(periods):.1f} ms")
    ratio = calm(loud) / calm(quiet)
    this.note("p99 beside a flood to quiet", f"{ratio:.2f}")
    assert this.size or ratio <= MAX_RATIO, f"the others' p99 is {ratio:.2f} of what it is without a flood"


def calm(periods: list[list[float]]) -> float:
    """The p99 of a period in which the machine had little else to do: the lower quartile of all."""
    return statistics.quantiles(map(p99, periods), n=4)[0]


def period(others: Victim, count: int) -> list[float]:
    """How long each round trip of a period took."""
    others.said.clear()
    others.hear(PERIOD)
    assert len(others.said) >= count, f"only {len(others.said)} round trips in {PERIOD} s"
    return [seconds for (seconds,) in others.said]


async def median(times: int, do: Callable[[], Awaitable[object]]) -> float:
    """The milliseconds that something takes."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        await do()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken)


class Growth:
    """How long each thing takes at each size."""

    def __init__(self, this: Round) -> None:
        self._this = this
        self._times: dict[str, list[float]] = {}

    async def measure(self, size: int, things: dict[str, Callable[[], Awaitable[object]]], times: int = TIMES) -> None:
        """Do each thing some times."""
        for name, do in things.items():
            self._times.setdefault(name, []).append(await median(times, do))
            self._this.survived(times)
        self._this.note(f"at {size:,}, ms", ", ".join(f"{name} {all[-1]:.2f}" for name, all in self._times.items()))

    def check(self) -> None:
        """Nothing grows as if it read all there is."""
        for name, times in self._times.items():
            growth = times[-1] / max(times[0], 0.05)  # below it is the noise that grows
            assert growth <= MAX_GROWTH, f"{name} takes {growth:.0f} times as long: {times}"


def sizes(most: int) -> list[int]:
    """1,000, then ten times as many up to `most`."""
    found = [min(1000, most)]
    while found[-1] < most:
        found.append(min(10 * found[-1], most))
    return found


async def grow_drive(this: Round) -> None:
    growth, rolls = Growth(this), this.rolls
    async with Corestore(this.folder / "store", PRIMARY) as store, await Drive.open(store) as own:
        filled = 0

        def name(number: int) -> str:
            return f"/{number // 10_000:03}/{number // 100 % 100:02}/{number % 100:02}.txt"

        for size in sizes(this.size or ENTRIES):
            started, begun = time.perf_counter(), filled
            while filled < size:
                async with own.batch() as batch:
                    for number in range(filled, min(size, filled + TOGETHER)):
                        await batch.put(name(number), b"%d" % number)
                filled = min(size, filled + TOGETHER)
            this.note(f"entries a second up to {size:,}", f"{(size - begun) / (time.perf_counter() - started):,.0f}")
            before = own.version

            async def get(size: int = size) -> None:
                number = rolls.randrange(size)
                assert await own.get(name(number)) == b"%d" % number

            async def put(size: int = size) -> None:
                number = rolls.randrange(size)
                await own.put(name(number), b"%d" % number)

            async def page(size: int = size) -> None:
                folder = name(rolls.randrange(size) // 100 * 100)[:8]
                assert len([entry async for entry in own.list(folder)]) == min(100, size)

            async def diff(before: int = before) -> None:
                assert len(await own.diff(before)) > 0

            await growth.measure(size, {"get": get, "put": put, "list 100": page, f"diff of {TIMES} changes": diff})
        await own.put("/last", b"put")
    started = time.perf_counter()
    async with Corestore(this.folder / "store", PRIMARY) as store, await Drive.open(store) as own:
        assert await own.get("/last") == b"put"
        this.note("open and get", f"{1000 * (time.perf_counter() - started):.1f} ms")
        this.survived()
    growth.check()


async def grow_log(this: Round) -> None:
    growth, rolls = Growth(this), this.rolls
    for size in sizes(this.size or LENGTH):
        async with Corestore(this.folder / "store", PRIMARY) as store:
            core = await store.core(name="log")
            started, begun = time.perf_counter(), core.length
            while core.length < size:
                start = core.length
                await core.append([b"%d" % at for at in range(start, min(size, start + 20_000))], durable=False)
            this.note(f"blocks a second up to {size:,}", f"{(size - begun) / (time.perf_counter() - started):,.0f}")

            async def get(size: int = size) -> None:
                index = rolls.randrange(size)
                assert await core.get(index) == b"%d" % index  # noqa: B023

            async def append() -> None:
                await core.append(b"one")  # noqa: B023

            async def replicate(size: int = size) -> None:
                await copy_last(this.folder / f"copy-{rolls.randrange(2**32)}", store, core.key, size)  # noqa: B023

            await growth.measure(size, {"get": get})
            await growth.measure(size, {"replicate the last 1,000": replicate}, 3)
            await growth.measure(size, {"append": append})
            await core.truncate(size)
    growth.check()


async def copy_last(folder: Path, store: Corestore, key: bytes, size: int) -> None:
    """Somebody new copies the end of the log."""
    server = await listen("127.0.0.1", 0, store.replicate)
    async with Corestore(folder) as other:
        copy = await other.core(key=key)
        other.replicate(await connect("127.0.0.1", server.port))
        await copy.wait_for_length(size)
        download = await copy.download(max(0, size - 1000), size)
        await download.done()
        assert await copy.get(size - 1) == b"%d" % (size - 1)
    await server.close()


TRIALS = [
    Trial("flood", flooding),
    Trial("drive", lambda this: asyncio.run(grow_drive(this))),
    Trial("log", lambda this: asyncio.run(grow_log(this))),
    Trial("people", crowd.growing),
]
