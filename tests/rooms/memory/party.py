"""Members of a room whom a seed cuts off from each other, restarts, sends away, and gives wrong clocks."""

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import linkup_nb as lu
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.keys import RoomKeys, short_id
from linkup_nb.rooms.memory.rows import BlockRow
from linkup_nb.rooms.memory.session import RoomSession
from tests.rooms.memory.members import Clock, TestMember, ids

WAIT = 10.0  # seconds until everybody has everything
OFFSETS = [timedelta(hours=1), timedelta(hours=-1), timedelta(days=1), timedelta(days=-1)]


class Guest:
    """One member: its files, its clock, and what it was promised to be kept."""

    def __init__(self, path: Path, name: str, executor: ThreadPoolExecutor, keys: RoomKeys) -> None:
        self.path, self.name = path, name
        self.clock = Clock()
        self.acknowledged: list[BlockRow] = []
        self.member: TestMember
        self.session: RoomSession
        self.port = 0
        self._executor, self._keys = executor, keys

    async def arrive(self) -> None:
        self.member = TestMember(self.path, self.name, self._executor)
        await self.member.open()
        self.session = await self.member.enter(self._keys, self.clock)
        self.port = (await self.member.listen()).port

    async def leave(self) -> None:
        await self.member.close()

    def forget_index(self) -> None:
        for file in self.path.glob("*.sqlite3*"):
            file.unlink()


class Party:
    """Guests of one room, and who of them is connected; every step is chosen by `rng`."""

    def __init__(self, folder: Path, keys: RoomKeys, rng: random.Random, executor: ThreadPoolExecutor) -> None:
        self.rng = rng
        self.guests = [Guest(folder / f"guest{n}", f"guest{n}", executor, keys) for n in range(rng.randrange(2, 7))]
        self.log: list[str] = []
        self._groups: list[list[Guest]] = [self.guests]
        self._connections: dict[tuple[Guest, Guest], lu.Connection] = {}

    async def begin(self) -> None:
        for guest in self.guests:
            await guest.arrive()
        await self._connect()

    async def step(self) -> None:
        """One thing happens."""
        steps = [self.talk, self.talk, self.talk, self.part, self.heal, self.restart, self.set_clock]
        step = self.rng.choice([*steps, self.go] if len(self.guests) > 2 else steps)
        self.log.append(step.__name__)
        await step()

    async def talk(self) -> None:
        """Several say something at the same time."""
        who = self.rng.choices(self.guests, k=self.rng.randrange(1, 8))
        await asyncio.gather(*(self._say(guest, self._body(guest)) for guest in who))

    async def _say(self, guest: Guest, body: blocks.Body) -> None:
        guest.acknowledged += await guest.session.write([body])

    def _body(self, guest: Guest) -> blocks.Body:
        number = len(guest.acknowledged)
        rows = guest.session.index.said(2**62)
        if not rows or self.rng.random() < 0.6:
            return blocks.MessageBody(f"{guest.name} says {number}")
        row = self.rng.choice(rows)
        to = f"{short_id(guest.session.feed_of(row.tie).key)}/{row.seq}"
        return self.rng.choice(
            [blocks.ReplyBody(to, f"answer {number}"), blocks.ReactionBody(to, "👍"), blocks.EditBody(to, "x")]
        )

    async def part(self) -> None:
        """They are cut into groups that hear nothing of each other."""
        guests = self.rng.sample(self.guests, len(self.guests))
        cut = self.rng.randrange(1, len(guests)) if len(guests) > 1 else 1
        self._groups = [guests[:cut], guests[cut:]]
        for pair, connection in list(self._connections.items()):
            if not any(set(pair) <= set(group) for group in self._groups):
                del self._connections[pair]
                await connection.close()
        await self._connect()

    async def heal(self) -> None:
        """All hear of each other."""
        self._groups = [self.guests]
        await self._connect()

    async def restart(self) -> None:
        """One closes, and comes back, perhaps without an index: it is only a cache of the feeds."""
        guest = self.rng.choice(self.guests)
        await guest.leave()
        self._forget(guest)
        if self.rng.random() < 0.3:
            guest.forget_index()
        await guest.arrive()
        await self._connect()

    async def go(self) -> None:
        """One goes, for good; what only they had is not promised to anybody who stays."""
        guest = self.rng.choice(self.guests)
        await guest.leave()
        self._forget(guest)
        self.guests = [other for other in self.guests if other is not guest]
        self._groups = [[other for other in group if other is not guest] for group in self._groups]

    async def set_clock(self) -> None:
        """One's clock is set: an hour or a day off, to 2017, or right."""
        moments = [datetime.now(UTC) + offset for offset in OFFSETS] + [datetime(2017, 1, 1, tzinfo=UTC)]
        self.rng.choice(self.guests).clock.set(self.rng.choice([*moments, datetime.now(UTC)]))

    async def end(self) -> None:
        """The clocks are right, all hear of each other, and have everything that anybody who is here was promised."""
        for guest in self.guests:
            guest.clock.set(datetime.now(UTC))
        await self.heal()
        promised = {(row.tie, row.seq) for guest in self.guests for row in guest.acknowledged}
        sessions = [guest.session for guest in self.guests]

        def all_agree() -> bool:
            first, *others = (ids(session) for session in sessions)
            return promised <= set(first) and all(first == other for other in others)

        await until_all(sessions, all_agree)
        assert not any(session.feeds.disputed for session in sessions)

    async def begin_again(self) -> None:
        """All read their feeds anew."""
        for guest in self.guests:
            await guest.leave()
            guest.forget_index()
            self._forget(guest)
            await guest.arrive()

    async def close(self) -> None:
        for guest in self.guests:
            await guest.leave()

    def _forget(self, guest: Guest) -> None:
        self._connections = {pair: one for pair, one in self._connections.items() if guest not in pair}

    async def _connect(self) -> None:
        for group in self._groups:
            for one, other in itertools.combinations(sorted(group, key=lambda guest: guest.name), 2):
                if (one, other) not in self._connections:
                    self._connections[one, other] = await other.member.dial(one.port)


async def until_all(sessions: Sequence[RoomSession], condition: Callable[[], bool]) -> None:
    """Wait until something is so, looking again after each change of a room."""
    changed = asyncio.Event()
    for session in sessions:
        session.on("taken", lambda _: changed.set())
    async with asyncio.timeout(WAIT):
        while not condition():
            changed.clear()
            await changed.wait()
