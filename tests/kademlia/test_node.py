"""Networks of nodes on loopback, with the dead, the forgers and the liars that there may be among them."""

import asyncio
import contextlib
import logging
import os
import random
import statistics
import time
from collections.abc import AsyncIterator

import pytest

from linkup_nb.discovery.protocol import PROOF_SIZE
from linkup_nb.kademlia import node as kademlia_node
from linkup_nb.kademlia import rpc as kademlia_rpc
from linkup_nb.kademlia.announcements import ANNOUNCEMENT_TTL, Address, Announcement, pack_addresses
from linkup_nb.kademlia.node import KademliaNode
from linkup_nb.kademlia.rpc import AMPLIFICATION, MAX_DATAGRAM, MAX_NAMED, REPLY_TIMEOUT
from linkup_nb.kademlia.table import node_id
from linkup_nb.wire.dht.table import K
from linkup_nb.wire.keys import KeyPair
from tests.kademlia.network import TIMEOUT, by_distance, network, reply, request, stranger, watch_datagrams

ANNA = KeyPair.from_seed(b"a" * 32)
HERE: tuple[Address, ...] = (("127.0.0.1", 4000),)
TARGET = b"t" * 32


@pytest.fixture(autouse=True)
async def nothing_fails_unseen(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
    yield
    assert failures == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def announcement(
    key_pair: KeyPair = ANNA, target: bytes = TARGET, addresses: tuple[Address, ...] = HERE, at: float | None = None
) -> Announcement:
    at = time.time() if at is None else at
    return Announcement.sign(key_pair, target, bytes(PROOF_SIZE), addresses, int((at + ANNOUNCEMENT_TTL) * 1000))


def closest_to(target: bytes, nodes: list[KademliaNode], requester: KademliaNode) -> list[Address]:
    return by_distance([node.address for node in nodes if node is not requester], target)[:K]


async def test_every_lookup_in_a_network_is_exact_also_when_a_third_of_it_dies() -> None:
    async with network(70) as nodes:
        for _ in range(20):
            requester, target = random.choice(nodes), os.urandom(32)
            found = await requester.look_up(target)
            assert list(found.tokens) == closest_to(target, nodes, requester)
        announced = []
        for announcer in random.sample(nodes, 8):
            target = os.urandom(32)
            found = await announcer.look_up(target)
            await announcer.announce(target, announcement(target=target), found.tokens, timeout=TIMEOUT)
            announced.append(target)

        dead = random.sample(nodes, 21)
        for node in dead:
            node.close()
        living = [node for node in nodes if node not in dead]
        seconds = []
        for target in [*announced, *(os.urandom(32) for _ in range(8))]:
            requester, began = random.choice(living), time.monotonic()
            found = await requester.look_up(target)
            seconds.append(time.monotonic() - began)
            assert list(found.tokens) == closest_to(target, living, requester)
            assert (ANNA.public_key in found.announcements) == (target in announced)
        assert statistics.median(seconds) < 1.5  # a crawl in rounds waits at least REPLY_TIMEOUT for its dead


async def test_a_newcomer_becomes_known_through_the_one_node_that_it_names() -> None:
    async with network(12) as nodes:
        async with asyncio.timeout(TIMEOUT):
            while not all(len(node.contacts) == len(nodes) - 1 for node in nodes):
                for node in nodes:
                    await node.find_neighbours()
        assert all(node.address not in node.contacts for node in nodes)


async def test_joining_through_nobody_fails_without_a_fuss() -> None:
    async with network(1) as [node], stranger() as mute:
        assert not await node.join([])
        assert not await node.join([mute.address])
        assert not await node.join([("203.0.113.9", 9)])


async def test_joining_does_not_wait_for_a_dead_bootstrap_peer_beside_a_living_one() -> None:
    async with network(2) as [first, second], stranger() as mute:
        began = time.monotonic()
        assert await second.join([mute.address, first.address])
        assert time.monotonic() - began < REPLY_TIMEOUT


async def test_a_node_that_listens_on_all_addresses_learns_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINKUP_OFFLINE")
    async with network(30) as nodes:
        everywhere = KademliaNode()
        await everywhere.open("0.0.0.0", 0)
        assert await everywhere.join([nodes[0].address])
        own = everywhere._own_target
        assert set(everywhere._contacts.closest(own[:20], 5)) == set(closest_to(own, nodes, everywhere)[:5])
        assert own[:20] == node_id(("127.0.0.1", everywhere.address[1]))
        everywhere.close()


async def test_an_announcement_is_found_renewed_withdrawn_and_not_replayed() -> None:
    now = time.time()
    async with network(8, clock=lambda: now) as nodes:
        found = await nodes[1].look_up(TARGET)
        assert await nodes[1].announce(TARGET, old := announcement(at=now), found.tokens, timeout=TIMEOUT) == 7
        assert (await nodes[2].look_up(TARGET)).announcements == {ANNA.public_key: old}
        await nodes[1].announce(TARGET, announcement(addresses=(), at=now + 1), found.tokens, timeout=TIMEOUT)
        assert (await nodes[2].look_up(TARGET)).announcements == {}
        assert await nodes[1].announce(TARGET, old, found.tokens, timeout=TIMEOUT) == 0
        assert (await nodes[2].look_up(TARGET)).announcements == {}


async def test_an_announcement_that_nobody_renews_expires() -> None:
    now = time.time()
    async with network(4, clock=lambda: now) as nodes:
        found = await nodes[1].look_up(TARGET)
        await nodes[1].announce(TARGET, announcement(at=now), found.tokens, timeout=TIMEOUT)
        now += ANNOUNCEMENT_TTL - 1
        assert ANNA.public_key in (await nodes[2].look_up(TARGET)).announcements
        now += 1
        assert (await nodes[2].look_up(TARGET)).announcements == {}
        for node in nodes:
            node.tick()
        assert [node.kept for node in nodes] == [0, 0, 0, 0]


async def test_many_on_one_target_are_all_found_in_one_lookup() -> None:
    async with network(20) as nodes:
        everyone = [KeyPair.from_seed(bytes([number]) * 32) for number in range(20)]
        found = await nodes[1].look_up(TARGET)
        for key_pair in everyone:
            await nodes[1].announce(TARGET, announcement(key_pair), found.tokens, timeout=TIMEOUT)
        found = await nodes[2].look_up(TARGET)
        assert found.announcements.keys() == {key_pair.public_key for key_pair in everyone}


async def test_nobody_announces_from_an_address_that_is_not_his() -> None:
    async with network(1) as [node], stranger() as thief, stranger() as other:
        other.request(node.address, "lookup", TARGET, bytes(346))
        token, *_ = await other.next_reply()
        thief.request(node.address, "announce", TARGET, token, bytes(announcement()))
        assert await thief.next_reply() == [False]
        assert node.kept == 0
        assert node.counters == {"announcements refused: wrong token": 1}
        other.request(node.address, "announce", TARGET, token, bytes(announcement()))
        assert await other.next_reply() == [True]
        assert node.kept == 1


@pytest.mark.parametrize("at", range(0, 130, 7))
async def test_a_forged_announcement_is_refused(at: int) -> None:
    async with network(1) as [node], stranger() as forger:
        forger.request(node.address, "lookup", TARGET, bytes(346))
        token, *_ = await forger.next_reply()
        data = bytearray(bytes(announcement()))
        data[at % len(data)] ^= 1
        forger.request(node.address, "announce", TARGET, token, bytes(data))
        assert await forger.next_reply() == [False]
        assert node.counters == {"announcements refused: malformed, forged or expired": 1}


async def test_calls_of_the_right_form_are_answered_whatever_they_contain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia_rpc, "REQUEST_BURST", kademlia_rpc.TOTAL_BURST)
    async with network(5) as nodes, stranger() as requester:
        for _ in range(300):
            target = random.randbytes(32)
            name, arguments = random.choice(
                [
                    ("lookup", [target, bytes(random.randrange(1000))]),
                    ("announce", [target, random.randbytes(8), random.randbytes(random.randrange(193))]),
                ]
            )
            requester.request(nodes[0].address, name, *arguments)
            assert await requester.next_reply()
        assert nodes[0].kept == 0


async def test_replies_of_the_right_form_do_no_harm_whatever_they_contain() -> None:
    def nonsense(name: str, arguments: list[bytes], requester: Address) -> object:
        nodes = random.randbytes(6 * random.randrange(MAX_NAMED + 1))  # in all less than MAX_DATAGRAM
        announcements = [random.randbytes(random.randrange(193)) for _ in range(random.randrange(5))]
        return {"ping": [], "lookup": [random.randbytes(8), random.randbytes(6), nodes, announcements]}[name]

    async with network(5) as nodes, stranger() as liar:
        liar.reply_to_all(nonsense)
        for _ in range(20):
            await nodes[0].join([liar.address])
            assert (await nodes[0].look_up(random.randbytes(32))).announcements == {}
        assert len(nodes[0].contacts) == 5


async def test_a_client_believes_no_forger_and_verifies_no_more_of_his() -> None:
    async with network(1) as [node], stranger() as liar:
        forged = bytearray(bytes(announcement()))
        forged[40] ^= 1
        genuine = bytes(announcement(KeyPair.from_seed(b"b" * 32)))
        other_target = bytes(announcement(target=b"o" * 32))
        token, seen_as = b"token...", pack_addresses([node.address])
        liar.reply_to_all(lambda name, *_: [] if name == "ping" else [token, seen_as, b"", [bytes(forged), genuine]])
        await node.join([liar.address])
        assert (await node.look_up(TARGET)).announcements == {}
        liar.reply_to_all(lambda name, *_: [] if name == "ping" else [token, seen_as, b"", [other_target]])
        assert (await node.look_up(TARGET)).announcements == {}
        assert node.counters == {"announcements dropped: malformed, forged or expired": 2}


async def test_a_reply_can_bring_only_so_many_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia_node, "MAX_FOUND", 3)
    async with network(1) as [node], stranger() as liar:
        many = [bytes(announcement(KeyPair.from_seed(bytes([number]) * 32))) for number in range(5)]
        liar.reply_to_all(lambda name, *_: [] if name == "ping" else [b"token...", b"seenas", b"", many])
        await node.join([liar.address])
        assert len((await node.look_up(TARGET)).announcements) == 3
        assert node.counters == {"announcements dropped: too many": 2}


async def test_offline_no_datagram_leaves_the_machine_whatever_a_node_names() -> None:
    far = [("203.0.113.9", 9), ("10.0.0.1", 9), ("224.0.0.251", 5353), ("0.0.0.0", 9), ("127.0.0.1", 0)]
    async with network(5) as nodes, stranger() as liar:
        elsewhere = bytes(announcement(addresses=(("203.0.113.9", 9), *HERE)))
        value = [b"token...", pack_addresses([("203.0.113.9", 9)]), pack_addresses(far), [elsewhere]]
        liar.reply_to_all(lambda name, *_: [] if name == "ping" else value)
        with watch_datagrams() as hosts:
            assert await nodes[1].join([liar.address])
            found = await nodes[1].look_up(TARGET)
            await nodes[1].announce(TARGET, announcement(), found.tokens, timeout=TIMEOUT)
        assert hosts == {"127.0.0.1"}
        assert found.announcements[ANNA.public_key].addresses == HERE
        assert nodes[1].counters["addresses ignored: not to be dialled from here"] >= len(far)


async def test_what_a_node_elsewhere_calls_loopback_is_none_of_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINKUP_OFFLINE")
    async with network(1) as [node]:
        assert node._usable(("127.0.0.1", 9), named_by=("127.0.0.1", 1))
        assert node._usable(("192.168.1.6", 9), named_by=("192.168.1.5", 1))
        assert not node._usable(("127.0.0.1", 9), named_by=("192.168.1.5", 1))


async def test_a_liar_who_names_dead_nodes_next_to_the_target_delays_a_lookup_but_does_not_spoil_it() -> None:
    async with network(30) as nodes, stranger() as mute, stranger() as liar:
        mute.on_datagram = lambda data, addr: None
        dead = [(f"127.0.{high}.{low}", mute.address[1]) for high in range(1, 20) for low in range(1, 250)]
        named = pack_addresses(by_distance(dead, TARGET)[:MAX_NAMED])
        liar.reply_to_all(lambda name, *_: [] if name == "ping" else [b"token...", b"seenas", named, []])
        assert await nodes[1].join([liar.address])
        began = time.monotonic()
        found = await nodes[1].look_up(TARGET)
        assert list(found.tokens) == by_distance([*closest_to(TARGET, nodes, nodes[1]), liar.address], TARGET)[:K]
        assert time.monotonic() - began < TIMEOUT


async def test_forged_datagrams_put_nobody_into_the_table() -> None:
    async with network(1) as [node], stranger() as mute:
        mute.request(node.address, "lookup", TARGET, bytes(346))
        await mute.next_reply()
        await mute.next_request("ping")  # it is asked whether it is there, and does not say so
        assert node.contacts == []


async def test_a_newcomer_who_answers_is_known_from_then_on() -> None:
    async with network(1) as [node], stranger() as newcomer, stranger() as other:
        newcomer.request(node.address, "ping")
        message_id, _ = await newcomer.next_request("ping")
        newcomer.send(reply(message_id, []), node.address)
        other.request(node.address, "lookup", TARGET, bytes(346))
        _, _, named, _ = await other.next_reply()
        assert named == pack_addresses([newcomer.address])


async def test_so_many_newcomers_are_checked_at_a_time_and_no_more() -> None:
    async with network(1) as [node], contextlib.AsyncExitStack() as stack:
        checked = 0
        for _ in range(kademlia_node.MAX_CHECKS + 20):
            mute = await stack.enter_async_context(stranger())
            mute.request(node.address, "ping")
            data, _ = await mute.next()  # a check is sent before the reply
            checked += data[0] == 0
        assert checked == kademlia_node.MAX_CHECKS


async def test_a_contact_that_died_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia_node, "STALE_AFTER", 0.0)
    async with network(3) as nodes, stranger() as mute:
        await nodes[0].find_neighbours()
        assert set(nodes[0].contacts) == {nodes[1].address, nodes[2].address}
        nodes[1].close()
        nodes[0].tick()
        assert not await nodes[0].join([mute.address])  # this one is given up after those that were checked before
        assert nodes[0].contacts == [nodes[2].address]


async def test_a_forged_sender_gets_at_most_three_times_what_was_sent_in_his_name() -> None:
    async with network(K + 1) as nodes:
        found = await nodes[1].look_up(TARGET)
        for number in range(12):
            await nodes[1].announce(
                TARGET, announcement(KeyPair.from_seed(bytes([number]) * 32)), found.tokens, timeout=TIMEOUT
            )
        for padding in [0, 1, 20, 100, 346, 1000]:
            async with stranger() as victim:
                forged = request("lookup", TARGET, bytes(padding))
                victim.send(forged, nodes[2].address)
                ping, _ = await victim.next()
                answer, _ = await victim.next()
                assert (ping[0], answer[0]) == (0, 1)
                assert len(ping) + len(answer) <= AMPLIFICATION * len(forged)
                assert len(answer) <= MAX_DATAGRAM
        assert len(answer) > MAX_DATAGRAM - 150  # an honest asker gets a datagram full


async def test_so_many_silent_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia_node, "MAX_SILENT", 2)
    async with network(1) as [node], contextlib.AsyncExitStack() as stack:
        mutes = [(await stack.enter_async_context(stranger())).address for _ in range(4)]
        assert not await node.join(mutes)
        await asyncio.sleep(0)  # of requests that end together, the last callbacks come after `join`
        assert len(set(mutes) & set(node._silent)) == 2


async def test_a_look_up_can_be_seen_hop_by_hop_and_the_table_by_distance() -> None:
    async with network(30) as nodes:
        requester, target = nodes[-1], os.urandom(32)
        found = await requester.look_up(target)
        view = requester.view()
        assert [node.distance for node in view.nodes] == sorted(node.distance for node in view.nodes)
        assert {node.address for node in view.nodes} == set(requester.contacts)
        query = view.last_query
        assert query
        assert (query.target, list(query.closest)) == (target, list(found.tokens))
        asked = {hop.address for hop in query.hops}
        assert asked >= set(found.tokens)
        assert all(hop.named_by is None or hop.named_by in asked for hop in query.hops)
        assert all(hop.rtt is not None for hop in query.hops if hop.address in found.tokens)
