"""The networks that a node looks for peers in: those it is opened with, and those that invites to its rooms name."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from linkup_nb.discovery.protocol import Discovery
from linkup_nb.errors import UsageError
from linkup_nb.rooms.profile import Profile
from linkup_nb.swarm.swarm import Swarm

MAX_NETWORK_PEERS = 32  # bootstrap peers, of one's own and out of invites, at which no more of invites are used


class OwnNetworks:
    """The networks of a node: its discoveries are `chosen`, or follow from `bootstrap`, config.json and environment."""

    def __init__(self, profile: Profile, chosen: Sequence[Discovery] | None, bootstrap: Sequence[str]) -> None:
        self._profile = profile
        self._chosen = chosen
        self._bootstrap = bootstrap
        self.peers: list[str] = []
        """The bootstrap peers of the networks that we are in."""

    def discoveries(self, state: Path) -> list[Discovery]:
        """New discoveries for all of them; nodes of HyperDHT are kept in the file `state`. Raises `UsageError`."""
        if self._chosen is not None:
            return list(self._chosen)
        from linkup_nb.networks import (  # it knows every kind of network, which takes a while to load
            discoveries,
            named_peers,
        )

        named = " ".join((*self._bootstrap, *self._profile.bootstrap, os.environ.get("LINKUP_BOOTSTRAP", "")))
        self.peers = named_peers(named)
        return discoveries(named, state=state, relay=self._profile.relay or "")

    async def enter(self, peers: Sequence[str], swarm: Swarm) -> None:
        """Look for the people of a room through the networks that its invite names, too."""
        new = [peer for peer in peers if peer not in self.peers]
        if not new or self._chosen is not None:
            return  # whoever has chosen the discoveries is in these alone
        from linkup_nb.networks import named_peers, private_networks

        usable = []
        for peer in new[: max(0, MAX_NETWORK_PEERS - len(self.peers))]:
            with suppress(UsageError):  # no peer can be there: the rest of the invite is good all the same
                usable += named_peers(peer)
        self.peers += usable
        for discovery in private_networks(" ".join(usable), relay=self._profile.relay or ""):
            await swarm.add_discovery(discovery)
