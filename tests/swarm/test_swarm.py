"""One connection a peer, whatever happens; and what a stranger can make a swarm hold or do."""

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter
from contextlib import AsyncExitStack
from itertools import permutations
from pathlib import Path

import pytest

from linkup_nb.connection.connection import connect
from linkup_nb.discovery.protocol import Announcer, PeerStatus
from linkup_nb.errors import InvalidTopic, NodeClosed, UsageError
from linkup_nb.swarm import choice, dialer, swarm
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.swarm.topic import peer_topic
from linkup_nb.wire.keys import KeyPair, short_key
from tests.connection.links import PATIENCE, Link, Member, Pointer, refused, seeds_in_order
from tests.connection.udx_meeting import UdxMeeting

TOPIC = bytes(range(32))
OTHER_TOPIC = bytes(32)


async def test_two_that_find_each_other_at_the_same_moment_share_one_connection() -> None:
    for _ in range(150):
        async with Member(TOPIC, greeting=b"hello") as ann, Member(TOPIC, greeting=b"hi") as bob:
            ann.finds(bob)
            bob.finds(ann)
            await ann.receives(1)
            await bob.receives(1)
            assert (ann.received, bob.received) == ([(bob.key, b"hi")], [(ann.key, b"hello")])
            assert (ann.came, bob.came, ann.went, bob.went) == ([bob.key], [ann.key], [], [])
            assert len(ann.swarm.connections) == len(bob.swarm.connections) == 1


async def test_a_crowd_that_dials_each_other_at_once_over_slow_links_loses_no_message() -> None:
    chance = random.Random(4)
    async with AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(Member(TOPIC, greeting=b"hello")) for _ in range(12)]
        links = [await stack.enter_async_context(Link(m.address[1], delay=0.02, chance=chance)) for m in crowd]
        for one, two in permutations(range(12), 2):
            crowd[one].finds(crowd[two], links[two].address, crowd[two].address)
        await asyncio.gather(*(member.receives(11) for member in crowd))
        for member in crowd:
            others = {other.key for other in crowd} - {member.key}
            assert Counter(member.received) == Counter((key, b"hello") for key in others)
            assert (Counter(member.came), member.went) == (Counter(others), [])
            assert len(member.swarm.connections) == 11


@pytest.mark.parametrize("larger_dials", [False, True])
async def test_one_that_only_listens_is_reached_by_smaller_and_larger_keys(larger_dials: bool) -> None:
    small, large = seeds_in_order()
    async with Member(TOPIC, small, greeting=b"from small") as one, Member(TOPIC, large, greeting=b"from large") as two:
        if larger_dials:
            two.finds(one)
        else:
            one.finds(two)
        await one.until(lambda: one.received == [(two.key, b"from large")])
        await two.until(lambda: two.received == [(one.key, b"from small")])
        assert two.info(one).initiator is larger_dials


@pytest.mark.parametrize("larger_restarts", [False, True])
async def test_a_peer_that_restarts_while_its_old_connection_is_half_dead_is_back_at_once(
    larger_restarts: bool,
) -> None:
    seeds = seeds_in_order()
    async with Member(TOPIC, seeds[not larger_restarts]) as stays, Link(stays.address[1]) as link:
        async with Member(TOPIC, seeds[larger_restarts]) as first:
            first.finds(stays, link.address)
            await stays.until(lambda: stays.came)
            link.die()
        async with Member(TOPIC, seeds[larger_restarts], greeting=b"again") as second:
            second.finds(stays)
            await stays.until(lambda: stays.received, patience=2.5)
            assert (stays.came, stays.went) == ([second.key] * 2, [second.key])
            assert len(stays.swarm.connections) == len(second.swarm.connections) == 1
            assert stays.received == [(second.key, b"again")]
            assert second.went == []


async def test_a_second_connection_of_a_living_peer_takes_over_after_the_grace() -> None:
    small, large = seeds_in_order()
    async with Member(TOPIC, large) as member:
        old = await connect(*member.address, KeyPair.from_seed(small))
        new = await connect(*member.address, KeyPair.from_seed(small))
        await old.wait_closed()
        assert not new.closed
        assert (len(member.came), len(member.went), len(member.swarm.connections)) == (2, 1, 1)
        assert member.info(new.public_key).status is PeerStatus.CONNECTED
        await new.close()


async def test_a_second_connection_that_ends_within_the_grace_changes_nothing() -> None:
    small, large = seeds_in_order()
    async with Member(TOPIC, large) as member:
        old = await connect(*member.address, KeyPair.from_seed(small))
        new = await connect(*member.address, KeyPair.from_seed(small), confirm=False)
        new.confirm()
        await new.close()
        await old.write(b"still here")
        await member.receives(1)
        assert (len(member.came), member.went, member.swarm.connections[0].closed) == (1, [], False)
        await old.close()


async def test_messages_written_just_before_a_peer_leaves_arrive() -> None:
    async with Member(TOPIC) as member:
        for number in range(20):
            connection = await connect(*member.address)
            await connection.write(b"%d" % number)
            await connection.close()
        await member.receives(20)
        await member.loses(20)
        assert sorted(int(message) for _, message in member.received) == list(range(20))
        assert member.swarm.peers == ()


async def test_a_killed_process_is_noticed_at_once_and_met_again_when_it_is_back() -> None:
    seed = os.urandom(32)
    script = Path(__file__).parents[1] / "connection" / "echo_process.py"

    key = KeyPair.from_seed(seed).public_key
    async with Member(TOPIC, greeting=b"echo") as member:
        for lives in (1, 2):
            process = await asyncio.create_subprocess_exec(sys.executable, script, seed.hex(), stdout=subprocess.PIPE)
            assert process.stdout
            member.pointer.point(TOPIC, key, ("127.0.0.1", int(await process.stdout.readline())))
            await member.receives(lives)
            process.kill()
            await process.wait()
            async with asyncio.timeout(1.0):
                await member.loses(lives)
            assert member.received == [(key, b"echo")] * lives
            assert member.info(key).status is PeerStatus.WAITING


async def test_our_own_key_is_neither_dialled_nor_let_in() -> None:
    async with Member(TOPIC) as member:
        member.finds(member)
        assert member.swarm.peers == ()
        twin = await connect(*member.address, member.swarm.key_pair, confirm=False)
        twin.confirm()
        assert await refused(twin)
        assert member.swarm.counters == {"connections refused: our own key": 1}


async def test_hostile_finds_are_bounded_and_never_leave_this_machine_when_offline() -> None:
    key = KeyPair.from_seed(bytes(32)).public_key
    elsewhere = [("192.0.2.7", 9), ("::ffff:192.0.2.7", 9), ("example.org", 9), ("127.0.0.1", 0), ("127.0.0.1", 70000)]
    elsewhere += [("0.0.0.0", 9), ("224.0.0.1", 9), ("", 9)]
    async with Member(TOPIC) as member:
        member.pointer.point(TOPIC, key, *elsewhere)
        member.pointer.point(TOPIC, b"not a key", ("127.0.0.1", 9))
        assert member.swarm.peers == ()
        assert member.swarm.counters == {"found peers ignored: no key, or no address to dial": 2}
        member.pointer.point(TOPIC, key, *(("127.0.0.1", port) for port in range(1, 5000)))
        assert member.info(key).addresses == tuple(("127.0.0.1", port) for port in range(1, 9))
        beyond = [("", 1)] * swarm.MAX_FOUND_ADDRESSES + [("127.0.0.1", 9)]
        member.pointer.point(TOPIC, bytes(32), *beyond)
        assert len(member.swarm.peers) == 1


async def test_a_topic_keeps_a_bounded_number_of_peers() -> None:
    async with Member(TOPIC) as member:
        for number in range(swarm.MAX_KNOWN_PEERS + 10):
            member.pointer.point(TOPIC, number.to_bytes(32, "big"), ("127.0.0.1", 1))
        assert len(member.swarm.peers) == len(member.swarm.topics[0].peers) == swarm.MAX_KNOWN_PEERS
        assert member.swarm.counters == {"found peers ignored: too many on one topic": 10}


async def test_connections_are_bounded_and_strangers_make_room_for_peers_on_our_topics() -> None:
    async with AsyncExitStack() as stack:
        member = await stack.enter_async_context(Member(TOPIC))
        strangers = [await connect(*member.address) for _ in range(swarm.MAX_PEERS)]
        assert len(member.swarm.connections) == swarm.MAX_PEERS
        late = await connect(*member.address, confirm=False)
        late.confirm()
        assert await refused(late)
        assert member.swarm.counters == {"connections refused: 64 peers are connected": 1}
        friend = await stack.enter_async_context(Member(TOPIC))
        member.finds(friend)
        friend.finds(member)
        await member.until(lambda: friend.key in member.came)
        await strangers[0].wait_closed()
        assert len(member.swarm.connections) == swarm.MAX_PEERS
        assert [stranger.closed for stranger in strangers[1:]] == [False] * (swarm.MAX_PEERS - 1)
        for stranger in strangers:
            await stranger.close()


async def test_a_full_swarm_dials_again_when_somebody_leaves() -> None:
    async with Member(TOPIC) as member, Member(TOPIC) as friend:
        guests = [await connect(*member.address) for _ in range(swarm.MAX_PEERS)]
        member.finds(friend)
        assert member.info(friend).status is PeerStatus.DISCOVERED
        await guests[0].close()
        await member.until(lambda: friend.key in member.came)
        for guest in guests:
            await guest.close()


async def test_leaving_a_topic_closes_the_connections_that_share_no_other() -> None:
    async with Member(TOPIC) as member, Member(TOPIC) as stays, Member(TOPIC) as goes:
        await member.swarm.join(OTHER_TOPIC)
        member.finds(stays)
        member.finds(goes)
        await member.until(lambda: len(member.came) == 2)
        member.swarm.learn_topic(stays.key, OTHER_TOPIC)
        last_word = member.swarm.connections[member.came.index(goes.key)].write(b"bye")
        await asyncio.gather(last_word, member.swarm.leave(TOPIC))
        assert member.went == [goes.key]
        assert [info.public_key for info in member.swarm.peers] == [stays.key]
        assert member.info(stays).topics == {OTHER_TOPIC}
        await goes.until(lambda: goes.received == [(member.key, b"bye")])
        await member.swarm.leave(OTHER_TOPIC)
        assert (member.swarm.connections, member.swarm.topics, member.pointer.announced) == ((), (), {})


async def test_those_whom_we_left_do_not_come_back_until_there_is_a_topic_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialer, "RETRY_DELAYS", (0.05, 0.05))
    async with Member(TOPIC) as member, Member(TOPIC) as other:
        await member.swarm.join(OTHER_TOPIC)
        other.finds(member)
        await other.until(lambda: other.came)
        member.swarm.learn_topic(other.key, TOPIC)
        await member.swarm.leave(TOPIC)
        await other.until(lambda: other.info(member).status is PeerStatus.FAILED)
        assert (member.came, other.came) == ([other.key], [member.key])
        assert member.swarm.counters == {"connections refused: we have left the topics that we shared": 2}
        await member.swarm.join(TOPIC)
        other.finds(member)
        await other.until(lambda: other.came == [member.key] * 2)


async def test_a_peer_that_restarts_again_and_again_over_slow_links_ends_with_one_connection() -> None:
    chance, seed = random.Random(7), os.urandom(32)
    async with AsyncExitStack() as stack:
        stays = await stack.enter_async_context(Member(TOPIC, greeting=b"stay"))
        there = await stack.enter_async_context(Link(stays.address[1], delay=0.01, chance=chance))
        for life in range(12):
            restless = await stack.enter_async_context(Member(TOPIC, seed, greeting=b"%d" % life))
            back = await stack.enter_async_context(Link(restless.address[1], delay=0.01, chance=chance))
            restless.finds(stays, there.address)
            stays.finds(restless, back.address)
            if life < 11:
                await asyncio.sleep(chance.uniform(0, 0.05))  # so that it dies at any stage of connecting
                await restless.swarm.close()
        await restless.until(lambda: restless.received == [(stays.key, b"stay")])
        await stays.until(lambda: (restless.key, b"11") in stays.received)
        assert (restless.came, restless.went) == ([stays.key], [])
        assert len(stays.came) == len(stays.went) + 1
        assert len(stays.swarm.connections) == len(restless.swarm.connections) == 1


async def test_a_topic_is_learned_only_from_connected_peers_and_only_if_joined() -> None:
    async with Member(TOPIC) as member, Member(TOPIC) as other:
        known: list[tuple[bytes, bytes]] = []
        other.swarm.on("topic", lambda key, topic: known.append((key, topic)))
        other.swarm.learn_topic(member.key, TOPIC)
        member.finds(other)
        await other.until(lambda: other.came)
        assert other.info(member).topics == frozenset()
        other.swarm.learn_topic(member.key, OTHER_TOPIC)
        other.swarm.learn_topic(member.key, TOPIC)
        other.swarm.learn_topic(member.key, TOPIC)
        assert known == [(member.key, TOPIC)]
        assert other.info(member).topics == {TOPIC}
        assert other.swarm.topics[0].peers == (member.key,)


async def test_what_is_dropped_is_counted_by_reason_and_by_peer() -> None:
    async with Member(TOPIC) as member, Member(TOPIC) as other:
        member.finds(other)
        await member.until(lambda: member.came)
        member.swarm.count("messages dropped: unknown topic", other.key)
        member.swarm.count("messages dropped: unknown topic", other.key)
        member.swarm.count("messages dropped: unknown topic")
        assert member.swarm.counters == {"messages dropped: unknown topic": 3}
        assert member.info(other).dropped == 2


async def test_a_client_is_not_announced_and_a_server_does_not_look() -> None:
    async with Member(TOPIC) as server, Member(TOPIC) as client:
        await server.swarm.join(TOPIC, client=False)
        joined = await client.swarm.join(TOPIC, server=False)
        await joined.flushed()
        assert (client.pointer.announced, server.pointer.announced) == ({TOPIC: False}, {TOPIC: True})
        server.finds(client)
        assert server.info(client).status is PeerStatus.DISCOVERED
        client.finds(server)
        await server.until(lambda: server.came == [client.key])


async def test_a_swarm_that_never_serves_does_not_listen() -> None:
    pointer = Pointer()
    client = Swarm(discovery=[pointer])
    await (await client.join(TOPIC, server=False)).flushed()
    assert pointer.announcer.port == 0
    await client.join(TOPIC)
    assert pointer.announcer.hosts == ("127.0.0.1",)
    await (await connect("127.0.0.1", pointer.announcer.port)).close()
    await client.close()


async def test_a_discovery_that_cannot_start_does_not_keep_the_others_from_working() -> None:
    class Broken(Pointer):
        async def start(self, announcer: Announcer) -> None:
            raise OSError("no network")

    pointer = Pointer()
    both = Swarm(discovery=[Broken(), pointer])
    joined = await both.join(TOPIC)
    async with asyncio.timeout(PATIENCE):
        await joined.flushed()
    assert pointer.announced == {TOPIC: True}
    await both.leave(TOPIC)
    await both.close()


async def test_a_peer_that_is_gone_and_no_longer_announced_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "RETRY_DELAYS", (0.05,))
    monkeypatch.setattr(swarm, "HOUSEKEEPING", 0.05)
    monkeypatch.setattr(swarm, "FORGET_AFTER", 0.5)
    async with Member(TOPIC) as member:
        async with Member(TOPIC) as other:
            member.finds(other)
            await member.until(lambda: member.came)
        await member.until(lambda: member.info(other).status is PeerStatus.FAILED)
        await member.until(lambda: not member.swarm.peers)


async def test_closing_tells_the_peers_and_frees_the_port() -> None:
    async with Member(TOPIC) as member, Member(TOPIC) as other:
        member.finds(other)
        await other.until(lambda: other.came)
        await member.swarm.connections[0].write(b"last words")
        await member.swarm.close()
        assert (member.went, member.swarm.peers, member.pointer.announced) == ([other.key], (), {})
        await other.until(lambda: other.went == [member.key])
        assert other.received == [(member.key, b"last words")]
        with pytest.raises(ConnectionRefusedError):
            await connect(*member.address)
        with pytest.raises(NodeClosed):
            await member.swarm.join(TOPIC)


async def test_closing_does_not_wait_for_a_peer_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Member(TOPIC) as member, Member(TOPIC) as other, Link(other.address[1]) as link:
        member.finds(other, link.address)
        await member.until(lambda: member.came)
        link.die()
        async with asyncio.timeout(3.0):
            await member.swarm.close()


async def test_a_swarm_is_used_from_another_thread() -> None:
    async with Member(TOPIC) as member:

        async def elsewhere() -> int:
            joined = await member.swarm.join(OTHER_TOPIC)
            await joined.flushed()
            known = len(member.swarm.topics)
            await member.swarm.leave(OTHER_TOPIC)
            return known

        assert await asyncio.to_thread(asyncio.run, elsewhere()) == 2
        assert len(member.swarm.topics) == 1


async def test_wrong_calls_get_a_sentence() -> None:
    async with Member(TOPIC) as member:
        with pytest.raises(InvalidTopic, match="A topic is 32 bytes, not 3"):
            await member.swarm.join(b"abc")
        with pytest.raises(UsageError, match="as server, as client, or as both"):
            await member.swarm.join(TOPIC, server=False, client=False)


async def test_reprs_are_one_line_and_show_no_secret() -> None:
    async with Member(TOPIC, bytes(32)) as member, Member(TOPIC) as other:
        member.finds(other)
        await member.until(lambda: member.came)
        assert repr(member.swarm) == f"Swarm({short_key(member.key)}, 1 topics, 1 connections)"
        assert repr(member.info(other)) == f"<PeerInfo {short_key(other.key)} connected>"
        assert TOPIC.hex() not in repr(member.swarm.topics)


async def test_a_topic_is_looked_up_at_once_for_a_stranger_and_when_the_last_peer_has_left() -> None:
    async with Member(TOPIC) as member:
        stranger = await connect(*member.address)
        await member.until(lambda: member.pointer.refreshed == [TOPIC])
        member.swarm.learn_topic(stranger.public_key, TOPIC)
        await stranger.close()
        await member.until(lambda: len(member.pointer.refreshed) == 2)


async def test_over_a_slow_path_the_grace_is_so_many_round_trips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "DUPLICATE_GRACE", 0.01)
    monkeypatch.setattr(choice, "GRACE_ROUND_TRIPS", 1e9)
    small, large = seeds_in_order()
    async with Member(TOPIC, large) as member:
        old = await connect(*member.address, KeyPair.from_seed(small))
        await member.until(lambda: member.came)
        new = await connect(*member.address, KeyPair.from_seed(small), confirm=False)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(old.wait_closed(), 0.3)
        await old.close()
        await new.close()


async def test_who_is_refused_costs_no_connection() -> None:
    meetings = UdxMeeting(), UdxMeeting()
    async with Member(TOPIC, discovery=meetings[0]) as ann, Member(TOPIC, discovery=meetings[1]) as bob:
        meetings[0].point(TOPIC, meetings[1].place)
        await ann.until(lambda: ann.came)
        await bob.swarm.suspend()
        await ann.until(lambda: ann.went)
        await ann.until(lambda: ann.info(bob).last_error == "not over TCP: there was no answer")
        assert bob.came == [ann.key]


async def test_the_firewall_refuses_a_key_each_way_and_on_every_transport() -> None:
    unwanted, welcome = seeds_in_order()
    keys = [KeyPair.from_seed(seed).public_key for seed in (unwanted, welcome)]
    meetings = [UdxMeeting() for _ in range(3)]
    guarded = Swarm(discovery=[meetings[0]], firewall=lambda key: key == keys[0])
    async with (
        Member(TOPIC, unwanted, discovery=meetings[1]) as one,
        Member(TOPIC, welcome, discovery=meetings[2]) as two,
    ):
        await (await guarded.join(TOPIC)).flushed()
        meetings[0].point(TOPIC, meetings[1].place)
        tcp = ("127.0.0.1", meetings[0].announcer.port)
        meetings[1].point(TOPIC, meetings[0].place, tcp)
        await one.until(lambda: one.info(guarded.public_key).last_error == "not over TCP: there was no answer")
        meetings[2].point(TOPIC, meetings[0].place, tcp)
        await two.until(lambda: two.came)
        assert [info.public_key for info in guarded.peers if info.since] == [keys[1]]
        assert guarded.counters["connections refused: the firewall does not let this peer pass"] > 0
        assert (one.came, meetings[0].place.calls) == ([], 0)
    await guarded.close()


async def test_who_is_joined_by_their_key_is_the_only_one_that_is_dialled_there() -> None:
    async with Member(TOPIC) as ann, Member(TOPIC) as bob, Member(TOPIC) as eve:
        topic = peer_topic(bob.key)
        await (await ann.swarm.join_peer(bob.key.hex())).flushed()
        for member in (eve, bob):  # anybody can be found there
            ann.pointer.point(topic, member.key, member.address)
        await ann.until(lambda: ann.came == [bob.key])
        assert [peer.public_key for peer in ann.swarm.peers] == [bob.key]
        assert [one.topic for one in ann.swarm.topics if one.only] == [topic]
        await ann.swarm.leave_peer(bob.key)
        await ann.until(lambda: ann.went == [bob.key])


@pytest.mark.parametrize("key", ["nonsense", b"short", b""])
async def test_what_is_no_key_of_a_peer_is_one_sentence(key: bytes | str) -> None:
    swarm = Swarm(discovery=[])
    for wrong in (key, swarm.public_key):
        with pytest.raises(UsageError, match="A peer's key is"):
            await swarm.join_peer(wrong)
    await swarm.close()
