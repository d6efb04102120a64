"""A relay on a network of nodes, and what strangers can do with it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from linkup_nb.channels import Channels
from linkup_nb.connection.connection import Connection
from linkup_nb.errors import LinkupError
from linkup_nb.hyperdht import blind_relay
from linkup_nb.hyperdht.blind_relay import BlindRelay
from linkup_nb.wire.blind_relay import PAIR, PROTOCOL, UNPAIR, Pair, Unpair
from linkup_nb.wire.protomux import Channel
from tests.hyperdht.peers import PATIENCE, Peer, peers, until

TOKEN = os.urandom(32)


class Asking:
    """A peer with a channel to the relay."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.answers: asyncio.Queue[Pair] = asyncio.Queue()
        self._channels = Channels.of(connection)
        self._channel: Channel = self._channels.open(PROTOCOL, connection.public_key, b"", self)

    def send(self, type: int, payload: bytes) -> None:
        self._channels.send(self._channel, type, payload)

    def pair(self, initiator: bool, token: bytes = TOKEN, stream_id: int = 7) -> None:
        self.send(PAIR, bytes(Pair(initiator, token, stream_id)))

    def leave(self) -> None:
        self._channels.close(self._channel)

    async def answer(self) -> Pair:
        return await asyncio.wait_for(self.answers.get(), PATIENCE)

    async def thrown_out(self) -> None:
        await asyncio.wait_for(self.connection.wait_closed(), PATIENCE)

    def opened(self, handshake: bytes) -> None: ...

    def received(self, type: int, payload: bytes) -> None:
        assert type == PAIR
        self.answers.put_nowait(Pair.decode(payload))

    def drained(self) -> None: ...

    def ended(self) -> None: ...


class Place:
    def __init__(self, server: Peer, clients: list[Peer]) -> None:
        self.relay = BlindRelay(server.node)
        self._server = server
        self._clients = clients
        server.listener._admit = self.relay.admit
        server.listener._refuses = self.relay.refuses

    async def reach(self, client: int = 0) -> Asking:
        connection = await self._clients[client].dialer.dial(self._server.key)
        connection.confirm()
        async with asyncio.timeout(PATIENCE):
            await connection.opened()
        return Asking(connection)


@asynccontextmanager
async def relaying(clients: int = 2) -> AsyncIterator[Place]:
    async with peers(1 + clients) as (server, *others):
        place = Place(server, others)
        try:
            yield place
        finally:
            await place.relay.close()


async def test_streams_of_two_peers_are_joined() -> None:
    async with relaying() as place:
        one, other = await place.reach(0), await place.reach(1)
        one.pair(True, stream_id=7)
        other.pair(False, stream_id=8)
        first, second = await one.answer(), await other.answer()
        assert (first.initiator, first.token, second.initiator, second.token) == (True, TOKEN, False, TOKEN)
        (joint,) = place.relay.joints.values()
        assert {(end.local_id, end.remote_id) for end in joint.ends} == {(first.stream_id, 7), (second.stream_id, 8)}


async def test_two_who_ask_with_the_same_role_are_not_joined() -> None:
    async with relaying() as place:
        one, other = await place.reach(0), await place.reach(1)
        one.pair(True)
        await until(lambda: place.relay._waiting)
        other.pair(True)
        await until(lambda: place.relay.counters["pairings requested twice"])
        assert not place.relay.joints


@pytest.mark.parametrize("how", ["unpairing", "closing the channel", "closing the connection"])
async def test_a_peer_that_leaves_is_relayed_for_no_more(how: str) -> None:
    async with relaying() as place:
        one, other = await place.reach(0), await place.reach(1)
        one.pair(True)
        other.pair(False)
        await one.answer()
        assert len(place.relay.joints) == 1
        if how == "unpairing":
            one.send(UNPAIR, bytes(Unpair(TOKEN)))
        elif how == "closing the channel":
            one.leave()
        else:
            await one.connection.close()
        await until(lambda: not place.relay.joints)


async def test_nobody_else_can_cancel_a_pairing() -> None:
    async with relaying() as place:
        one, other = await place.reach(0), await place.reach(1)
        one.pair(True)
        await until(lambda: place.relay._waiting)
        other.send(UNPAIR, bytes(Unpair(TOKEN)))
        other.pair(False)
        await one.answer()


async def test_one_peer_has_only_so_many_pairings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind_relay, "MAX_PAIRINGS", 2)
    async with relaying() as place:
        one, other = await place.reach(0), await place.reach(1)
        for _ in range(3):
            one.pair(True, os.urandom(32))
        await one.thrown_out()
        assert place.relay.counters["pairings over the limit of one peer"] == 1
        assert not place.relay._waiting
        assert not other.connection.closed


async def test_only_so_many_pairs_are_relayed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind_relay, "MAX_JOINTS", 1)
    async with relaying() as place:
        one, other = await place.reach(0), await place.reach(1)
        one.pair(True)
        other.pair(False)
        await one.answer()
        late = await place.reach(1)
        late.pair(True, bytes(32))
        late.pair(False, bytes(32))
        await late.thrown_out()
        assert len(place.relay.joints) == 1


async def test_one_host_has_only_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind_relay, "MAX_SESSIONS_OF_HOST", 1)
    async with relaying() as place:
        one = await place.reach(0)
        with pytest.raises(LinkupError):
            await place.reach(1)
        assert not one.connection.closed
        assert place.relay.counters["connections over the limit of one host"] == 1


async def test_a_full_relay_answers_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with relaying() as place:
        assert place.relay.refuses(bytes(32)) is None
        await place.reach()
        monkeypatch.setattr(blind_relay, "MAX_SESSIONS", 1)
        assert place.relay.refuses(bytes(32)) == "the relay is full"


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind_relay, "PAIRING_TIMEOUT", 0.1)
    monkeypatch.setattr(blind_relay, "SWEEP_EVERY", 0.05)
    async with relaying() as place:
        one = await place.reach()
        one.pair(True)
        await until(lambda: place.relay.counters["pairings whose other peer never came"])
        await one.thrown_out()
        assert not place.relay._waiting


async def test_silent_streams_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind_relay, "JOINT_TIMEOUT", 0.1)
    monkeypatch.setattr(blind_relay, "SWEEP_EVERY", 0.05)
    async with relaying() as place:
        one, other = await place.reach(0), await place.reach(1)
        one.pair(True)
        other.pair(False)
        await one.answer()
        await until(lambda: not place.relay.joints)
        assert not one.connection.closed


@pytest.mark.parametrize(("type", "payload"), [(PAIR, b"\0"), (UNPAIR, b""), (9, b"what")])
async def test_who_breaks_the_rules_is_disconnected(type: int, payload: bytes) -> None:
    async with relaying() as place:
        one, other = await place.reach(0), await place.reach(1)
        one.send(type, payload)
        await one.thrown_out()
        assert not other.connection.closed
