"""Bees: JavaScript's blocks byte for byte, and any changes equal those of a plain dictionary."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.bee import Bee, BeeEntry
from tests.hypercore.vectors import load

KNOWN = load("hyperbee")


@pytest.fixture
async def bee(tmp_path: Path) -> AsyncIterator[Bee]:
    async with Corestore(tmp_path / "store", b"\x09" * 32) as store:
        yield Bee(await store.core(name="bee"))


async def _replay(bee: Bee) -> None:
    for op in KNOWN["ops"]:
        if op["op"] == "put":
            await bee.put(op["k"].encode(), op["v"].encode())
        else:
            await bee.delete(op["k"].encode())


async def test_puts_and_deletions_write_javascripts_blocks(bee: Bee) -> None:
    await _replay(bee)

    assert [block.hex() async for block in bee.core.read_stream()] == KNOWN["blocks"]
    final = [[entry.seq, entry.key.decode(), (entry.value or b"").decode()] async for entry in bee.range()]
    assert final == KNOWN["final"]


async def test_a_batch_writes_javascripts_blocks(bee: Bee) -> None:
    await _replay(bee)

    async with bee.batch() as batch:
        for op, key, *value in KNOWN["batch"]["ops"]:
            if op == "put":
                await batch.put(key.encode(), value[0].encode())
            else:
                await batch.delete(key.encode())

    written = [block.hex() async for block in bee.core.read_stream(KNOWN["batch"]["start"])]
    assert written == KNOWN["batch"]["blocks"]


async def test_a_key_that_is_not_there_is_not_deleted(bee: Bee) -> None:
    assert not await bee.delete(b"nothing")
    await bee.put(b"a", b"1")
    assert not await bee.delete(b"b")
    assert bee.version == 2


async def test_a_batch_that_fails_writes_nothing(bee: Bee) -> None:
    await bee.put(b"a", b"1")

    async def fail() -> None:
        async with bee.batch() as batch:
            await batch.put(b"b", b"2")
            assert await batch.get(b"b") == BeeEntry(2, b"b", b"2")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()

    assert (bee.version, await bee.get(b"b"), await bee.get(b"a")) == (2, None, BeeEntry(1, b"a", b"1"))


async def test_the_past_stays_as_it_was(bee: Bee) -> None:
    for index in range(30):
        await bee.put(b"%02d" % (index % 10), b"%d" % index)
    past = bee.checkout(11)

    assert [(entry.key, entry.value) async for entry in past.range()] == [(b"%02d" % i, b"%d" % i) for i in range(10)]
    assert [entry.value async for entry in bee.history(28)] == [b"27", b"28", b"29"]
    assert [entry.seq async for entry in bee.history(28, reverse=True)] == [30, 29, 28]
    with pytest.raises(UsageError, match="cannot be changed"):
        past.batch()
    with pytest.raises(UsageError, match="a version 32"):
        bee.checkout(32)


async def test_a_core_of_something_else_is_not_a_bee(bee: Bee) -> None:
    await bee.core.append([b"\x0a\x03abc", b"junk"])

    with pytest.raises(DecodeError, match="not a bee"):
        await bee.content_feed()
    with pytest.raises(DecodeError):
        await bee.get(b"a")


keys = st.integers(0, 60).map(lambda number: b"k%02d" % number)
steps = st.lists(
    st.tuples(st.just("put"), keys)
    | st.tuples(st.just("del"), keys)
    | st.tuples(st.just("batch"), st.lists(st.tuples(keys, st.booleans()))),
    max_size=90,
)


@given(steps, st.data())
@settings(max_examples=30)
def test_any_changes_equal_those_of_a_dictionary(all_steps: list[tuple[str, Any]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_compare(Path(folder), all_steps, data))


async def _compare(folder: Path, all_steps: list[tuple[str, Any]], data: st.DataObject) -> None:
    plain: dict[bytes, bytes] = {}
    versions: dict[int, dict[bytes, bytes]] = {0: {}}
    async with Corestore(folder, b"\x09" * 32) as store:
        core = await store.core(name="bee")
        bee = Bee(core)
        for number, (step, argument) in enumerate(all_steps):
            value = b"%d" % number
            if step == "put":
                await bee.put(argument, value)
                plain[argument] = value
            elif step == "del":
                assert await bee.delete(argument) == (plain.pop(argument, None) is not None)
            else:
                await _batch(bee, argument, value, plain, versions)
            versions[bee.version] = dict(plain)
        fresh = Bee(core)
        assert [(entry.key, entry.value) async for entry in fresh.range()] == sorted(plain.items())
        for key in plain:
            entry = await fresh.get(key)
            assert entry
            assert entry.value == plain[key]
        await _check_ranges(fresh, plain, data)
        assert sorted(versions.keys() | {1}) == list(range(max(bee.version, 1) + 1))
        for version, past in versions.items():
            assert [(entry.key, entry.value) async for entry in fresh.checkout(version).range()] == sorted(past.items())
        version = data.draw(st.sampled_from(sorted(versions)))
        past = versions[version]
        changed = [(d.key, d.before and d.before.value, d.after and d.after.value) async for d in fresh.diff(version)]
        names = sorted(past.keys() | plain.keys())
        differing = {key for key, before, after in changed if before != after}
        assert differing == {key for key in names if past.get(key) != plain.get(key)}
        assert all((before, after) == (past.get(key), plain.get(key)) for key, before, after in changed)


async def _batch(
    bee: Bee,
    changes: list[tuple[bytes, bool]],
    value: bytes,
    plain: dict[bytes, bytes],
    versions: dict[int, dict[bytes, bytes]],
) -> None:
    version = max(bee.version, 1)
    async with bee.batch() as batch:
        for key, put in changes:
            if put:
                await batch.put(key, value)
                plain[key] = value
            elif not await batch.delete(key):
                assert key not in plain
                continue
            else:
                del plain[key]
            version += 1
            versions[version] = dict(plain)


async def _check_ranges(bee: Bee, plain: dict[bytes, bytes], data: st.DataObject) -> None:
    low, high = data.draw(keys), data.draw(keys)
    limit = data.draw(st.none() | st.integers(0, 20))
    expected = sorted(key for key in plain if low <= key < high)
    assert [entry.key async for entry in bee.range(gte=low, lt=high, limit=limit)] == expected[:limit]
    backwards = [entry.key async for entry in bee.range(gt=low, lte=high, limit=limit, reverse=True)]
    assert backwards == sorted((key for key in plain if low < key <= high), reverse=True)[:limit]


async def test_a_range_has_what_lies_between_its_edges_and_no_more(bee: Bee) -> None:
    async with bee.batch() as batch:
        for number in range(500):
            await batch.put(b"%03d" % (number * 7 % 500), b"v")
    keys = [b"%03d" % number for number in range(500)]

    for low, high in [(0, 500), (1, 499), (250, 251), (250, 250), (490, 20), (3, 400)]:
        gte, lt = b"%03d" % low, b"%03d" % high
        for reverse in (False, True):
            inside = sorted((key for key in keys if gte <= key < lt), reverse=reverse)
            assert [e.key async for e in bee.range(gte=gte, lt=lt, reverse=reverse)] == inside
            inside = sorted((key for key in keys if gte < key <= lt), reverse=reverse)
            assert [e.key async for e in bee.range(gt=gte, lte=lt, reverse=reverse)] == inside
            both = bee.range(gt=gte, gte=gte + b"0", lt=lt, lte=lt, reverse=reverse, limit=9)
            assert [e.key async for e in both] == [key for key in inside if key != lt][:9]


async def test_a_long_range_comes_in_order(bee: Bee) -> None:
    async with bee.batch() as batch:
        for index in range(1000):
            await batch.put(b"%04d" % (index * 7 % 1000))

    assert [entry.key async for entry in bee.range()] == [b"%04d" % index for index in range(1000)]
    assert [entry.key async for entry in bee.range(reverse=True)] == [b"%04d" % index for index in range(999, -1, -1)]
    assert len([entry async for entry in bee.range(limit=600)]) == 600
