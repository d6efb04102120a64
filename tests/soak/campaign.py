"""What a campaign is: trials, each run again and again with another seed, each time in a process of its own."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

STUCK = 5400.0  # seconds after which a round that has not ended is lost
MAX_NOTES = 20  # of a trial, printed under the table


class Round:
    """One round of a trial: its seed, random numbers from it, a folder that is gone afterwards.

    `size` is how large what is tried should be at most, `None` for as large as it is meant to be; `seconds` is how long
    the campaign goes on.
    """

    def __init__(self, seed: int, folder: Path, into: int, size: int | None, seconds: float) -> None:
        self.seed = seed
        self.size = size
        self.seconds = seconds
        self.rolls = Random(seed)
        self.folder = folder
        self._into = into

    def survived(self, count: int = 1) -> None:
        """Count what was tried and held."""
        self._report({"survived": count})

    def note(self, name: str, text: str) -> None:
        """Say something for under the table; a later note of this name takes its place."""
        self._report({"note": [name, text]})

    def _report(self, what: dict[str, object]) -> None:
        os.write(self._into, json.dumps(what).encode() + b"\n")


@dataclass(frozen=True)
class Trial:
    """One row of the table. `run` raises if anything is lost, and counts the rest by `survived`."""

    name: str
    run: Callable[[Round], None]


@dataclass
class Result:
    """What has come of a trial so far."""

    trial: Trial
    survived: int = 0
    rounds: int = 0
    lost: list[int] = field(default_factory=list)  # seeds
    seconds: float = 0.0
    peak: int = 0  # KiB
    notes: dict[str, str] = field(default_factory=dict)


def run(
    name: str,
    trials: Sequence[Trial],
    *,
    seconds: float,
    seed: int,
    rounds: int | None = None,
    size: int | None = None,
) -> bool:
    """Run the trials in turn until the time is over, or `rounds` of each; print the table. Whether nothing was lost."""
    results = [Result(trial) for trial in trials]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        open_results = [result for result in results if rounds is None or result.rounds < rounds]
        if not open_results:
            break
        result = min(open_results, key=lambda one: one.seconds)
        one_round(name, result, seed + result.rounds, size, end - time.monotonic())
    print_table(name, results)
    return not any(result.lost for result in results)


def one_round(campaign: str, result: Result, seed: int, size: int | None, seconds: float) -> None:
    """Run a trial once in a process of its own, and see how it ends."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    out, into = os.pipe()
    started = time.monotonic()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        os.close(out)
        _child(result.trial, Round(seed, folder, into, size, seconds))
    os.close(into)
    status, peak = _outcome(result, pid, out, started + STUCK)
    result.rounds += 1
    result.seconds += time.monotonic() - started
    result.peak = max(result.peak, peak)
    if status == 0:
        shutil.rmtree(folder, ignore_errors=True)
        return
    result.lost.append(seed)
    _say(f"LOST: {result.trial.name}, seed {seed}; what is left lies in {folder}. Again by:")
    sized = "" if size is None else f" --size {size}"
    _say(f"  python -m tests.soak {campaign} --only '{result.trial.name}' --rounds 1 --seed {seed}{sized}")


def _child(trial: Trial, this: Round) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        for variable in ("DATA_HOME", "STATE_HOME", "CONFIG_HOME", "RUNTIME_DIR"):
            place = this.folder / variable[:1]  # a short name: a path leaves room for the names of Unix sockets
            place.mkdir(mode=0o700)
            os.environ[f"XDG_{variable}"] = str(place)
        trial.run(this)
        code = 0
    except BaseException:  # noqa: BLE001  # it is printed, and the round is lost
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _outcome(result: Result, pid: int, out: int, deadline: float) -> tuple[int, int]:
    """Wait for a round, and take what it reports; its status, and the KiB that it or a process of it had at most."""
    os.set_blocking(out, False)
    buffer = b""
    status = None
    while status is None:
        ended, code, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            status, peak = code, usage.ru_maxrss
        elif time.monotonic() > deadline:
            _say(f"{result.trial.name} does not end.")
            os.killpg(pid, signal.SIGABRT)
            deadline += STUCK
        else:
            time.sleep(0.005)
        while part := _read(out):
            buffer += part
    end_group(pid)
    os.close(out)
    for line in buffer.splitlines():
        said = json.loads(line)
        if "survived" in said:
            result.survived += said["survived"]
        else:
            result.notes[said["note"][0]] = said["note"][1]
    return status, peak


def end_group(group: int) -> None:
    """End what a round has left running."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _read(out: int) -> bytes:
    try:
        return os.read(out, 65536)
    except BlockingIOError:
        return b""


def print_table(name: str, results: Sequence[Result]) -> None:
    """One line a trial, and the sum."""
    _say(f"\n{name:24} {'tried':>12} {'survived':>12} {'lost':>6} {'seconds':>9} {'peak memory':>12}")
    for one in results:
        _say_row(one.trial.name, one.survived, len(one.lost), one.seconds, one.peak)
    if len(results) > 1:
        survived, lost = sum(one.survived for one in results), sum(len(one.lost) for one in results)
        _say_row("all", survived, lost, sum(one.seconds for one in results), max(one.peak for one in results))
    for result in results:
        for note, text in list(result.notes.items())[:MAX_NOTES]:
            _say(f"{result.trial.name}: {note}: {text}")
        for seed in result.lost:
            _say(f"{result.trial.name}: lost with seed {seed}")


def _say_row(title: str, survived: int, lost: int, seconds: float, peak: int) -> None:
    tried = survived + lost
    _say(f"{title:24} {tried:>12,} {survived:>12,} {lost:>6} {seconds:>9.1f} {peak / 1024:>8.0f} MiB")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
