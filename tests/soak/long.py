"""A seed of many rooms for a long time, while their members come, write, and die: it does not grow.

Members are a few profiles, each in some of the rooms, of which a few live at a time; after what each has written there
was time to reach the seed, it is killed. A sixth of the time is for warming up. `--size` is the number of rooms.
"""

import asyncio
import os
import threading
import time
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

import linkup_nb as lu
from linkup_nb.cli.seed import Seed
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.soak.campaign import Round, Trial
from tests.soak.processes import Say, Victim, resident

ROOMS = 100
HOUR = 3600.0  # seconds, at most
LITTLE = 24.0  # seconds, at less than full size
PROFILES = 10  # of members
THEIRS = 20  # rooms that a member is in, at most
TOGETHER = 3  # members that live at a time
LIFE = 15.0  # seconds that one lives on average, once it has opened
PAUSE = 0.5  # seconds between two messages of one
LOOK_EVERY = 1.0  # seconds between two looks at the seed
WARM = 1 / 6  # of the time
MIN_LOOKS = 30  # for a verdict

# How much more of each the last third may have, at the median, than the first third after warming up. A room's newest
# messages and its members' states are in memory, and caches fill up, but by no more than this.
LIMITS: dict[str, tuple[float, float]] = {
    "memory, MiB": (1.10, 4),
    "open files": (1.0, 4),
    "threads": (1.0, 2),
    "tasks": (1.0, 20),
}


async def found(folder: Path, rooms: int, say: Say, _: Random) -> None:
    """Who makes the rooms; says their invites, and stays until everybody has come."""
    async with lu.Node(folder, name="founder") as node:
        invites = []
        for number in range(rooms):
            room = await node.create_room(f"room {number}")
            invites.append(room.invite)
        say(invites)
        await asyncio.Event().wait()


async def seed(folder: Path, invites: list[str], say: Say, _: Random) -> None:
    """The seed; says what it takes, again and again, and how many messages it has."""
    async with Seed(folder, "seed") as one:
        for invite in invites:
            await one.hold(invite)
        while True:
            rooms = [room for room in one.node.rooms if isinstance(room, MemoryRoom)]
            say(taken(), sum(len(room) for room in rooms))
            await asyncio.sleep(LOOK_EVERY)


def taken() -> dict[str, float]:
    """What this process takes."""
    return {
        "memory, MiB": resident() / 2**20,
        "open files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
    }


async def member(folder: Path, invites: list[str], say: Say, rolls: Random) -> None:
    """Somebody in some rooms, who writes into one after the other; says each message that was kept."""
    async with lu.Node(folder, name=folder.name) as node:
        rooms = [await node.join(invite) for invite in invites]
        say("here")
        while True:
            await rolls.choice(rooms).send("something is said")
            say("said")
            await asyncio.sleep(PAUSE)


def living(this: Round) -> None:
    """The one trial."""
    rooms = this.size or ROOMS
    seconds = min(HOUR, this.seconds) if this.size is None else LITTLE
    founder = Victim(partial(found, this.folder / "founder", rooms), 0)
    founder.wait_for(1)
    (invites,) = founder.said[0]
    held = Victim(partial(seed, this.folder / "seed", invites), 0)
    held.wait_for(1)
    theirs = {f"member {number}": this.rolls.sample(invites, min(THEIRS, rooms)) for number in range(PROFILES)}
    alive: dict[str, tuple[Victim, float]] = {}
    said = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        while len(alive) < TOGETHER:
            name = this.rolls.choice([one for one in theirs if one not in alive])
            comes = Victim(partial(member, this.folder / name, theirs[name]), this.rolls.randrange(2**32))
            alive[name] = comes, time.monotonic() + this.rolls.expovariate(1 / LIFE)
        held.hear(LOOK_EVERY / 4)
        for name, (victim, dies) in list(alive.items()):
            victim.hear(0)
            if time.monotonic() > dies:
                said += end_of(victim)
                del alive[name]
                this.survived()
    for victim, _ in alive.values():
        victim.wait_for(1)
    # What was said while the seed was there has to be with it, unless its author died first: these are still alive.
    held.hear(2 * LOOK_EVERY)
    said += sum(end_of(victim) for victim, _ in alive.values())
    this.note("messages", f"{said:,} written, {held.said[-1][1]:,} at the seed")
    assert held.said[-1][1], "the seed has none of what was said"
    judge(this, [looked for looked, _ in held.said])
    held.kill()
    founder.kill()


def end_of(victim: Victim) -> int:
    """Kill a member; how many messages it had said."""
    victim.hear(0)
    victim.kill()
    return sum(words == ["said"] for words in victim.said)


def judge(this: Round, looks: list[dict[str, float]]) -> None:
    """Compare the last third of the time with the first one after warming up."""
    looks = looks[int(WARM * len(looks)) :]
    third = len(looks) // 3
    grown = []
    for name, (factor, more) in LIMITS.items():
        before, after = (median(one[name] for one in some) for some in (looks[:third], looks[-third:]))
        this.note(name, f"{before:,.0f}, later {after:,.0f}")
        if after > factor * before + more and len(looks) >= MIN_LOOKS and this.size is None:
            grown.append(f"{name} from {before:,.0f} to {after:,.0f}")
    assert not grown, f"the seed has grown: {', '.join(grown)}"


TRIALS = [Trial("seed of many rooms", living)]
