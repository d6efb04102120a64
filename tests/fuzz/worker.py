"""One fuzzer on one decoder, in a process of its own, which ends with the time or with what it found.

An input that takes long is put aside: without the instruments it may be quick.
"""

import resource
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["linkup_nb"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.target import MEMORY


def main() -> None:
    name, seconds, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    target = TARGETS[name]

    def check(data: bytes) -> None:
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.thread_time()
        target.check(data)
        if time.thread_time() - started > target.seconds:
            (folder / f"{name}.slow-{hash(data) & 0xFFFFFFFF:x}").write_bytes(data)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before <= MEMORY

    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
        target.check(seed)  # what is made once does not count
    limits = [f"-max_total_time={seconds}", "-max_len=4096", "-rss_limit_mb=2048", "-timeout=10"]
    if sys.argv[4:]:
        limits.append(f"-seed={sys.argv[4]}")
    atheris.Setup([sys.argv[0], *limits, "-verbosity=1", f"-artifact_prefix={folder}/{name}-", str(corpus)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
