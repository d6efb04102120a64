"""The order of a room, by property: whatever arrives in whichever order, everybody comes to the same."""

import pytest

from tests.rooms.memory.schedules import check_schedule, folder

PARTS = 20  # 10,000 schedules in all, half of them with liars; `python -m tests.rooms.memory 100000` checks more
SCHEDULES = 250  # of each kind in a part


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_arrives_when_everybody_comes_to_the_same(part: int) -> None:
    with folder() as path:
        for seed in range(part * SCHEDULES, (part + 1) * SCHEDULES):
            for liars in (0.0, 0.5):
                check_schedule(seed, path, liars=liars)
