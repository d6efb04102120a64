"""The kills of `tests.soak.kill` on a disk that then loses what was not synced, as at a power cut.

What a peer was told is never taken back, nor what was acknowledged as being on disk. A copy of others' logs, and the
index of a room, may be behind what they were: they are fetched and made again.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.soak import disk
from tests.soak.campaign import Round, Trial
from tests.soak.kill import EARLY, KILLS, LIFE, LONGEST, OPENING, Follows
from tests.soak.processes import Say, Victim, Work
from tests.soak.victims import chat, drives, logs


def prepare() -> None:
    """Have the disk of this program be one that loses things."""
    disk.prepare()


def cuts(this: Round, keeps: bool, work: Work, follows: Follows, life: float = LIFE) -> list[list[Any]]:
    """Cut the power of so many processes one after the other; all that they have said."""
    journal = this.folder / "journal"

    async def on_disk(say: Say, rolls: Random) -> None:
        disk.begin(this.folder, journal)
        await work(say, rolls)

    said: list[list[Any]] = []
    lost = 0
    for _ in range(KILLS):
        victim = Victim(on_disk, this.rolls.randrange(2**32))
        if this.rolls.random() < EARLY:
            victim.hear(this.rolls.expovariate(1 / OPENING))
        else:
            victim.wait_for(1)
            victim.hear(min(this.rolls.expovariate(1 / life), LONGEST))
        victim.kill()
        lost += disk.cut(journal, this.rolls)
        if keeps and victim.said and said:
            assert follows(said[-1], victim.said[0]), f"{said[-1]} was said, then {victim.said[0]} was there"
        said += victim.said
        this.survived()
    this.note("changes that no sync covered", f"{lost} in the last round")
    return said


def trial(name: str, run: Callable[[Callable[..., list[list[Any]]], Path], None], *, keeps: bool = True) -> Trial:
    """A trial of one of `tests.soak.victims`; `keeps` if all that it says is on disk."""
    return Trial(name, lambda this: run(partial(cuts, this, keeps), this.folder))


TRIALS = [
    trial("append", logs.appending),
    trial("append, not waiting", logs.appending_on),
    trial("truncate", logs.truncating),
    trial("put", drives.putting),
    trial("stream", drives.streaming),
    trial("batch", drives.batching),
    trial("mirror", partial(drives.mirroring, whole=False)),  # what it writes locally is not synced
    trial("replicate", logs.replicating, keeps=False),
    trial("chat with memory", chat.remembering, keeps=False),
    trial("LinkUp chat", chat.forgetting),
    trial("index", chat.indexing, keeps=False),
]
