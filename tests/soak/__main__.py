"""`python -m tests.soak NAME --minutes M [--seed S]`: a campaign; ends with 1 if anything was lost."""

import argparse
import importlib
import os
import sys
from pathlib import Path

from tests.soak.campaign import Trial, run

CAMPAIGNS = ("kill", "power", "fuzz", "hostile", "load", "churn", "long", "internet")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("name", choices=CAMPAIGNS)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], metavar="TRIAL", help="a row of the table, or several")
    parser.add_argument("--rounds", type=int, help="of each trial, at most")
    parser.add_argument("--size", type=int, help="of what is tried, where it is not as large as it is meant to be")
    given = parser.parse_args()
    os.environ["LINKUP_OFFLINE"] = "1"
    campaign = importlib.import_module(f"tests.soak.{given.name}")
    if hasattr(campaign, "prepare"):
        campaign.prepare()
    trials: list[Trial] = campaign.TRIALS
    if unknown := set(given.only) - {trial.name for trial in trials}:
        parser.error(f"There is no trial {', '.join(unknown)}; there are {', '.join(trial.name for trial in trials)}.")
    chosen = [trial for trial in trials if not given.only or trial.name in given.only]
    whole = run(given.name, chosen, seconds=60 * given.minutes, seed=given.seed, rounds=given.rounds, size=given.size)
    sys.exit(0 if whole else 1)


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[2])
    main()
