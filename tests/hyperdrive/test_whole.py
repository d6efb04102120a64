"""Which versions of a bee have a root of their own: found without being told where a batch begins."""

import asyncio
import random
from pathlib import Path

import pytest

from linkup_nb.errors import DecodeError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive import whole as wholes
from linkup_nb.hyperdrive.bee import Bee
from linkup_nb.hyperdrive.whole import whole


async def _random_bee(bee: Bee, rolls: random.Random, keys: int) -> set[int]:
    """Some batches, most of them deletions at times; the versions at their ends."""
    ends = {1}
    for _ in range(12):
        deletions = rolls.choice([0.1, 0.7])
        async with bee.batch() as batch:
            for _ in range(rolls.choice([1, 1, 3, 30])):
                key = b"%d" % rolls.randrange(keys)
                await (batch.delete(key) if rolls.random() < deletions else batch.put(key))
        ends.add(max(bee.version, 1))
    return ends


@pytest.mark.parametrize("keys", [3, 8, 12, 100])
async def test_only_versions_at_the_end_of_a_batch_are_whole(tmp_path: Path, keys: int) -> None:
    async with Corestore(tmp_path) as store:
        for seed in range(10):
            bee = Bee(await store.core(name=str(seed)))
            ends = await _random_bee(bee, random.Random(seed), keys)

            for version in range(2, bee.version + 1):
                assert await whole(version, bee.version, bee._load) in {end for end in ends if end <= version}


async def test_changes_one_by_one_are_all_whole(tmp_path: Path) -> None:
    async with Corestore(tmp_path) as store:
        bee = Bee(await store.core(name="bee"))
        for index in range(200):
            await bee.put(b"%d" % (index * index % 13), b"")

        alone = [version for version in range(2, bee.version) if await whole(version, bee.version, bee._load) < version]

        assert len(alone) < 5  # a root with one node just before or after it split


async def test_a_bee_cut_inside_of_a_batch_is_read_and_written(tmp_path: Path) -> None:
    async with Corestore(tmp_path) as store:
        bee = Bee(await store.core(name="bee"))
        async with bee.batch() as batch:
            for index in range(50):
                await batch.put(b"%02d" % (index * 7 % 50))
        await bee.core.truncate(30)

        await bee.put(b"new")

        expected = sorted([b"%02d" % (index * 7 % 50) for index in range(29)] + [b"new"])
        assert [entry.key async for entry in bee.range()] == expected
        assert [entry.key async for entry in Bee(bee.core).range()] == expected


async def test_a_batch_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wholes, "MAX_BATCH", 20)
    async with Corestore(tmp_path) as store:
        bee = Bee(await store.core(name="bee"))
        async with bee.batch() as batch:
            for index in range(50):
                await batch.put(b"%02d" % index)

        with pytest.raises(DecodeError, match="a batch of over 20 changes"):
            await asyncio.wait_for(bee.checkout(40).get(b"00"), 5)
