"""Peers are dialled a few at a time, one address after another, and less often the more it fails."""

import asyncio
from itertools import pairwise

import pytest

from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import FoundPeer, PeerStatus
from linkup_nb.errors import PeerTimeout
from linkup_nb.swarm import dialer, swarm
from linkup_nb.wire.keys import KeyPair
from tests.connection.links import PATIENCE, Member
from tests.connection.udx_meeting import UdxMeeting

TOPIC = bytes(range(32))


async def test_a_failed_dial_is_repeated_less_and_less_often_and_given_up_until_there_is_a_new_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialer, "RETRY_DELAYS", (0.1, 0.2, 0.4))
    loop = asyncio.get_running_loop()
    dials: list[float] = []

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dials.append(loop.time())
        writer.close()

    key = KeyPair.from_seed(bytes(32)).public_key
    async with Member(TOPIC) as member, await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        member.pointer.point(TOPIC, key, ("127.0.0.1", port))
        await member.until(lambda: member.info(key).status is PeerStatus.FAILED)
        pauses = [later - earlier for earlier, later in pairwise(dials)]
        assert all(pause > delay * 0.7 for pause, delay in zip(pauses, dialer.RETRY_DELAYS, strict=True))
        assert member.info(key).attempts == 4
        assert str(member.info(key).last_error).startswith(f"127.0.0.1:{port}: The ")
        async with Member(TOPIC, bytes(32)) as moved:  # the same peer at a new port
            member.finds(moved)
            await member.until(lambda: member.came == [key])
        assert member.info(key).last_error is None


async def test_the_peer_at_an_address_must_own_the_key_that_was_announced() -> None:
    wanted = KeyPair.from_seed(bytes(32)).public_key
    async with Member(TOPIC) as member, Member(TOPIC) as impostor:
        member.pointer.point(TOPIC, wanted, impostor.address)
        await member.until(lambda: member.info(wanted).last_error)
        assert "another public key than the one that was dialled" in str(member.info(wanted).last_error)
        assert (member.came, impostor.came, impostor.swarm.peers) == ([], [], ())


async def test_only_so_many_peers_are_dialled_at_one_time() -> None:
    waiting, most, enough = 0, 0, asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        if waiting == dialer.MAX_PARALLEL_DIALS:
            enough.set()
        await reader.read()
        waiting -= 1
        writer.close()

    async with await asyncio.start_server(stall, "127.0.0.1", 0) as server, Member(TOPIC) as member:
        for number in range(3 * dialer.MAX_PARALLEL_DIALS):
            member.pointer.point(TOPIC, number.to_bytes(32, "big"), server.sockets[0].getsockname())
        async with asyncio.timeout(PATIENCE):
            await enough.wait()
        async with Member(TOPIC) as late:  # it comes by itself, whatever we are busy with
            late.finds(member)
            await member.until(lambda: member.came == [late.key])
        assert most == dialer.MAX_PARALLEL_DIALS


async def test_a_dead_address_does_not_hide_a_living_one() -> None:
    async with Member(TOPIC) as member, Member(TOPIC) as impostor, Member(TOPIC) as friend:
        member.finds(friend, ("127.0.0.1", 1), impostor.address, friend.address)
        await member.until(lambda: member.came == [friend.key])


async def test_a_peer_that_moves_all_the_time_is_not_dialled_all_the_time() -> None:
    dialled: list[asyncio.StreamWriter] = []
    first = asyncio.Event()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.append(writer)
        writer.close()
        first.set()

    key = KeyPair.from_seed(bytes(32)).public_key
    async with Member(TOPIC) as member, await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        for number in range(2, 100):
            port = server.sockets[0].getsockname()[1]
            member.pointer.point(TOPIC, key, (f"127.0.0.{number}", 1), ("127.0.0.1", port))
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await first.wait()
        await member.until(lambda: member.info(key).status is not PeerStatus.CONNECTING)
        assert len(dialled) == 1


async def test_an_address_that_accepts_and_says_nothing_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "DIAL_TIMEOUT", 0.2)

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(stall, "127.0.0.1", 0)
    async with silent, Member(TOPIC) as member, Member(TOPIC) as friend:
        member.finds(friend, silent.sockets[0].getsockname(), friend.address)
        await member.until(lambda: member.came == [friend.key])


@pytest.mark.parametrize(("lasting", "attempts"), [(0.0, 0), (60.0, 1)])
async def test_a_lasting_connection_makes_good_for_failed_dials(
    lasting: float, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swarm, "LASTING", lasting)
    async with Member(TOPIC) as member:
        async with Member(TOPIC) as friend:
            member.finds(friend)
            await member.until(lambda: member.came)
        await member.loses(1)
        assert member.info(friend).attempts == attempts


async def test_the_other_way_is_tried_when_no_address_answers_and_says_why_it_fails() -> None:
    meetings = UdxMeeting(), UdxMeeting()
    async with Member(TOPIC, discovery=meetings[0]) as ann, Member(TOPIC, discovery=meetings[1]) as bob:
        meetings[0].point(TOPIC, meetings[1].place, ("127.0.0.1", 1))
        await ann.until(lambda: ann.came)
        assert (ann.info(bob).transport, ann.info(bob).initiator) == ("udx", True)
        await bob.until(lambda: bob.came)
        assert bob.info(ann).transport == "udx"

        async def cannot() -> Connection:
            raise PeerTimeout("its network lets nobody in")

        meetings[0].found[TOPIC](FoundPeer(bytes(32), (), "meeting", cannot))
        await ann.until(lambda: ann.info(bytes(32)).last_error)
        assert ann.info(bytes(32)).last_error == "not over TCP: its network lets nobody in"
        assert ann.info(bytes(32)).status in (PeerStatus.WAITING, PeerStatus.CONNECTING)
