"""A topic that a swarm has joined, as its user sees it."""

import asyncio
from collections.abc import Mapping

from linkup_nb.loops import from_any_loop
from linkup_nb.swarm.peer import SwarmPeer
from linkup_nb.swarm.search import TopicSearch
from linkup_nb.wire.keys import blake2b_256, namespace

(_PEER,) = namespace("linkup_nb/swarm/peer", [0])


def peer_topic(public_key: bytes) -> bytes:
    """Where a peer is found by whoever knows its key, in networks that do not find peers by their keys."""
    return blake2b_256(_PEER + public_key)


class SwarmTopic:
    """A topic that a swarm has joined, until `swarm.leave(topic)`; of others than the peer `only` nobody is dialled."""

    def __init__(
        self, topic: bytes, server: bool, client: bool, peers: Mapping[bytes, SwarmPeer], only: bytes | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.topic = topic
        self.server = server
        self.client = client
        self.only = only
        self.search: TopicSearch | None = None  # while the swarm is not suspended
        self._peers = peers

    @property
    def peers(self) -> tuple[bytes, ...]:
        """The public keys of the peers known on this topic, connected or not."""
        return tuple(peer.public_key for peer in list(self._peers.values()) if self.topic in peer.topics)

    @from_any_loop
    async def flushed(self) -> None:
        """Wait until the topic is announced and was looked up once, by every discovery that works."""
        if self.search:
            await self.search.flushed()

    def __repr__(self) -> str:
        return f"SwarmTopic({self.topic.hex()[:8]}…, {len(self.peers)} peers)"
