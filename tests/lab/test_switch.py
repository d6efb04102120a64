"""The switch: what arrives, in which order, how late, and that which datagrams are lost repeats with the seed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from linkup_nb.errors import UsageError
from linkup_nb.lab.rates import parse_rate
from linkup_nb.lab.switch import MAX_QUEUE, Switch, SwitchedUdpSocket, SwitchSocket
from linkup_nb.wire.udx.events import Address

ANN, BOB, CY = "127.81.0.1", "127.81.0.2", "127.81.0.3"
KINDS = [SwitchSocket, SwitchedUdpSocket]
PATIENCE = 20.0  # seconds


class Mailbox:
    """A socket of a peer, and what has come to it."""

    def __init__(self, switch: Switch, host: str, kind: type[SwitchSocket] | type[SwitchedUdpSocket]) -> None:
        self.received: list[bytes] = []
        self.times: list[float] = []
        self.news = asyncio.Event()
        self.socket = kind(switch, host, 0, on_event=lambda event: None, on_datagram=self._on_datagram)
        self.address = self.socket.address

    def _on_datagram(self, data: bytes, sender: Address) -> None:
        self.received.append(data)
        self.times.append(asyncio.get_running_loop().time())
        self.news.set()

    async def gets(self, count: int) -> list[bytes]:
        """All that has come, once it is so many."""
        async with asyncio.timeout(PATIENCE):
            while len(self.received) < count:
                self.news.clear()
                await self.news.wait()
        return self.received


class World:
    """Two peers and a third on one switch."""

    def __init__(self, kind: type[SwitchSocket] | type[SwitchedUdpSocket] = SwitchSocket, seed: int = 1) -> None:
        self.switch = Switch(seed, asyncio.get_running_loop())
        for number, host in enumerate((ANN, BOB, CY)):
            self.switch.attach(host, number)
        self.ann, self.bob, self.cy = (Mailbox(self.switch, host, kind) for host in (ANN, BOB, CY))

    def send(self, count: int, start: int = 0) -> None:
        """Send datagrams of 100 bytes from Ann to Bob."""
        for number in range(start, start + count):
            self.ann.socket.send_datagram(b"%03d" % number + bytes(97), self.bob.address)

    def close(self) -> None:
        for box in (self.ann, self.bob, self.cy):
            box.socket.close()
        self.switch.close()


@contextmanager
def world(kind: type[SwitchSocket] | type[SwitchedUdpSocket] = SwitchSocket, seed: int = 1) -> Iterator[World]:
    made = World(kind, seed)
    try:
        yield made
    finally:
        made.close()


def numbers(received: list[bytes]) -> list[int]:
    return [int(data[:3]) for data in received]


@pytest.fixture(params=KINDS)
async def net(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    with world(request.param) as made:
        yield made


async def test_without_faults_all_arrives_in_order(net: World) -> None:
    net.send(50)
    assert numbers(await net.bob.gets(50)) == list(range(50))


async def test_what_is_sent_to_nobody_is_gone_and_an_address_is_had_once() -> None:
    with world() as net:
        net.ann.socket.send_datagram(b"xx", (BOB, 1))
        net.send(1)
        assert numbers(await net.bob.gets(1)) == [0]
        with pytest.raises(OSError, match="has"):
            SwitchSocket(net.switch, *net.bob.address, on_event=lambda event: None, on_datagram=lambda *_: None)


async def losses(seed: int, kind: type[SwitchSocket] | type[SwitchedUdpSocket]) -> list[int]:
    with world(kind, seed) as net:
        net.switch.link(0, 1, delay=0.0, loss=0.3, rate=None)
        net.send(200)
        net.switch.link(0, 1, delay=0.0, loss=0.0, rate=None)
        net.send(1, start=999)
        while 999 not in numbers(net.bob.received):
            await net.bob.gets(len(net.bob.received) + 1)
        return numbers(net.bob.received)


async def test_which_datagrams_are_lost_repeats_with_the_seed_however_they_are_carried() -> None:
    first = await losses(1, SwitchSocket)
    assert first == await losses(1, SwitchSocket) == await losses(1, SwitchedUdpSocket)
    assert first != await losses(2, SwitchSocket)
    assert 100 < len(first) < 180


async def test_a_delay_is_added_both_ways_and_keeps_the_order(net: World) -> None:
    net.switch.link(0, 1, delay=0.2, loss=0.0, rate=None)
    began = asyncio.get_running_loop().time()
    net.send(20)
    net.bob.socket.send_datagram(b"yy", net.ann.address)
    net.cy.socket.send_datagram(b"zz", net.bob.address)  # another link
    assert (await net.bob.gets(1))[0] == b"zz"
    assert numbers((await net.bob.gets(21))[1:]) == list(range(20))
    await net.ann.gets(1)
    assert min(net.ann.times[0], net.bob.times[1]) - began >= 0.2


async def test_a_rate_spreads_what_is_sent_and_drops_what_would_wait_too_long(net: World) -> None:
    net.switch.link(0, 1, delay=0.0, loss=0.0, rate=10_000)  # a datagram of 100 bytes in 10 ms
    began = asyncio.get_running_loop().time()
    net.send(200)
    fitting = int(MAX_QUEUE * 10_000 / 100) + 1
    assert numbers(await net.bob.gets(fitting)) == list(range(fitting))
    assert net.bob.times[-1] - began >= MAX_QUEUE
    net.send(1, start=500)  # it is free again
    assert numbers(await net.bob.gets(fitting + 1))[-1] == 500


async def test_nothing_passes_between_the_groups_of_a_partition_until_it_heals(net: World) -> None:
    net.switch.partition([{0, 2}])
    net.send(3)
    net.ann.socket.send_datagram(b"to Cy", net.cy.address)
    net.bob.socket.send_datagram(b"to Bob", net.bob.address)  # who is in no group is alone, with himself
    await net.cy.gets(1)
    await net.bob.gets(1)
    net.switch.heal()
    net.send(1, start=7)
    assert [data[:6] for data in await net.bob.gets(2)] == [b"to Bob", b"007\0\0\0"]


async def test_a_peer_that_is_silenced_neither_sends_nor_receives_until_it_is_back(net: World) -> None:
    net.switch.silence(1)
    net.send(1)
    net.bob.socket.send_datagram(b"to Ann", net.ann.address)
    net.switch.attach(BOB, 1)
    net.send(1, start=1)
    net.bob.socket.send_datagram(b"again", net.ann.address)
    assert numbers(await net.bob.gets(1)) == [1]
    assert await net.ann.gets(1) == [b"again"]


@pytest.mark.parametrize(
    ("rate", "number"), [("1MB/s", 1e6), ("500 kB/s", 5e5), ("1.5GB/s", 1.5e9), ("20B/s", 20.0), (4096, 4096.0)]
)
def test_rates_are_read_as_people_write_them(rate: str | float, number: float) -> None:
    assert parse_rate(rate) == number


@pytest.mark.parametrize("rate", ["1Mb/s", "fast", "", "-1B/s", 0, -5, True, float("inf"), float("nan"), None])
def test_other_rates_are_refused_with_an_example(rate: object) -> None:
    with pytest.raises(UsageError, match="1MB/s"):
        parse_rate(rate)  # type: ignore[arg-type]
