"""Whether strangers can reach us: nodes of the DHT are requested to reply to a socket that has never sent anything."""

import asyncio
from collections.abc import Iterable
from secrets import randbits

from linkup_nb.errors import DecodeError
from linkup_nb.hyperdht.io import DhtIo
from linkup_nb.wire.dht.rpc import Address, DhtReply, DhtRequest, Internal, decode, encode_port

PINGED = 5  # nodes
NEEDED = 3  # replies of so many nodes; one is enough if fewer than `ASKED` are known
TRIES = 2
PATIENCE = 1.0  # seconds for the replies to each try


async def is_reachable(io: DhtIo, nodes: Iterable[Address]) -> bool:
    """Whether a datagram that is not a reply passes all firewalls and NATs before this machine, as in `dht-rpc`."""
    pinged = list(nodes)[:PINGED]
    needed = NEEDED if len(pinged) >= PINGED else 1
    expected = {(randbits(16), node) for node in pinged}
    enough = asyncio.Event()
    replied: set[Address] = set()

    def on_datagram(data: bytes, sender: Address) -> None:
        try:
            reply = decode(data)
        except DecodeError:
            return
        if isinstance(reply, DhtReply) and (reply.tid, sender) in expected and reply.to[1] == listener.address[1]:
            replied.add(sender)
            if len(replied) >= needed:
                enough.set()

    try:
        listener = io.open_socket(io.address[0], 0, on_event=lambda event: None, on_datagram=on_datagram)
    except OSError:
        return False
    try:
        for _ in range(TRIES):
            value = encode_port(listener.address[1])
            for tid, node in expected:
                io.send(DhtRequest(tid, node, Internal.PING_NAT, True, io.id, value=value), node)
            try:
                await asyncio.wait_for(enough.wait(), PATIENCE)
            except TimeoutError:
                continue
            return True
        return False
    finally:
        listener.close()
