"""A node lends its rooms and drives to blind peers, and says how each stands; what such a peer can do to it."""

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import linkup_nb as lu
from linkup_nb.blind import keeper, link, peers
from linkup_nb.blind.status import MAX_BLIND_PEERS, BlindPeer, BlindPeerState
from linkup_nb.channels import Channels
from linkup_nb.discovery.check import Outcome
from linkup_nb.errors import UsageError
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.hello import sign_hello
from linkup_nb.rooms.memory.invite import parse_invite
from linkup_nb.rooms.memory.keys import REFERRERS, RoomKeys
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.swarm.topic import peer_topic
from linkup_nb.wire.keys import KeyPair, z32encode
from tests.blind.asking import Asking, keeper_in, until

HOLDS, SHORT = BlindPeerState.HOLDS, BlindPeerState.SHORT


@asynccontextmanager
async def node_in(path: Path) -> AsyncIterator[lu.Node]:
    async with lu.Node(path, name=path.name, discovery=[lu.Local(mdns=False)]) as node:
        yield node


def holds(node: lu.Node, cores: int) -> bool:
    return [(blind.state, blind.cores) for blind in node.blind_peers] == [(HOLDS, cores)]


def texts(room: lu.Room) -> list[str]:
    return [message.text for message in room.messages if isinstance(message, lu.TextMessage)]


async def test_who_comes_by_an_invite_catches_up_from_a_blind_peer_alone(tmp_path: Path) -> None:
    async with keeper_in(tmp_path / "blind") as blind:
        async with node_in(tmp_path / "ann") as ann:
            room = await ann.create_room("physics")
            await room.send("before")
            ann.blind_peers = [blind.public_key.hex()]  # also for rooms that are there already
            await room.send("hello")
            await until(lambda: holds(ann, 1))
            invite = room.invite
        async with node_in(tmp_path / "bob") as bob:
            copy = await bob.join(invite)
            await until(lambda: texts(copy) == ["before", "hello"])
            await copy.send("nobody is here")
            await until(lambda: holds(bob, 2))
        async with node_in(tmp_path / "ann") as ann:
            [copy] = ann.rooms
            await until(lambda: texts(copy) == ["before", "hello", "nobody is here"])


async def test_it_holds_more_feeds_than_are_named_under_one_referrer(tmp_path: Path) -> None:
    people = 3 * keeper.MAX_NAMED
    async with keeper_in(tmp_path / "blind") as blind:
        async with node_in(tmp_path / "ann") as ann:
            ann.blind_peers = [blind.public_key]
            room = await ann.create_room("physics")
            for number in range(people):
                await write_feed(ann, room, number)
            await until(lambda: holds(ann, people + 1))
            invite = room.invite
        async with node_in(tmp_path / "bob") as bob:
            copy = await bob.join(invite)
            await until(lambda: len(texts(copy)) == people)


async def write_feed(node: lu.Node, room: lu.Room, number: int) -> None:
    """The feed of somebody who was in the room and has said a word, as if a node had it from them."""
    assert isinstance(room, MemoryRoom)
    session = room._session
    identity, device = (KeyPair.from_seed(os.urandom(32)) for _ in range(2))
    core = await node.store.core(name=f"feed {number}", encryption_key=session.keys.encryption_key, forks=False)
    hello = sign_hello(room.topic, core.key, os.urandom(32), identity=identity, device=device, name=f"guest {number}")
    now = time.time_ns() // 1000
    bodies = [hello, blocks.MessageBody(f"word {number}")]
    await core.append([blocks.encode(body, t=now + i, timestamp=now // 1000) for i, body in enumerate(bodies)])
    await session.feeds.follow(core.key)
    await core.close()


def test_the_referrers_of_a_room_are_its_own_and_lead_to_nothing_else() -> None:
    one, other = RoomKeys(b"a" * 32), RoomKeys(b"b" * 32)
    assert len({*one.referrers, *other.referrers}) == 2 * REFERRERS
    assert one.referrer_of(bytes([5]) * 32) == one.referrers[5]
    assert one.referrers[0].hex() == "718529ef0a0a1417ac557e8b8de5753a06f093b476d740070a05325a2b82ae4f"
    assert one.encryption_key not in one.referrers


async def test_they_are_kept_in_the_profile_and_named_by_invites(tmp_path: Path) -> None:
    keys = [os.urandom(32) for _ in range(3)]
    async with node_in(tmp_path / "ann") as ann:
        ann.blind_peers = [keys[0], keys[1].hex(), z32encode(keys[2])]
        assert [blind.key for blind in ann.blind_peers] == keys
        room = await ann.create_room("physics")
        assert isinstance(room, MemoryRoom)
        assert parse_invite(room.invite).blind == (keys[0], keys[1])
        limited = await room.create_invite(uses=1)
        assert limited.link
        assert parse_invite(limited.link).blind == (keys[0], keys[1])
    assert json.loads((tmp_path / "ann" / "config.json").read_text())["blindPeers"] == list(map(z32encode, keys))
    async with node_in(tmp_path / "ann") as ann:
        assert [blind.key for blind in ann.blind_peers] == keys
        ann.blind_peers = ann.blind_peers[1:2]  # as they are shown
        assert [blind.id for blind in ann.blind_peers] == [z32encode(keys[1])]


@pytest.mark.parametrize("wrong", ["nonsense", b"short", 7, None, "ab" * 31])
async def test_what_is_no_key_is_one_sentence(tmp_path: Path, wrong: object) -> None:
    async with node_in(tmp_path / "ann") as ann:
        with pytest.raises(UsageError, match=r"^\S+ is no key of a blind peer: [^.]*\.$"):
            ann.blind_peers = [wrong]  # type: ignore[list-item]
        with pytest.raises(UsageError, match="as a list of their keys"):
            ann.blind_peers = "y" * 52
        with pytest.raises(UsageError, match=f"at most {MAX_BLIND_PEERS} blind peers"):
            ann.blind_peers = [os.urandom(32) for _ in range(MAX_BLIND_PEERS + 1)]
        assert ann.blind_peers == ()


async def test_a_file_that_names_what_is_no_key_is_one_sentence(tmp_path: Path) -> None:
    async with node_in(tmp_path / "ann"):
        pass
    config = tmp_path / "ann" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"blindPeers": ["nonsense"]}))
    with pytest.raises(UsageError, match=r"config\.json names blind peers that cannot be: 'nonsense' is no key"):
        async with node_in(tmp_path / "ann"):
            pass


# How one stands


async def standing(node: lu.Node, state: BlindPeerState) -> BlindPeer:
    """The one blind peer, once it stands so."""
    await until(lambda: [blind.state for blind in node.blind_peers] == [state])
    return node.blind_peers[0]


async def outcome(node: lu.Node) -> Outcome:
    """What the doctor says of the one blind peer."""
    [check] = [check for check in (await node.doctor()).checks if check.name.startswith("blind peer")]
    assert check.seen == node.blind_peers[0].text
    return check.outcome


async def test_one_that_is_not_needed_or_away_says_so(tmp_path: Path) -> None:
    async with node_in(tmp_path / "ann") as ann:
        ann.blind_peers = [os.urandom(32)]
        assert (await standing(ann, BlindPeerState.IDLE)).text == "It is not connected: there is nothing to hold yet."
        assert await outcome(ann) is Outcome.OFF
        await ann.create_room("physics")
        assert (await standing(ann, BlindPeerState.AWAY)).text == "It is away: nobody has answered yet."
        assert await outcome(ann) is Outcome.WARNING


async def test_one_that_comes_later_and_goes_is_noticed(tmp_path: Path) -> None:
    async with node_in(tmp_path / "ann") as ann, keeper_in(tmp_path / "blind") as blind:
        key = blind.public_key
        ann.blind_peers = [key]
        room = await ann.create_room("physics")
        await until(lambda: holds(ann, 1))
        assert ann.blind_peers[0].text == "It holds all of the 1 log that it was given (2 blocks)."
        assert await outcome(ann) is Outcome.OK
        await blind.close()
        await standing(ann, BlindPeerState.AWAY)
        await room.send("while it is away")
        async with keeper_in(tmp_path / "blind"):
            await until(lambda: holds(ann, 1) and ann.blind_peers[0].blocks == 3)


async def test_one_that_is_not_named_any_more_is_left(tmp_path: Path) -> None:
    async with node_in(tmp_path / "ann") as ann, keeper_in(tmp_path / "blind") as blind:
        ann.blind_peers = [blind.public_key]
        room = await ann.create_room("physics")
        await until(lambda: holds(ann, 1))
        ann.blind_peers = []
        await until(lambda: not ann.swarm.connections)
        assert ann.blind_peers == ()
        assert "blind=" not in room.invite


async def test_one_that_is_no_blind_peer_refuses(tmp_path: Path) -> None:
    other = lu.Swarm(discovery=[lu.Local(mdns=False)])
    other.on("connection", lambda connection, _: Channels.of(connection))
    await other.join(peer_topic(other.public_key), client=False)
    async with node_in(tmp_path / "ann") as ann:
        ann.blind_peers = [other.public_key]
        await ann.create_room("physics")
        assert "refuses to hold anything" in (await standing(ann, BlindPeerState.REFUSES)).text
        assert await outcome(ann) is Outcome.WARNING
    await other.close()


async def test_one_that_holds_less_than_it_was_given_is_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "MAX_BYTES", 2_000)
    monkeypatch.setattr(peers, "PATIENCE", 0.2)
    monkeypatch.setattr(peers, "WATCH_EVERY", 0.1)
    async with node_in(tmp_path / "ann") as ann, keeper_in(tmp_path / "blind") as blind:
        ann.blind_peers = [blind.public_key]
        room = await ann.create_room("physics")
        await until(lambda: holds(ann, 1))
        await room.send("x" * 3_000)
        short = await standing(ann, SHORT)
        assert short.text == (
            "It holds 0 of the 1 log that it was given, and 2 of 3 blocks: it has taken no more for 0.2 s."
        )
        assert (short.blocks, short.blocks_held) == (3, 2)
        assert await outcome(ann) is Outcome.WARNING
        await until(lambda: short.text in caplog.text)


# What one can do


async def test_cores_that_are_named_and_do_not_belong_to_the_room_come_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "MAX_NAMED", 3)
    monkeypatch.setattr(peers, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(peers, "WATCH_EVERY", 0.1)
    async with (
        keeper_in(tmp_path / "blind") as blind,
        Asking(tmp_path / "eve", blind.public_key) as eve,
        node_in(tmp_path / "ann") as ann,
    ):
        ann.blind_peers = [blind.public_key]
        room = await ann.create_room("physics")
        assert isinstance(room, MemoryRoom)
        await room.send("hello")
        await until(lambda: holds(ann, 1))
        keys = room._session.keys
        proving: list[bytes] = []
        room._session.feeds.on("follow", proving.append)
        # Who knows the secret can have anything named; it is looked at, and so many are.
        lies = [await eve.write(f"lie {number}", b"no hello") for number in range(5)]
        for lie in lies:
            eve.ask(lie.key, referrer=keys.referrer_of(lie.key))
        await until(lambda: len(proving) == 2)  # and her own was named, too
        await until(lambda: len(room._session.feeds.rows) == 1)
        assert texts(room) == ["hello"]
        assert [member.name for member in room.peers] == []
