"""Two UDX streams of strangers that are joined: each packet for the one is forwarded as a packet of the other.

As `relayTo` of the C library `libudx`: only the stream's id in the header changes, so everything else, what is
acknowledged and how fast is sent, is between the two peers.
"""

from collections.abc import Callable
from dataclasses import dataclass

from linkup_nb.wire.rate_limit import Bucket, Rate
from linkup_nb.wire.udx.events import Address
from linkup_nb.wire.udx.packet import DESTROY

RELAYED = Rate(per_second=8 * 1024 * 1024, burst=1024 * 1024)  # bytes of one joint, both ways together

_ID = slice(4, 8)  # where a packet names the stream at its receiver
_KINDS = 2


@dataclass(frozen=True, slots=True)
class JointEnd:
    """One peer: it sends from `address()` to our stream `local_id`, and is sent what is for its stream `remote_id`.

    The address is read anew for each packet, since a peer may move; it has to be a proven one.
    """

    local_id: int
    remote_id: int
    address: Callable[[], Address]


class Joint:
    """Made by `Endpoint.join`; give it up with `Endpoint.part` when it is `over`, or silent since `received_at`."""

    def __init__(self, one: JointEnd, other: JointEnd, now: float) -> None:
        self.ends = (one, other)
        self.received_at = now
        self.over = False  # one of the peers has destroyed its stream
        self.carried = 0  # bytes
        self._bucket = Bucket(RELAYED, now)

    def carry(self, local_id: int, data: bytes | memoryview, address: Address, now: float) -> tuple[Address, bytes]:
        """Where to send a packet on, and as what; empty if it is too much, or from somebody else."""
        one, other = self.ends if self.ends[0].local_id == local_id else reversed(self.ends)
        target = other.address()
        if address != one.address() or not self._bucket.take(now, len(data)):
            return target, b""
        self.received_at = now
        self.carried += len(data)
        self.over = self.over or bool(data[_KINDS] & DESTROY)
        packet = bytearray(data)
        packet[_ID] = other.remote_id.to_bytes(4, "little")
        return target, bytes(packet)
