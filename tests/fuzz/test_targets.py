"""The seeds of the fuzzer are what its decoders take; the fuzzer itself is not part of the tests."""

import pytest

from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_every_decoder_takes_its_seeds_and_what_is_left_of_them(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        for end in range(0, len(seed) + 1, max(1, len(seed) // 16)):
            target.check(seed[:end])
        target.check(seed)
