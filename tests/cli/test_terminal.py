"""The terminal client, in a terminal."""

import os
import pty
import select
import subprocess
import time

from tests.cli.conftest import COMMAND, PATIENCE, Terminal


class Screen:
    """`linkup-nb chat` at the other end of a pseudo terminal."""

    def __init__(self, terminal: Terminal, *arguments: str) -> None:
        self._fd, there = pty.openpty()
        environment = terminal.environment | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        self.process = subprocess.Popen(
            [COMMAND, "chat", *arguments], cwd=terminal.folder, env=environment, stdin=there, stdout=there, stderr=there
        )
        os.close(there)
        self.seen = ""

    def shows(self, text: str) -> None:
        """Wait until a text has been written to the screen since the last one that was waited for."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))[0]
            assert ready, f"no {text!r} in:\n{self.seen}"
            data = os.read(self._fd, 65536)
            if b"\x1b[6n" in data:
                os.write(self._fd, b"\x1b[1;1R")  # where the cursor is, which a terminal is asked for
            self.seen += data.decode(errors="replace")
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


def test_two_people_chat_one_of_them_in_a_terminal(ann: Terminal, bob: Terminal) -> None:
    ann.run("config", "name", "ann")
    screen = Screen(ann)
    try:
        screen.shows("You are in no room yet")
        screen.type("~create physics\r")
        screen.shows("Others join by ")
        [room] = ann.json("rooms")  # from the node of the chat, which holds the profile
        bob.run("config", "name", "bob")
        bob.run("join", room["invite"])
        bob.run("send", "physics", "hello \x1b]0;title\x07ann")
        screen.shows("bob: hello ]0;titleann")
        screen.type("~peo")
        screen.shows("who is in this room")  # offered below the line
        screen.type("\t")
        screen.shows("~people")
        screen.type("\r")
        screen.shows("bob  ")
        screen.type("hello bob\r")
        screen.shows("ann: hello bob")
        screen.type("~nonsense\r")
        screen.shows("There is no command ~nonsense")
        screen.type("~search hello\r")
        screen.shows("ann: hello bob")
        (ann.folder / "a.txt").write_text("a file")
        screen.type("~file a.txt\r")
        screen.shows("[a.txt, 6 bytes]")
        screen.type("~quit\r")
        assert screen.process.wait(PATIENCE) == 0
    finally:
        screen.close()
    assert [message["name"] for message in ann.json("tail", "physics")] == ["bob", "ann", "ann"]


def test_it_ends_with_the_node_that_it_shows(ann: Terminal) -> None:
    ann.run("create", "physics")
    holder = ann.start("tail", "-f", "--json")
    ann.run("send", "physics", "here", "--wait", "0")
    holder.line("here")
    screen = Screen(ann)
    try:
        screen.shows("here")
        holder.kill()
        screen.shows("has gone: run this again")
        assert screen.process.wait(PATIENCE) == 1
    finally:
        screen.close()
