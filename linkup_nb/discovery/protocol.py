"""The interface between the swarm and the ways of finding peers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from linkup_nb.connection.connection import Connection
from linkup_nb.wire.keys import KeyPair, blake2b_256, namespace, short_key

PROOF_SIZE = 16  # bytes

(_MEMBER,) = namespace("linkup_nb/swarm/membership", [0])


def _admits_nobody(connection: Connection) -> None:
    """What is not confirmed ends by itself, after its handshake's time."""


def _refuses_everybody(public_key: bytes) -> str | None:
    return "no swarm takes connections here"


@dataclass(slots=True)
class Announcer:
    """Whom we announce, and where to dial us: over TCP at `port` of each of `hosts`, loopback first.

    `port` is 0 and `hosts` empty until the swarm listens, which it does before its first join with `server=True`.
    A discovery that takes connections itself calls `refuses` with the peer's key as early as it knows it: the reason to
    answer nothing, or `None`. It passes a connection to `admit` once that is established and the peer has shown to be
    there now, as an initiator does by the frame after the handshake, for a first message may be an old one repeated.
    The swarm then confirms or closes it.
    """

    key_pair: KeyPair
    port: int = 0
    hosts: tuple[str, ...] = ()
    admit: Callable[[Connection], None] = _admits_nobody
    refuses: Callable[[bytes], str | None] = _refuses_everybody


@dataclass(frozen=True, slots=True)
class FoundPeer:
    """A peer on the topic that was joined: its 32-byte key, its (host, port) addresses, and its discovery.

    `reach` connects to it in another way than over TCP, where there is one. It is called when no address has answered,
    and again for each attempt. It returns an established connection to the owner of `public_key` that is not confirmed,
    or raises `OSError` or a `LinkupError` with the reason. It ends in bounded time. A connection that is
    closed before it is confirmed, or whose `reach` was cancelled, has sent the peer nothing that opens it there.
    """

    public_key: bytes
    addresses: tuple[tuple[str, int], ...]
    source: str
    reach: Callable[[], Awaitable[Connection]] | None = None


def membership_proof(topic: bytes, public_key: bytes) -> bytes:
    """The proof to peers that know a topic that the owner of this public key knows it too; others learn nothing.

    Announcements carry it. `discovery_key(topic)` is public, so without it any stranger could announce itself there, be
    dialled, and receive what only the topic's people should get.
    """
    return blake2b_256(_MEMBER + public_key, key=topic)[:PROOF_SIZE]


class Discovery(Protocol):
    """A way to find the peers on a topic, and to be found there.

    Topics are secrets: what leaves the process is `discovery_key(topic)`, and with our key a `membership_proof`. Who is
    found without one is not passed on. What comes in may be anything: a discovery
    raises nothing because of it, and the swarm checks every `FoundPeer` once more.
    """

    name: str
    this_machine_only: bool
    """Can neither find nor be found beyond this machine; a swarm with only such discoveries listens on 127.0.0.1."""

    async def start(self, announcer: Announcer) -> None:
        """Open what is needed; called once, before the first `join`."""

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        """Announce us on a 32-byte topic (`server`), look for others there (`client`), or both.

        Returns when first announced and first looked up. Until `leave` it goes on announcing, and calls `found` for
        every peer in every further look-up, the same ones too: a peer that is no longer found is forgotten. Joining
        again replaces `server`, `client` and `found`.
        """

    async def leave(self, topic: bytes) -> None:
        """Withdraw the announcement and stop looking; does nothing for a topic that was not joined."""

    async def refresh(self, topic: bytes) -> None:
        """Announce us anew and look up, now; returns when done. Also called after this machine has slept."""

    async def close(self) -> None:
        """Withdraw every announcement and free everything; called once, also if `start` failed or was cancelled."""

    def describe(self) -> str:
        """One sentence for the user: what it does at the moment, or what keeps it from working."""


@runtime_checkable
class Dials(Protocol):
    """A discovery that connects to a peer by its key alone, also before it is started."""

    name: str

    def belong_to(self, announcer: Announcer) -> None:
        """Dial as this one from now on; called when a swarm is made, on its loop."""

    async def dial(self, public_key: bytes) -> Connection:
        """The connection, established and not confirmed; raises a `PeerError` without one."""


@runtime_checkable
class SharedDiscovery(Protocol):
    """A discovery that several swarms can use."""

    def share(self) -> Discovery:
        """The same way to find peers, for another swarm: with an identity and topics of its own."""


class PeerStatus(Enum):
    """Where we stand with a peer."""

    DISCOVERED = "discovered"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting to try again"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """What is known of a peer at one moment.

    `topics` are those it is known on and we have joined; `attempts` counts dials since the last lasting connection;
    `last_error` is why the last dial or connection ended, in words. `transport` ("tcp" or "udx"), `address`, `since`
    (unix seconds), `rtt` (seconds), `initiator`, `relayed` and the byte counts belong to the present
    connection. `dropped` counts what it sent and was thrown away.
    """

    public_key: bytes
    status: PeerStatus
    topics: frozenset[bytes]
    addresses: tuple[tuple[str, int], ...]
    sources: frozenset[str]
    attempts: int
    last_error: str | None
    transport: str | None
    address: tuple[str, int] | None
    since: float | None
    rtt: float | None
    bytes_sent: int
    bytes_received: int
    initiator: bool | None
    dropped: int
    relayed: bool = False

    def __repr__(self) -> str:
        return f"<PeerInfo {short_key(self.public_key)} {self.status.value}>"
