"""Authors that sign nonsense: a named error in bounded time, whatever their blocks say."""

import asyncio
import contextlib
import json
import os
import tempfile
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError, LinkupError, NotAvailable, UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive import bee as bees
from linkup_nb.hyperdrive.bee import Bee
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import FILES, MAX_VALUE
from linkup_nb.hyperdrive.protobuf import field, packed
from linkup_nb.hyperdrive.scan import PAGE_BYTES
from linkup_nb.hyperdrive.tree import MAX_NODE, MAX_NODES
from linkup_nb.hyperdrive.view import MAX_LINKS

HEADER = field(1, b"hyperbee") + field(2, b"")
PATIENCE = 5.0  # seconds in which every lie has to be seen through
MAX_HARM = 32 * 1024 * 1024  # bytes of memory that one of them may cost
LAST = 2**53 - 1


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Corestore]:
    async with Corestore(tmp_path / "store") as store:
        yield store


def _node(keys: list[int], children: list[int]) -> bytes:
    """A node in an index."""
    return field(1, (field(1, packed(keys)) if keys else b"") + (field(2, packed(children)) if children else b""))


def _block(key: bytes, *nodes: bytes, value: bytes = b"null") -> bytes:
    return field(1, b"".join(nodes)) + field(2, key) + field(3, value)


async def _bee(store: Corestore, *blocks: bytes) -> Bee:
    core = await store.core(name="db")
    await core.append([HEADER, *blocks])
    return Bee(core, timeout=0.2)


ONE = _block(b"files\x00/a", _node([1], []))
TREES: dict[str, list[bytes]] = {
    "a root that is its own child": [_block(b"files\x00/a", _node([1], [1, 0, 1, 0]))],
    "a child that is not there": [_block(b"files\x00/a", _node([1], [1, 7, 1, 8]))],
    "a child in the header": [_block(b"files\x00/a", _node([1], [0, 0, 0, 0]))],
    "a key in the header": [_block(b"files\x00/a", _node([0], []))],
    "a node without keys": [_block(b"files\x00/a", _node([], [1, 0]))],
    "an odd number of children": [_block(b"files\x00/a", _node([1], [1, 0, 1]))],
    "too few children": [_block(b"files\x00/a", _node([1], [1, 0]))],
    "too many keys": [ONE, _block(b"files\x00/a", _node([1] * 9, []))],
    "keys out of order": [ONE, _block(b"files\x00/0", _node([1, 2], []))],
    "the same key over and over": [_block(b"files\x00/a", _node([1] * 8, []))],
    "no key": [field(1, _node([1], []))],
    "no protobuf": [b"\xff" * 20],
    "another kind of field": [b"\x08\x01"],
    "a field longer than its block": [b"\x0a\xff\xff\xff\xff\x7f"],
    "an integer without end": [_block(b"files\x00/a", field(1, field(1, b"\xff" * 30)))],
    "a node of a megabyte": [_block(b"files\x00/a", field(1, field(1, b"\x01" * 2**20)))],
    "a hundred thousand nodes": [_block(b"files\x00/a", *[_node([1], [])] * 100_000)],
    "levels that double": [
        _block(b"files\x00/a", *(_node([1], [1, at + 1, 1, at + 1]) for at in range(40)), _node([1], []))
    ],
    "levels that double, beside what is asked for": [
        _block(b"files\x00/zz", *(_node([1], [1, at + 1, 1, at + 1]) for at in range(40)), _node([1], [])),
    ],
}


UNROOTED: dict[str, list[bytes]] = {
    "children in a circle": [_block(b"files\x00/a", _node([1], [1, 1, 1, 1]), _node([1], [1, 0, 1, 0]))],
    "a child in a block to come": [_block(b"files\x00/a", _node([1], [9, 0, 9, 0]))],
    "a child in the last block of all": [_block(b"files\x00/a", _node([1], [LAST, 0, LAST, 0]))],
    "a key in a block to come": [_block(b"files\x00/a", _node([2], []))],
    "a chain of nodes without keys": [_block(b"files\x00/a", *(_node([], [1, at + 1]) for at in range(100)))],
    "no index": [_block(b"files\x00/a")],
}


async def _read_all(bee: Bee) -> None:
    """Every way of reading; the first error ends it."""
    await bee.get(b"files\x00/a")
    assert len([entry async for entry in bee.range()]) <= bee.version
    assert len([entry async for entry in bee.range(gte=b"files\x00/a", lt=b"files\x00/b", reverse=True)]) <= 1
    _ = [entry async for entry in bee.history()]
    _ = [change async for change in bee.diff(1)]
    for version in range(bee.version):
        _ = [entry async for entry in bee.checkout(version).range()]
    async with bee.batch() as batch:
        await batch.put(b"files\x00/b")
        await batch.delete(b"files\x00/a")


@pytest.mark.parametrize("blocks", TREES.values(), ids=TREES)
async def test_a_tree_that_is_none_is_the_authors_fault(store: Corestore, blocks: list[bytes]) -> None:
    bee = await _bee(store, *blocks)
    tracemalloc.start()

    with pytest.raises((DecodeError, NotAvailable)):
        await asyncio.wait_for(_read_all(bee), PATIENCE)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MAX_HARM


@pytest.mark.parametrize("blocks", UNROOTED.values(), ids=UNROOTED)
async def test_a_tree_whose_root_is_none_is_made_from_its_changes(store: Corestore, blocks: list[bytes]) -> None:
    bee = await _bee(store, *blocks)

    await asyncio.wait_for(_read_all(bee), PATIENCE)

    assert [entry.key async for entry in bee.range()] == [b"files\x00/b"]


async def test_the_bounds_of_a_block_are_named(store: Corestore) -> None:
    bee = await _bee(store, TREES["a hundred thousand nodes"][0], TREES["a node of a megabyte"][0])

    with pytest.raises(DecodeError, match=f"over {MAX_NODES} nodes"):
        await bee.checkout(2).get(b"x")
    with pytest.raises(DecodeError, match=f"not {2**20} bytes"):
        await bee.get(b"x")
    assert MAX_NODE > 8 * 10


index = st.integers(0, 4)
nodes = st.builds(_node, st.lists(index, max_size=4), st.lists(index, max_size=10))
blocks = st.lists(
    st.builds(
        lambda key, levels, value: _block(b"files\x00/" + key, *levels, value=value),
        st.sampled_from([b"a", b"b", b"c"]),
        st.lists(nodes, max_size=4),
        st.sampled_from([b"null", b"{}", b'{"blob":null,"linkname":"a"}']),
    )
    | st.binary(max_size=30),
    min_size=1,
    max_size=5,
)


@given(blocks)
@settings(max_examples=50)
def test_any_blocks_are_read_or_the_authors_fault(all_blocks: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_survive(Path(folder), all_blocks))


async def _survive(folder: Path, all_blocks: list[bytes]) -> None:
    async with Corestore(folder) as store:
        bee = await _bee(store, *all_blocks)
        drive = await Drive.open(store, timeout=0.2)
        for work in (_read_all(bee), drive.get("/a"), drive.entry("/b"), _list(drive)):
            with contextlib.suppress(LinkupError):
                await asyncio.wait_for(work, PATIENCE)


async def _list(drive: Drive) -> None:
    _ = [entry async for entry in drive.list()]
    _ = [name async for name in drive.readdir()]
    _ = [change async for change in drive.history()]


async def test_large_values_are_read_and_kept_a_few_at_a_time(
    store: Corestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bees, "MAX_CACHED_BYTES", 16 * 2**20)
    bee = Bee(await store.core(name="db"))
    for number in range(60):
        await bee.put(b"%02d" % number, bytes(2**20))
    bee = Bee(await store.core(name="db"))
    tracemalloc.start()

    assert [entry.key async for entry in bee.range()] == [b"%02d" % number for number in range(60)]

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20 + 3 * PAGE_BYTES


BLOB = {"blockOffset": 0, "byteOffset": 0, "blockLength": 1, "byteLength": 4}
ENTRIES: dict[str, tuple[Any, type[LinkupError], str | None]] = {
    "not JSON": (b"{", DecodeError, "not one of a drive"),
    "a list": ([], DecodeError, "not one of a drive"),
    "a bomb of lists": (b"[" * 100_000 + b"]" * 100_000, DecodeError, "not one of a drive"),
    "a bomb in the metadata": (b'{"metadata":' + b"[" * 9999 + b"]" * 9999 + b"}", DecodeError, "not one of a drive"),
    "too much": (b" " * MAX_VALUE + b"{}", DecodeError, f"over {MAX_VALUE} bytes"),
    "a blob that is a text": ({"blob": "x"}, DecodeError, "not a place"),
    "a blob before the beginning": ({"blob": BLOB | {"blockOffset": -1}}, DecodeError, "not a place"),
    "a blob at 2^53": ({"blob": BLOB | {"blockOffset": 2**53}}, DecodeError, "not a place"),
    "a blob at half a block": ({"blob": BLOB | {"blockOffset": 0.5}}, DecodeError, "not a place"),
    "a blob beyond the core": ({"blob": BLOB | {"blockOffset": 77}}, NotAvailable, "block 77"),
    "a blob at the last block of all": ({"blob": BLOB | {"blockOffset": LAST}}, DecodeError, "not a place"),
    "a blob of too many blocks": ({"blob": BLOB | {"blockLength": LAST, "byteLength": 40}}, LinkupError, None),
    "a blob of too many bytes": ({"blob": BLOB | {"byteLength": 900}}, DecodeError, "ends before its length"),
    "a blob of all bytes": ({"blob": BLOB | {"byteLength": LAST}}, LinkupError, None),
    "a map that is none": ({"blob": BLOB | {"blockMap": True}}, LinkupError, None),
    "a map of too many blocks": ({"blob": BLOB | {"blockMap": True, "blockLength": LAST}}, DecodeError, "at most"),
    "a link to itself": ({"linkname": "/file"}, UsageError, f"over {MAX_LINKS} symbolic links"),
    "a link out of the drive": ({"linkname": "../" * 1000 + "file"}, UsageError, f"over {MAX_LINKS} symbolic links"),
    "a link to nothing that has a name": ({"linkname": "/.."}, UsageError, "A path names a file"),
    "a link that is endless": ({"linkname": "x" * 100_000}, UsageError, "at most 4096 bytes"),
}


@pytest.mark.parametrize(("value", "kind", "text"), ENTRIES.values(), ids=ENTRIES)
async def test_an_entry_that_is_none_is_the_authors_fault(
    store: Corestore, value: Any, kind: type[LinkupError], text: str | None
) -> None:
    drive = await Drive.open(store, timeout=0.2)
    await drive.put("/good", b"good")
    await drive.bee.put(FILES + b"/file", value if isinstance(value, bytes) else json.dumps(value).encode())

    for work in (drive.get("/file"), _stream(drive)):
        with pytest.raises(kind, match=text):
            await asyncio.wait_for(work, PATIENCE)

    assert await drive.get("/good") == b"good"


async def _stream(drive: Drive) -> None:
    async for _ in drive.stream("/file"):
        pass


@pytest.mark.parametrize("path", [b"/../../out", b"/a/../../out", b"//x", b"/a\x00b", b"/", b"/./x", b"/\xff\xfe"])
async def test_a_path_that_is_none_stays_inside(store: Corestore, tmp_path: Path, path: bytes) -> None:
    drive = await Drive.open(store, timeout=0.2)
    await drive.put("/good", b"good")
    good = await drive.bee.get(FILES + b"/good")
    assert good
    await drive.bee.put(FILES + path, good.value or b"")
    before = sorted(os.listdir(tmp_path))

    steps = await drive.mirror_to(tmp_path / "x" / "y" / "inside")

    assert len(steps.skipped) == (path.startswith(b"/"))
    assert sorted(os.listdir(tmp_path)) == [*before, "x"]
    assert [os.listdir(tmp_path / "x" / folder) for folder in ("", "y", "y/inside")] == [["y"], ["inside"], ["good"]]
    assert [name async for name in drive.readdir()]
    assert await drive.get("/good") == b"good"


async def test_a_header_that_names_no_core_is_the_authors_fault(store: Corestore) -> None:
    core = await store.core(name="db")
    await core.append([field(1, b"hyperbee") + field(2, field(1, b"short"))])
    drive = await Drive.open(store)
    await drive.bee.put(FILES + b"/file", json.dumps({"blob": BLOB}).encode())

    with pytest.raises(DecodeError, match="names a core by 5 bytes"):
        await drive.get("/file")


async def test_metadata_too_large_for_an_entry_is_refused(store: Corestore) -> None:
    drive = await Drive.open(store)

    with pytest.raises(UsageError, match=f"at most {MAX_VALUE} bytes"):
        await drive.put("/file", b"", metadata="x" * MAX_VALUE)
