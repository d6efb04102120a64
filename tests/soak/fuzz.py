"""Every decoder and every machine without input and output gets bytes that no peer would send.

By atheris where it is installed, for `SECONDS` a round; else by mutations from a seed, `INPUTS` a round, of which those
are kept that reach a line of the package that was not reached before. No input may crash anything, take more
memory than `MEMORY`, or longer than its decoder may (10 ms; pictures and tables 1 s).
"""

import importlib.util
import re
import resource
import subprocess
import sys
import time
from functools import partial
from random import Random

from tests.fuzz.corpus import LEARNED, kept, learn
from tests.fuzz.coverage import Coverage
from tests.fuzz.target import MEMORY, Target
from tests.fuzz.targets import TARGETS
from tests.soak.campaign import Round, Trial

INPUTS = 1000
SECONDS = 20
SLOW = 2.0  # seconds of processor time for one input where `--size` says how many there are: no word on speed
MAX_SIZE = 4096  # bytes of an input
TRIES = 5  # the quickest of which counts, for the machine may have something else to do

_INTERESTING = (
    b"",
    b"\0",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\xfc",
    b"\xfd",
    b"\xfe",
    b"\xff",
    b"\xff" * 8,
    b"\0" * 8,
    b"-1",
)


def mutate(rolls: Random, corpus: list[bytes]) -> bytes:
    """Another input: one that is known with some bytes changed, cut, doubled, or with a part of another."""
    data = bytearray(rolls.choice(corpus))
    for _ in range(rolls.choice([1, 1, 1, 2, 4, 8])):
        at = rolls.randrange(len(data) + 1)
        until = min(len(data), at + rolls.choice([0, 1, 1, 2, 4, 8, 32]))
        kind = rolls.randrange(6)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rolls.randrange(8)
        elif kind == 1:
            data[at:until] = rolls.choice(_INTERESTING)
        elif kind == 2:
            data[at:until] = rolls.randbytes(until - at)
        elif kind == 3:
            data[at:at] = data[at:until] * rolls.choice([1, 2, 50])
        elif kind == 4:
            other = rolls.choice(corpus)
            start = rolls.randrange(len(other) + 1)
            data[at:until] = other[start : start + rolls.choice([1, 4, 16, 64])]
        else:
            del data[at:until]
    return bytes(data[:MAX_SIZE])


def judge(target: Target, data: bytes, *, seconds: float) -> None:
    """Check one input, and what it takes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    quickest = float("inf")
    for _ in range(TRIES):
        started = time.thread_time()
        target.check(data)
        quickest = min(quickest, time.thread_time() - started)
        if quickest <= seconds:
            break
    assert quickest <= seconds, f"{1000 * quickest:.1f} ms"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown <= MEMORY, f"{grown:,} KiB more"


def fuzz(this: Round, name: str) -> None:
    """One round on one decoder."""
    by_atheris = importlib.util.find_spec("atheris") is not None
    (_by_atheris if by_atheris else _by_mutation)(this, name)


def _by_mutation(this: Round, name: str) -> None:
    target, coverage = TARGETS[name], Coverage()
    corpus = [*target.seeds, *kept(name)]
    for data in corpus:
        target.check(data)  # what is made once does not count
        coverage.run(target.check, data)
    found = []
    for _ in range(this.size or INPUTS):
        data = mutate(this.rolls, corpus)
        try:
            judge(target, data, seconds=target.seconds if this.size is None else SLOW)
            new = coverage.run(target.check, data)
        except BaseException:
            sys.stderr.write(f"{name} does not take {data.hex()}\n")
            raise
        if new:
            corpus.append(data)
            found.append(data)
        this.survived()
    learn(name, found)
    this.note("lines reached", f"{coverage.reached:,}")


def _by_atheris(this: Round, name: str) -> None:
    folder = LEARNED / name
    folder.mkdir(parents=True, exist_ok=True)
    learn(name, kept(name))
    command = [sys.executable, "-m", "tests.fuzz.worker", name, str(SECONDS), str(LEARNED), str(this.seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, text[-4000:]
    runs = [
        int(number)
        for pair in re.findall(r"^Done (\d+) runs|^#(\d+)\s", text, re.MULTILINE)
        for number in pair
        if number
    ]
    this.survived(max(runs, default=0))
    edges = re.findall(r"cov: (\d+)", text)
    this.note("edges reached", edges[-1] if edges else "?")
    target = TARGETS[name]
    for data in target.seeds:
        target.check(data)
    for file in LEARNED.glob(f"{name}.slow-*"):
        judge(target, file.read_bytes(), seconds=target.seconds)  # not slow without the fuzzer's instruments
        file.unlink()


TRIALS = [Trial(name, partial(fuzz, name=name)) for name in TARGETS]
