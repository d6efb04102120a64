"""Watching the nodes that keep our announcements: when many of a topic's have died, it is announced anew."""

import asyncio
import random
from collections.abc import Callable, Iterable

from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht.rpc import Address, Internal

LOOK_EVERY = 5.0  # seconds between two looks
SAMPLE = 4  # keepers of all topics that are pinged at each look; those of one topic all, once one of them is silent
LOST_SHARE = 0.2  # of a topic's keepers, from which on it is announced anew
PING_TRIES = 1  # times that a ping is sent again

Keepers = tuple[Address, ...]


class KeeperWatch:
    """`keepers()` are those of each topic; `renew(keepers)` is called for a topic that has lost too many of them."""

    def __init__(
        self, node: DhtNode, keepers: Callable[[], Iterable[Keepers]], renew: Callable[[Keepers], object]
    ) -> None:
        self._node = node
        self._keepers = keepers
        self._renew = renew

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY * random.uniform(0.9, 1.1))
            topics = [keepers for keepers in self._keepers() if keepers]
            everyone = sorted({node for keepers in topics for node in keepers})
            silent = await self._silent(random.sample(everyone, min(SAMPLE, len(everyone))))
            for keepers in topics:
                if silent & set(keepers):
                    lost = await self._silent(keepers)
                    silent |= lost
                    if len(lost) >= LOST_SHARE * len(keepers):
                        self._renew(keepers)

    async def _silent(self, nodes: Iterable[Address]) -> set[Address]:
        nodes = tuple(nodes)
        pings = [self._node.send_request(node, Internal.PING, internal=True, retries=PING_TRIES) for node in nodes]
        return {node for node, answer in zip(nodes, await asyncio.gather(*pings), strict=True) if answer is None}
