"""A blind seed as a process of its own: a room is lent to it, and is there when all members are gone."""

import re
import signal
import time
from pathlib import Path

from tests.cli.conftest import PATIENCE, MakeTerminal, Started, Terminal
from tests.cli.test_services import free_port, metrics

SECRET = "nobody else reads this"


def key_of(seed: Started) -> str:
    """The key that a blind seed has logged, once it is ready."""
    found = re.search(r"Blind peer ([a-z0-9]{52}) holds", seed.line("Blind peer"))
    assert found
    seed.line("is ready")
    return found[1]


def test_a_room_sleeps_in_a_blind_seed_that_cannot_read_it(
    ann: Terminal, bob: Terminal, make_terminal: MakeTerminal
) -> None:
    port = free_port()
    machine = make_terminal("machine")
    arguments = ("seed", "--blind", "--metrics", f"127.0.0.1:{port}")
    seed = machine.start(*arguments)
    key = key_of(seed)
    assert ann.run("config", "blind-peers", key)
    invite = ann.run("create", "physics").strip()
    assert f"blind={key}" in invite
    (ann.folder / "a.bin").write_bytes(bytes(range(200)) * 1000)
    ann.run("send", "physics", SECRET)  # it takes it, so there is no need to wait for a member
    ann.run("send", "physics", "--file", "a.bin")
    following = ann.start("tail", "physics", "-f")
    following.line(SECRET)
    until_said(ann, "holds all of the 3 logs")  # her feed, and history and contents of her files
    following.stop()
    assert metrics(port)["linkup_blind_logs"] == 3
    assert metrics(port)["linkup_blind_bytes"] > 200_000

    seed.kill()  # as when the power fails
    seed = machine.start(*arguments)
    assert key_of(seed) == key
    bob.run("join", invite)
    bob.start("tail", "physics", "-f").line(SECRET)
    [*_, file] = bob.json("tail", "physics")
    assert file["file"] == "a.bin"
    assert seed.stop(signal.SIGTERM) == 0
    assert not any(SECRET.encode() in file.read_bytes() for file in files(machine.folder))


def until_said(terminal: Terminal, text: str) -> None:
    """Wait until the doctor says so."""
    deadline, said = time.monotonic() + PATIENCE, ""
    while text not in said:
        assert time.monotonic() < deadline, said
        said = terminal.run("doctor")


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_what_is_no_key_of_a_blind_peer_is_one_sentence(ann: Terminal) -> None:
    said = ann.run("config", "blind-peers", "nonsense", code=1)
    assert "'nonsense' is no key of a blind peer" in said
    assert "Traceback" not in said
    assert ann.run("config", "blind-peers").strip() == ""


def test_a_blind_peer_that_is_away_is_said_to_be(ann: Terminal) -> None:
    ann.run("config", "blind-peers", "y" * 52)
    ann.run("create", "physics")
    assert "It is away" in ann.run("doctor")
    assert "nobody came within" in ann.run("send", "physics", "hello", "--wait", "1", code=3)
