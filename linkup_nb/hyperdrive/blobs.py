"""Blobs: the contents of files, cut into blocks of a core.

Format: the npm package `hyperblobs` 2.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from linkup_nb.errors import DecodeError
from linkup_nb.hypercore.core import GET_TIMEOUT, Core

BLOCK_SIZE = 64 * 1024  # bytes
_WRITE_SIZE = 4 * 1024 * 1024  # bytes appended together
_READ_BLOCKS = 32  # blocks read together


class BlobId(NamedTuple):
    """Where a blob lies: in which blocks, and at which bytes of all blocks together."""

    block_offset: int
    block_length: int
    byte_offset: int
    byte_length: int

    @classmethod
    def from_json(cls, value: Any) -> "BlobId":
        """Read what a drive's entry says. Raises `DecodeError`."""
        names = ("blockOffset", "blockLength", "byteOffset", "byteLength")
        numbers = [value.get(name) if isinstance(value, dict) else None for name in names]
        if not all(isinstance(number, int) and 0 <= number < 2**53 for number in numbers):
            raise DecodeError("an entry whose blob is not a place in a core")
        return cls._make(numbers)

    def to_json(self) -> dict[str, int]:
        """As a drive's entry says it, in the order of JavaScript."""
        return {
            "blockOffset": self.block_offset,
            "byteOffset": self.byte_offset,
            "blockLength": self.block_length,
            "byteLength": self.byte_length,
        }


class Blobs:
    """The contents of files on one core. Only one may write at a time, which the drive sees to."""

    def __init__(self, core: Core, *, timeout: float | None = GET_TIMEOUT) -> None:
        self.core = core
        self._timeout = timeout

    async def put(self, parts: Sequence[bytes | memoryview]) -> list[BlobId]:
        """Append each part as a blob; they survive a power cut once something durable is written after them."""
        ids: list[BlobId] = []
        blocks: list[bytes] = []
        offset, byte_offset, waiting = self.core.length, self.core.byte_length, 0
        for part in parts:
            view = memoryview(part)
            count = -(-len(view) // BLOCK_SIZE)
            ids.append(BlobId(offset, count, byte_offset, len(view)))
            offset += count
            byte_offset += len(view)
            for start in range(0, len(view), BLOCK_SIZE):
                blocks.append(bytes(view[start : start + BLOCK_SIZE]))
                waiting += len(blocks[-1])
                if waiting >= _WRITE_SIZE:
                    await self.core._append(blocks, durable=False)
                    blocks, waiting = [], 0
        if blocks:
            await self.core._append(blocks, durable=False)
        return ids

    async def get(self, blob: BlobId) -> bytes:
        """The whole blob."""
        if blob.block_length == 1:
            block = self.core._here(blob.block_offset)
            if block is not None:
                return block
        return b"".join([part async for part in self.stream(blob)])

    async def stream(self, blob: BlobId, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a blob from `start` to before `end`, in pieces; only their blocks are fetched."""
        left = (blob.byte_length if end is None else min(end, blob.byte_length)) - start
        if left <= 0:
            return
        index, skip = await self._locate(blob, start)
        last = blob.block_offset + blob.block_length
        while left > 0 and index < last:
            # More is asked for than is waited for: a peer sends what comes next while this is used.
            ahead = min(last, index + _READ_BLOCKS, index + 2 + left // BLOCK_SIZE)
            for block in await self.core._read(index, ahead, self._timeout):
                piece = block[skip : skip + left] if skip or len(block) > left else block
                skip = 0
                index += 1
                left -= len(piece)
                if piece:
                    yield piece
                if left <= 0:
                    return
        if left > 0:
            raise DecodeError("a blob that ends before its length")

    async def _locate(self, blob: BlobId, offset: int) -> tuple[int, int]:
        if blob.block_length == -(-blob.byte_length // BLOCK_SIZE):
            return blob.block_offset + offset // BLOCK_SIZE, offset % BLOCK_SIZE
        return await self.core.seek(blob.byte_offset + offset, timeout=self._timeout)
