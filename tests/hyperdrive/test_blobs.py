"""Contents whose blocks are listed in a map; ordinary ones are tested with the drives that hold them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.blobs import MAX_MAP_BLOCKS, MAX_MAPPED, BlobId, Blobs
from linkup_nb.wire.compact import Encoder


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[Blobs]:
    async with Corestore(tmp_path) as store:
        core = await store.core(name="contents")
        await core.append([b"abc", b"defgh", b"", b"i"])
        yield Blobs(core, timeout=1)


async def mapped(blobs: Blobs, *maps: bytes) -> BlobId:
    """A blob with these blocks for its map."""
    offset = blobs.core.length
    await blobs.core.append(maps)
    return BlobId(offset, len(maps), 0, sum(map(len, maps)), mapped=True)


def block_map(*blocks: tuple[int, int], version: int = 0) -> bytes:
    out = Encoder().uint(version).uint(len(blocks))
    for index, size in blocks:
        out.uint(index).uint(size)
    return bytes(out)


async def test_a_map_names_blocks_in_any_order_and_more_than_once(blobs: Blobs) -> None:
    blob = await mapped(blobs, block_map((1, 5), (0, 3), (2, 0)), block_map((0, 3), (3, 1)))
    whole = b"defgh" + b"abc" + b"abc" + b"i"

    assert (await blobs.size(blob), await blobs.get(blob)) == (12, whole)
    for start in range(14):
        for end in range(14):
            assert b"".join([piece async for piece in blobs.stream(blob, start, end)]) == whole[start:end]


async def test_an_entry_says_that_there_is_a_map(blobs: Blobs) -> None:
    blob = await mapped(blobs, block_map((0, 3)))
    assert blob.to_json()["blockMap"] is True
    assert BlobId.from_json(blob.to_json()) == blob
    assert not BlobId.from_json(blob.to_json() | {"blockMap": 1}).mapped


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (block_map((0, 3), version=1), "of version 1"),
        (block_map((0, 4)), "Block 0 has 3 bytes, where the map of its file has 4"),
        (block_map((0, 3))[:-1], "got the end"),
        (b"", "got the end"),
        (bytes(Encoder().uint(0).uint(MAX_MAPPED + 1)), f"with {MAX_MAPPED + 1} blocks"),
    ],
)
async def test_a_wrong_map_is_refused(blobs: Blobs, content: bytes, sentence: str) -> None:
    with pytest.raises(DecodeError, match=sentence):
        await blobs.get(await mapped(blobs, content))


async def test_a_map_has_a_bound(blobs: Blobs) -> None:
    most = [block_map((0, 3))] * MAX_MAP_BLOCKS
    assert await blobs.get(await mapped(blobs, *most)) == b"abc" * MAX_MAP_BLOCKS
    with pytest.raises(DecodeError, match=f"at most {MAX_MAP_BLOCKS} blocks"):
        await blobs.size(await mapped(blobs, *most, most[0]))


async def test_a_file_that_repeats_itself_is_not_held_in_memory(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.hyperdrive.blobs.MAX_MAPPED_BYTES", 9)
    assert await blobs.get(await mapped(blobs, block_map(*[(0, 3)] * 3))) == b"abc" * 3
    bomb = await mapped(blobs, block_map(*[(0, 3)] * 4))
    with pytest.raises(UsageError, match="use `stream`"):
        await blobs.get(bomb)
    assert b"".join([piece async for piece in blobs.stream(bomb)]) == b"abc" * 4


async def test_a_map_leads_to_no_other_core(blobs: Blobs) -> None:
    with pytest.raises(DecodeError, match="no core can have"):
        await blobs.get(await mapped(blobs, block_map((2**42, 3))))
