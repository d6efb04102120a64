"""One schedule: a world from a seed, read in several orders, each of which has to come to what the rules say."""

import json
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linkup_nb.rooms.memory.arrivals import tips
from linkup_nb.rooms.memory.keys import tie_of_id
from linkup_nb.rooms.memory.rows import State
from tests.rooms.memory.world import Reader, World, expected, feed_key


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for the indexes of many schedules, in memory where the system has a place there."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as path:
        yield Path(path)


def a_world(seed: int, *, liars: float) -> dict[bytes, list[bytes]]:
    """The feeds of two to six authors who are cut off from each other now and then."""
    rng = random.Random(seed)
    world = World(rng, rng.randrange(2, 7), liars=liars)
    for _ in range(rng.randrange(1, 5)):
        cut = rng.randrange(len(world.authors))
        for group in (list(range(cut)), list(range(cut, len(world.authors)))):
            if group:
                world.talk(rng.randrange(2, 15), group)
    return {feed_key(author.number): author.blocks for author in world.authors}


def check_schedule(seed: int, folder: Path, *, liars: float) -> None:
    """Whatever the order of arrival and whatever one writes in between: one result, in which nothing was moved.

    Raises `AssertionError`; its message has the seed.
    """
    feeds = a_world(seed, liars=liars)
    want = expected(feeds)
    if not liars:
        assert not want.refused, seed
        assert not any(want.faults.values()), seed
    heads = []
    for number, (tails, writes) in enumerate([(False, 0.0), (True, 0.0), (True, 0.2)]):
        path = folder / f"{seed} {liars} {number}"
        reader = Reader(path, feeds, random.Random(seed))
        reader.read_all(tails=tails, restarts=0.1, writes=writes)
        assert reader.result() == (expected(feeds | {reader.own_key: reader.own}) if reader.own else want), (
            seed,
            number,
        )
        _check_heads(reader, seed)
        heads.append(tips(reader.arrivals.feeds, reader.own_key, reader.arrivals.end_of))
        rebuilt = Reader(
            path.with_suffix(".again"),
            feeds | ({reader.own_key: reader.own} if reader.own else {}),
            random.Random(seed),
        )
        rebuilt.read_all(tails=False)
        assert rebuilt.result() == reader.result(), (seed, number)
        for one in (reader, rebuilt):
            one.close()
            for file in folder.glob(f"{one.path.name}*"):
                file.unlink()
    if not liars:
        assert heads[0] == heads[1], seed


def _check_heads(reader: Reader, seed: int) -> None:
    """No row that counts stands before a block that it names."""
    rows = [row for row in reader.index.timeline() if not row.state & State.OUT_OF_ORDER]
    places = {(row.tie, row.seq): at for at, row in enumerate(rows)}
    lengths = {row.tie: row.next for row in reader.arrivals.feeds}
    for at, row in enumerate(rows):
        if row.heads and not row.state & State.REFUSED:
            for id, length in json.loads(row.heads).items():
                tie = tie_of_id(id)
                if length <= lengths.get(tie, 0):
                    named = [places[tie, seq] for seq in range(length) if (tie, seq) in places]
                    assert max(named, default=-1) < at, (seed, row)
