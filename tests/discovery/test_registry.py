"""Processes of one user meet through a folder, whatever is lying around in it."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from linkup_nb.discovery import registry
from linkup_nb.discovery.protocol import FoundPeer
from linkup_nb.discovery.registry import Registry
from linkup_nb.wire.keys import discovery_key
from tests.connection.links import Seeker

TOPIC = bytes(range(32))
PATIENCE = 10.0  # seconds


def folder() -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "linkup_nb" / "swarm"


def entry_path(key: bytes) -> Path:
    return folder() / f"{discovery_key(TOPIC).hex()}-{key.hex()}"


def put(key: bytes, *, age: float = 0.0, **entry: object) -> Path:
    """Write an entry as another process of this user would."""
    path = entry_path(key)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(json.dumps({"host": "127.0.0.1", "port": 1, "pid": os.getpid()} | entry))
    os.utime(path, (time.time() - age,) * 2)
    return path


def names_in(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


async def test_whoever_comes_second_knows_the_first_at_once_and_the_first_hears_of_it_soon() -> None:
    first, second = Seeker(Registry(), 1), Seeker(Registry(), 2)
    await first.join(TOPIC)
    await second.join(TOPIC)
    assert second.found == [FoundPeer(first.key, (("127.0.0.1", 1001),), "registry")]
    began = time.monotonic()
    assert await first.finds(second.key) == FoundPeer(second.key, (("127.0.0.1", 1002),), "registry")
    assert time.monotonic() - began < 1.0
    await first.discovery.close()
    await second.discovery.close()


async def test_the_folder_is_private_and_names_no_topic_and_entries_go_with_their_owner() -> None:
    seeker = Seeker(Registry(), 1)
    folder().mkdir(mode=0o755, parents=True)
    await seeker.join(TOPIC)
    assert folder().stat().st_mode & 0o777 == 0o700
    assert names_in(folder()) == [f"{discovery_key(TOPIC).hex()}-{seeker.key.hex()}"]
    assert TOPIC.hex() not in entry_path(seeker.key).read_text()
    await seeker.discovery.leave(TOPIC)
    assert names_in(folder()) == []
    await seeker.join(TOPIC)
    await seeker.discovery.close()
    assert names_in(folder()) == []


async def test_topics_and_roles_are_kept_apart() -> None:
    one, elsewhere, client, server = (Seeker(Registry(), number) for number in range(1, 5))
    await one.join(TOPIC)
    await elsewhere.join(bytes(32))
    await client.join(TOPIC, server=False)
    await server.join(TOPIC, client=False)
    await client.finds(server.key)
    await one.finds(server.key)
    assert {peer.public_key for peer in client.found} == {one.key, server.key}
    assert {peer.public_key for peer in one.found} == {server.key}
    assert (elsewhere.found, server.found) == ([], [])
    for seeker in (one, elsewhere, client, server):
        await seeker.discovery.close()


async def test_the_first_peer_dies_and_those_that_remain_still_meet() -> None:
    script = "import asyncio, sys; from tests.discovery.test_registry import stay; asyncio.run(stay())"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert process.stdout
    first = bytes.fromhex((await process.stdout.readline()).decode())
    second, third = Seeker(Registry(), 2), Seeker(Registry(), 3)
    await second.join(TOPIC)
    await second.finds(first)
    process.kill()
    await process.wait()
    await third.join(TOPIC)
    await second.finds(third.key)
    assert {peer.public_key for peer in third.found} == {second.key}
    assert len(names_in(folder())) == 2
    await second.discovery.close()
    await third.discovery.close()


async def stay() -> None:
    """What the process above does: be the first on the topic, until it is killed."""
    seeker = Seeker(Registry(), 1)
    await seeker.join(TOPIC)
    sys.stdout.write(f"{seeker.key.hex()}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def test_dead_and_stale_entries_are_swept_and_garbage_is_survived() -> None:
    good = put(b"g" * 32, port=7)
    swept = [put(b"1" * 32, pid=dead_pid()), put(b"2" * 32, age=registry.STALE_AFTER + 1)]
    for name in ("unfinished", "x" * 200, "..-..", entry_path(b"3" * 32).name, entry_path(b"3").name):
        swept.append(folder() / name)
        swept[-1].write_bytes(b"garbage")
        os.utime(swept[-1], (0, 0))
    put(b"a" * 32, host="192.0.2.1")
    put(b"b" * 32, host="example.org")
    put(b"c" * 32, port=0)
    put(b"d" * 32, port=65536)
    put(b"e" * 32, port=None)
    put(b"f" * 32, pid=-1)
    put(b"h" * 32, pid=0)
    put(b"i" * 32, pid=2**70)
    put(b"j" * 32, note="x" * registry.MAX_ENTRY_BYTES)
    entry_path(b"k" * 32).write_bytes(b"\xff" * 100)
    entry_path(b"l" * 32).write_bytes(b"")
    entry_path(b"q" * 32).write_bytes(b'{"host":"\xff","port":1,"pid":1}')
    entry_path(b"m" * 32).write_bytes(b"[" * registry.MAX_ENTRY_BYTES)
    entry_path(b"n" * 32).symlink_to(good)
    entry_path(b"o" * 32).mkdir()
    os.mkfifo(entry_path(b"p" * 32))
    seeker = Seeker(Registry(), 1)
    await seeker.join(TOPIC)
    assert seeker.found == [FoundPeer(b"g" * 32, (("127.0.0.1", 7),), "registry")]
    assert [path.name for path in swept if path.exists()] == []
    await seeker.discovery.close()


async def test_a_full_folder_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_ENTRIES", 3)
    for number in range(5):
        put(bytes([number]) * 32)
    seeker = Seeker(Registry(), 9)
    await seeker.join(TOPIC, server=False)
    assert len(seeker.found) == 3
    await seeker.discovery.close()


async def test_an_entry_or_folder_that_is_removed_is_put_back() -> None:
    owner, watcher = Seeker(Registry(), 1), Seeker(Registry(), 2)
    await owner.join(TOPIC)
    await watcher.join(TOPIC, server=False)
    for _ in range(2):
        entry_path(owner.key).unlink()
        folder().rmdir()
        watcher.found.clear()
        await watcher.finds(owner.key)
    await owner.discovery.close()
    await watcher.discovery.close()


async def test_a_heartbeat_keeps_an_entry_alive_and_repeats_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "HEARTBEAT", 0.1)
    monkeypatch.setattr(registry, "SETTLE", 0.0)
    put(b"g" * 32)
    seeker = Seeker(Registry(), 1)
    await seeker.join(TOPIC)
    for _ in range(3):
        os.utime(entry_path(seeker.key), (0, 0))
        await seeker.next()
        assert time.time() - entry_path(seeker.key).stat().st_mtime < registry.STALE_AFTER
    await seeker.discovery.close()


async def test_a_restarted_peer_with_the_same_key_keeps_the_entry_when_the_old_one_closes() -> None:
    old, new = Seeker(Registry(), 1, port=1000), Seeker(Registry(), 1, port=2000)
    await old.join(TOPIC)
    entry_path(old.key).unlink()
    await new.join(TOPIC)
    await old.discovery.close()
    assert json.loads(entry_path(old.key).read_text())["port"] == 2001
    await new.discovery.close()


async def test_a_folder_that_is_not_ours_is_left_alone_and_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    folder().mkdir(parents=True)
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    seeker = Seeker(Registry(), 1)
    await seeker.join(TOPIC)
    assert names_in(folder()) == []
    assert seeker.discovery.describe() == (
        f"Peers on this machine cannot be found: {folder()} is not a directory of this user."
    )
    await seeker.discovery.close()


async def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder().parent.mkdir()
    folder().symlink_to(tmp_path)
    seeker = Seeker(Registry(), 1)
    await seeker.join(TOPIC)
    assert "is not a directory of this user" in seeker.discovery.describe()
    assert names_in(tmp_path) == []
    await seeker.discovery.close()
