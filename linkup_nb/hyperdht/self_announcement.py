"""Being found by our key: the nodes nearest to it pass messages on to us, as long as we ping them."""

import asyncio
from collections.abc import Iterable

from linkup_nb.errors import PeerTimeout
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.loops import Tasks
from linkup_nb.wire.dht.connect import Relay
from linkup_nb.wire.dht.rpc import Internal
from linkup_nb.wire.keys import KeyPair, blake2b_256
from linkup_nb.wire.udx.events import Address

KEEP_ALIVE = 3.0  # seconds between two pings of a relaying node, which keep the way to us open
ROUNDS = 100  # of pings, until we announce again whatever the replies are
ENOUGH = 3  # relaying nodes; when fewer than that reply, others are looked for
PING_TRIES = 1  # times that such a ping is sent again
WITHDRAW_TIMEOUT = 2.0  # seconds for the nodes to forget us when we leave


class SelfAnnouncement:
    """Keeps us known at a few nodes, `relays`, under the hash of our key."""

    def __init__(self, node: DhtNode, key_pair: KeyPair) -> None:
        self.target = blake2b_256(key_pair.public_key)
        self.relays: tuple[Relay, ...] = ()
        self._node = node
        self._key_pair = key_pair
        self._former: set[Address] = set()  # nodes that were relays, whose word about where we are may still count
        self._tasks = Tasks()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The nodes that relay to us."""
        return tuple(relay.relay_address for relay in self.relays)

    def is_relay(self, address: Address) -> bool:
        """Whether this is a node to which we have announced ourselves, now or the time before."""
        return address in self.addresses or address in self._former

    async def open(self) -> None:
        """Announce us, and go on doing so."""
        await self.announce()
        self._tasks.start(self._keep(), "the announcement of our key")

    async def announce(self) -> None:
        """Announce us anew, at the nodes that are nearest to our key at this moment."""
        before = set(self.addresses)
        answers = await self._node.announce_self(self._key_pair)
        if answers:
            self.relays = tuple(Relay(answer.sender, answer.reply.to) for answer in answers)
        self._former = before
        await self._withdraw(before - set(self.addresses))

    async def close(self) -> None:
        """Take the announcement back, as far as the nodes answer soon."""
        await self._tasks.cancel()
        await self._withdraw(self.addresses)

    async def _keep(self) -> None:
        while True:
            for _ in range(ROUNDS):
                await asyncio.sleep(KEEP_ALIVE)
                replied = sum(await asyncio.gather(*map(self._ping, self.addresses)))
                if replied < min(len(self.relays), ENOUGH) or not self.relays:
                    break
            await self.announce()

    async def _ping(self, relay: Address) -> bool:
        try:
            await self._node.request(relay, Internal.PING, internal=True, retries=PING_TRIES)
        except PeerTimeout:
            return False
        return True

    async def _withdraw(self, nodes: Iterable[Address]) -> None:
        nodes = tuple(nodes)
        if not nodes:
            return
        try:
            async with asyncio.timeout(WITHDRAW_TIMEOUT):
                await self._node.unannounce(self.target, self._key_pair, nodes)
        except TimeoutError:
            return  # such a node forgets us in time
