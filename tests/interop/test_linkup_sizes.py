"""Messages of every size, to and from JavaScript peers that run with the defaults of their packages.

A JavaScript node has two sockets. When it joins a topic as soon as it is made, it announces itself from the one, and
once it knows that the other can be reached it speaks from that: what we send goes to the one, what comes is from the
other. A node that first waits until it has entered the network, which a program has no reason to do, has but one.
"""

import asyncio
import os
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from tests.interop.hyperswarm import Event, javascript, make_peer, make_testnet
from tests.interop.test_hyperdht_swarm import member
from tests.interop.test_linkup_over_hyperdht import hashed, node_in
from tests.rooms.nodes import until

ROLES = {"we dial": ({"server": False}, {"client": False}), "they dial": ({"client": False}, {"server": False})}
FRAME = 20  # bytes around a message in its packets
EMPTY = len(b'{"x":""}')
PACKETS = (400, 1152, 1392, 1452)  # bytes of data: a first packet, one on any path, and when the path is known
SIZES = sorted({size - FRAME + near for size in PACKETS for near in range(-12, 13)} | {EMPTY, 2500, 3600, 5000, 70_000})
MB = 1_000_000


def of_size(size: int) -> dict[str, str]:
    """A message that JSON writes with so many bytes."""
    return {"x": "x" * (size - EMPTY)}


def is_of_size(size: int, event: Event) -> bool:
    text = "x" * (size - EMPTY)
    return event["message"].get("x") in (text, sha256(text.encode()).hexdigest())


@pytest.mark.parametrize("direction", ROLES)
async def test_messages_of_every_size_around_a_packet_arrive_both_ways(direction: str) -> None:
    ours_as, theirs_as = ROLES[direction]
    async with javascript() as process:
        ports = await make_testnet(process)
        theirs, ours = await make_peer(process, ports), member(ports)
        if direction == "we dial":
            await theirs.join(ours.topic, **theirs_as)
        joined = await ours.swarm.join(ours.topic, **ours_as)
        await joined.flushed()
        if direction == "they dial":
            await theirs.join(ours.topic, **theirs_as)
        await ours.until(lambda: ours.came == [theirs.key])
        (opened,) = theirs.reported("connection")
        assert opened["initiator"] == (direction == "they dial")
        assert opened["reachable"] or direction == "they dial"
        (connection,) = ours.swarm.connections
        for number, size in enumerate(SIZES, 1):
            await connection.write(b'{"x":"%s"}' % (b"x" * (size - EMPTY)))
            await theirs.expect("received", partial(is_of_size, size))
            theirs.order("write", message=of_size(size))
            await ours.receives(number)
            assert len(ours.received[-1][1]) == size
        await ours.swarm.close()


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("count", [1, 4])
async def test_texts_and_files_of_every_size_reach_all_in_a_room(tmp_path: Path, first: str, count: int) -> None:
    topic = os.urandom(32)
    texts = ["x" * size for size in (1, 1000, 1100, 3000, 5000, 60_000)]
    files = [os.urandom(size * MB) for size in (1, 3, 10)]
    async with javascript() as process, node_in(tmp_path, ports := await make_testnet(process)) as node:
        theirs = [await make_peer(process, ports) for _ in range(count)]
        joins = [peer.join(topic) for peer in theirs]
        if first == "theirs":
            await asyncio.gather(*joins)
        room = await node.join(topic, name="lobby")
        if first == "ours":
            await asyncio.gather(*joins)
        await until(lambda: [peer.status for peer in room.peers] == ["here"] * count, room)
        for text in texts:
            assert (await room.send(text)).recipients == count
        for number, data in enumerate(files):
            assert (await room.send_file((f"{number}.bin", data))).recipients == count
        for peer in theirs:
            await peer.expect("received", times=1 + len(texts) + len(files))
            messages = [event["message"] for event in peer.reported("received")][1:]
            long = [sha256(text.encode()).hexdigest() if len(text) > 1000 else text for text in texts]
            assert [message.get("message") for message in messages[: len(texts)]] == long
            assert [message.get("file") for message in messages[len(texts) :]] == [hashed(data) for data in files]
