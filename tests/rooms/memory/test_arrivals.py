"""The order of a room, by property: whatever arrives in whichever order, everybody comes to the same."""

from pathlib import Path

import pytest

from tests.rooms.memory.schedules import check_schedule

SCHEDULES = 20  # of each kind; `python -m tests.rooms.memory 10000` checks more


@pytest.mark.parametrize("liars", [0.0, 0.5], ids=["honest", "with liars"])
def test_whatever_arrives_when_everybody_comes_to_the_same(tmp_path: Path, liars: float) -> None:
    for seed in range(SCHEDULES):
        check_schedule(seed, tmp_path, liars=liars)
