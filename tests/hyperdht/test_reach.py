"""Whether strangers can reach us, as far as nodes show it that are requested to reply to a fresh socket."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from linkup_nb.connection.udp_socket import UdpSocket
from linkup_nb.hyperdht import reach as dht_reach
from linkup_nb.hyperdht.io import DhtIo
from linkup_nb.hyperdht.reach import NEEDED, PINGED, is_reachable
from linkup_nb.wire.dht.rpc import Address, DhtRequest, Internal, decode_port
from tests.hyperdht.stranger import Stranger, stranger


@pytest.fixture
async def io() -> AsyncIterator[DhtIo]:
    made = DhtIo(UdpSocket)
    made.open("127.0.0.1", 0)
    yield made
    made.close()


@pytest.fixture
async def nodes() -> AsyncIterator[list[Stranger]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(stranger()) for _ in range(PINGED + 1)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_reach, "PATIENCE", 0.1)


def reply_there(node: Stranger) -> None:
    """From now on it answers its requests."""

    def answer(request: DhtRequest, sender: Address) -> None:
        assert (request.command, request.internal, request.value is None) == (Internal.PING_NAT, True, False)
        node.reply(request, (sender[0], decode_port(request.value or b"")))

    node.on_request = answer


def addresses(nodes: list[Stranger]) -> list[Address]:
    return [node.address for node in nodes]


async def test_who_gets_the_replies_of_enough_nodes_is_reachable(io: DhtIo, nodes: list[Stranger]) -> None:
    for node in nodes[:NEEDED]:
        reply_there(node)
    assert await is_reachable(io, addresses(nodes))
    assert nodes[PINGED].received.empty()


async def test_of_few_nodes_one_is_enough(io: DhtIo, nodes: list[Stranger]) -> None:
    reply_there(nodes[0])
    assert await is_reachable(io, addresses(nodes[: PINGED - 1]))


async def test_of_many_one_is_not_enough(io: DhtIo, nodes: list[Stranger], impatient: None) -> None:
    reply_there(nodes[0])
    assert not await is_reachable(io, addresses(nodes[:PINGED]))


async def test_who_gets_replies_only_where_it_asked_from_is_not(
    io: DhtIo, nodes: list[Stranger], impatient: None
) -> None:
    for node in nodes:
        node.answer_pings()
    assert not await is_reachable(io, addresses(nodes))


async def test_a_lost_question_is_asked_again(io: DhtIo, nodes: list[Stranger]) -> None:
    node = nodes[0]
    node.on_request = lambda request, sender: reply_there(node)
    assert await is_reachable(io, addresses([node]))


async def test_what_others_send_to_the_fresh_socket_does_not_count(
    io: DhtIo, nodes: list[Stranger], impatient: None
) -> None:
    first, *others = nodes

    def answer(request: DhtRequest, sender: Address) -> None:
        there = sender[0], decode_port(request.value or b"")
        for other in others:
            other.reply(request, there)
            other.send(b"nonsense", there)
        first.reply(DhtRequest((request.tid + 1) % 65536, there, 0), there)

    first.on_request = answer
    assert not await is_reachable(io, addresses([first]))


async def test_with_nobody_to_ask_nothing_is_shown(io: DhtIo, nodes: list[Stranger], impatient: None) -> None:
    assert not await is_reachable(io, [])
