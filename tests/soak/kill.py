"""`kill -9` at random moments: what was acknowledged or announced is there afterwards; nothing is forked or damaged.

A round kills a process `KILLS` times, each opening what the one before left behind. What it says first is compared with
what the one before said last; in the end all is opened once more, and everything is looked at.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.soak.campaign import Round, Trial
from tests.soak.processes import Victim, Work
from tests.soak.victims import announcing, chat, drives, logs

KILLS = 16  # of one round
EARLY = 0.2  # of the processes are killed while they open
OPENING = 0.01  # seconds that such a one lives on average
LIFE = 0.04  # seconds that the others live on average once they have opened
LONGEST = 0.3  # seconds

Follows = Callable[[list[Any], list[Any]], bool]


def kills(this: Round, work: Work, follows: Follows, life: float = LIFE) -> list[list[Any]]:
    """Kill so many processes of that work one after the other; all that they have said."""
    said: list[list[Any]] = []
    for _ in range(KILLS):
        victim = Victim(work, this.rolls.randrange(2**32))
        if this.rolls.random() < EARLY:
            victim.hear(this.rolls.expovariate(1 / OPENING))
        else:
            victim.wait_for(1)
            victim.hear(min(this.rolls.expovariate(1 / life), LONGEST))
        victim.kill()
        if victim.said and said:
            assert follows(said[-1], victim.said[0]), f"{said[-1]} was said, then {victim.said[0]} was there"
        said += victim.said
        this.survived()
    return said


def trial(name: str, run: Callable[[Callable[..., list[list[Any]]], Path], None]) -> Trial:
    """A trial of one of `tests.soak.victims`, which gets `kills` and a folder."""
    return Trial(name, lambda this: run(partial(kills, this), this.folder))


TRIALS = [
    trial("append", logs.appending),
    trial("append, not waiting", logs.appending_on),
    trial("truncate", logs.truncating),
    trial("put", drives.putting),
    trial("stream", drives.streaming),
    trial("batch", drives.batching),
    trial("mirror", drives.mirroring),
    trial("replicate", logs.replicating),
    trial("chat with memory", chat.remembering),
    trial("LinkUp chat", chat.forgetting),
    trial("index", chat.indexing),
    trial("announce", announcing.announcing),
]
