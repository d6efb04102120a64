"""A swarm that is suspended, or whose machine sleeps, and comes back."""

import time

import pytest

from linkup_nb.connection.connection import connect
from linkup_nb.discovery.protocol import PeerStatus
from linkup_nb.swarm import sleep
from tests.connection.links import Link, Member, refused

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


async def test_a_machine_that_has_slept_makes_all_connections_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = 0.0
    monkeypatch.setattr(sleep, "LOOK_EVERY", 0.05)
    async with Member(TOPIC) as member, Member(TOPIC) as other, Member(TOPIC) as gone, Link(gone.address[1]) as link:
        member.finds(other)
        member.finds(gone, link.address)
        await member.until(lambda: len(member.came) == 2)
        link.die()
        looks = len(member.pointer.refreshed)
        monkeypatch.setattr(sleep, "time", lambda: time.time() + ahead)
        ahead = 3600.0
        await member.until(lambda: member.came[2:] == [other.key])
        assert sorted(member.went) == sorted([other.key, gone.key])
        assert "This machine has slept for 3600 s" in str(member.info(gone).last_error)
        assert member.pointer.refreshed[looks:] == [TOPIC]
        assert member.info(other).status is PeerStatus.CONNECTED
