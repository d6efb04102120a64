"""A stream that waits for its peer, on one socket or on several."""

from collections.abc import AsyncIterator

import pytest

from linkup_nb.connection.udx_socket import UdxSocket
from linkup_nb.hyperdht import peer_stream
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.peer_stream import PeerStream, Way
from linkup_nb.wire.udx.events import Address
from tests.connection.udx_pair import open_both, shaken
from tests.hyperdht.network import network
from tests.hyperdht.peers import until


@pytest.fixture
async def nodes() -> AsyncIterator[list[DhtNode]]:
    async with network(2) as made:
        yield made


async def test_the_peer_may_come_to_any_of_our_sockets(nodes: list[DhtNode], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_stream, "LINGER", 0.0)
    ways: list[Way] = []
    probes: list[tuple[UdxSocket, Address]] = []
    calls, answers = shaken()
    waits, comes = PeerStream(nodes[0], ways.append), PeerStream(nodes[1], ways.append)
    others = [waits.open_socket(lambda udx, address: probes.append((udx, address))) for _ in range(2)]
    for udx in others:
        waits.await_at(udx)
        waits.await_at(udx)

    nodes[1].socket.send_probe(others[1].address)
    await until(lambda: probes)
    assert probes == [(others[1], nodes[1].address)]

    ours = comes.connect((nodes[1].socket, others[1].address), waits.id, calls)
    ours.confirm()
    await until(lambda: ways)
    assert ways == [(others[1], nodes[1].address)]
    theirs = waits.connect(ways[0], comes.id, answers)
    await theirs.established()
    theirs.confirm()
    await ours.opened()
    await theirs.opened()
    assert waits.carrier is others[1]
    await until(lambda: not nodes[0].socket.endpoint.streams and not others[0].endpoint.streams)
    await ours.write(b"by the second door")
    assert await theirs.read() == b"by the second door"
    await ours.close()
    await theirs.wait_closed()
    await until(lambda: others[1]._closed)
    others[0].close()


async def test_giving_up_before_anything_was_said_makes_no_sound(nodes: list[DhtNode]) -> None:
    ways: list[Way] = []
    waits = PeerStream(nodes[0], ways.append)
    waits.give_up()
    waits.abort()
    await until(lambda: waits.id not in nodes[0].streams)
    assert nodes[0].socket.endpoint.streams == ()
    assert ways == []


async def test_a_connection_can_be_ended_from_here(nodes: list[DhtNode]) -> None:
    calls, answers = shaken()
    one, other = PeerStream(nodes[0], print), PeerStream(nodes[1], print)
    ours = one.connect((nodes[0].socket, nodes[1].address), other.id, calls)
    theirs = other.connect((nodes[1].socket, nodes[0].address), one.id, answers, show=True)
    await open_both(ours, theirs)
    one.abort()
    await theirs.wait_closed()
    assert str(theirs.close_reason) == "The connection broke: Connection reset by peer."
