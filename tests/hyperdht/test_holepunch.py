"""What a puncher makes of two firewalls, and where it sends to."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from linkup_nb.errors import DecryptionError
from linkup_nb.hyperdht import holepunch
from linkup_nb.hyperdht.holepunch import Puncher, Punchers, RandomTurn, Remote, our_addresses
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.peer_stream import PeerStream, Way
from linkup_nb.wire.dht.connect import ErrorCode, Firewall, HolepunchPayload
from linkup_nb.wire.dht.nat import NatSample
from linkup_nb.wire.udx.events import Address
from tests.hyperdht.network import HOST, network, start
from tests.hyperdht.peers import until

SECRET = bytes(range(32))
HERE = (HOST, 1000)


def seen_as(address: Address, firewall: Firewall) -> NatSample:
    return NatSample(address[0], address[1], firewall, 4)


class Side:
    """A node that believes in a firewall, and one puncher on it."""

    def __init__(self, node: DhtNode, firewall: Firewall, *, initiator: bool) -> None:
        self.node = node
        self.ways: list[Way] = []
        self.probes: list[Address] = []
        self.punchers = Punchers(node)
        self.firewall = firewall
        self.stream = PeerStream(node, self.ways.append)
        found = self.ways.append if initiator else None
        self.puncher = Puncher(node, self.stream, SECRET, self.punchers.turn, HERE, found)
        self.punchers.add(self.puncher)

    def knows(self, other: "Side", *, verified: bool = True) -> None:
        payload = HolepunchPayload(other.firewall, 0, addresses=(other.node.address,), punching=True)
        self.puncher.remote.update(payload, HERE, HOST if verified else None)

    def close(self) -> None:
        self.puncher.close()
        self.stream.give_up()


@pytest.fixture
async def node() -> AsyncIterator[DhtNode]:
    async with network(4) as nodes:
        made = await start([nodes[0].address], ephemeral=True)
        yield made
        await made.close()


@pytest.fixture
async def sides(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Side, Side]]:
    """An initiator and the other end, with firewalls of these kinds."""
    monkeypatch.setattr(holepunch, "ROUND", 0.02)
    firewalls: dict[DhtNode, Firewall] = {}
    monkeypatch.setattr(DhtNode, "nat", property(lambda node: seen_as(node.address, firewalls[node])))
    async with network(1) as nodes:
        made = [await start([nodes[0].address], ephemeral=True) for _ in range(2)]
        firewalls.update(zip(made, request.param, strict=True))
        firewalls[nodes[0]] = Firewall.OPEN
        pair = (
            Side(made[0], request.param[0], initiator=True),
            Side(made[1], request.param[1], initiator=False),
        )
        for side, other in (pair, pair[::-1]):
            side.knows(other)
        yield pair
        for side in pair:
            side.close()
            await side.node.close()


def between(*firewalls: Firewall) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sides", [firewalls], indirect=True)


@between(Firewall.CONSISTENT, Firewall.CONSISTENT)
async def test_two_that_are_seen_at_one_address_send_to_it(sides: tuple[Side, Side]) -> None:
    one, other = sides
    assert one.puncher.punch()
    assert other.puncher.punch()
    await until(lambda: one.ways)
    assert one.ways[0] == (one.node.socket, other.node.address)


@between(Firewall.CONSISTENT, Firewall.CONSISTENT)
async def test_it_is_given_up_after_some_rounds(sides: tuple[Side, Side]) -> None:
    one, other = sides
    await other.node.close()
    assert one.puncher.punch()
    assert one.puncher.punch()  # once is enough
    async with asyncio.timeout(20):
        await one.puncher.wait()
    assert not one.puncher.at_work
    assert one.ways == []


@between(Firewall.RANDOM, Firewall.CONSISTENT)
async def test_a_peer_of_many_ports_sends_from_many_sockets(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = sides
    monkeypatch.setattr(holepunch, "BIRTHDAY_SOCKETS", 5)
    monkeypatch.setattr(other.node, "on_probe", lambda address: other.probes.append(address))
    assert one.puncher.punch()
    await until(lambda: len(set(other.probes)) == 5)
    assert one.node.address not in other.probes
    met = other.probes[2]
    other.node.socket.send_probe(met)
    await until(lambda: one.ways)
    udx, address = one.ways[0]
    assert (udx.address[1], address) == (met[1], other.node.address)
    one.puncher.close(keep=udx)
    udx.send_datagram(b"still open", other.node.address)
    udx.close()


@between(Firewall.CONSISTENT, Firewall.RANDOM)
async def test_a_peer_of_many_ports_is_sent_to_at_random(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = sides
    port = other.node.address[1]
    monkeypatch.setattr(holepunch, "PORTS", (port, port))
    monkeypatch.setattr(other.node, "on_probe", lambda address: other.probes.append(address))
    assert one.puncher.punch()
    await until(lambda: len(other.probes) > 2)
    assert set(other.probes) == {one.node.address}


@between(Firewall.RANDOM, Firewall.RANDOM)
async def test_two_of_many_ports_cannot_meet(sides: tuple[Side, Side]) -> None:
    assert not sides[0].puncher.punch()
    assert sides[0].punchers.turn.free


@between(Firewall.CONSISTENT, Firewall.RANDOM)
async def test_nobody_is_sent_hundreds_of_datagrams_who_has_not_shown_to_be_there(sides: tuple[Side, Side]) -> None:
    one, other = sides
    one.knows(other, verified=False)
    one.puncher.remote.verified.clear()
    assert not one.puncher.punch()


@between(Firewall.CONSISTENT, Firewall.RANDOM)
async def test_one_punches_at_random_at_a_time(sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holepunch, "RANDOM_PAUSE", 0.05)
    one, _ = sides
    turn = one.punchers.turn
    assert turn.free
    assert one.puncher.punch()
    assert not turn.free
    one.puncher.close()
    assert not turn.free
    await until(lambda: turn.free)


@between(Firewall.CONSISTENT, Firewall.CONSISTENT)
async def test_a_probe_is_for_the_puncher_that_knows_its_sender(sides: tuple[Side, Side]) -> None:
    one, other = sides
    stranger = await start(ephemeral=True)
    stranger.socket.send_probe(one.node.address)
    other.node.socket.send_probe(one.node.address)
    await until(lambda: one.ways)
    assert one.ways == [(one.node.socket, other.node.address)]
    one.punchers.remove(one.puncher)
    one.punchers.remove(one.puncher)
    other.node.socket.send_probe(one.node.address)
    await one.node.request(other.node.address, 0, internal=True)
    assert len(one.ways) == 1
    await stranger.close()


@between(Firewall.CONSISTENT, Firewall.CONSISTENT)
async def test_a_relay_names_only_so_many_addresses_that_count(sides: tuple[Side, Side]) -> None:
    puncher = sides[0].puncher
    for port in range(1, 100):
        puncher.expected.append((HOST, port))
    assert not puncher.knows((HOST, 1))
    assert puncher.knows((HOST, 99))
    assert sum(puncher.knows((HOST, port)) for port in range(1, 100)) == holepunch.MAX_EXPECTED


async def test_turns_are_apart() -> None:
    turn = RandomTurn()
    turn.take()
    turn.give_back()
    assert not turn.free


def test_a_host_stays_verified_as_long_as_the_peer_names_it() -> None:
    remote = Remote()
    remote.update(HolepunchPayload(Firewall.RANDOM, 0, addresses=((HOST, 0),)), HERE, HOST)
    assert remote.verified_address == (HOST, 0)
    remote.update(HolepunchPayload(Firewall.RANDOM, 1, addresses=((HOST, 0),)), HERE, None)
    assert remote.verified_address == (HOST, 0)
    remote.update(HolepunchPayload(Firewall.RANDOM, 2, addresses=(("127.0.0.2", 0),)), HERE, None)
    assert remote.verified_address is None


def test_addresses_that_are_none_are_not_sent_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKUP_OFFLINE", "1")
    remote = Remote()
    payload = HolepunchPayload(Firewall.CONSISTENT, 0, addresses=(("8.8.8.8", 53), ("224.0.0.1", 5), HERE))
    remote.update(payload, HERE, None)
    assert remote.addresses == (HERE,)


def test_a_peer_far_away_names_no_address_of_our_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKUP_OFFLINE", "0")
    remote = Remote()
    named = (("192.168.1.1", 80), HERE, ("8.8.8.8", 53), ("10.0.0.1", 0))
    remote.update(HolepunchPayload(Firewall.CONSISTENT, 0, addresses=named), ("9.9.9.9", 9), None)
    assert set(remote.addresses) == {("8.8.8.8", 53)}
    remote.update(HolepunchPayload(Firewall.CONSISTENT, 0, addresses=named), ("10.0.0.2", 9), None)
    assert set(remote.addresses) == {("192.168.1.1", 80), ("8.8.8.8", 53), ("10.0.0.1", 0)}


@pytest.mark.parametrize(
    ("sample", "addresses"),
    [
        (NatSample(), None),
        (NatSample("20.0.0.1", 5, Firewall.UNKNOWN, 1), None),
        (NatSample("20.0.0.1", 5, Firewall.CONSISTENT, 3), (("20.0.0.1", 5),)),
        (NatSample("20.0.0.1", 5, Firewall.RANDOM, 3), (("20.0.0.1", 0),)),
    ],
)
def test_what_a_peer_is_told_of_where_we_are(sample: NatSample, addresses: tuple[Address, ...] | None) -> None:
    assert our_addresses(sample) == addresses


async def test_what_peers_tell_each_other_is_sealed(node: DhtNode) -> None:
    side = Side(node, Firewall.OPEN, initiator=True)
    payload = side.puncher.open(side.puncher.round_message(3, punching=True, remote_address=HERE, token=bytes(32)))
    assert (payload.round, payload.punching, payload.remote_address, payload.token) == (3, True, HERE, bytes(32))
    assert payload.addresses == (node.public_address,)
    refused = side.puncher.open(side.puncher.refuse(4, ErrorCode.TRY_LATER))
    assert (refused.error, refused.firewall, refused.addresses) == (ErrorCode.TRY_LATER, Firewall.UNKNOWN, None)
    with pytest.raises(DecryptionError):
        side.puncher.open(os.urandom(60))
    assert side.puncher.token(HOST) == side.puncher.token(HOST) != side.puncher.token("127.0.0.2")
    side.close()
