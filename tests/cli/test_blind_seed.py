"""A blind seed as a process of its own: a room is lent to it, and is there when all members are gone."""

import re
import signal
from pathlib import Path

from tests.cli.conftest import MakeTerminal, Started, Terminal
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
    following = ann.start("tail", "physics", "-f")
    ann.run("send", "physics", SECRET)
    ann.run("send", "physics", "--file", "a.bin")
    for _ in range(3):  # her feed, and history and contents of her files
        seed.line(": all of")
    assert "holds all of the 3 logs" in ann.run("doctor")
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
