"""Real Hyperswarm peers, run by `hyperswarm_peer.js`."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds until a test that still waits has failed
PEER = Path(__file__).with_name("hyperswarm_peer.js")
MAX_LINE = 32 * 1024 * 1024  # bytes

Event = dict[str, Any]


class JavaScript:
    """A process in which swarms are made; `events` is all that they have reported."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.events: list[Event] = []
        self._reported = asyncio.Event()
        self._reading = asyncio.get_running_loop().create_task(self._read())

    def order(self, command: str, **options: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"command": command, **options}).encode() + b"\n")

    async def expect(
        self,
        event: str,
        where: Callable[[Event], object] = lambda reported: True,
        times: int = 1,
        patience: float = PATIENCE,
    ) -> Event:
        """The latest event of a kind, once there have been so many."""
        found: list[Event] = []
        seen = 0
        async with asyncio.timeout(patience):
            while True:
                found += [reported for reported in self.events[seen:] if reported["event"] == event and where(reported)]
                if len(found) >= times:
                    return found[-1]
                seen = len(self.events)
                self._reported.clear()
                await self._reported.wait()

    async def until(self, condition: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait until a condition holds, evaluated after each event."""
        async with asyncio.timeout(patience):
            while not condition():
                self._reported.clear()
                await self._reported.wait()

    async def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        await self.process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.events.append(json.loads(line))
            self._reported.set()


class Peer:
    """One swarm in JavaScript."""

    def __init__(self, javascript: JavaScript, number: int, key: str) -> None:
        self.javascript = javascript
        self.number = number
        self.key = bytes.fromhex(key)

    def order(self, command: str, **options: object) -> None:
        self.javascript.order(command, number=self.number, **options)

    async def join(self, topic: bytes, *, server: bool = True, client: bool = True) -> None:
        """Returns when it is announced and has looked."""
        times = len(self.reported("flushed")) + 1
        self.order("join", topic=topic.hex(), server=server, client=client)
        await self.expect("flushed", times=times)

    def reported(self, event: str) -> list[Event]:
        return [
            reported
            for reported in self.javascript.events
            if reported["event"] == event and reported["number"] == self.number
        ]

    async def expect(
        self,
        event: str,
        where: Callable[[Event], object] = lambda reported: True,
        times: int = 1,
        patience: float = PATIENCE,
    ) -> Event:
        """The latest event of a kind, once there have been so many."""

        def ours(reported: Event) -> object:
            return reported["number"] == self.number and where(reported)

        return await self.javascript.expect(event, ours, times, patience)


@asynccontextmanager
async def javascript() -> AsyncIterator[JavaScript]:
    process = await asyncio.create_subprocess_exec("node", PEER, stdin=PIPE, stdout=PIPE, limit=MAX_LINE)
    ours = JavaScript(process)
    try:
        yield ours
    finally:
        await ours.end()


async def make_testnet(javascript: JavaScript, size: int = 4) -> list[int]:
    """The port of the bootstrap node of a new network in the process of its peers, where a join meets it at once."""
    javascript.order("testnet", size=size)
    ports: list[int] = (await javascript.expect("testnet"))["ports"]
    return ports


async def make_peer(javascript: JavaScript, ports: list[int], **options: object) -> Peer:
    """A swarm on the network of the nodes at these ports."""
    number = 1 + max((reported["number"] for reported in javascript.events if reported["event"] == "ready"), default=-1)
    javascript.order("swarm", number=number, bootstrap=ports, **options)
    ready = await javascript.expect("ready", lambda reported: reported["number"] == number)
    return Peer(javascript, number, ready["key"])
