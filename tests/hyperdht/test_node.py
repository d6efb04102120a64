"""Nodes of the DHT, among each other on loopback."""

import asyncio
from pathlib import Path
from random import Random
from time import monotonic, time

import pytest

from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.hyperdht import io as dht_io
from linkup_nb.hyperdht import node as dht_node
from linkup_nb.hyperdht import reach as dht_reach
from linkup_nb.hyperdht.node import PUBLIC_BOOTSTRAP, DhtNode
from linkup_nb.hyperdht.state import load_nodes
from linkup_nb.wire.dht.connect import Firewall
from linkup_nb.wire.dht.records import PeerRecord
from linkup_nb.wire.dht.rpc import Address, DhtReply, DhtRequest, Failure, Internal, decode_port, node_id
from linkup_nb.wire.keys import KeyPair, blake2b_256
from linkup_nb.wire.udx.events import Closing, EndReceived, Event, StreamClosed
from tests.hyperdht.network import HOST, PATIENCE, by_distance, network, start, until
from tests.hyperdht.stranger import stranger
from tests.kademlia.network import watch_datagrams

TOPIC = b"\x42" * 32
KEYS = KeyPair.from_seed(b"\x07" * 32)


async def test_a_newcomer_is_known_and_a_lookup_is_exact() -> None:
    async with network(30) as nodes:
        newcomer = await start([nodes[0].address])
        query = nodes[-1].query(Internal.FIND_NODE, newcomer.id or b"", internal=True)
        closest = [answer.sender for answer in await query.finished()]
        others = [node.address for node in [*nodes[:-1], newcomer]]
        assert closest == by_distance(others, query.target)[:20]
        await newcomer.close()


async def test_who_is_announced_is_found_until_he_withdraws() -> None:
    async with network(5) as nodes:
        peer = await start([nodes[0].address], ephemeral=True)
        relays = [answer.sender for answer in await peer.announce_self(KEYS)]
        assert len(relays) == 3
        assert len(await peer.announce(TOPIC, KEYS, relays)) == 5
        assert [record async for record in nodes[3].lookup(TOPIC)] == [PeerRecord(KEYS.public_key, tuple(relays))]
        found = [answer.sender async for answer, _ in nodes[3].find_peer(KEYS.public_key)]
        assert set(found) == set(relays) - {nodes[3].address}
        await peer.unannounce(TOPIC, KEYS)
        await peer.unannounce(blake2b_256(KEYS.public_key), KEYS, relays)
        assert [record async for record in nodes[3].lookup(TOPIC)] == []
        assert [record async for _, record in nodes[3].find_peer(KEYS.public_key)] == []
        await peer.close()


async def test_on_loopback_everyone_is_reachable_and_knows_it() -> None:
    async with network(2) as nodes:
        peer = await start([nodes[0].address], ephemeral=None)
        assert (peer.public_address, peer.nat.firewall, peer.id) == (peer.address, Firewall.OPEN, None)
        await peer.close()


async def test_values_are_stored_and_found() -> None:
    async with network(4) as nodes:
        target = await nodes[1].immutable_put(b"never to change")
        assert await nodes[2].immutable_get(target) == b"never to change"
        assert await nodes[1].mutable_put(KEYS, b"one", 1) == 3
        assert await nodes[1].mutable_put(KEYS, b"two", 2) == 3
        value = await nodes[2].mutable_get(KEYS.public_key)
        assert value is not None
        assert (value.seq, value.value) == (2, b"two")
        assert await nodes[2].mutable_get(KEYS.public_key, min_seq=3) is None


async def test_only_nodes_that_keep_their_address_keep_things() -> None:
    async with network(2) as nodes:
        peer = await start([nodes[0].address], ephemeral=True)
        answer = await nodes[1].request(peer.address, 3, target=TOPIC)
        assert (answer.reply.error, answer.reply.id) == (Failure.UNKNOWN_COMMAND, None)
        pong = await nodes[1].request(nodes[0].address, Internal.PING, internal=True)
        assert pong.reply.id == node_id(nodes[0].address)
        await peer.close()


async def test_closing_with_requests_under_way_is_quick() -> None:
    async with network(2) as nodes:
        peer = await start([nodes[0].address])
        await nodes[0].close()
        query = asyncio.create_task(peer.query(Internal.FIND_NODE, TOPIC, internal=True).finished())
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await peer.close()
            await query


async def test_a_view_shows_the_table_by_distance_and_the_last_lookup_hop_by_hop() -> None:
    async with network(12) as nodes:
        peer = await start([nodes[0].address], ephemeral=True)
        await peer.announce(TOPIC, KEYS)
        assert [record async for record in peer.lookup(TOPIC)] == [PeerRecord(KEYS.public_key)]
        view = peer.view()
        assert (view.ephemeral, view.address, view.public_address) == (True, peer.address, peer.address)
        assert sorted(node.address for node in view.nodes) == sorted(node.address for node in nodes)
        assert [node.distance for node in view.nodes] == sorted(node.distance for node in view.nodes)
        assert view.last_query is not None
        assert (view.last_query.command, view.last_query.target) == ("LOOKUP", TOPIC)
        assert list(view.last_query.closest) == by_distance([node.address for node in nodes], TOPIC)
        assert {hop.address for hop in view.last_query.hops} == {node.address for node in nodes}
        assert all(hop.rtt is not None for hop in view.last_query.hops)
        assert nodes[0].view().stored["announcements"] == 1
        await peer.close()


async def test_a_node_asks_only_until_it_was_reachable_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async with network(3) as nodes:
        peer = await start([nodes[0].address], ephemeral=None)
        assert (peer.id, peer.nat.firewall) == (None, Firewall.OPEN)
        assert peer.address not in {each.address for each in nodes[0].view().nodes}
        became: list[bytes | None] = []
        peer.on("persistent", lambda: became.append(peer.id))
        monkeypatch.setattr(dht_node, "STABLE_AFTER", 0.0)
        await peer.rejoin()
        assert peer.id == node_id(peer.address)
        assert became == [peer.id]
        await nodes[1].announce(TOPIC, KEYS)
        assert [each.public_key for each in peer.store.records(TOPIC, monotonic())] == [KEYS.public_key]
        never = await start([nodes[0].address], ephemeral=True)
        assert never.id is None
        await peer.close()
        await never.close()


async def test_a_node_that_cannot_be_reached_by_strangers_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_node, "STABLE_AFTER", 0.0)
    monkeypatch.setattr(dht_reach, "PATIENCE", 0.05)
    async with stranger() as shy:

        def answer(request: DhtRequest, sender: Address) -> None:
            if (
                request.command != Internal.PING_NAT or not request.internal
            ):  # like a firewall that lets only replies in
                shy.reply(request, sender, id=shy.id)

        shy.on_request = answer
        peer = await start([shy.address], ephemeral=None)
        assert (peer.id, peer.nat.firewall, peer.public_address) == (None, Firewall.UNKNOWN, peer.address)
        await peer.close()


async def test_a_node_that_can_no_longer_be_reached_keeps_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_node, "STABLE_AFTER", 0.0)
    async with stranger() as contact:
        open_ = True

        def answer(request: DhtRequest, sender: Address) -> None:
            if request.command != Internal.PING_NAT:
                contact.reply(request, sender, id=contact.id)
            elif open_:
                contact.reply(request, (sender[0], decode_port(request.value or b"")))

        contact.on_request = answer
        peer = await start([contact.address], ephemeral=None)
        assert peer.id == node_id(peer.address)
        open_ = False
        monkeypatch.setattr(dht_reach, "PATIENCE", 0.05)
        gone = asyncio.Event()
        peer.on("ephemeral", gone.set)
        await peer.rejoin()
        await asyncio.wait_for(gone.wait(), PATIENCE)
        assert peer.id is None
        await peer.close()


async def test_a_lone_node_on_all_addresses_learns_its_own_from_the_first_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LINKUP_OFFLINE")
    first = await start(host="0.0.0.0")
    entry = ("127.0.0.1", first.address[1])
    peer = await start([entry], ephemeral=True)
    pong = await peer.request(entry, Internal.PING, internal=True)
    assert (pong.reply.id, first.public_address) == (node_id(entry), entry)
    await peer.close()
    await first.close()


async def test_one_liar_does_not_move_a_node_that_says_where_it_is() -> None:
    async with stranger() as liar:
        liar.on_request = lambda request, sender: liar.send(DhtReply(request.tid, ("127.0.0.9", 1), liar.id), sender)
        node = await start([liar.address])
        assert (node.id, node.public_address) == (node_id(node.address), node.address)
        await node.close()


async def test_the_nodes_known_last_time_are_a_way_back_in(tmp_path: Path) -> None:
    file = tmp_path / "dht.json"
    async with network(4) as nodes:
        entry = [nodes[0].address]
        peer = await start(entry, state=file)
        await peer.close()
        await nodes[0].close()
        peer = await start(entry, state=file)
        assert len(await peer.announce(TOPIC, KEYS)) == 3
        await peer.close()


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"bootstrap": 7, "nodes": {}}', b"[" * 70_000])
async def test_a_state_file_that_was_garbled_is_survived_and_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "dht.json"
    file.write_bytes(content)
    async with network(2) as nodes:
        peer = await start([nodes[0].address], state=file)
        await peer.close()
    assert nodes[0].address in load_nodes(file, peer.bootstrap)


async def test_a_state_file_that_cannot_be_written_is_only_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with network(2) as nodes:
        peer = await start([nodes[0].address], state=tmp_path)
        await peer.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_bootstrap_node_may_be_named() -> None:
    async with network(2) as nodes:
        peer = await start([("localhost", nodes[0].address[1])])
        assert len(await peer.announce(TOPIC, KEYS)) == 2
        await peer.close()


async def test_offline_nobody_else_is_asked_and_no_name_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_node, "FIRST_RETRY", 0.01)
    node = DhtNode(host=HOST, port=0)
    with watch_datagrams() as hosts:
        await node.open()
        await until(lambda: node.counters["datagrams not sent: address not allowed"] >= 10)
        assert [record async for record in node.lookup(TOPIC)] == []
    assert node.bootstrap == PUBLIC_BOOTSTRAP
    assert hosts == set()
    await node.close()


async def test_a_bootstrap_node_that_is_down_at_first_is_tried_until_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module, name in ((dht_io, "FIRST_TIMEOUT"), (dht_io, "TIMEOUT"), (dht_node, "FIRST_RETRY")):
        monkeypatch.setattr(module, name, 0.02)
    first = await start()
    await first.close()
    peer = DhtNode([first.address], host=HOST, port=0)
    await peer.open()
    waiting = asyncio.create_task(peer.ready())
    await until(lambda: peer._upkeep.is_silent(first.address))
    again = DhtNode((), host=HOST, port=first.address[1], ephemeral=False)
    await again.open()
    await asyncio.wait_for(waiting, PATIENCE)
    await peer.close()
    await again.close()


async def test_who_waits_for_a_network_is_told_that_the_node_was_closed() -> None:
    node = DhtNode([(HOST, 9)], host=HOST, port=0)
    await node.open()
    waiting = asyncio.create_task(node.ready())
    await asyncio.sleep(0)
    await node.close()
    with pytest.raises(NodeClosed):
        await asyncio.wait_for(waiting, PATIENCE)


async def test_a_port_that_is_taken_is_said_in_words_and_the_usual_one_is_only_preferred() -> None:
    first = await start()
    second = DhtNode((), host=HOST, port=first.address[1])
    with pytest.raises(UsageError, match=rf"UDP port {first.address[1]} of {HOST} cannot be had .*choose another"):
        await second.open()
    await second.close()
    await first.close()
    usual = [DhtNode((), host=HOST) for _ in range(2)]
    for node in usual:
        await node.open()
    assert usual[0].address[1] != usual[1].address[1]
    for node in usual:
        await node.close()


async def test_events_of_streams_go_to_who_wants_them_until_the_stream_is_closed() -> None:
    async with network(2) as nodes:
        events: list[Event] = []
        ended, closed = asyncio.Event(), asyncio.Event()
        streams = [node.socket.open_stream() for node in nodes]
        for node, stream, other, peer in zip(nodes, streams, nodes[::-1], streams[::-1], strict=True):
            node.socket.connect_stream(stream, peer.local_id, other.address)

        def note(event: Event) -> None:
            match event:
                case EndReceived():
                    ended.set()
                case StreamClosed():
                    events.append(event)
                    closed.set()

        nodes[1].streams[streams[1].local_id] = note
        streams[0].write(b"hello")
        streams[0].end()
        nodes[0].socket.transmit_soon()
        await asyncio.wait_for(ended.wait(), PATIENCE)
        streams[0].destroy()
        nodes[0].socket.transmit_soon()
        await asyncio.wait_for(closed.wait(), PATIENCE)
        assert events == [StreamClosed(streams[1].local_id, Closing.RESET)]
        assert streams[1].read() == b"hello"
        assert not nodes[1].streams


async def test_who_answers_nonsense_to_everything_does_no_harm() -> None:
    random = Random(7)
    async with network(3) as nodes, stranger() as liar:

        def answer(request: DhtRequest, sender: Address) -> None:
            if request.internal and request.command == Internal.PING:
                liar.reply(request, sender, id=liar.id)
                return
            nodes_named = tuple(
                (f"127.{random.randrange(256)}.0.{random.randrange(256)}", random.randrange(65536)) for _ in range(20)
            )
            liar.send(
                DhtReply(
                    request.tid,
                    (f"{random.randrange(256)}.1.1.1", random.randrange(65536)),
                    random.choice([liar.id, random.randbytes(32), None]),
                    random.choice([random.randbytes(32), None]),
                    nodes_named,
                    random.choice([0, 0, 0, 1, 2, 16, 2**40]),
                    random.choice([random.randbytes(random.randrange(300)), None]),
                ),
                sender,
            )

        liar.on_request = answer
        await nodes[0].request(liar.address, Internal.PING, internal=True)
        peer = await start([nodes[0].address], ephemeral=True)
        for number in range(2):
            topic = bytes([number]) * 32
            keys = KeyPair.from_seed(topic)
            await peer.announce(topic, keys)
            assert PeerRecord(keys.public_key) in [record async for record in nodes[1].lookup(topic)]
            await nodes[1].mutable_put(keys, b"value", number)
            got = await peer.mutable_get(keys.public_key)
            assert got is not None
            assert got.value == b"value"
            assert await peer.immutable_get(await nodes[2].immutable_put(topic)) == topic
            assert await peer.immutable_get(bytes(32)) is None
        assert peer.public_address == peer.address
        await peer.close()


async def test_a_node_looks_after_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REFRESH_EVERY", "SWEEP_EVERY", "SAVE_EVERY"):
        monkeypatch.setattr(dht_node, name, 0.0)
    monkeypatch.setattr(dht_node, "TICK", 0.01)
    async with stranger() as contact:
        targets: set[bytes | None] = set()

        def answer(request: DhtRequest, sender: Address) -> None:
            targets.add(request.target)
            contact.reply(request, sender, id=contact.id)

        contact.on_request = answer
        file = tmp_path / "dht.json"
        node = await start([contact.address], state=file)
        node.store.announce(TOPIC, PeerRecord(KEYS.public_key), (HOST, 9), monotonic() - 3600)
        await until(lambda: len(targets) > 5 and not node.store.counts["announcements"])
        await until(lambda: load_nodes(file, node.bootstrap) == [contact.address])
        await node.close()


async def test_after_a_sleep_everybody_is_asked_again_and_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_node, "TICK", 0.01)
    async with network(2) as nodes:
        peer = await start([nodes[0].address], ephemeral=True)
        woken = asyncio.Event()
        peer.on("wakeup", woken.set)
        monkeypatch.setattr(dht_node, "time", lambda: time() + 3600)
        await asyncio.wait_for(woken.wait(), PATIENCE)
        assert peer.public_address == peer.address
        await peer.close()


async def test_who_was_cut_off_finds_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((dht_io, "FIRST_TIMEOUT"), (dht_io, "TIMEOUT"), (dht_node, "FIRST_RETRY"), (dht_node, "TICK")):
        monkeypatch.setattr(module, name, 0.02)
    first = await start()
    peer = await start([first.address], ephemeral=True)
    await first.close()
    await peer.query(Internal.FIND_NODE, TOPIC, internal=True).finished()
    await until(lambda: not peer.view().nodes)
    again = DhtNode((), host=HOST, port=first.address[1], ephemeral=False)
    await again.open()
    await until(lambda: [each.address for each in peer.view().nodes] == [again.address])
    await peer.close()
    await again.close()
