"""Rooms from terminals: real processes of two users, and of one user twice."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, PATIENCE, Terminal


def test_a_room_is_created_joined_and_talked_in(ann: Terminal, bob: Terminal) -> None:
    ann.run("config", "name", "ann")
    bob.run("config", "name", "bob")
    invite = ann.run("create", "physics").strip()
    following = ann.start("tail", "physics", "--follow")
    bob.run("join", invite)
    bob.run("send", "physics", "hello", "there")
    assert following.line("bob").endswith("bob: hello there\n")
    bob.run("send", "physics", "-", input="two\nlines\x1b[31m\n")
    assert following.line("two").endswith("bob: two\n")
    assert following.line("lines") == "    lines[31m\n"  # what steers a terminal has gone
    (bob.folder / "data.bin").write_bytes(bytes(1000))
    bob.run("send", "physics", "--file", "data.bin")
    following.line("[data.bin, 1,000 bytes]")
    assert following.stop() == 130
    [first, *_] = ann.json("tail", "physics", "-n", "3")
    assert (first["name"], first["text"], first["own"]) == ("bob", "hello there", False)
    assert [found["text"] for found in ann.json("search", "physics", "there")] == ["hello there"]
    assert "3 blocks" not in ann.run("export", "physics", "room.jsonl")
    assert "all as their authors signed them" in ann.run("verify", "room.jsonl")


def test_a_command_acts_on_the_node_that_runs(ann: Terminal, bob: Terminal) -> None:
    invite = ann.run("create", "physics").strip()
    following = ann.start("tail", "physics", "--follow", "--json")
    bob.run("join", invite)
    bob.run("send", "physics", "are you there?")
    following.line("are you there?")
    ann.run("send", "physics", "I am")  # by the node of `tail`, which holds the profile
    following.line("I am")
    [room] = ann.json("rooms")
    assert (room["name"], room["messages"]) == ("physics", 2)
    following.kill()
    assert [message["text"] for message in ann.json("tail", "physics")] == ["are you there?", "I am"]  # a dead socket


KERNEL = """import sys
import linkup_nb as lu

node = lu.start()
print("up", flush=True)
sys.stdin.readline()
print([room.name for room in node.rooms], flush=True)
lu.run(node.close())
"""


def test_the_node_of_a_notebook_answers(ann: Terminal) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KERNEL],
        env=ann.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as kernel:
        assert kernel.stdin
        assert kernel.stdout
        assert kernel.stdout.readline() == "up\n"
        ann.run("create", "physics")
        assert [room["name"] for room in ann.json("rooms")] == ["physics"]
        kernel.stdin.write("\n")
        kernel.stdin.flush()
        assert kernel.stdout.readline() == "['physics']\n"
    assert [room["name"] for room in ann.json("rooms")] == ["physics"]  # once it has closed, too


def test_nobody_to_be_reached_is_an_exit_code_of_its_own(ann: Terminal) -> None:
    ann.run("create", "physics")
    said = ann.run("send", "physics", "hello", "--wait", "0.2", code=3)
    assert said.startswith("It is written and kept, but nobody came within 0.2 s")
    ann.run("create", "lobby", "--linkup")
    assert ann.run("send", "lobby", "hello", "--wait", "0.2", code=3) == "Nobody was in lobby within 0.2 s.\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tail", "nowhere"), "You are in no room 'nowhere'"),
        (("join", "linkup:abc"), "In this invite a letter is wrong or missing"),
        (("join", "what is this"), "hexadecimal"),
        (("config", "colour", "red"), "There is no setting 'colour'"),
        (("config", "share-reads", "maybe"), "share-reads is on or off"),
        (("drive", "ls", "nothing"), "There is no drive 'nothing'"),
        (("rooms", "--profile", "../x"), "A profile cannot be called"),
    ],
)
def test_what_cannot_be_is_one_sentence(ann: Terminal, arguments: tuple[str, ...], says: str) -> None:
    said = ann.run(*arguments, code=1)
    assert says in said
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_wrong_usage_and_errors_for_programs(ann: Terminal) -> None:
    assert "Say a text" in ann.run("send", "physics", code=2)
    assert "No such command" in ann.run("nonsense", code=2)
    assert '"kind":"usage"' in ann.run("tail", "nowhere", "--json", code=1)
    ann.run("create", "physics")
    said = ann.run("invite", "physics", "--expires", "nonsense", code=2)
    assert "Traceback" not in said


def test_a_reader_that_hangs_up_ends_it_quietly(ann: Terminal) -> None:
    ann.run("create", "physics")
    for number in range(5):
        ann.run("send", "physics", f"line {number}", "--wait", "0")
    shell = f"{COMMAND} tail physics -n 5 | head -n 1"
    done = subprocess.run(shell, shell=True, env=ann.environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.endswith("line 0\n")
    assert done.stderr == ""


def test_arguments_that_are_no_text_are_taken_as_far_as_they_are(ann: Terminal) -> None:
    ann.run("create", "physics")
    done = subprocess.run(
        [COMMAND.encode(), b"tail", b"\xff\xfe"], env=ann.environment, capture_output=True, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert b"You are in no room" in done.stderr
    assert b"Traceback" not in done.stderr


def test_drives_from_a_terminal(ann: Terminal, bob: Terminal, tmp_path: Path) -> None:
    (ann.folder / "a.csv").write_bytes(b"x\n1\n")
    ann.run("drive", "put", "results", "a.csv", "/runs/")
    (ann.folder / "a.csv").write_bytes(b"x\n1\n2\n")
    ann.run("drive", "put", "results", "a.csv", "/runs/")
    [drive] = ann.json("drive", "ls")
    assert (drive["name"], drive["version"], drive["writable"]) == ("results", 3, True)
    assert [file["path"] for file in ann.json("drive", "ls", "results", "/runs")] == ["/runs/a.csv"]
    assert [event["version"] for event in ann.json("drive", "history", "results")] == [3, 2]
    assert ann.run("drive", "diff", "results", "2") == "~ /runs/a.csv  4 bytes became 6 bytes\n"
    serving = ann.start("drive", "serve", "results")
    assert serving.line("http://127.0.0.1:")
    bob.run("drive", "get", drive["key"], "/runs/a.csv", "--version", "2")
    assert (bob.folder / "a.csv").read_bytes() == b"x\n1\n"
    assert bob.run("drive", "mirror", drive["key"], "copy") == "add /runs/a.csv\n"
    assert (bob.folder / "copy" / "runs" / "a.csv").read_bytes() == b"x\n1\n2\n"
    assert "cannot be changed" in bob.run("drive", "mirror", drive["key"], "copy", "--back", "--folder", "/b", code=1)
    assert serving.stop() == 130
