"""The addresses of the peers of a lab: their ids are made from them, so equal addresses give equal networks."""

import random
from collections.abc import Collection

from linkup_nb.errors import UsageError
from linkup_nb.wire.dht.rpc import Address, distance, node_id

PORT = 49737  # of every peer, each on a host of its own
MAX_TRIES = 1_000_000  # addresses drawn for one peer; of 2^23 that there are


class Hosts:
    """Draws loopback hosts: 127.a.b.c with a, b and c from `random.Random(seed)`, each by `randint(1, 254)`.

    A host that has been drawn before is drawn again. With 8 `bits` so is one whose id has the first byte of another's:
    then the first bytes stand for the ids wherever distances are compared.
    """

    def __init__(self, seed: int, bits: int) -> None:
        self._random = random.Random(seed)
        self._bits = bits
        self._taken: set[str] = set()
        self._bytes: set[int] = set()

    def draw(self) -> str:
        """The next one; raises `UsageError` when every first byte is taken."""
        for _ in range(MAX_TRIES):
            host = self._next()
            byte = node_id((host, PORT))[0]
            if self._bits > 8 or byte not in self._bytes:
                self._bytes.add(byte)
                self._taken.add(host)
                return host
        raise UsageError("All identifiers of 8 bits are taken: make a network with bits=256.")

    def draw_stranger(self) -> str:
        """The next host that none has, for who is no peer."""
        host = self._next()
        self._taken.add(host)
        return host

    def draw_near(self, target: bytes, than: Collection[Address], count: int) -> tuple[list[str], int]:
        """So many hosts whose ids are nearer to a 32-byte target than those of all `than`, and how many were tried.

        Raises `UsageError` when too many would have to be tried.
        """
        limit = min(distance(node_id(address), target) for address in than)
        found: list[str] = []
        for tries in range(1, MAX_TRIES + 1):
            host = self._next()
            if distance(node_id((host, PORT)), target) < limit:
                self._taken.add(host)
                found.append(host)
                if len(found) == count:
                    return found, tries
        raise UsageError(f"{MAX_TRIES:,} addresses hold {len(found)} that are nearer: ask for as many at most.")

    def _next(self) -> str:
        while True:
            host = ".".join(["127", *(str(self._random.randint(1, 254)) for _ in range(3))])
            if host not in self._taken:
                return host
