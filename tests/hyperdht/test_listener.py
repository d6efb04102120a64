"""Taking calls, and what strangers can do with them."""

import asyncio
import os

import pytest

from linkup_nb.connection import connection as connection_limits
from linkup_nb.hyperdht import listener as dht_listener
from linkup_nb.wire.dht import connect as dht_connect
from linkup_nb.wire.dht.connect import Firewall, HandshakePayload, Mode, PeerHolepunch, handshake_prologue
from linkup_nb.wire.dht.records import DhtCommand
from linkup_nb.wire.dht.rpc import DhtReply
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.noise import IK, NoiseHandshake
from linkup_nb.wire.udx.events import Address
from tests.hyperdht.peers import Peer, opened, peers, until


def call(key: bytes, key_pair: KeyPair | None = None, payload: HandshakePayload | None = None) -> bytes:
    """The first message of a handshake."""
    own = key_pair or KeyPair.from_seed(os.urandom(32))
    ephemeral = KeyPair.from_seed(os.urandom(32))
    handshake = NoiseHandshake(True, own, ephemeral, pattern=IK, prologue=handshake_prologue(), remote_public_key=key)
    return handshake.send(bytes(payload or HandshakePayload(udx_id=7)))


async def send_handshake(client: Peer, server: Peer, noise: bytes, mode: int = Mode.FROM_CLIENT) -> DhtReply:
    """Send a handshake straight to a peer."""
    value = bytes(dht_connect.PeerHandshake(mode, noise))
    target = server.listener.announcement.target
    to = server.node.address
    return (await client.node.request(to, DhtCommand.PEER_HANDSHAKE, target=target, value=value, retries=0)).reply


async def counted(peer: Peer, reason: str, times: int = 1) -> None:
    await until(lambda: peer.listener.counters[reason] >= times)


async def test_a_handshake_that_is_repeated_gets_the_same_answer() -> None:
    async with peers() as (server, client):
        noise = call(server.key)
        answers = [await send_handshake(client, server, noise) for _ in range(3)]
        assert len({answer.value for answer in answers}) == 1
        assert len(server.node.streams) == 1
        assert (await send_handshake(client, server, call(server.key))).value != answers[0].value


async def test_an_old_handshake_sent_again_is_no_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "HANDSHAKE_TIMEOUT", 0.2)
    async with peers() as (server, client):
        await send_handshake(client, server, call(server.key, payload=HandshakePayload(Firewall.OPEN, udx_id=7)))
        await counted(server, "calls never finished")
        assert server.came.empty()


async def test_a_key_that_is_refused_costs_no_stream_and_gets_no_answer() -> None:
    async with peers() as (server, client):
        server.refused.add(client.key)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(send_handshake(client, server, call(server.key, client.key_pair)), 0.2)
        assert server.listener.counters["calls refused"] == 1
        assert server.node.streams == {}
        server.refused.clear()
        await opened(await client.dialer.dial(server.key), server)


@pytest.mark.parametrize("noise", [b"", bytes(96), os.urandom(300), bytes(1300)], ids=len)
async def test_what_is_no_handshake_with_us_gets_no_answer(noise: bytes) -> None:
    async with peers() as (server, client):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(send_handshake(client, server, noise), 0.2)
        assert server.listener.counters["calls dropped: not a handshake with us"] == 1
        await opened(await client.dialer.dial(server.key), server)


async def test_a_relayed_call_without_the_callers_address_is_dropped() -> None:
    async with peers() as (server, client):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(send_handshake(client, server, call(server.key), Mode.FROM_RELAY), 0.2)
        assert server.listener.counters["calls dropped: passed on without the caller's address"] == 1


@pytest.mark.parametrize("named", [("0.0.0.0", 5), ("224.0.0.1", 5), ("127.0.0.1", 0)], ids=str)
async def test_a_relayed_call_from_an_address_that_cannot_be_is_dropped(named: Address) -> None:
    async with peers() as (server, client):
        value = bytes(dht_connect.PeerHandshake(Mode.FROM_RELAY, call(server.key), named))
        target = server.listener.announcement.target
        request = client.node.request(server.node.address, DhtCommand.PEER_HANDSHAKE, target=target, value=value)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(request, 0.2)
        assert server.listener.counters["calls dropped: from an address that the node cannot know"] == 1
        assert server.node.streams == {}


async def test_there_are_only_so_many_calls_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_listener, "MAX_SESSIONS", 3)
    async with peers() as (_, client), peers() as (server, _):
        limited = Peer(client.node)
        await limited.listener.open()
        for _ in range(10):
            await send_handshake(server, limited, call(limited.key))
        await until(lambda: len(client.node.streams) == 3)
        assert limited.came.empty()
        await limited.listener.close()


async def test_a_caller_that_does_not_come_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_listener, "SESSION_LIFETIME", 0.1)
    monkeypatch.setattr(dht_listener, "SWEEP_EVERY", 0.05)
    async with peers() as pair:
        for peer in pair:
            peer.hide()
        server, client = pair
        dialled = await client.dialer.dial(server.key)
        await counted(server, "calls never finished")
        assert server.came.empty()
        await dialled.close()


@pytest.mark.parametrize("payload", [b"", bytes(24), bytes(100)], ids=len)
async def test_hole_punching_that_is_forged_is_dropped(payload: bytes) -> None:
    async with peers() as pair:
        for peer in pair:
            peer.hide()
        server, client = pair
        ours = await client.dialer.dial(server.key)
        (id_,) = server.listener._by_id
        target = server.listener.announcement.target
        for number, reason in ((id_, "forged or damaged"), (id_ ^ 1, "unknown call")):
            value = bytes(PeerHolepunch(Mode.FROM_RELAY, number, payload, client.node.address))
            request = client.node.request(server.node.address, DhtCommand.PEER_HOLEPUNCH, target=target, value=value)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(request, 0.2)
            assert server.listener.counters[f"hole punching dropped: {reason}"] == 1
        await opened(ours, server)


async def test_a_peer_of_another_version_is_told_so() -> None:
    async with peers() as (server, client):
        own, ephemeral = client.key_pair, KeyPair.from_seed(os.urandom(32))
        prologue = handshake_prologue()
        handshake = NoiseHandshake(True, own, ephemeral, pattern=IK, prologue=prologue, remote_public_key=server.key)
        reply = await send_handshake(client, server, handshake.send(b"\2"))
        answer = handshake.receive(dht_connect.PeerHandshake.decode(reply.value or b"").noise)
        assert HandshakePayload.decode(answer).error == dht_connect.ErrorCode.VERSION_MISMATCH
        assert server.node.streams == {}


async def test_a_listener_that_is_closed_is_not_found() -> None:
    async with peers() as (server, client):
        await server.listener.close()
        assert [peer async for peer in client.node.find_peer(server.key)] == []
