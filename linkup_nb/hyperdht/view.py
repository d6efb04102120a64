"""A picture of a node of HyperDHT, taken at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass

from linkup_nb.discovery.view import NetworkView
from linkup_nb.wire.dht.nat import NatSample
from linkup_nb.wire.dht.rpc import Address


@dataclass(frozen=True, slots=True, repr=False)
class DhtView(NetworkView):
    """A node at one moment: besides what every DHT has, how others see it, and what it passes on for them."""

    public_address: Address | None
    nat: NatSample
    passed_on: Mapping[str, int]  # messages between two peers, by their command

    @property
    def ephemeral(self) -> bool:
        """Whether it only sends requests, and keeps nothing for others."""
        return self.id is None
