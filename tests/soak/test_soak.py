"""A little of every campaign: nothing is lost in it. What is faster or slower is not said here."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.soak.campaign import Trial

ROOT = Path(__file__).parents[2]
LITTLE: dict[str, list[str]] = {
    "kill": ["--rounds", "2"],
    "power": ["--rounds", "2"],
    "fuzz": ["--rounds", "1", "--size", "500"],
    "load": ["--rounds", "1", "--size", "1000"],
    "churn": ["--rounds", "1", "--size", "40"],
    "long": ["--rounds", "1", "--size", "4"],
    "internet": ["--rounds", "1", "--size", "2000"],
}
SPEED = "flood"  # is of how long others wait, which a test does not say


def trials(campaign: str) -> list[str]:
    made: list[Trial] = import_module(f"tests.soak.{campaign}").TRIALS
    return [trial.name for trial in made]


@pytest.mark.parametrize(
    ("campaign", "trial"), [(name, trial) for name in LITTLE for trial in trials(name) if trial != SPEED]
)
def test_nothing_is_lost_in_a_little_of_it(campaign: str, trial: str) -> None:
    command = [sys.executable, "-m", "tests.soak", campaign, "--only", trial, "--seed", "7", *LITTLE[campaign]]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900, cwd=ROOT, env=os.environ)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_loss_is_named_with_what_repeats_it() -> None:
    command = [sys.executable, "-c", LOSING]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT, env=os.environ)

    assert done.returncode == 0, done.stderr
    assert "python -m tests.soak some --only 'bad' --rounds 1 --seed 3" in done.stdout
    assert "AssertionError: gone" in done.stderr


LOSING = """
from tests.soak.campaign import Trial, run

def bad(this):
    this.survived(5)
    assert this.seed != 3, "gone"

assert run("some", [Trial("bad", bad)], seconds=60, seed=1, rounds=2)
assert not run("some", [Trial("bad", bad)], seconds=60, seed=1, rounds=3)
"""
