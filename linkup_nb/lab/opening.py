"""`lu.lab.testnet`: a network of real peers, in one call."""

from typing import Any, Literal, overload

from linkup_nb.errors import UsageError
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.lab.network import LabNetwork
from linkup_nb.node import Node
from linkup_nb.wire.dht.search import ALPHA
from linkup_nb.wire.dht.table import K

MAX_PEERS = 500
FILES = 8  # that a `Node` has open: the lock of its profile, its store
MAX_PEERS_8_BITS = 128  # half of all first bytes, so that each is soon drawn


@overload
def testnet(
    n: int,
    seed: int = 0,
    bits: int = 256,
    k: int = K,
    alpha: int = ALPHA,
    dht_only: Literal[False] = False,
    sockets: bool = False,
) -> LabNetwork[Node]: ...
@overload
def testnet(
    n: int,
    seed: int = 0,
    bits: int = 256,
    k: int = K,
    alpha: int = ALPHA,
    *,
    dht_only: Literal[True],
    sockets: bool = False,
) -> LabNetwork[DhtNode]: ...
def testnet(
    n: int,
    seed: int = 0,
    bits: int = 256,
    k: int = K,
    alpha: int = ALPHA,
    dht_only: bool = False,
    sockets: bool = False,
) -> LabNetwork[Any]:
    """A network of `n` real peers in this process, on a thread of its own, and nobody else in it.

    Each is a `Node` that also serves the DHT, or with `dht_only` just a `DhtNode`; `net[3]` is one of them. They join
    one after the other, and when this returns all routing tables are as full as they can be. Use it in a `with` or an
    `async with` block, or call `close`; else it lives until the interpreter ends.

    `seed` makes the keys, the addresses, the tables and the faults of links repeat. Each peer listens on port 49737 of
    a loopback host of its own, 127.a.b.c: a, b and c are drawn by `random.Random(seed).randint(1, 254)`, anew for a
    host that is taken. A node's id is the hash of its address, as everywhere. With `bits=8` hosts are drawn anew until
    the first bytes of all ids differ, for `n` up to 128: these bytes then stand for the ids. `k` nodes are in a bucket
    and keep a record, `alpha` are queried at a time; 3 and 1 show more on a blackboard.

    Datagrams are handed from peer to peer within the process, unless `sockets` asks for real ones; on macOS those need
    aliases of the loopback interface. Raises `UsageError`.
    """
    for what, value in (("n", n), ("seed", seed), ("bits", bits), ("k", k), ("alpha", alpha)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{what} is a whole number, not {value!r}: lu.lab.testnet(10, seed=1).")
    if bits not in (8, 256):
        raise UsageError(f"Identifiers have 256 bits, or are shown by their first 8: not {bits}.")
    most = MAX_PEERS if bits == 256 else MAX_PEERS_8_BITS
    if not 1 <= n <= most:
        raise UsageError(f"A network of {bits} bits has 1 to {most} peers, not {n:,}.")
    for what, value in (("k", k), ("alpha", alpha)):
        if not 1 <= value <= K:
            raise UsageError(f"{what} is 1 to {K}, not {value}.")
    if not dht_only:
        _check_files(n)
    net: LabNetwork[Any] = LabNetwork(seed=seed, bits=bits, k=k, alpha=alpha, dht_only=dht_only, sockets=sockets)
    try:
        net.populate(n)
    except BaseException:
        net.close()
        raise
    return net


def _check_files(n: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and n * FILES > most:
        raise UsageError(
            f"{n} peers need about {n * FILES:,} open files, and this process may have {most:,}: make fewer peers, or"
            " nodes of the DHT alone with dht_only=True."
        )


testnet.__test__ = False  # type: ignore[attr-defined]  # pytest takes what begins with "test" for one
