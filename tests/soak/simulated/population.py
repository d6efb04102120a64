"""The nodes of a large DHT: who knows whom, who has died unnoticed, how far apart they are.

- Round trips: log-normal with a median of 159 ms, that of the King data set of name servers (Gummadi, Saroiu and
  Gribble, "King: estimating latency between arbitrary Internet end hosts", IMW 2002) as Dabek, Cox, Kaashoek and Morris
  give it ("Vivaldi: a decentralized network coordinate system", SIGCOMM 2004); its spread here is `SPREAD`.
- How long nodes stay: Weibull with a shape of 0.34 and a scale of 21.3 minutes, the shortest sessions of those that
  Stutzbach and Rejaie fit to torrents ("Understanding churn in peer-to-peer networks", IMC 2006). Contacts in a table
  were last heard of up to `HEARD_WITHIN` ago, so some of them have died since.
- Who is behind a NAT is asked by nobody: HyperDHT's nodes keep such out of their tables. They are those who search.
"""

from bisect import bisect_left
from math import exp, gamma, log
from random import Random

from linkup_nb.wire.dht.rpc import Address, node_id
from linkup_nb.wire.dht.table import K, Table

MEDIAN_RTT = 0.159  # seconds
SPREAD = 0.5  # of the logarithm
SHAPE, SCALE = 0.34, 21.3 * 60  # of sessions, seconds
MEAN_SESSION = SCALE * gamma(1 + 1 / SHAPE)
HEARD_WITHIN = 340.0  # seconds: a table of 340 contacts, of which one is pinged a second
LOSS = 0.01  # of datagrams
BITS = 256


class Population:
    """Nodes that live, and such as have died but stand in tables still: a share `dead` of those named."""

    def __init__(self, count: int, rolls: Random, dead: float | None = None) -> None:
        self.dead = 1 - exp(-HEARD_WITHIN / 2 / MEAN_SESSION) if dead is None else dead
        self._rolls = rolls
        ghosts = int(count * self.dead / (1 - self.dead))
        self._nodes = sorted((_number(address), address) for address in map(_address, range(count)))
        self._ghosts = sorted((_number(address), address) for address in map(_address, range(count, count + ghosts)))
        self._living = {address for _, address in self._nodes}

    def lives(self, address: Address) -> bool:
        """Whether a node answers."""
        return address in self._living

    def rtt(self) -> float:
        """Seconds there and back, between two that are drawn."""
        return self._rolls.lognormvariate(log(MEDIAN_RTT), SPREAD)

    def lost(self) -> bool:
        """Whether a request or its answer gets lost."""
        return self._rolls.random() < 1 - (1 - LOSS) ** 2

    def table(self, own_id: bytes) -> Table:
        """The table of a node with this id: full buckets, as far as there are nodes for them."""
        table, own = Table(own_id), int.from_bytes(own_id, "big")
        for bit in range(BITS - 1, -1, -1):
            start = ((own >> bit) ^ 1) << bit
            living = _between(self._nodes, start, start + (1 << bit))
            gone = _between(self._ghosts, start, start + (1 << bit))
            if not len(living) + len(gone):
                break
            wanted = min(K, len(living) + len(gone))
            died = sum(self._rolls.random() < self.dead for _ in range(wanted))
            chosen = self._sample(self._ghosts, gone, died) + self._sample(self._nodes, living, wanted - died)
            for address in chosen:
                table.replied(address, 0.0)
        return table

    def nearest(self, target: bytes, count: int = K) -> list[Address]:
        """The living nodes nearest to a target."""
        goal, bit = int.from_bytes(target, "big"), BITS
        while bit and len(_between(self._nodes, goal >> bit << bit, (goal >> bit) + 1 << bit)) >= count:
            bit -= 1
        bit = min(BITS, bit + 1)
        around = _between(self._nodes, goal >> bit << bit, (goal >> bit) + 1 << bit)
        found = sorted(self._nodes[at] for at in around)
        return [address for _, address in sorted((number ^ goal, address) for number, address in found)[:count]]

    def _sample(self, nodes: list[tuple[int, Address]], among: range, count: int) -> list[Address]:
        return [nodes[at][1] for at in self._rolls.sample(among, min(count, len(among)))]


def _address(number: int) -> Address:
    """A public address of its own."""
    return f"{20 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.7", 49737


def _number(address: Address) -> int:
    return int.from_bytes(node_id(address), "big")


def _between(nodes: list[tuple[int, Address]], start: int, end: int) -> range:
    return range(bisect_left(nodes, (start, ("", 0))), bisect_left(nodes, (end, ("", 0))))
