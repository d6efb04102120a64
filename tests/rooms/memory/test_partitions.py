"""Whatever happens between members, in the end everybody has the same, and nothing that was promised is lost."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from linkup_nb.rooms.memory import feeds
from linkup_nb.rooms.memory.keys import RoomKeys
from tests.rooms.memory.members import ids
from tests.rooms.memory.party import Party

STEPS = 15
ROOM = RoomKeys(b"r" * 32)


@pytest.mark.parametrize("seed", range(10))
async def test_everybody_comes_to_the_same_and_nothing_that_was_acknowledged_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(feeds, "CLOCK_CHECK", 0.1)
    with ThreadPoolExecutor(1) as executor:
        party = Party(tmp_path, ROOM, random.Random(seed), executor)
        await party.begin()
        try:
            for _ in range(STEPS):
                await party.step()
            await party.end()
            kept = set(ids(party.guests[0].session))
            await party.begin_again()
            await party.end()
            assert kept <= set(ids(party.guests[0].session))
        finally:
            await party.close()
