"""Holes in two firewalls: both peers send to each other, so that each firewall takes what comes for an answer.

As in the npm package `hyperdht`. A NAT that shows us to everyone at one address is sent to there. One that shows
another port to everyone is met by chance: the peer behind it sends from many sockets, the other to many ports.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from secrets import token_bytes

from linkup_nb.connection.addresses import may_dial
from linkup_nb.connection.udx_socket import UdxSocket
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.peer_stream import PeerStream, Way
from linkup_nb.loops import Tasks
from linkup_nb.wire.dht.connect import NONCE_SIZE, ErrorCode, Firewall, HolepunchPayload
from linkup_nb.wire.dht.nat import NatSample
from linkup_nb.wire.dht.scope import may_follow
from linkup_nb.wire.keys import blake2b_256
from linkup_nb.wire.udx.events import Address

LOW_TTL = 5  # routers after which a datagram is dropped that only has to pass our own firewall
ROUNDS = 10  # in which two peers behind consistent NATs send to each other
ROUND = 1.0  # seconds
UNVERIFIED_EVERY = 4  # rounds, in which also addresses are sent to that nobody but the peer has named
BIRTHDAY_SOCKETS = 256  # sockets from which a peer behind a random NAT sends
RANDOM_PROBES = 1750  # datagrams of a random punch, about 35 s
PROBE_INTERVAL = 0.02  # seconds between them
RANDOM_PAUSE = 20.0  # seconds between two random punches, of which there is one at a time
MAX_EXPECTED = 8  # addresses at which relaying nodes report that they see a peer
PORTS = (1000, 65535)  # of a random NAT


def is_consistent(firewall: int) -> bool:
    """Whether all see a peer at one address."""
    return firewall in (Firewall.OPEN, Firewall.CONSISTENT)


def our_addresses(nat: NatSample) -> tuple[Address, ...] | None:
    """Our addresses as a payload announces them; `None` if we do not know them."""
    if nat.firewall == Firewall.UNKNOWN or nat.host is None:
        return None
    return ((nat.host, 0 if nat.firewall == Firewall.RANDOM else nat.port),)


class RandomTurn:
    """Whose turn it is to punch at random: each such punch sends hundreds of datagrams."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._taken = False
        self._free_at = 0.0

    @property
    def free(self) -> bool:
        """Whether a random punch may begin."""
        return not self._taken and self._loop.time() >= self._free_at

    def take(self) -> None:
        """Begin one."""
        self._taken = True

    def give_back(self) -> None:
        """It is over."""
        self._taken = False
        self._free_at = self._loop.time() + RANDOM_PAUSE


@dataclass(slots=True)
class Remote:
    """The peer as its payloads report it; `verified` are hosts at which it was shown to receive what we send."""

    firewall: int = Firewall.UNKNOWN
    addresses: tuple[Address, ...] = ()
    verified: set[str] = field(default_factory=set)
    punching: bool = False

    def update(self, payload: HolepunchPayload, seen_at: Address, verified: str | None) -> None:
        """Take the payload of a round; of its addresses, those that a peer `seen_at` this address can know."""
        self.firewall = payload.firewall
        self.punching = payload.punching
        self.addresses = tuple(
            (host, port)
            for host, port in payload.addresses or ()
            if may_dial(host, port or 1) and may_follow((host, port or 1), seen_at)
        )
        self.verified &= {host for host, _ in self.addresses}
        if verified is not None:
            self.verified.add(verified)

    @property
    def verified_address(self) -> Address | None:
        """The first of its addresses that is verified."""
        return next((address for address in self.addresses if address[0] in self.verified), None)


class Puncher:
    """Our half of opening a way to one peer; `expected` are addresses at which others have seen it.

    The initiator's `found` is called with the way by which a probe of the peer has come; the other end answers probes,
    and waits for the initiator's stream. `punch` when both have exchanged their addresses.
    """

    def __init__(
        self,
        node: DhtNode,
        stream: PeerStream,
        secret: bytes,
        turn: RandomTurn,
        expected: Address,
        found: Callable[[Way], object] | None = None,
    ) -> None:
        self.remote = Remote()
        self.expected = deque([expected], MAX_EXPECTED)
        self._node = node
        self._stream = stream
        self._secret = secret
        self._local_secret = token_bytes(32)
        self.turn = turn
        self._has_turn = False
        self._found = found
        self._sockets: list[UdxSocket] = []
        self._tasks = Tasks()
        self._punching: asyncio.Task[None] | None = None

    def token(self, host: str) -> bytes:
        """The token that a peer at this host has to echo to show that it receives what we send."""
        return blake2b_256(host.encode(), key=self._local_secret)

    def _seal(self, payload: HolepunchPayload) -> bytes:
        return payload.seal(self._secret, token_bytes(NONCE_SIZE))

    def open(self, sealed: bytes) -> HolepunchPayload:
        """The peer's payload; raises `PeerError`."""
        return HolepunchPayload.open(sealed, self._secret)

    def round_message(
        self,
        round: int,
        *,
        punching: bool = False,
        remote_address: Address | None = None,
        token: bytes | None = None,
        remote_token: bytes | None = None,
    ) -> bytes:
        """The payload of a round, sealed: our firewall and addresses, and what is given."""
        nat = self._node.nat
        return self._seal(
            HolepunchPayload(
                nat.firewall,
                round,
                punching=punching,
                addresses=our_addresses(nat),
                remote_address=remote_address,
                token=token,
                remote_token=remote_token,
            )
        )

    def refuse(self, round: int, error: int = ErrorCode.ABORTED) -> bytes:
        """The payload that gives up, sealed."""
        return self._seal(HolepunchPayload(Firewall.UNKNOWN, round, error))

    def unlock(self, address: Address) -> None:
        """Open our own firewall for this address; what is sent for that does not get far."""
        if may_dial(*address):
            self._node.socket.send_probe(address, ttl=LOW_TTL)

    def probe(self, address: Address) -> None:
        """Open our own firewall for this address; the probe reaches the peer if it has opened its own."""
        if may_dial(*address):
            self._node.socket.send_probe(address)

    def knows(self, address: Address) -> bool:
        """Whether a probe from there may be the peer's."""
        return (
            address in self.expected
            or address in self.remote.addresses
            or (self.remote.firewall == Firewall.RANDOM and address[0] in {host for host, _ in self.remote.addresses})
        )

    def on_probe(self, udx: UdxSocket, address: Address) -> None:
        """A probe (a datagram of one byte) has come that may be the peer's."""
        if self._found is not None:
            self._found((udx, address))
            return
        udx.send_probe(address)

    @property
    def is_random(self) -> bool:
        """Whether we could meet only by chance."""
        return Firewall.RANDOM in (self.remote.firewall, self._node.nat.firewall)

    @property
    def at_work(self) -> bool:
        """Whether we are punching."""
        return self._punching is not None and not self._punching.done()

    def punch(self) -> bool:
        """Begin; false if there is no way that could be tried. `wait` ends when all were tried."""
        if self._punching is not None:
            return True
        work = self._choose()
        if work is None:
            return False
        if self.is_random:
            self._has_turn = True
            self.turn.take()
        self._punching = self._tasks.start(work, "hole punching")
        return True

    async def wait(self) -> None:
        """Wait until everything was tried."""
        if self._punching is not None:
            await asyncio.wait([self._punching])

    def close(self, keep: UdxSocket | None = None) -> None:
        """Give it up, or keep the one socket by which the peer was met."""
        if self._punching is not None:
            self._punching.cancel()
        if self._has_turn:
            self._has_turn = False
            self.turn.give_back()
        for udx in self._sockets:
            if udx is not keep:
                udx.close()
        self._sockets.clear()

    def _choose(self) -> Coroutine[None, None, None] | None:
        remote, local = self.remote, self._node.nat.firewall
        if is_consistent(local) and is_consistent(remote.firewall):
            return self._probe_addresses() if remote.addresses else None
        verified = remote.verified_address
        if verified is None:
            return None
        if is_consistent(local) and remote.firewall == Firewall.RANDOM:
            return self._probe_random_ports(verified[0])
        if local == Firewall.RANDOM and is_consistent(remote.firewall):
            return self._probe_from_many_sockets(verified)
        return None

    async def _probe_addresses(self) -> None:
        if self._found is None:
            await asyncio.sleep(ROUND)  # the initiator is sent a probe already, in the answer to its first round
        for number in range(1, ROUNDS + 1):
            for address in self.remote.addresses:
                if address[0] in self.remote.verified or number % UNVERIFIED_EVERY == 0:
                    self.probe(address)
            await asyncio.sleep(ROUND)

    async def _probe_random_ports(self, host: str) -> None:
        for _ in range(RANDOM_PROBES):
            self.probe((host, random.randint(*PORTS)))
            await asyncio.sleep(PROBE_INTERVAL)

    async def _probe_from_many_sockets(self, address: Address) -> None:
        while len(self._sockets) < BIRTHDAY_SOCKETS:
            try:
                self._sockets.append(self._stream.open_socket(self.on_probe))
            except OSError:  # so many files may not be open; fewer sockets have a smaller chance
                break
            if self._found is None:
                self._stream.await_at(self._sockets[-1])
            self._sockets[-1].send_probe(address, ttl=LOW_TTL)
            await asyncio.sleep(0)
        for number in range(RANDOM_PROBES):
            ttl = LOW_TTL if number < len(self._sockets) else None
            self._sockets[number % len(self._sockets)].send_probe(address, ttl=ttl)
            await asyncio.sleep(PROBE_INTERVAL)


class Punchers:
    """All that are at work on a node: a probe that comes is for one of them."""

    def __init__(self, node: DhtNode) -> None:
        self.turn = RandomTurn()
        self._node = node
        self._at_work: list[Puncher] = []
        node.on_probe = self._on_probe

    def add(self, puncher: Puncher) -> None:
        """Let it have its probes."""
        self._at_work.append(puncher)

    def remove(self, puncher: Puncher) -> None:
        """It is over."""
        if puncher in self._at_work:
            self._at_work.remove(puncher)

    def _on_probe(self, address: Address) -> None:
        known = [puncher for puncher in self._at_work if puncher.knows(address)]
        for puncher in sorted(known, key=lambda puncher: address not in puncher.remote.addresses)[:1]:
            puncher.on_probe(self._node.socket, address)
