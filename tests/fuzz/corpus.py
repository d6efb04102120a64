"""What fuzzing has learned: inputs each of which reaches a line that those before it do not.

`python -m tests.fuzz.corpus` adds what lies in tests/.cache/fuzz to the committed ones, as far as it reaches more.
"""

import sys
from pathlib import Path

from tests.fuzz.coverage import Coverage
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

FOLDER = Path(__file__).with_name("corpus")
LEARNED = Path(__file__).parents[1] / ".cache" / "fuzz"
MAX_INPUTS = 60  # kept for one decoder
MAX_SIZE = 1024  # bytes of one that is kept


def kept(name: str) -> list[bytes]:
    """The committed inputs of a decoder."""
    file = FOLDER / f"{name}.txt"
    return [bytes.fromhex(line) for line in file.read_text().splitlines()] if file.exists() else []


def learn(name: str, inputs: list[bytes]) -> None:
    """Keep inputs beside the committed ones, for the next time."""
    folder = LEARNED / name
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / f"{hash(data) & 0xFFFFFFFFFFFF:012x}").write_bytes(data)


def useful(target: Target, inputs: list[bytes]) -> list[bytes]:
    """Those of the inputs that reach more than the seeds and the ones before them."""
    coverage = Coverage()
    for seed in target.seeds:
        coverage.run(target.check, seed)
    return [data for data in inputs if coverage.run(target.check, data)][:MAX_INPUTS]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or TARGETS:
        learned = [file.read_bytes() for file in sorted((LEARNED / name).glob("*")) if file.stat().st_size <= MAX_SIZE]
        inputs = useful(TARGETS[name], kept(name) + sorted(learned, key=lambda data: (len(data), data)))
        if inputs:
            (FOLDER / f"{name}.txt").write_text("".join(f"{data.hex()}\n" for data in inputs))
        sys.stdout.write(f"{name:20} {len(inputs):>4} inputs\n")


if __name__ == "__main__":
    main()
