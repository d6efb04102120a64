"""Calling peers whose keys are known."""

import asyncio
import os
from typing import Any

import pytest

from linkup_nb.errors import HandshakeError, NotReachable, PeerTimeout
from linkup_nb.hyperdht import attempts, own_addresses
from linkup_nb.hyperdht import dialer as dht_dialer
from linkup_nb.hyperdht.io import DhtAnswer
from linkup_nb.hyperdht.peer_stream import PeerStream, Way
from linkup_nb.hyperdht.server import Identity
from linkup_nb.wire.dht import connect as dht_connect
from linkup_nb.wire.dht.connect import ErrorCode, Firewall, HandshakePayload, Mode, Relay, handshake_prologue
from linkup_nb.wire.dht.records import PeerRecord
from linkup_nb.wire.dht.rpc import DhtReply, DhtRequest
from linkup_nb.wire.keys import KeyPair, blake2b_256
from linkup_nb.wire.noise import IK, NoiseHandshake
from linkup_nb.wire.udx.events import Address
from tests.hyperdht.peers import PATIENCE, Peer, opened, peers, until


@pytest.mark.parametrize("hidden", [(), (0,), (1,), (0, 1)], ids=["both open", "server", "client", "both firewalled"])
async def test_two_peers_connect_and_talk(hidden: tuple[int, ...]) -> None:
    async with peers() as pair:
        for index in hidden:
            pair[index].hide()
        server, client = pair
        ours = await client.dialer.dial(server.key)
        theirs = await opened(ours, server)
        assert ours.transport == theirs.transport == "udx"
        assert (ours.remote_public_key, theirs.remote_public_key) == (server.key, client.key)
        assert ours.handshake_hash == theirs.handshake_hash
        await ours.write(b"question")
        assert await theirs.read() == b"question"
        await theirs.write(bytes(1_000_000))
        assert await ours.read() == bytes(1_000_000)
        await ours.close()
        await theirs.wait_closed()
        assert theirs.close_reason is None


async def test_holes_are_punched_where_the_shortcut_of_one_network_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_addresses, "local_addresses", lambda node: ())
    async with peers() as pair:
        for peer in pair:
            peer.hide()
        server, client = pair
        theirs = await opened(await client.dialer.dial(server.key), server)
        await theirs.write(b"through the wall")


async def test_nodes_that_are_said_to_know_the_peer_are_asked_first() -> None:
    async with peers() as (server, client):
        called: list[Address] = []
        request = client.node.request

        async def watched(to: Address, *rest: Any, **more: Any) -> DhtAnswer:
            called.append(to)
            return await request(to, *rest, **more)

        client.node.request = watched  # type: ignore[method-assign]
        relay = server.listener.announcement.addresses[0]
        await client.dialer.dial(server.key, [("127.0.0.1", 1), relay])
        assert set(called) == {("127.0.0.1", 1), relay}


async def test_a_peer_at_its_own_address_is_called_directly() -> None:
    async with peers() as (server, client):
        ours = await client.dialer.dial(server.key, [server.node.address])
        assert ours.address == server.node.address
        await opened(ours, server)


async def test_who_sends_first_goes_by_what_the_peer_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_dialer, "PASSIVE_TIMEOUT", 10 * PATIENCE)
    async with peers() as (server, client):
        server.hide()
        client.hide()
        request = client.node.request

        async def and_then_reachable(*called: Any, **more: Any) -> DhtAnswer:
            answer = await request(*called, **more)
            client.node._nat.open = True
            return answer

        client.node.request = and_then_reachable  # type: ignore[method-assign]
        async with asyncio.timeout(PATIENCE):
            await opened(await client.dialer.dial(server.key), server)


async def test_a_node_that_is_not_the_peer_does_not_answer_for_it() -> None:
    async with peers() as (server, client):
        with pytest.raises(NotReachable, match=r"do not know where it is|no node"):
            await client.dialer.dial(client.key, [server.node.address])
        assert server.came.empty()


async def test_a_peer_that_is_not_there_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async with peers() as (_, client):
        with pytest.raises(NotReachable, match="No node of the network knows this peer"):
            await client.dialer.dial(KeyPair.from_seed(os.urandom(32)).public_key)
    assert [record.getMessage() for record in caplog.records] == []  # the caller has the reason


async def test_a_key_that_nobody_can_have_is_named() -> None:
    async with peers() as (_, client):
        with pytest.raises(HandshakeError, match="not a usable point"):
            await client.dialer.dial(bytes(32))


async def test_a_peer_that_is_gone_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "CALL_TIMEOUT", 0.3)
    async with peers() as (server, client):
        server.refused.add(client.key)
        with pytest.raises(PeerTimeout, match=r"did not answer within 0\.3 s"):
            await client.dialer.dial(server.key)


async def test_leaving_before_confirming_makes_no_sound() -> None:
    async with peers() as (server, client):
        server.hide()
        client.hide()
        ours = await client.dialer.dial(server.key)
        await ours.close()
        theirs = await opened(await client.dialer.dial(server.key), server)
        await theirs.write(b"x")
        assert server.came.empty()


async def test_a_call_that_is_cancelled_leaves_nothing_behind() -> None:
    async with peers() as (server, client):
        server.refused.add(client.key)
        dialling = asyncio.ensure_future(client.dialer.dial(server.key))
        await until(lambda: client.node.streams)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        await until(lambda: not client.node.streams and not client.node.socket.endpoint.streams)


async def test_only_so_many_calls_are_made_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_dialer, "MAX_DIALS", 2)
    async with peers() as (server, client):
        busy = Peer(client.node)
        server.refused.add(busy.key)
        dialling = [asyncio.ensure_future(busy.dialer.dial(server.key)) for _ in range(5)]
        await until(lambda: len(client.node.streams) == 2)
        for _ in range(20):
            await asyncio.sleep(0)
            assert len(client.node.streams) == 2
        for dial in dialling:
            dial.cancel()
        await asyncio.gather(*dialling, return_exceptions=True)


class Liar:
    """A node that answers handshakes itself, with the key that is called or with none."""

    def __init__(
        self,
        peer: Peer,
        key_pair: KeyPair,
        payload: HandshakePayload,
        *,
        forge: bool = False,
        seen_at: Address | None = None,
    ) -> None:
        self._peer, self._key_pair, self._payload, self._forge = peer, key_pair, payload, forge
        self._seen_at = seen_at
        record = PeerRecord(key_pair.public_key)
        peer.node.identities[blake2b_256(record.public_key)] = Identity(record, self._on_handshake, self._on_handshake)

    def _on_handshake(self, request: DhtRequest, sender: Address) -> None:
        noise = dht_connect.PeerHandshake.decode(request.value or b"").noise
        handshake = NoiseHandshake(
            False, self._key_pair, KeyPair.from_seed(os.urandom(32)), pattern=IK, prologue=handshake_prologue()
        )
        handshake.receive(noise)
        answer = handshake.send(bytes(self._payload))
        if self._forge:
            answer = bytes(len(answer))
        value = bytes(dht_connect.PeerHandshake(Mode.REPLY, answer, peer_address=self._seen_at))
        self._peer.node.send(DhtReply(request.tid, sender, value=value), sender)


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (HandshakePayload(error=ErrorCode.TRY_LATER), "The peer is busy: try again later"),
        (HandshakePayload(error=ErrorCode.ABORTED), "does not want to connect"),
        (HandshakePayload(), "does not want to connect"),
        (HandshakePayload(error=ErrorCode.VERSION_MISMATCH), "another version"),
    ],
)
async def test_a_peer_that_declines_is_named(payload: HandshakePayload, sentence: str) -> None:
    async with peers() as (server, client):
        Liar(server, server.key_pair, payload)
        with pytest.raises((NotReachable, HandshakeError), match=sentence):
            await client.dialer.dial(server.key, [server.node.address])


async def test_a_peer_far_away_is_not_looked_for_in_our_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKUP_OFFLINE", "0")
    async with peers() as (_, client):
        called: list[Address] = []

        async def watched(to: Address, *_: Any, **__: Any) -> DhtAnswer:
            called.append(to)
            raise PeerTimeout("no node is requested in a test")

        client.node.request = watched  # type: ignore[method-assign]
        named = [("127.0.0.1", 22), ("8.8.8.8", 53), ("192.168.1.1", 80)]
        for seen_at in ("9.9.9.9", "127.0.0.1"):
            assert await client.dialer._nearby(named, (seen_at, 9)) is None
        assert called == [("192.168.1.1", 80), ("127.0.0.1", 22)]


async def test_an_answer_that_a_node_made_up_does_not_spoil_the_call() -> None:
    async with peers(3) as (server, client, liar):
        Liar(liar, server.key_pair, HandshakePayload(udx_id=1), forge=True)
        await opened(await client.dialer.dial(server.key, [liar.node.address]), server)


async def test_a_call_that_is_cancelled_after_its_answer_is_ended_at_the_peer() -> None:
    async with peers(3) as (relay, client, far):
        client.node._nat.open = True  # so the peer is to send first, and has connected its stream by now
        theirs = PeerStream(far.node, lambda way: None)
        answer = HandshakePayload(
            Firewall.CONSISTENT, holepunch_id=1, relays=(Relay(relay.node.address, far.node.address),), udx_id=theirs.id
        )
        Liar(relay, far.key_pair, answer, seen_at=far.node.address)
        answered = asyncio.Event()
        find_way = client.dialer._find_way

        async def watched(*call: Any) -> Way:
            answered.set()
            return await find_way(*call)

        client.dialer._find_way = watched  # type: ignore[assignment, method-assign]
        dialling = asyncio.ensure_future(client.dialer.dial(far.key, [relay.node.address]))
        async with asyncio.timeout(PATIENCE):
            await answered.wait()
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling
        await until(lambda: not far.node.socket.endpoint.streams)
        await until(lambda: not client.node.streams)
