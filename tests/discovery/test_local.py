"""Two notebooks on one machine meet without a server."""

import asyncio
import os
import time

import pytest

from linkup_nb.discovery.local import Local
from linkup_nb.discovery.protocol import PeerStatus
from linkup_nb.discovery.registry import Registry
from tests.connection.links import Member, Seeker

TOPIC = bytes(range(32))


async def test_who_comes_second_is_connected_at_once() -> None:
    async with Member(TOPIC, discovery=Local(mdns=False), greeting=b"hello") as first:
        began = time.monotonic()
        async with Member(TOPIC, discovery=Local(mdns=False), greeting=b"hi") as second:
            await first.receives(1)
            await second.receives(1)
            assert time.monotonic() - began < 1.0
            assert (first.received, second.received) == ([(second.key, b"hi")], [(first.key, b"hello")])
            await first.until(lambda: first.swarm.topics[0].peers == (second.key,))
            assert second.info(first).sources == {"registry"}


async def test_a_port_that_now_belongs_to_another_program_does_no_harm() -> None:
    async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    gone = Seeker(Registry(), 1)
    async with await asyncio.start_server(web_server, "127.0.0.1", 0) as server:
        gone.announcer.port = server.sockets[0].getsockname()[1]
        await gone.join(TOPIC)
        async with Member(TOPIC, discovery=Local(mdns=False)) as member:
            await member.until(lambda: member.info(gone.key).status is PeerStatus.WAITING)
            assert "The next frame of the handshake has" in str(member.info(gone.key).last_error)
            assert member.swarm.connections == ()
    await gone.discovery.close()


async def test_both_ways_of_finding_peers_work_and_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Member(TOPIC, discovery=Local()) as here:
        monkeypatch.setenv("XDG_RUNTIME_DIR", os.environ["XDG_RUNTIME_DIR"] + "/other")
        async with Member(TOPIC, discovery=Local()) as there:
            await there.until(lambda: here.key in there.came and there.info(here).sources)
            assert there.info(here).sources == {"mdns"}
            assert there.swarm.discovery[0].describe() == (
                "Looking for peers on this machine. Looking for peers on this machine's loopback interface alone."
            )
