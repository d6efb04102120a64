"""The messages of the kernel to the Swarm tab's page, as `static/protocol.d.ts` declares them."""

from typing import Literal

import msgspec

from linkup_nb.connection.tap import Direction
from linkup_nb.discovery.check import Outcome
from linkup_nb.notebook.bridge import Update


class SwarmPeerEntry(msgspec.Struct, frozen=True):
    """A peer; `who` is the key of the person behind it, as far as that is known, and `name` what they are called.

    `way` says how it is connected, or in words why it is not. Bytes are those of the connection, `receiving` and
    `sending` a second; `since` is in ms since 1970.
    """

    id: str
    short: str
    who: str
    name: str
    kind: Literal["direct", "relayed", "dialled", "failed", "found"]
    way: str
    rtt: str
    received: int
    sent: int
    receiving: int
    sending: int
    since: int | None
    replicates: list[str]
    tapped: bool


class CheckEntry(msgspec.Struct, frozen=True):
    """What the doctor saw of one part, and what to try."""

    name: str
    outcome: Outcome
    seen: str
    advice: str


class HopEntry(msgspec.Struct, frozen=True):
    """A node that a look-up asked: after how many others that had named it, and how far it is from the target.

    `exponent` is that of the distance as a power of 2.
    """

    hop: int
    address: str
    exponent: int
    rtt: str
    failed: bool


class LookUp(msgspec.Struct, frozen=True):
    """The last look-up, hop by hop; `asked` counts all nodes, of which the first ones are listed."""

    about: str
    target: str
    command: str
    asked: int
    answered: int
    hops: list[HopEntry]


class DhtEntry(msgspec.Struct, frozen=True):
    """The node of a DHT: how many others it knows at each distance, from 2**(bits - len(buckets)) on."""

    bits: int
    nodes: int
    buckets: list[int]
    recent: int
    stored: int
    own_id: str
    look_up: LookUp | None


class Network(msgspec.Struct, frozen=True):
    """A way of finding peers, and in one sentence what it does or what keeps it from it."""

    name: str
    text: str


class SwarmUpdate(Update, kw_only=True, tag="swarm"):
    """The swarm as it is; `expression` is the Python that gives what is selected."""

    own: str
    own_name: str
    peers: list[SwarmPeerEntry]
    dropped: int
    networks: list[Network]
    dht: DhtEntry | None
    checks: list[CheckEntry] | None
    examining: bool
    selected: str
    expression: str


class FrameEntry(msgspec.Struct, frozen=True):
    """A frame that passed a tap, `time` in ms since 1970."""

    number: int
    time: float
    direction: Direction
    channel: str
    frame: str
    size: int
    decoded: str


class TapUpdate(Update, kw_only=True, tag="tap"):
    """What a tap has seen that the page does not have yet; frames before `first` were cleared.

    `tap` is another number for each tap, `seen` counts all its frames from `first` on.
    """

    tap: int
    peer: str
    name: str
    open: bool
    first: int
    seen: int
    frames: list[FrameEntry]
