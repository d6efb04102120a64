"""A bot of notebooks/bots in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bot.files import FOLDER
from tests.peer import PATIENCE


@contextmanager
def bot_process(name: str, room: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """It is in the room of this invite or topic, and is killed in the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, str(FOLDER / f"{name}.py")],
        env=os.environ | {"LINKUP_ROOM_ID": room} | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        _, said = process.communicate(timeout=PATIENCE)
        sys.stderr.write(said)  # pytest shows it if the test has failed
