"""Processes that are forked from one that has everything loaded, say in lines what they have done, and are killed."""

import asyncio
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

PATIENCE = 60.0  # seconds for a process to say what it must

Say = Callable[..., None]
Work = Callable[[Say, Random], Coroutine[Any, Any, None]]


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Victim:
    """A process that does some work until it is killed; `said` has what it has said, oldest first."""

    def __init__(self, work: Work, seed: int) -> None:
        self.said: list[list[Any]] = []
        self.closed = False
        self._rest = b""
        self._out, into = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._out)
            _live(work, seed, into)
        os.close(into)

    def hear(self, seconds: float) -> None:
        """Let it work for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._out], [], [], left)
            if ready and not self._take():
                raise AssertionError("the process has ended by itself")

    def wait_for(self, count: int) -> None:
        """Wait until it has said so much."""
        end = time.monotonic() + PATIENCE
        while len(self.said) < count:
            ready, _, _ = select.select([self._out], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"the process has said only {self.said[-3:]}"
            assert self._take(), f"the process has ended by itself; it said {self.said[-3:]}"

    def kill(self) -> None:
        """`kill -9`; what it had said before counts."""
        self.closed = True
        os.kill(self.pid, signal.SIGKILL)
        while self._take():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self._out)
        assert os.WIFSIGNALED(status), "the process had failed"
        assert os.WTERMSIG(status) == signal.SIGKILL, "the process had failed"

    def _take(self) -> bool:
        part = os.read(self._out, 65536)
        *lines, self._rest = (self._rest + part).split(b"\n")
        self.said += map(json.loads, lines)
        return bool(part)


def _live(work: Work, seed: int, into: int) -> None:
    def say(*words: object) -> None:
        os.write(into, json.dumps(words).encode() + b"\n")

    try:
        asyncio.run(work(say, Random(seed)))
    except BaseException:  # noqa: BLE001  # whoever waits for it says that it has ended
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)
