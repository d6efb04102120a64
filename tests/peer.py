"""Drives a second, real peer process: `tests/talker.py`."""

import base64
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
PATIENCE = 30.0  # seconds until a peer that does not answer has failed the test


class Peer:
    """A node in a process of its own, in the folders that `environment` names: both sides' must be the same to meet."""

    def __init__(self, path: Path, name: str, environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.talker", str(path), name],
            cwd=ROOT,
            env=os.environ | (environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._received: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.key = bytes.fromhex(self._answer()["ready"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "received" in said:
                self._received.put(said["received"])
            else:
                self._answers.put(said)
        self._answers.put({"failed": "the peer process has ended"})

    def _answer(self) -> dict[str, Any]:
        answer = self._answers.get(timeout=PATIENCE)
        if "failed" in answer:
            raise AssertionError(f"the peer says: {answer['failed']}")
        return answer

    def begin(self, command: str, **arguments: Any) -> None:
        """Give a command without waiting; `finish` waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()

    def finish(self) -> Any:
        return self._answer()["done"]

    def do(self, command: str, **arguments: Any) -> Any:
        """Run a method of `tests.talker.Talker` there."""
        self.begin(command, **arguments)
        return self.finish()

    def send_file(self, name: str, data: bytes) -> None:
        self.do("send_file", name=name, data=base64.b64encode(data).decode())

    def receives(self, matches: Callable[[dict[str, Any]], bool], timeout: float = PATIENCE) -> dict[str, Any]:
        """Wait for a message from somebody else; those before it are skipped."""
        skipped: list[dict[str, Any]] = []
        deadline = time.monotonic() + timeout
        while True:
            try:
                message = self._received.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the peer received only {skipped}") from None
            if matches(message):
                return message
            skipped.append(message)

    def receives_text(self, text: str) -> dict[str, Any]:
        return self.receives(lambda message: message.get("text") == text)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
