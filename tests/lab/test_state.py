"""What a picture of the network is drawn from: who is there, who knows whom, and when that changes."""

import asyncio
from itertools import pairwise

import linkup_nb as lu
from linkup_nb.lab.state import EdgeKind, NetEdge, NetState, PeerState
from tests.lab.waiting import KEY_PAIR, TOPIC, join, knows, until


def between(state: NetState, a: int, b: int) -> NetEdge | None:
    return next((edge for edge in state.edges if (edge.a, edge.b) == (a, b)), None)


def test_the_state_repeats_with_the_seed_and_is_in_order() -> None:
    states = []
    for _ in range(2):
        with lu.lab.testnet(32, seed=1, bits=8, k=3, alpha=1, dht_only=True) as net:
            states.append(net.state)
            assert [peer.n for peer in net.state.peers] == list(range(32))
            assert [peer.id for peer in net.state.peers] == list(net.ids)
            known = {(node.address, other.address) for node in net for other in node.table}
            numbers = {node.address: number for number, node in enumerate(net)}
            pairs = {tuple(sorted((numbers[one], numbers[other]))) for one, other in known}
            assert [(edge.a, edge.b) for edge in net.state.edges] == sorted(pairs)
            assert {edge.kind for edge in net.state.edges} == {EdgeKind.KNOWS}
    assert states[0] == states[1]


async def test_who_keeps_an_announcement_is_not_who_made_it() -> None:
    with lu.lab.testnet(10, seed=2, k=3, dht_only=True) as net:
        answers = await net[1].announce(TOPIC, KEY_PAIR)
        keepers = {answer.sender for answer in answers}
        assert len(keepers) == 3
        state = net.state
        assert {net.dht(peer.n).address for peer in state.peers if TOPIC in peer.keeps} == keepers
        assert net[1].store.counts["announcements"] == 1  # its own


async def test_connections_cuts_and_slow_links_are_edges() -> None:
    async with lu.lab.testnet(4, seed=2) as net:
        assert all(edge.kind is EdgeKind.KNOWS for edge in net.state.edges)
        await join(net[1])
        await join(net[3])
        await until(lambda: knows(net[1], net[3]))
        assert between(net.state, 1, 3) == NetEdge(1, 3, EdgeKind.CONNECTED)
        net.link(3, 1, delay=0.1, loss=0.25)
        assert between(net.state, 1, 3) == NetEdge(1, 3, EdgeKind.SLOW, 0.1, 0.25)
        net.partition({0, 1}, {2, 3})
        assert between(net.state, 1, 3) == NetEdge(1, 3, EdgeKind.CUT, 0.1, 0.25)
        assert between(net.state, 0, 1) == NetEdge(0, 1, EdgeKind.KNOWS)
        net.heal()
        net.link(1, 3)
        assert between(net.state, 1, 3) == NetEdge(1, 3, EdgeKind.CONNECTED)
        net.kill(3)
        assert [peer.state for peer in net.state.peers] == [PeerState.ALIVE] * 3 + [PeerState.DEAD]


async def test_an_update_tells_what_is_new_once() -> None:
    async with lu.lab.testnet(3, seed=2) as net:
        states: list[NetState] = []
        net.on("update", states.append)
        net.link(0, 1, delay=0.1)
        assert states[-1] == net.state
        net.kill(2)
        assert states[-1].peers[2].state is PeerState.DEAD
        net.revive(2)
        await join(net[0])
        await join(net[2])
        async with asyncio.timeout(30):
            while EdgeKind.CONNECTED not in {edge.kind for edge in states[-1].edges}:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert all(one != other for one, other in pairwise(states))


async def test_the_name_of_a_peer_is_what_it_calls_itself() -> None:
    async with lu.lab.testnet(2, seed=2) as net:
        await net[1].set_name("Ann")
        assert [peer.name for peer in net.state.peers] == ["peer 0", "Ann"]
        net.kill(1)
        assert net.state.peers[1].name == "Ann"
