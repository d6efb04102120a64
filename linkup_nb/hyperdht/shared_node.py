"""One node of HyperDHT for several identities: it opens with its first user, and closes with the last."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from linkup_nb.errors import UsageError
from linkup_nb.hyperdht.holepunch import Punchers
from linkup_nb.hyperdht.network import USUAL, Network
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.udx.events import Address


class SharedNode:
    """Counts the users of the node: each calls `acquire` once, and in the end `release`."""

    def __init__(
        self,
        bootstrap: Sequence[Address],
        *,
        host: str | None = None,
        port: int | None = None,
        state: Path | None = None,
        ephemeral: bool | None = None,
        network: Network = USUAL,
    ) -> None:
        self.bootstrap = tuple(bootstrap)
        self.trouble = "the search has not started"
        self.node: DhtNode | None = None
        self.punchers: Punchers  # while there is a node
        self._host = host
        self._port = port
        self._state = state
        self._ephemeral = ephemeral
        self._network = network
        self._users = 0
        self._changing = asyncio.Lock()

    async def acquire(self) -> DhtNode:
        """The node, which listens and enters the network in the background; raises `UsageError` without a port."""
        async with self._changing:
            if self.node is None:
                self.node = await self._open()
            self._users += 1
            return self.node

    async def release(self) -> None:
        """One user less."""
        async with self._changing:
            self._users -= 1
            if not self._users and self.node is not None:
                node, self.node = self.node, None
                await node.close()

    async def _open(self) -> DhtNode:
        node = DhtNode(
            self.bootstrap,
            host=self._host,
            port=self._port,
            ephemeral=self._ephemeral,
            state=self._state,
            network=self._network,
        )
        try:
            await node.open()
        except UsageError as error:
            self.trouble = str(error).rstrip(".")
            raise
        except asyncio.CancelledError:
            await node.close()
            raise
        self.punchers = Punchers(node)
        return node
