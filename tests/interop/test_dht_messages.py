"""Our datagrams of the DHT, one by one, against a network of real `hyperdht` nodes on loopback."""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from linkup_nb.connection.udp_socket import UdpSocket
from linkup_nb.wire.dht.records import (
    DhtAnnouncement,
    DhtCommand,
    MutableValue,
    PeerRecord,
    decode_records,
    encode_least_seq,
)
from linkup_nb.wire.dht.rpc import (
    Address,
    DhtReply,
    DhtRequest,
    Failure,
    Internal,
    decode,
    encode_delay,
    encode_port,
    node_id,
)
from linkup_nb.wire.keys import KeyPair, blake2b_256
from tests.connection.test_udp_socket import HOST, PATIENCE
from tests.interop.test_udx import JavaScriptPeer

PEER = Path(__file__).with_name("dht_peer.js")
SEED = b"\x07" * 32
KEYS = KeyPair.from_seed(SEED)
TOPIC = b"\x42" * 32


class Requester:
    """A socket that sends requests to nodes and waits for their replies."""

    def __init__(self) -> None:
        self.socket = UdpSocket(HOST, 0, on_event=lambda event: None, on_datagram=self._on_datagram)
        self._tids = count(1)
        self._waiting: dict[int, asyncio.Future[DhtReply]] = {}

    def _on_datagram(self, data: bytes, address: Address) -> None:
        message = decode(data)
        if isinstance(message, DhtReply) and message.tid in self._waiting:
            self._waiting.pop(message.tid).set_result(message)

    def expect(self) -> tuple[int, asyncio.Future[DhtReply]]:
        """A number for a request, and the reply to it."""
        tid = next(self._tids)
        self._waiting[tid] = asyncio.get_running_loop().create_future()
        return tid, self._waiting[tid]

    async def request(self, node: Address, command: int, **fields: Any) -> DhtReply:
        tid, reply = self.expect()
        self.socket.send_datagram(bytes(DhtRequest(tid, node, command, **fields)), node)
        return await asyncio.wait_for(reply, PATIENCE)


@asynccontextmanager
async def network() -> AsyncIterator[tuple[Requester, list[Address], JavaScriptPeer]]:
    """An asker, the nodes of a network, and the process that they run in."""
    process = await asyncio.create_subprocess_exec("node", str(PEER), stdin=PIPE, stdout=PIPE)
    requester = Requester()
    try:
        theirs = JavaScriptPeer(process)
        nodes = [(node["host"], node["port"]) for node in await theirs.expect("nodes")]
        yield requester, nodes, theirs
    finally:
        requester.socket.close()
        assert process.stdin
        process.stdin.close()
        await process.wait()


async def test_nodes_answer_what_every_node_is_asked() -> None:
    async with network() as (requester, nodes, _):
        for node in nodes:
            pong = await requester.request(node, Internal.PING, internal=True)
            assert (pong.to, pong.id, pong.error) == (requester.socket.address, node_id(node), Failure.NONE)
        found = await requester.request(nodes[-1], Internal.FIND_NODE, internal=True, target=TOPIC)
        assert found.closer_nodes
        assert set(nodes[:-1]) <= set(found.closer_nodes)
        later = await requester.request(nodes[0], Internal.DELAYED_PING, internal=True, value=encode_delay(0.05))
        assert later.error == Failure.NONE
        unknown = await requester.request(nodes[0], 99, internal=True)
        assert unknown.error == Failure.UNKNOWN_COMMAND


async def test_a_ping_can_be_answered_to_another_port() -> None:
    async with network() as (requester, nodes, _):
        other = Requester()
        tid, reply = other.expect()
        value = encode_port(other.socket.address[1])
        request = DhtRequest(tid, nodes[0], Internal.PING_NAT, internal=True, value=value)
        requester.socket.send_datagram(bytes(request), nodes[0])
        assert (await asyncio.wait_for(reply, PATIENCE)).error == Failure.NONE
        other.socket.close()


async def test_our_announcements_are_found_and_withdrawn() -> None:
    async with network() as (requester, nodes, theirs):
        for command, relays in ((DhtCommand.ANNOUNCE, (nodes[0], nodes[1])), (DhtCommand.UNANNOUNCE, ())):
            for node in nodes:
                reply = await requester.request(node, DhtCommand.LOOKUP, target=TOPIC)
                assert reply.token is not None
                signed = DhtAnnouncement.sign(command, KEYS, TOPIC, node_id(node), reply.token, relays)
                done = await requester.request(node, command, target=TOPIC, token=reply.token, value=bytes(signed))
                assert done.error == Failure.NONE
            theirs.command(lookup=TOPIC.hex())
            found = await theirs.expect("found")
            if command is DhtCommand.ANNOUNCE:
                assert [(relay["host"], relay["port"]) for relay in found[KEYS.public_key.hex()]] == list(relays)
            else:
                assert found == {}


async def test_a_token_that_was_not_given_is_refused() -> None:
    async with network() as (requester, nodes, _):
        signed = DhtAnnouncement.sign(DhtCommand.ANNOUNCE, KEYS, TOPIC, node_id(nodes[0]), bytes(32), ())
        refused = await requester.request(
            nodes[0], DhtCommand.ANNOUNCE, target=TOPIC, token=bytes(32), value=bytes(signed)
        )
        assert refused.error == Failure.INVALID_TOKEN


async def test_their_announcements_are_found() -> None:
    async with network() as (requester, nodes, theirs):
        theirs.command(announce={"topic": TOPIC.hex(), "seed": SEED.hex()})
        await theirs.expect("announced")
        records: set[PeerRecord] = set()
        for node in nodes:
            value = (await requester.request(node, DhtCommand.LOOKUP, target=TOPIC)).value
            records.update(decode_records(value) if value is not None else [])
        assert {record.public_key for record in records} == {KEYS.public_key}


async def test_signed_values_go_both_ways() -> None:
    async with network() as (requester, nodes, theirs):
        ours = MutableValue.sign(KEYS, 1, b"from Python")
        for node in nodes:
            reply = await requester.request(node, DhtCommand.MUTABLE_GET, target=ours.target, value=encode_least_seq(0))
            fields = {"target": ours.target, "token": reply.token, "value": ours.encode_put()}
            assert (await requester.request(node, DhtCommand.MUTABLE_PUT, **fields)).error == Failure.NONE
        theirs.command(mutableGet=KEYS.public_key.hex())
        assert await theirs.expect("got") == {"seq": 1, "value": b"from Python".hex()}

        theirs.command(mutablePut={"seed": SEED.hex(), "value": b"from JavaScript".hex(), "seq": 2})
        await theirs.expect("put")
        reply = await requester.request(nodes[0], DhtCommand.MUTABLE_GET, target=ours.target, value=encode_least_seq(2))
        assert reply.value is not None
        value = MutableValue.decode_reply(reply.value, KEYS.public_key)
        assert (value.seq, value.value, value.valid) == (2, b"from JavaScript", True)

        reply = await requester.request(nodes[0], DhtCommand.MUTABLE_GET, target=ours.target, value=encode_least_seq(0))
        fields = {"target": ours.target, "token": reply.token, "value": ours.encode_put()}
        assert (await requester.request(nodes[0], DhtCommand.MUTABLE_PUT, **fields)).error == Failure.SEQ_TOO_LOW


async def test_values_are_stored_under_their_hash() -> None:
    async with network() as (requester, nodes, theirs):
        target = blake2b_256(b"never to change")
        for node in nodes:
            reply = await requester.request(node, DhtCommand.IMMUTABLE_GET, target=target)
            fields = {"target": target, "token": reply.token, "value": b"never to change"}
            assert (await requester.request(node, DhtCommand.IMMUTABLE_PUT, **fields)).error == Failure.NONE
        theirs.command(immutableGet=target.hex())
        assert await theirs.expect("got") == b"never to change".hex()
        assert (await requester.request(nodes[0], DhtCommand.IMMUTABLE_GET, target=target)).value == b"never to change"
