"""The order of a room, by property: whatever arrives in whichever order, everybody comes to the same."""

import os
import random
from pathlib import Path

import pytest

from tests.rooms.memory.world import Reader, World, expected, feed_key

SCHEDULES = int(os.environ.get("LINKUP_SCHEDULES", "150"))  # 10,000 and more: `python -m tests.rooms.memory`


def a_world(seed: int, *, liars: float) -> dict[bytes, list[bytes]]:
    rng = random.Random(seed)
    world = World(rng, rng.randrange(2, 7), liars=liars)
    for _ in range(rng.randrange(1, 5)):
        cut = rng.randrange(len(world.authors))
        for group in (list(range(cut)), list(range(cut, len(world.authors)))):
            if group:
                world.talk(rng.randrange(2, 15), group)
    return {feed_key(author.number): author.blocks for author in world.authors}


@pytest.mark.parametrize("liars", [0.0, 0.5], ids=["honest", "with liars"])
@pytest.mark.parametrize("chunk", range(3))
def test_whatever_arrives_when_everybody_comes_to_the_same(tmp_path: Path, liars: float, chunk: int) -> None:
    for seed in range(chunk * SCHEDULES // 3, (chunk + 1) * SCHEDULES // 3):
        feeds = a_world(seed, liars=liars)
        want = expected(feeds)
        for tails in (False, True):
            reader = Reader(tmp_path / f"{seed}{tails}", feeds, random.Random(seed))
            reader.read_all(tails=tails, restarts=0.1)
            assert reader.result() == want, (seed, tails)
            reader.close()
        if not liars:
            assert not want.refused
            assert not any(want.faults.values())
