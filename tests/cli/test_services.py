"""What runs until it is stopped: bots and seeds, as processes of their own."""

import json
import signal
import socket
import time
import urllib.request

import pytest

from tests.cli.conftest import PATIENCE, MakeTerminal, Started, Terminal

BOT = """import linkup_nb as lu

bot = lu.Bot("echo")


@bot.command("!echo", help="Say it again")
async def echo(message, *words):
    return " ".join(words)
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def until_held(seed: Started, port: int, blocks: int) -> None:
    """Wait until a seed holds so many blocks."""
    deadline = time.monotonic() + PATIENCE
    while metrics(port)["linkup_blocks_held"] < blocks:
        assert time.monotonic() < deadline, metrics(port)
        time.sleep(0.2)


def test_a_bot_of_a_file_answers(ann: Terminal, make_terminal: MakeTerminal) -> None:
    invite = ann.run("create", "physics").strip()
    following = ann.start("tail", "physics", "--follow")
    machine = make_terminal("machine")
    (machine.folder / "echo.py").write_text(BOT)
    running = machine.start("bot", "echo.py", invite)
    running.line("echo is in physics")
    ann.run("send", "physics", "!echo", "twice", "over")
    assert following.line("echo: twice over")
    assert running.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("x = 1\nraise ValueError('no such thing')\n", "bot.py, line 2: ValueError: no such thing"),
        ("def f(:\n", "bot.py, line 1: SyntaxError"),
        ("import no_such_package\n", "bot.py, line 1: ModuleNotFoundError"),
        ("import sys\nsys.exit('no')\n", "bot.py, line 2: SystemExit: no"),
        ("x = 1\n", "bot.py makes no bot"),
        ("import linkup_nb as lu\na, b = lu.Bot('a'), lu.Bot('b')\n", "bot.py makes 2 bots"),
        ("import linkup_nb as lu\nbot = lu.Bot('a')\n", "This bot is in no room"),
    ],
)
def test_what_is_no_bot_is_one_sentence(ann: Terminal, program: str, says: str) -> None:
    (ann.folder / "bot.py").write_text(program)
    said = ann.run("bot", "bot.py", code=1)
    assert says in said
    assert "Traceback" not in said


def test_a_seed_alone_carries_a_room_and_a_drive(ann: Terminal, bob: Terminal, make_terminal: MakeTerminal) -> None:
    (ann.folder / "a.bin").write_bytes(bytes(200_000))
    ann.run("drive", "put", "results", "a.bin")
    [drive] = ann.json("drive", "ls")
    invite = ann.run("create", "physics").strip()
    port = free_port()
    machine = make_terminal("machine")
    arguments = ("seed", invite, drive["key"], "--log-json", "--metrics", f"127.0.0.1:{port}")
    seed = machine.start(*arguments)
    assert json.loads(seed.line("is ready"))["level"] == "info"
    following = ann.start("tail", "physics", "-f")  # so that ann is there for as long as it takes
    ann.run("send", "physics", "before the night")
    ann.run("send", "physics", "--file", "a.bin")
    seed.line("all of version")
    seed.line("all of version")  # of the drive, and of ann's files in the room
    following.stop()

    seed.kill()  # as when the power fails
    seed = machine.start(*arguments)
    seed.line("is ready")
    bob.run("join", invite)
    reading = bob.start("tail", "physics", "-f")
    reading.line("before the night")
    [*_, file] = bob.json("tail", "physics")
    assert file["file"] == "a.bin"
    bob.run("drive", "get", drive["key"], "/a.bin")
    assert (bob.folder / "a.bin").read_bytes() == bytes(200_000)
    names = {name for name, value in metrics(port).items() if value}
    assert {"linkup_rooms", "linkup_drives", "linkup_connections", "linkup_peers"} <= names
    until_held(seed, port, 5)
    assert seed.stop(signal.SIGTERM) == 0


def test_a_seed_says_what_it_cannot_hold_and_where_others_could_look(ann: Terminal) -> None:
    assert "neither an invite" in ann.run("seed", "nonsense", code=1)
    assert "--allow-public" in ann.run("seed", "--metrics", "0.0.0.0:9464", code=2)
    assert "an address and a port" in ann.run("seed", "--metrics", "9464", code=2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "cannot be had" in ann.run("seed", "--metrics", f"127.0.0.1:{taken.getsockname()[1]}", code=1)
