"""Who does not know a room's secret: whatever they open, they learn nothing of it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

import linkup_nb as lu
from linkup_nb.channels import Channels
from linkup_nb.connection.tap import Direction
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.rooms import PROTOCOL, Opening, channel_id, membership_proof
from tests.rooms.memory.members import WAIT, TestMember, say

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)


class Stranger:
    """The handler of a channel that somebody opens; what it receives it keeps."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def opened(self, handshake: bytes) -> None:
        """Kept nowhere: whoever opens a channel of this id gets it."""

    def received(self, type: int, payload: bytes) -> None:
        self.got.append(payload)

    def drained(self) -> None:
        """Nothing waits."""

    def ended(self) -> None:
        """It was found out."""


def guess_by_topic(connection: lu.Connection, _: bytes) -> tuple[bytes, bytes]:
    """What somebody can make who has only the topic, or an invite that has expired."""
    return channel_id(connection.handshake_hash, ROOM.topic), b"\0" * 32


def random_peer(connection: lu.Connection, _: bytes) -> tuple[bytes, bytes]:
    return b"x" * 32, b"\0" * 32


def echo(connection: lu.Connection, _: bytes) -> tuple[bytes, bytes]:
    """The member's own opening, sent back."""
    hash, secret = connection.handshake_hash, ROOM.secret
    return channel_id(hash, secret), membership_proof(hash, secret, initiator=not connection.initiator)


def same_id(connection: lu.Connection, _: bytes) -> tuple[bytes, bytes]:
    """The id that the member has opened, without a proof."""
    return channel_id(connection.handshake_hash, ROOM.secret), b"\0" * 32


def replay(connection: lu.Connection, other: bytes) -> tuple[bytes, bytes]:
    """What a member said on another connection."""
    return channel_id(other, ROOM.secret), membership_proof(other, ROOM.secret, initiator=connection.initiator)


def replayed_proof(connection: lu.Connection, other: bytes) -> tuple[bytes, bytes]:
    """The id of this connection, the proof of another one."""
    proof = membership_proof(other, ROOM.secret, initiator=connection.initiator)
    return channel_id(connection.handshake_hash, ROOM.secret), proof


@pytest.mark.parametrize(
    ("attempt", "hung_up"),
    [
        (random_peer, False),
        (guess_by_topic, False),
        (replay, False),
        (same_id, True),
        (echo, True),
        (replayed_proof, True),
    ],
)
async def test_who_does_not_know_the_secret_learns_nothing(
    make_member: MakeMember,
    attempt: Callable[[lu.Connection, bytes], tuple[bytes, bytes]],
    hung_up: bool,
) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    await say(hers, "nobody else's business")
    await say(his, "nor this")
    server = await ann.listen()
    between_members = await bob.dial(server.port)
    stranger = await lu.connect("127.0.0.1", server.port, KeyPair.from_seed(b"stranger".ljust(32, b".")))
    tap = stranger.tap()
    handler = Stranger()
    channels = Channels.of(stranger)
    id, proof = attempt(stranger, between_members.handshake_hash)
    channels.open(PROTOCOL, id, bytes(Opening(proof, 0)), handler)
    if not hung_up:
        # For this they are: frames are in order, so all that the first attempt brings has come by then.
        id, proof = same_id(stranger, b"")
        channels.open(PROTOCOL, id, bytes(Opening(proof, 0)), handler)
    await asyncio.wait_for(stranger.wait_closed(), WAIT)
    assert handler.got == []
    assert stranger.remote_public_key == ann.device.public_key
    assert stranger.public_key not in {peer.device for peer in hers.peers}
    received = [frame.size for frame in tap.frames if frame.direction is Direction.RECEIVED]
    # The one opening, and what refuses a channel: no more for any of them, whatever the room holds.
    assert sum(received) < 200, tap.frames
