"""A swarm that is suspended, or whose machine sleeps, and comes back."""

import asyncio
import time

import pytest

from linkup_nb.swarm import connection, sleep
from linkup_nb.swarm.connection import connect
from linkup_nb.swarm.discovery import PeerStatus
from linkup_nb.swarm.tap import Direction
from linkup_nb.wire.secret_stream import Frame
from tests.swarm.links import PATIENCE, Link, Member, refused

TOPIC = bytes(range(32))
OTHER_TOPIC = bytes(32)


async def test_a_suspended_swarm_is_gone_for_others_and_comes_back_by_itself_when_resumed() -> None:
    async with Member(TOPIC) as member, Member(TOPIC) as other:
        member.finds(other)
        await other.until(lambda: other.came)
        await member.swarm.suspend()
        assert (member.went, member.swarm.connections, member.pointer.announced) == ([other.key], (), {})
        await other.until(lambda: other.went == [member.key])
        late = await connect(*member.address, confirm=False)
        late.confirm()
        assert await refused(late)
        joined = await member.swarm.join(OTHER_TOPIC)
        assert member.pointer.announced == {}
        await member.swarm.resume()
        await joined.flushed()
        assert member.pointer.announced == {TOPIC: True, OTHER_TOPIC: True}
        await member.until(lambda: member.came == [other.key] * 2)
        await other.until(lambda: other.came == [member.key] * 2)
        await member.swarm.suspend()
        await member.swarm.close()


async def test_a_machine_that_has_slept_for_long_makes_all_connections_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = 0.0
    monkeypatch.setattr(sleep, "LOOK_EVERY", 0.05)
    async with Member(TOPIC) as member, Member(TOPIC) as other:
        member.finds(other)
        await member.until(lambda: member.came)
        monkeypatch.setattr(sleep, "time", lambda: time.time() + ahead)
        ahead = 3600.0
        await member.until(lambda: len(member.came) == 2)
        assert (member.went, member.swarm.peers[0].status) == ([other.key], PeerStatus.CONNECTED)


async def test_a_machine_that_has_slept_looks_anew_and_drops_the_peers_that_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ahead = 0.0
    monkeypatch.setattr(sleep, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(sleep, "time", lambda: time.time() + ahead)
    monkeypatch.setattr(connection, "KEEP_ALIVE", 0.5)
    async with Member(TOPIC) as member, Member(TOPIC) as stays, Member(TOPIC) as gone, Link(gone.address[1]) as link:
        monkeypatch.setattr(connection, "PEER_TIMEOUT", 60.0)
        member.finds(stays)
        member.finds(gone, link.address)
        await member.until(lambda: len(member.came) == 2)
        (to_gone,) = (one for one in member.swarm.connections if one.remote_public_key == gone.key)
        async with asyncio.timeout(PATIENCE):
            async for frame in to_gone.tap():
                if frame.kind is Frame.KEEP_ALIVE and frame.direction is Direction.RECEIVED:
                    break
        link.die()
        looks = len(member.pointer.refreshed)
        ahead = 15.0
        await member.until(lambda: member.went == [gone.key])
        assert "the peer has been silent" in str(member.info(gone).last_error)
        assert member.pointer.refreshed[looks:] == [TOPIC]
        assert [one.remote_public_key for one in member.swarm.connections] == [stays.key]
