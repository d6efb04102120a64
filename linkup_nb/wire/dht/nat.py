"""NAT sampling: every reply of the DHT holds our public address as the replier sees it; together they show the NAT.

Rules: the npm packages `nat-sampler` (how many may differ) and `hyperdht` (`lib/nat.js`: how many are needed); but
each host counts once here.
"""

from collections import Counter
from dataclasses import dataclass

from linkup_nb.wire.dht.connect import Firewall
from linkup_nb.wire.dht.rpc import Address
from linkup_nb.wire.dht.scope import Scope, scope

MAX_SAMPLES = 32  # hosts whose samples are kept, the latest
MIN_SAMPLES = 3  # hosts that must agree before the NAT is called consistent, or differ before it is called random


@dataclass(frozen=True, slots=True)
class NatSample:
    """Our public address as seen by `seen_by` hosts; where they differ, the port is 0, or the host `None`."""

    host: str | None = None
    port: int = 0
    firewall: Firewall = Firewall.UNKNOWN
    seen_by: int = 0

    @property
    def address(self) -> Address | None:
        """Host and port, if both are known."""
        return (self.host, self.port) if self.host is not None and self.port else None


class NatSampler:
    """Collects samples; every host counts once, so that the ports of a liar do not outvote the others."""

    def __init__(self) -> None:
        self.open = False  # set it once unsolicited datagrams have been received
        self._seen: dict[object, Address] = {}

    def add(self, seen_by: Address, seen_as: Address) -> None:
        """Add a sample: the node at `seen_by` sees us at `seen_as`."""
        voter = seen_by if scope(seen_by[0]) is Scope.MACHINE else seen_by[0]
        self._seen.pop(voter, None)
        self._seen[voter] = seen_as
        if len(self._seen) > MAX_SAMPLES:
            del self._seen[next(iter(self._seen))]

    def clear(self) -> None:
        """Forget all samples; call it when the network may have changed."""
        self._seen.clear()
        self.open = False

    @property
    def sample(self) -> NatSample:
        """The address that enough samples agree on; some may be wrong, or lies."""
        seen = list(self._seen.values())
        seen = [address for address in seen if scope(address[0]) > Scope.MACHINE] or seen  # who is here sees us here
        count = len(seen)
        if not count:
            return NatSample()
        needed = count - min(3, count // 4)
        address, agree = Counter(seen).most_common(1)[0]
        host, same_host = Counter(host for host, _ in seen).most_common(1)[0]
        if agree >= needed:
            firewall = Firewall.CONSISTENT if agree >= MIN_SAMPLES else Firewall.UNKNOWN
            return NatSample(*address, Firewall.OPEN if self.open else firewall, count)
        if same_host >= needed:
            return NatSample(host, 0, Firewall.RANDOM if same_host >= MIN_SAMPLES else Firewall.UNKNOWN, count)
        return NatSample(seen_by=count)
