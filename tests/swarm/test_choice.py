"""One connection a peer where peers meet over UDX too: with `hyperswarm`'s rule at the other end, and beside TCP."""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from itertools import permutations

import pytest

from linkup_nb.connection.connection import connect
from linkup_nb.swarm import choice
from tests.connection.links import Link, Member, seeds_in_order
from tests.connection.udx_meeting import JavaScriptRules, UdxMeeting

TOPIC = bytes(range(32))
DELAY = 0.05  # seconds that a step of a handshake takes at most


@pytest.mark.parametrize("open", [False, True])
@pytest.mark.parametrize("larger", [False, True])
async def test_two_kinds_of_peers_that_dial_at_once_agree_on_one_connection(larger: bool, open: bool) -> None:
    seeds = seeds_in_order()

    async def meet(number: int) -> None:
        chance = random.Random(number)
        meeting = UdxMeeting(delay=DELAY, chance=chance, open=open)
        javascript = JavaScriptRules(seeds[not larger], b"from javascript", delay=DELAY, chance=chance, open=open)
        async with Member(TOPIC, seeds[larger], greeting=b"from python", discovery=meeting) as member:
            loop = asyncio.get_running_loop()
            loop.call_later(chance.uniform(0, 2 * DELAY), javascript.dial, meeting.place)
            loop.call_later(chance.uniform(0, 2 * DELAY), meeting.point, TOPIC, javascript.place)
            await member.receives(1)
            await asyncio.sleep(1.2 * choice.DUPLICATE_GRACE)  # after it, nothing changes any more
            assert member.received == [(javascript.key, b"from javascript")]
            assert javascript.received == [b"from python"]
            assert (member.came, member.went) == ([javascript.key], [])
            assert javascript.connection
            assert javascript.connection.handshake_hash == member.swarm.connections[0].handshake_hash
            await javascript.close()

    await asyncio.gather(*(meet(number) for number in range(60)))


@pytest.mark.parametrize("open", [False, True])
async def test_two_swarms_that_dial_each_other_over_tcp_and_udx_at_once_lose_no_message(open: bool) -> None:
    async def meet(number: int) -> None:
        chance = random.Random(number)
        meetings = [UdxMeeting(delay=DELAY, chance=chance, open=open) for _ in range(2)]
        ann = Member(TOPIC, greeting=b"hello", discovery=meetings[0])
        bob = Member(TOPIC, greeting=b"hi", discovery=meetings[1])
        async with ann, bob, Link(meetings[1].announcer.port, delay=DELAY, chance=chance) as link:
            loop = asyncio.get_running_loop()
            over_tcp = [link.address] if number % 3 else []  # with every third pair, both dial over UDX
            loop.call_later(chance.uniform(0, DELAY), meetings[0].point, TOPIC, meetings[1].place, *over_tcp)
            loop.call_later(chance.uniform(0, DELAY), meetings[1].point, TOPIC, meetings[0].place)
            await asyncio.gather(ann.receives(1), bob.receives(1))
            await ann.swarm.connections[0].write(b"and")
            await bob.receives(2)
            await bob.swarm.connections[0].write(b"so")
            await ann.receives(2)
            assert (ann.received, bob.received) == (
                [(bob.key, b"hi"), (bob.key, b"so")],
                [(ann.key, b"hello"), (ann.key, b"and")],
            )
            assert (ann.came, bob.came, ann.went, bob.went) == ([bob.key], [ann.key], [], [])
            transports.update(info.transport for info in ann.swarm.peers)

    transports: Counter[str | None] = Counter()
    await asyncio.gather(*(meet(number) for number in range(90)))
    assert set(transports) == {"tcp", "udx"}


async def test_a_crowd_on_both_transports_loses_no_message() -> None:
    chance = random.Random(5)
    async with AsyncExitStack() as stack:
        meetings = [UdxMeeting(delay=DELAY, chance=chance, open=bool(number % 2)) for number in range(10)]
        crowd = [
            await stack.enter_async_context(Member(TOPIC, greeting=b"hello", discovery=meeting)) for meeting in meetings
        ]
        for one, two in permutations(range(10), 2):
            by_tcp = [("127.0.0.1", meetings[two].announcer.port)] if chance.random() < 0.5 else []
            meetings[one].point(TOPIC, meetings[two].place, *by_tcp)
        await asyncio.gather(*(member.receives(9) for member in crowd))
        for member in crowd:
            others = {other.key for other in crowd} - {member.key}
            assert Counter(member.received) == Counter((key, b"hello") for key in others)
            assert (Counter(member.came), member.went) == (Counter(others), [])


@pytest.mark.parametrize("larger", [False, True])
async def test_our_dial_that_ends_after_the_peer_has_come_changes_nothing(
    larger: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "DUPLICATE_GRACE", 0.01)
    seed, other = seeds_in_order()[larger], seeds_in_order()[not larger]
    async with Member(TOPIC, seed) as ann, Member(TOPIC, other) as bob:
        bob.finds(ann)
        await asyncio.gather(ann.until(lambda: ann.came), bob.until(lambda: bob.came))
        late = await connect(*bob.address, ann.swarm.key_pair, confirm=False)
        ann.pointer.announcer.admit(late)
        await late.wait_closed()
        await ann.swarm.connections[0].write(b"still here")
        await bob.receives(1)
        assert (ann.came, ann.went, bob.came, bob.went) == ([bob.key], [], [ann.key], [])
