"""Finding peers without any server: on this machine through a folder, on the local network through multicast DNS."""

from collections.abc import Callable

from linkup_nb.discovery.check import Check
from linkup_nb.discovery.mdns import Mdns
from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.discovery.registry import Registry


class Local:
    """The discovery for this machine and, unless `mdns` is off, the local network; it has nothing to configure."""

    name = "local"

    def __init__(self, mdns: bool = True) -> None:
        self._parts: list[Registry | Mdns] = [Registry(), Mdns()] if mdns else [Registry()]
        self.this_machine_only = not mdns

    async def start(self, announcer: Announcer) -> None:
        for part in self._parts:
            await part.start(announcer)

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        """Returns when this machine's peers are known; those on the network are reported as they answer."""
        for part in self._parts:
            await part.join(topic, server=server, client=client, found=found)

    async def leave(self, topic: bytes) -> None:
        for part in self._parts:
            await part.leave(topic)

    async def refresh(self, topic: bytes) -> None:
        for part in self._parts:
            await part.refresh(topic)

    async def close(self) -> None:
        for part in self._parts:
            await part.close()

    async def examine(self) -> list[Check]:
        return [await part.examine() for part in self._parts]

    def share(self) -> "Local":
        return Local(mdns=not self.this_machine_only)

    def describe(self) -> str:
        return " ".join(part.describe() for part in self._parts)

    def __repr__(self) -> str:
        return f"Local(mdns={not self.this_machine_only})"
