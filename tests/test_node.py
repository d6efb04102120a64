import asyncio
import io
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

import linkup_nb as lu
from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.errors import InvalidImage, InvalidName, InvalidTopic, NodeClosed, ProfileInUse, StoreError, UnknownRoom
from linkup_nb.kademlia.discovery import Kademlia
from linkup_nb.rooms.status import Level
from linkup_nb.wire.keys import short_key
from tests.rooms.nodes import until

TOPIC = bytes(range(32))


def local() -> list[lu.Local]:
    return [lu.Local(mdns=False)]


def node_at(path: Path, name: str | None = "kestrel") -> lu.Node:
    return lu.Node(path, name=name, discovery=local())


def files_in(folder: str) -> str:
    return "\n".join(name for _, _, names in os.walk(folder) for name in names)


def config(path: Path) -> dict[str, object]:
    return dict(json.loads((path / "config.json").read_text()))


async def test_two_nodes_chat_on_the_callers_own_loop(tmp_path: Path) -> None:
    async with node_at(tmp_path / "a") as kestrel, node_at(tmp_path / "b", "otter") as otter:
        ours = await kestrel.create_room("lobby", linkup=True)
        theirs = await otter.join(ours.topic.hex(), name="their lobby")
        await until(lambda: [m.name for m in ours.peers] == ["otter"], ours)
        assert (kestrel.status.connected, kestrel.status.text) == (1, "Connected to otter")
        await ours.send("hello")
        await until(lambda: len(theirs) == 1, theirs)
        assert (ours.name, theirs.name) == ("lobby", "their lobby")


async def test_two_nodes_meet_within_a_second(tmp_path: Path) -> None:
    async with node_at(tmp_path / "a") as kestrel, node_at(tmp_path / "b", "otter") as otter:
        ours = await kestrel.create_room("lobby", linkup=True)
        started = time.monotonic()
        await otter.join(ours.topic)
        await until(lambda: bool(ours.peers and ours.peers[0].avatar), ours)
        assert time.monotonic() - started < 1


async def test_rooms_are_joined_again_by_themselves(tmp_path: Path) -> None:
    async with node_at(tmp_path / "a") as first:
        key = first.public_key
        lobby = await first.create_room("lobby", linkup=True)
        await (await first.create_room("other", linkup=True)).leave()
        await first.join(TOPIC.hex())
    async with node_at(tmp_path / "a", None) as again, node_at(tmp_path / "b", "otter") as otter:
        assert (again.name, again.public_key) == ("kestrel", key)
        assert [(room.name, room.topic) for room in again.rooms] == [("lobby", lobby.topic), ("000102…", TOPIC)]
        await otter.join(lobby.topic)
        await until(lambda: [m.name for m in again.rooms[0].peers] == ["otter"], again)


class Watcher:
    """A discovery that looks at the saved file when it is told of a topic."""

    name = "watcher"
    this_machine_only = True

    def __init__(self, path: Path) -> None:
        self.saved: list[object] = []
        self._path = path

    async def start(self, announcer: Announcer) -> None: ...
    async def leave(self, topic: bytes) -> None: ...
    async def refresh(self, topic: bytes) -> None: ...
    async def close(self) -> None: ...

    def describe(self) -> str:
        return "watches"

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        self.saved.append(config(self._path)["rooms"])


async def test_a_room_is_saved_before_it_is_announced(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    async with lu.Node(tmp_path, name="kestrel", discovery=[watcher]) as node:
        room = await node.create_room("lobby", linkup=True)
        await asyncio.wait_for(node.linkup_swarm.topics[0].flushed(), 5)
    assert watcher.saved == [[{"topic": room.topic.hex(), "alias": "lobby"}]]


async def test_joining_twice_is_joining_once(tmp_path: Path) -> None:
    async with node_at(tmp_path) as node:
        rooms = await asyncio.gather(*(node.join(TOPIC) for _ in range(5)))
        assert set(map(id, rooms)) == {id(node.room(TOPIC.hex()))}
        assert len(node.rooms) == 1
        assert len(config(tmp_path)["rooms"]) == 1  # type: ignore[arg-type]


async def test_a_room_is_found_by_its_topic(tmp_path: Path) -> None:
    async with node_at(tmp_path) as node:
        assert await node.join(TOPIC) is node.room(TOPIC)
        with pytest.raises(UnknownRoom, match="join it by its topic first"):
            node.room(bytes(32))
        with pytest.raises(InvalidTopic):
            node.room("abc")


@pytest.mark.parametrize("topic", ["", "abc", "g" * 64, b"short"])
async def test_a_wrong_topic_changes_nothing(tmp_path: Path, topic: str | bytes) -> None:
    async with node_at(tmp_path) as node:
        with pytest.raises(InvalidTopic, match="copy the whole topic"):
            await node.join(topic)
        assert node.rooms == ()


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "\u202e"])
async def test_a_wrong_name_changes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidName):
        lu.Node(tmp_path, name=name)
    async with node_at(tmp_path) as node:
        with pytest.raises(InvalidName):
            await node.create_room(name, linkup=True)
        with pytest.raises(InvalidName):
            await node.join(TOPIC, name=name)
        with pytest.raises(InvalidName):
            await node.set_name(name)
        assert (node.name, node.rooms) == ("kestrel", ())


async def test_without_a_name_the_short_key_serves(tmp_path: Path) -> None:
    async with node_at(tmp_path, None) as node:
        assert node.profile.name is None
        assert node.name == short_key(node.public_key)
        assert node.avatar.startswith(b"\x89PNG")


async def test_an_avatar_from_bytes_from_a_path_and_none(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (900, 900), "red").save(out, "PNG")
    picture = tmp_path / "me.png"
    picture.write_bytes(out.getvalue())
    async with node_at(tmp_path / "a") as node:
        generated = node.avatar
        await node.set_avatar(out.getvalue())
        chosen = node.avatar
        assert chosen != generated
        await node.set_avatar(None)
        assert node.avatar == generated
        await node.set_avatar(picture)
        with pytest.raises(InvalidImage):
            await node.set_avatar(b"not a picture")
        with pytest.raises(InvalidImage, match="check its path"):
            await node.set_avatar(tmp_path / "missing.png")
        assert node.avatar == chosen
    async with node_at(tmp_path / "a") as again:
        assert again.avatar == chosen


async def test_a_profile_serves_one_node_at_a_time(tmp_path: Path) -> None:
    async with node_at(tmp_path / "default") as node:
        with pytest.raises(ProfileInUse, match=r"Profile 'default' is in use .* lu\.chat\(\"second\"\)"):
            await node_at(tmp_path / "default").open()
        assert (await node.create_room("lobby", linkup=True)) in node.rooms
    async with node_at(tmp_path / "default") as again:
        assert len(again.rooms) == 1


async def test_closing_sends_what_was_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    runtime = os.environ["XDG_RUNTIME_DIR"]
    async with node_at(tmp_path / "b", "otter") as otter:
        kestrel = node_at(tmp_path / "a")
        await kestrel.open()
        ours = await kestrel.create_room("lobby", linkup=True)
        theirs = await otter.join(ours.topic)
        await until(lambda: bool(ours.peers and ours.peers[0].status == "here"), ours)
        assert kestrel.public_key.hex() in files_in(runtime)
        large = asyncio.create_task(ours.send_file(("large.bin", bytes(9 * 1024 * 1024))))
        words = [asyncio.create_task(ours.send(f"last words {number}")) for number in range(50)]
        await until(lambda: len(ours) == 51, ours)
        await kestrel.close()
        assert {(await sent).recipients for sent in [large, *words]} == {1}
        await until(lambda: len(theirs) == 51, theirs)
        await until(lambda: theirs.peers[0].status == "away", theirs)
        assert kestrel.public_key.hex() not in files_in(runtime)
        with pytest.raises(NodeClosed):
            await kestrel.create_room("x", linkup=True)
        assert (kestrel.status.level, repr(kestrel), kestrel.rooms) == (Level.OFF, "<Node, closed>", ())
        await kestrel.close()


async def test_the_status_answers_for_the_node_and_for_a_room(tmp_path: Path) -> None:
    async with node_at(tmp_path / "a") as kestrel, node_at(tmp_path / "b", "otter") as otter:
        assert kestrel.status.text == "No room yet. Create one, or join by its topic."
        one = await kestrel.create_room("one", linkup=True)
        two = await kestrel.create_room("two", linkup=True)
        await otter.join(one.topic)
        await until(lambda: [m.name for m in one.peers] == ["otter"], one)
        assert kestrel.status == kestrel.status_of(one) == kestrel.status_of(None)
        alone = kestrel.status_of(two)
        assert (alone.level, alone.connected) == (Level.ALONE, 0)
        assert alone.text == (
            "Nobody else is in two yet. Send someone its topic. Only this machine: the network is off (LINKUP_OFFLINE)."
        )
        assert repr(kestrel) == "<Node 'kestrel', 2 rooms: Connected to otter>"


async def test_a_node_can_be_used_from_another_loop(tmp_path: Path) -> None:
    async with node_at(tmp_path) as node:
        made: list[lu.Room] = []

        async def elsewhere() -> None:
            room = await node.create_room("lobby", linkup=True)
            await room.send("from another loop")
            made.append(room)

        thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
        thread.start()
        await asyncio.to_thread(thread.join)
        assert made == list(node.rooms)
        assert len(made[0]) == 1


async def test_events_come_from_every_room(tmp_path: Path) -> None:
    async with node_at(tmp_path) as node:
        seen: list[object] = []
        node.on("room", lambda room: seen.append(room.name))
        node.on("message", lambda room, message: seen.append((room.name, message.text)))
        await (await node.create_room("one", linkup=True)).send("a")
        await (await node.create_room("two", linkup=True)).send("b")
        assert seen == ["one", ("one", "a"), "two", ("two", "b")]


async def test_a_handler_that_fails_hurts_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with node_at(tmp_path) as node:
        room = await node.create_room("one", linkup=True)

        @room.on("message")
        def fail(_: lu.Message) -> None:
            raise ValueError("my bot has a bug")

        assert (await room.send("hi")).text == "hi"
        assert "my bot has a bug" in caplog.text


@pytest.mark.parametrize(
    ("saved", "environment", "given", "kinds"),
    [
        ([], "", [], [lu.Local]),
        (["127.0.0.1:4001"], "", [], [lu.Local, Kademlia]),
        ([], "127.0.0.1:4001, 127.0.0.1:4002", [], [lu.Local, Kademlia]),
        ([], "", ["127.0.0.1:4001"], [lu.Local, Kademlia]),
        (["hyperdht:127.0.0.1:4001"], "", [], [lu.Local, lu.HyperDHT]),
        ([], "127.0.0.1:4001 hyperdht:127.0.0.1:4002", [], [lu.Local, Kademlia, lu.HyperDHT]),
    ],
)
async def test_the_networks_of_the_bootstrap_peers_are_joined(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    saved: list[str],
    environment: str,
    given: Sequence[str],
    kinds: list[type],
) -> None:
    monkeypatch.setenv("LINKUP_BOOTSTRAP", environment)
    (tmp_path / "config.json").write_text(json.dumps({"bootstrap": saved}))
    async with lu.Node(tmp_path, name="kestrel", bootstrap=given) as node:
        assert [type(discovery) for discovery in node.linkup_swarm.discovery] == kinds


@pytest.mark.parametrize("peer", ["nonsense", ":1", "host:", "host:0", "host:70000", "hyperdht:", "hyperdht:x"])
async def test_a_bootstrap_peer_that_is_none_gets_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: str
) -> None:
    monkeypatch.setenv("LINKUP_BOOTSTRAP", peer)
    with pytest.raises(lu.UsageError, match="bootstrap peer"):
        await lu.Node(tmp_path).open()
    monkeypatch.delenv("LINKUP_BOOTSTRAP")
    async with node_at(tmp_path):
        pass


async def test_a_peers_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    async with node_at(tmp_path / "a"):
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


async def test_a_node_keeps_logs_and_drives_that_are_its_own(tmp_path: Path) -> None:
    async with node_at(tmp_path / "a") as node:
        drive = await lu.Drive.open(node.store)
        await drive.put("/a.txt", b"mine")
        key = drive.key
        stored = {core.name: (core.key, core.length, core.byte_length) for core in node.store.cores}
        assert stored["db"] == (key, 2, drive._core.byte_length)
    with pytest.raises(NodeClosed, match=r"lu\.start\(\)"):
        _ = node.store

    async with node_at(tmp_path / "a") as again, node_at(tmp_path / "b") as other:
        assert await (await lu.Drive.open(again.store)).get("/a.txt") == b"mine"
        assert (await lu.Drive.open(other.store)).key != key


async def test_the_seed_alone_gives_the_same_drive(tmp_path: Path) -> None:
    async with node_at(tmp_path / "a") as node:
        key = (await lu.Drive.open(node.store)).key
        assert key != node.public_key
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "seed").write_bytes((tmp_path / "a" / "seed").read_bytes())
    async with node_at(tmp_path / "b") as twin:
        assert (await lu.Drive.open(twin.store)).key == key
    assert not (tmp_path / "a" / "store" / "primary-key").exists()


async def test_the_doctor_looks_at_an_open_node_from_any_loop(tmp_path: Path) -> None:
    async with node_at(tmp_path) as node:
        await node.create_room("lobby", linkup=True)
        report = await asyncio.to_thread(asyncio.run, node.doctor())
        outcomes = {check.name: check.outcome for check in report.checks}
        assert (outcomes["network"], outcomes["registry"], outcomes["topics"]) == ("off", "ok", "ok")
        assert report.worst
        assert report.worst.name == "peers found"
    with pytest.raises(NodeClosed):
        await node.doctor()


async def test_a_store_that_cannot_be_opened_leaves_the_chat(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    (path / "store").write_text("not a folder")
    async with node_at(path) as node:
        room = await node.create_room("lobby", linkup=True)
        await room.send("hello")
        assert len(room) == 1
        with pytest.raises(StoreError, match="cannot be opened"):
            _ = node.store
        await node.close()
        (path / "store").unlink()
        await node.open()
        assert node.store.cores == ()
