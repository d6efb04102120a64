import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

COMMAND = str(Path(sys.executable).with_name("linkup-nb"))
PATIENCE = 60.0  # seconds until a process that says nothing has failed the test


class Terminal:
    """Commands of one user: with folders of their own for profiles, and one for running processes that all share."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.environment = os.environ | {
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_RUNTIME_DIR": str(runtime),
            "LINKUP_OFFLINE": "1",
            "PYTHONIOENCODING": "utf-8",
        }
        self._started: list[Started] = []

    def run(self, *arguments: str, code: int = 0, input: str | None = None) -> str:
        """A command to its end, which has to have this exit code; what it printed."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            input=input,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def json(self, *arguments: str) -> list[Any]:
        """What a command says to a program."""
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]

    def start(self, *arguments: str) -> "Started":
        """A command that goes on until the test ends."""
        self._started.append(Started([COMMAND, *arguments], self.folder, self.environment))
        return self._started[-1]

    def close(self) -> None:
        for started in self._started:
            started.kill()


class Started:
    """A command that runs; its lines are taken from it as they come."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def line(self, text: str) -> str:
        """The next line that has a text."""
        deadline, seen = time.monotonic() + PATIENCE, ""
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = ""
            if text in line:
                return line
            if not line:
                raise AssertionError(f"no line with {text!r} in:\n{seen}")
            seen += line

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send it a signal, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


MakeTerminal = Callable[[str], Terminal]


@pytest.fixture
def make_terminal(tmp_path: Path) -> Iterator[MakeTerminal]:
    """The terminal of another user; all find each other on this machine."""
    made: list[Terminal] = []
    runtime = Path(tempfile.mkdtemp(prefix="lu-"))  # short, for the path of a socket has at most 107 bytes

    def make(name: str) -> Terminal:
        made.append(Terminal(tmp_path / name, runtime))
        return made[-1]

    yield make
    for terminal in made:
        terminal.close()
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def ann(make_terminal: MakeTerminal) -> Terminal:
    return make_terminal("ann")


@pytest.fixture
def bob(make_terminal: MakeTerminal) -> Terminal:
    return make_terminal("bob")
