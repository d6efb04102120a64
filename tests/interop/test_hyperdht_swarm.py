"""Our swarm and the real `hyperswarm` on one topic, in networks of nodes of either kind, on loopback."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.wire.keys import KeyPair
from tests.connection.links import Member, seeds_in_order
from tests.hyperdht.network import network
from tests.interop.hyperswarm import HOST, Event, Peer, javascript, make_peer, make_testnet

GREETING = {"from": "JavaScript"}
ROLES = {"server": {"client": False}, "client": {"server": False}, "both": {}}
MEETINGS = [  # who joins first, as what they join, as what we do; hyperswarm as a client looks once in 10 minutes
    ("theirs", "both", "both"),
    ("ours", "both", "both"),
    ("ours", "client", "server"),
    ("theirs", "server", "client"),
    ("ours", "server", "client"),
    ("ours", "client", "both"),
    ("theirs", "server", "both"),
    ("theirs", "both", "client"),
    ("ours", "both", "server"),
]
PAIRS = 50  # of each kind in each network
AT_ONCE = 5  # pairs of each kind that join at one time
MEMBER = Path(__file__).with_name("swarm_member.py")


@asynccontextmanager
async def network_of(kind: str) -> AsyncIterator[list[int]]:
    """The ports of nodes of a new network, through which it is entered."""
    if kind == "python":
        async with network(4) as nodes:
            yield [node.address[1] for node in nodes]
    else:
        async with javascript() as nodes:
            yield await make_testnet(nodes)


def member(ports: list[int], topic: bytes = b"", *, seed: bytes | None = None) -> Member:
    discovery = HyperDHT([(HOST, port) for port in ports], host=HOST, port=0)
    return Member(topic or os.urandom(32), seed, greeting=b'{"from": "Python"}', discovery=discovery)


def knows(one: Member, others: set[bytes]) -> bool:
    """Whether it has received all of these, and has one connection to each."""
    return {key for key, _ in one.received} == others and Counter(one.came) - Counter(one.went) == Counter(others)


def by(key: bytes, reported: Event) -> bool:
    return bool(reported["key"] == key.hex())


@pytest.mark.parametrize("kind", ["python", "javascript"])
async def test_peers_of_all_roles_meet_in_each_order_and_part(kind: str) -> None:
    async with network_of(kind) as ports, javascript() as process:
        theirs = await make_peer(process, ports, greeting=GREETING)
        for first, their_role, our_role in MEETINGS:
            ours = member(ports)
            if first == "theirs":
                await theirs.join(ours.topic, **ROLES[their_role])
            joined = await ours.swarm.join(ours.topic, **ROLES[our_role])
            if first == "ours":
                await joined.flushed()
                await theirs.join(ours.topic, **ROLES[their_role])
            connection = await theirs.expect("connection", times=1 + len(theirs.reported("close")))
            await ours.receives(1)
            assert connection["key"] == ours.key.hex()
            assert ours.received == [(theirs.key, b'{"from":"JavaScript"}')]
            assert ours.info(theirs.key).transport == "udx"
            await theirs.expect("received", partial(by, ours.key))
            await ours.swarm.connections[0].write(b'{"last": "word"}')
            await ours.swarm.close()
            await theirs.expect("close", times=1 + MEETINGS.index((first, their_role, our_role)))
            last = theirs.reported("received")[-1]
            assert (last["key"], last["message"]) == (ours.key.hex(), {"last": "word"})
            theirs.order("leave", topic=ours.topic.hex())
            met = [event for event in theirs.reported("connection") if by(ours.key, event)]
            # Where both may dial, Hyperswarm reports two for a moment now and then, and keeps one.
            assert len(met) == 1 or "both" in (their_role, our_role)


@pytest.mark.parametrize("kind", ["python", "javascript"])
async def test_two_that_join_at_once_meet_every_time(kind: str) -> None:
    async with network_of(kind) as ports, javascript() as process:

        async def meet(ours: Member, theirs: Member | Peer) -> None:
            if isinstance(theirs, Peer):
                await asyncio.gather(theirs.join(ours.topic), ours.swarm.join(ours.topic))
                await theirs.expect("received")
            else:
                await asyncio.gather(theirs.swarm.join(ours.topic), ours.swarm.join(ours.topic))
                await theirs.receives(1)
                assert (theirs.came, theirs.went) == ([ours.key], [])
            await ours.receives(1)
            assert (ours.came, ours.went) == ([theirs.key], [])

        for _ in range(PAIRS // AT_ONCE):
            ours = [member(ports) for _ in range(2 * AT_ONCE)]
            in_javascript = [await make_peer(process, ports, greeting=GREETING) for _ in range(AT_ONCE)]
            in_python = [member(ports, one.topic) for one in ours[AT_ONCE:]]
            theirs: list[Member | Peer] = [*in_javascript, *in_python]
            await asyncio.gather(*map(meet, ours, theirs))
            await asyncio.gather(*(one.swarm.close() for one in (*ours, *in_python)))
            for one in in_javascript:
                one.order("destroy")
                await one.expect("destroyed")


@pytest.mark.parametrize("larger", [False, True])
async def test_a_javascript_peer_that_was_killed_is_met_again_when_it_is_back(larger: bool) -> None:
    seeds = seeds_in_order()
    async with network_of("javascript") as ports, member(ports, seed=seeds[not larger]) as ours:
        for life in range(1, 4):
            async with javascript() as process:
                theirs = await make_peer(process, ports, greeting=GREETING, seed=seeds[larger].hex())
                await theirs.join(ours.topic)
                await theirs.expect("received")
                await ours.receives(life)
                process.process.kill()
            assert ours.came == [theirs.key] * life
            assert ours.went == [theirs.key] * (life - 1)


@pytest.mark.parametrize("larger", [False, True])
async def test_a_python_peer_that_was_killed_is_met_again_when_it_is_back(larger: bool) -> None:
    seeds = seeds_in_order()
    topic, seed = os.urandom(32), seeds[larger]
    key = KeyPair.from_seed(seed).public_key
    async with network_of("python") as ports, javascript() as process:
        theirs = await make_peer(process, ports, greeting=GREETING, seed=seeds[not larger].hex())
        await theirs.join(topic)
        arguments = (seed.hex(), topic.hex(), *map(str, ports))
        for life in range(1, 4):
            ours = await asyncio.create_subprocess_exec(sys.executable, MEMBER, *arguments)
            await theirs.expect("received", partial(by, key), times=life)
            ours.kill()
            await ours.wait()


async def test_topics_change_while_both_stay() -> None:
    one, two = os.urandom(32), os.urandom(32)
    async with network_of("javascript") as ports, javascript() as process, member(ports, one) as ours:
        theirs = await make_peer(process, ports, greeting=GREETING)
        await theirs.join(two)
        await theirs.join(one)
        await ours.receives(1)
        await ours.until(lambda: ours.info(theirs.key).topics == {one})
        await ours.swarm.join(two)
        await ours.until(lambda: ours.info(theirs.key).topics == {one, two})
        await ours.swarm.leave(one)
        assert (ours.came, ours.went) == ([theirs.key], [])
        assert ours.info(theirs.key).topics == {two}
        await ours.swarm.leave(two)
        await theirs.expect("close")
        assert ours.went == [theirs.key]
        await ours.swarm.join(two)
        await ours.receives(2)
        assert ours.info(theirs.key).topics == {two}


async def test_a_suspended_swarm_meets_javascript_again_when_it_is_resumed() -> None:
    async with network_of("javascript") as ports, javascript() as process, member(ports) as ours:
        theirs = await make_peer(process, ports, greeting=GREETING)
        await theirs.join(ours.topic)
        await ours.receives(1)
        await ours.swarm.suspend()
        await theirs.expect("close")
        await ours.swarm.resume()
        await ours.receives(2)
        assert (ours.came, ours.went) == ([theirs.key] * 2, [theirs.key])


async def test_who_has_dialled_us_in_silence_is_looked_up_to_know_on_which_topic() -> None:
    async with network_of("javascript") as ports, javascript() as process, member(ports) as ours:
        await ours.swarm.join(other := os.urandom(32))
        theirs = await make_peer(process, ports)
        await theirs.join(ours.topic)
        await ours.until(lambda: ours.came == [theirs.key])
        await ours.until(lambda: ours.info(theirs.key).topics == {ours.topic})
        only_client = await make_peer(process, ports)
        await only_client.join(other, server=False)
        await ours.until(lambda: only_client.key in ours.came)
        assert ours.info(only_client.key).topics == frozenset()


async def test_a_crowd_of_both_kinds_that_joins_at_once_loses_no_message_of_ours() -> None:
    topic = os.urandom(32)
    async with AsyncExitStack() as stack:
        ports = await stack.enter_async_context(network_of("python"))
        process = await stack.enter_async_context(javascript())
        theirs = [await make_peer(process, ports, greeting=GREETING) for _ in range(6)]
        ours = [member(ports, topic) for _ in range(6)]
        for one in theirs:
            one.order("join", topic=topic.hex(), server=True, client=True)
        await asyncio.gather(*(stack.enter_async_context(each) for each in ours))
        keys = {each.key for each in ours} | {one.key for one in theirs}
        await asyncio.gather(*(each.until(partial(knows, each, keys - {each.key})) for each in ours))
        for each in ours:  # hyperswarm may call twice, and drop the first call; ours do not
            others = {one.key for one in ours} - {each.key}
            assert sorted(key for key, _ in each.received if key in others) == sorted(others)
        for one in theirs:  # among themselves, those who all look first meet 10 minutes later
            await one.expect("received", lambda reported: reported["message"] == {"from": "Python"}, times=len(ours))
