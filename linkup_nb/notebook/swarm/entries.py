"""What a node's swarms look like in the Swarm tab, from snapshots alone."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

from linkup_nb.connection.frames import Part
from linkup_nb.connection.tap import Frame
from linkup_nb.discovery.check import Check
from linkup_nb.discovery.protocol import PeerInfo, PeerStatus
from linkup_nb.discovery.view import Hop, NetworkView, QueryView
from linkup_nb.node import Node
from linkup_nb.notebook.swarm.updates import CheckEntry, DhtEntry, FrameEntry, HopEntry, LookUp, SwarmPeerEntry
from linkup_nb.rooms.linkup.room import LinkUpRoom
from linkup_nb.rooms.member import milliseconds
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import discovery_key, short_key

MAX_HOPS = 40  # nodes of a look-up that are listed
MAX_PARTS = 4  # messages of one frame that are named
RECENT = 300.0  # seconds for which a node counts as having answered lately
IDLE_RATE = 100  # bytes a second below which a connection has nothing to say but that it is there
BITS = 256

Kind: TypeAlias = Literal["direct", "relayed", "dialled", "failed", "found"]
Traffic: TypeAlias = Mapping[bytes, tuple[int, int]]

_NETWORKS = {"registry": "this machine", "mdns": "this network", "hyperdht": "HyperDHT", "kademlia": "Kademlia"}


class People(NamedTuple):
    """Who is behind the keys of a swarm, and what its topics are called."""

    names: dict[bytes, tuple[bytes, str]]
    topics: dict[bytes, str]

    def name(self, key: bytes) -> tuple[bytes, str]:
        """The key and the name of the person; the key itself, without a name, while that is not known."""
        return self.names.get(key, (key, ""))


def people_of(node: Node) -> People:
    """Whom the node's rooms know by the keys of its swarms."""
    names: dict[bytes, tuple[bytes, str]] = {}
    topics = {room.topic: room.name for room in node.rooms}
    for room in node.rooms:
        members = {member.key: member.name for member in room.peers}
        if isinstance(room, MemoryRoom):
            own = {node.public_key: node.name}
            known = members | own
            names |= {device: (who, known[who]) for device, who in room.devices.items() if who in known}
        elif isinstance(room, LinkUpRoom):
            names |= {key: (key, name) for key, name in members.items()}
    topics |= {drive.discovery_key: f"drive {name}" for name, drive in node.drives.items()}
    return People(names, topics)


def swarms_of(node: Node) -> tuple[Swarm, ...]:
    """Both swarms of a node."""
    return (node.swarm, node.linkup_swarm)


def entry_of(peer: PeerInfo, people: People, rate: tuple[int, int], *, tapped: bool) -> SwarmPeerEntry:
    """One peer; `rate` is what it receives and sends, in bytes a second."""
    who, name = people.name(peer.public_key)
    kind = kind_of(peer)
    return SwarmPeerEntry(
        id=peer.public_key.hex(),
        short=short_key(peer.public_key),
        who=who.hex(),
        name=name,
        kind=kind,
        way=_way(peer, kind),
        rtt=milliseconds(peer.rtt),
        received=_shown(peer.bytes_received),
        sent=_shown(peer.bytes_sent),
        receiving=rate[0] if rate[0] >= IDLE_RATE else 0,
        sending=rate[1] if rate[1] >= IDLE_RATE else 0,
        since=round(peer.since * 1000) if peer.since else None,
        replicates=sorted(people.topics[topic] for topic in peer.topics if topic in people.topics),
        tapped=tapped,
    )


def _shown(size: int) -> int:
    """So many bytes as the page says, in whole kB: what it would show alike is not sent anew."""
    return size if size < 1000 else size - size % 1000


def kind_of(peer: PeerInfo) -> Kind:
    """How the line to a peer is drawn."""
    if peer.status is PeerStatus.CONNECTED:
        return "relayed" if peer.relayed else "direct"
    if peer.status is PeerStatus.CONNECTING:
        return "dialled"
    return "found" if peer.status is PeerStatus.DISCOVERED else "failed"


def _way(peer: PeerInfo, kind: Kind) -> str:
    found_by = ", ".join(_NETWORKS.get(source, source) for source in sorted(peer.sources))
    if kind in ("direct", "relayed"):
        by = "by a relay" if peer.relayed else found_by or "it came by itself"
        return f"{(peer.transport or '').upper()}, {by}"
    if kind == "dialled":
        return "dialling" if peer.attempts < 2 else f"dialling, try {peer.attempts}"
    if kind == "found":
        return f"found by {found_by}, not dialled yet"
    error = (peer.last_error or "It does not answer").rstrip(".")
    return f"{error}. It is dialled again." if peer.status is PeerStatus.WAITING else f"{error}."


def check_entry(check: Check) -> CheckEntry:
    """One of the doctor's sentences."""
    seen = " ".join(filter(None, (check.seen, check.cause)))
    return CheckEntry(name=check.name, outcome=check.outcome, seen=seen, advice=check.advice)


def dht_entry(view: NetworkView, people: People) -> DhtEntry:
    """The table of a DHT node by distance, and its last look-up."""
    bits = 8 * max([len(node.id) for node in view.nodes], default=BITS // 8)
    exponents = [node.distance.bit_length() for node in view.nodes if node.distance]
    lowest = min(exponents, default=bits)
    buckets = [exponents.count(exponent) for exponent in range(lowest, bits + 1)]
    return DhtEntry(
        bits=bits,
        nodes=len(view.nodes),
        buckets=buckets,
        recent=sum(node.last_seen < RECENT for node in view.nodes),
        stored=sum(view.stored.values()),
        own_id=short_key(view.id) if view.id else "",
        look_up=_look_up(view.last_query, people) if view.last_query else None,
    )


def _look_up(query: QueryView, people: People) -> LookUp:
    targets = {discovery_key(topic): name for topic, name in people.topics.items()}
    depths: dict[tuple[str, int], int] = {}
    hops = []
    for hop in query.hops:
        depths[hop.address] = 1 + (depths.get(hop.named_by, 0) if hop.named_by else 0)
        hops.append(_hop(hop, depths[hop.address]))
    return LookUp(
        about=targets.get(query.target, ""),
        target=query.target.hex()[:8],
        command=query.command.lower().replace("_", " "),
        asked=len(query.hops),
        answered=sum(hop.rtt is not None for hop in query.hops),
        hops=hops[:MAX_HOPS],
    )


def _hop(hop: Hop, depth: int) -> HopEntry:
    host, port = hop.address
    rtt = milliseconds(hop.rtt)
    return HopEntry(
        hop=depth, address=f"{host}:{port}", exponent=hop.distance.bit_length(), rtt=rtt, failed=hop.rtt is None
    )


def frame_entries(frames: tuple[Frame, ...]) -> list[FrameEntry]:
    """The frames of a tap as rows."""
    return [
        FrameEntry(
            number=frame.number,
            time=frame.time * 1000,
            direction=frame.direction,
            channel=next((part.protocol for part in frame.parts if part.protocol), ""),
            frame=next((part.type for part in frame.parts), frame.kind.value),
            size=frame.size,
            decoded="; ".join(_decoded(frame)),
        )
        for frame in frames
    ]


def _decoded(frame: Frame) -> Iterator[str]:
    for number, part in enumerate(frame.parts[:MAX_PARTS]):
        yield _part(part) if number else part.text
    more = frame.omitted + max(0, len(frame.parts) - MAX_PARTS)
    if more:
        yield f"and {more} more"


def _part(part: Part) -> str:
    return f"{part.type}({part.text})" if part.text else part.type
