"""One fuzzer on one decoder, in a process of its own, which ends with the time or with what it found."""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["linkup_nb"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name, seconds, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    target = TARGETS[name]
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", "-max_len=4096", "-rss_limit_mb=2048", "-timeout=10"]
    atheris.Setup(
        [sys.argv[0], *limits, "-verbosity=1", f"-artifact_prefix={folder}/{name}-", str(corpus)], target.check
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
