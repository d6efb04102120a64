import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.peer import PATIENCE, Peer

SECONDS = 10.0  # "within seconds", on a busy machine too


def test_two_processes_chat(tmp_path: Path) -> None:
    with Peer(tmp_path / "a", "kestrel") as kestrel, Peer(tmp_path / "b", "otter") as otter:
        topic = kestrel.do("create", name="lobby")
        otter.do("join", topic=topic)
        kestrel.do("connected", count=1)
        otter.do("connected", count=1)
        kestrel.do("send", text="**hello**")
        assert otter.receives(lambda message: True) == {"type": "TextMessage", "name": "kestrel", "text": "**hello**"}
        otter.send_file("a.bin", bytes(9 * 1024 * 1024))
        message = kestrel.receives(lambda message: message["type"] == "FileMessage")
        assert (message["name"], message["file_name"], message["size"]) == ("otter", "a.bin", 9 * 1024 * 1024)
        otter.do("burst", count=500)
        assert [kestrel.receives(lambda message: True)["text"] for _ in range(500)] == [
            str(number) for number in range(500)
        ]


def test_a_process_that_ends_says_all_it_had_to_say_and_comes_back_to_its_room(tmp_path: Path) -> None:
    with Peer(tmp_path / "a", "kestrel") as kestrel:
        topic = kestrel.do("create", name="lobby")
        with Peer(tmp_path / "b", "otter") as otter:
            otter.do("join", topic=topic)
            kestrel.do("connected", count=1)
            otter.do("connected", count=1)
            otter.do("burst", count=300)
        assert kestrel.receives(lambda message: message.get("text") == "299")
        with Peer(tmp_path / "b", "otter") as otter:
            kestrel.do("connected", count=1)
            otter.do("join", topic=topic)  # it is in the room already; now it says what it hears there
            kestrel.do("send", text="welcome back")
            assert otter.receives(lambda message: True)["text"] == "welcome back"


def test_a_fourth_who_comes_when_one_of_three_is_left_has_everything_within_seconds(tmp_path: Path) -> None:
    said = [(name, f"{name} {number}") for number in range(100) for name in ("kestrel", "otter", "heron")]
    with Peer(tmp_path / "b", "otter") as otter:
        with Peer(tmp_path / "a", "kestrel") as kestrel, Peer(tmp_path / "c", "heron") as heron:
            people = {"kestrel": kestrel, "otter": otter, "heron": heron}
            invite = kestrel.do("found", name="physics")
            for guest in (otter, heron):
                guest.do("join", topic=invite)
            for peer in people.values():
                peer.do("connected", count=2)
            for name, text in said:
                people[name].begin("send", text=text)
            for name, _ in said:
                people[name].finish()
            told = [peer.do("history", count=len(said)) for peer in people.values()]
            assert told[0] == told[1] == told[2]
            assert sorted(map(tuple, told[0])) == sorted(said)
        with Peer(tmp_path / "d", "wren") as wren:
            start = time.monotonic()
            wren.do("join", topic=invite)
            assert wren.do("history", count=len(said)) == told[0]
            assert time.monotonic() - start < SECONDS
            wren.do("send", text="all of it is here")
            assert otter.receives_text("all of it is here")["name"] == "wren"


HOLD = """
import asyncio, sys
import linkup_nb as lu

async def main():
    async with lu.Node(sys.argv[1], name="kestrel") as node:
        await node.create_room("lobby", linkup=True)
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_the_profile_of_a_process_that_was_killed_can_be_opened_at_once(tmp_path: Path, end: signal.Signals) -> None:
    path = tmp_path / "default"
    command = [sys.executable, "-c", HOLD, str(path)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert first.stdout
    assert first.stdout.readline() == "ready\n"
    refused = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert f"Profile 'default' is in use by process {first.pid}" in refused.stderr
    first.send_signal(end)
    first.communicate(timeout=PATIENCE)
    with Peer(path, "kestrel") as again:
        again.do("create", name="second")
        assert os.path.exists(path / "config.json")
