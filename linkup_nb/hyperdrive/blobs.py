"""Blobs: the contents of files, cut into blocks of a core.

Format: the npm package `hyperblobs` 2.12.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, NamedTuple

from linkup_nb.arguments import content
from linkup_nb.errors import DecodeError, NotAvailable, UsageError
from linkup_nb.hypercore.core import GET_TIMEOUT, Core
from linkup_nb.hypercore.download import Downloads
from linkup_nb.hypercore.storage import MAX_LENGTH
from linkup_nb.wire.compact import Decoder

BLOCK_SIZE = 64 * 1024  # bytes
MAX_MAP_BLOCKS = 64  # in which a file's blocks are listed
MAX_MAPPED = 8192  # blocks that one of those lists
MAX_MAPPED_BYTES = 256 * 1024 * 1024  # of a mapped file in memory: a list of one block may repeat it without end
_WRITE_SIZE = 4 * 1024 * 1024  # bytes appended together
_READ_BLOCKS = 32  # blocks read together


class BlobId(NamedTuple):
    """Where a blob lies: in which blocks, and at which bytes of all blocks together."""

    block_offset: int
    block_length: int
    byte_offset: int
    byte_length: int
    mapped: bool = False  # these blocks list those that have the content, as `dedup` of `hyperdrive` 13.3 writes it

    @classmethod
    def from_json(cls, value: Any) -> "BlobId":
        """Decode the `blob` of a drive's entry. Raises `DecodeError`."""
        get: Callable[[str], Any] = value.get if isinstance(value, dict) else {}.get
        offset, length = get("blockOffset"), get("blockLength")
        byte_offset, byte_length = get("byteOffset"), get("byteLength")
        numbers = (offset, length, byte_offset, byte_length)
        known = type(offset) is type(length) is type(byte_offset) is type(byte_length) is int
        if not known or min(numbers) < 0 or max(numbers) >= 2**53:
            raise DecodeError("An entry whose blob is not a place in a core.")
        if offset + length > MAX_LENGTH:
            raise DecodeError(f"An entry whose blob is not a place in a core of at most {MAX_LENGTH} blocks.")
        return cls(*numbers, get("blockMap") is True)

    def to_json(self) -> dict[str, int]:
        """The `blob` of a drive's entry, with the names in JavaScript's order."""
        mapped = {"blockMap": True} if self.mapped else {}
        return {
            "blockOffset": self.block_offset,
            "byteOffset": self.byte_offset,
            "blockLength": self.block_length,
            "byteLength": self.byte_length,
        } | mapped


class Blobs:
    """The contents of files on one core. Only one may write at a time, which the drive sees to."""

    def __init__(self, core: Core, *, timeout: float | None = GET_TIMEOUT) -> None:
        self.core = core
        self._timeout = timeout

    @asynccontextmanager
    async def putting(
        self, parts: Sequence[bytes | memoryview]
    ) -> AsyncIterator[tuple[list[BlobId], "asyncio.Future[int] | None"]]:
        """Append each part as a blob; they survive a power cut once something durable is written after them.

        Gives their places and the append of the last of them, which ends with this context: what is written inside of
        it shares its wait for the disk.
        """
        ids: list[BlobId] = []
        offset, byte_offset = self.core.length, self.core.byte_length
        async with _Appending(self.core) as appending:
            for part in parts:
                view = memoryview(part)
                count = -(-len(view) // BLOCK_SIZE)
                ids.append(BlobId(offset, count, byte_offset, len(view)))
                offset += count
                byte_offset += len(view)
                for start in range(0, len(view), BLOCK_SIZE):
                    await appending.add(bytes(view[start : start + BLOCK_SIZE]))
            yield ids, await appending.begin()

    async def put_stream(self, pieces: AsyncIterable[bytes]) -> BlobId:
        """Append what comes as one blob, of which only a few megabytes are ever in memory."""
        offset, byte_offset = self.core.length, self.core.byte_length
        rest = bytearray()
        async with _Appending(self.core) as appending:
            async for piece in pieces:
                view = memoryview(content(piece, "a piece of a file"))
                at = min(BLOCK_SIZE - len(rest), len(view)) if rest else 0
                rest += view[:at]
                if len(rest) == BLOCK_SIZE:
                    await appending.add(bytes(rest))
                    rest.clear()
                end = len(view) - (len(view) - at) % BLOCK_SIZE
                for start in range(at, end, BLOCK_SIZE):
                    await appending.add(bytes(view[start : start + BLOCK_SIZE]))
                rest += view[end:]
            if rest:
                await appending.add(bytes(rest))
        core = self.core
        return BlobId(offset, core.length - offset, byte_offset, core.byte_length - byte_offset)

    async def get(self, blob: BlobId) -> bytes:
        """The whole blob. Raises `UsageError` for a mapped one over `MAX_MAPPED_BYTES`, which `stream` reads."""
        if blob.mapped:
            check_mapped(await self.size(blob))
        if blob.block_length == 1 and not blob.mapped:
            block = await self.core.get(blob.block_offset, timeout=self._timeout)
            if len(block) == blob.byte_length:
                return block
        whole = BytesIO()  # grows where it is, and gives itself away: nothing is there twice
        async for piece in self.stream(blob):
            whole.write(piece)
        return whole.getvalue()

    async def size(self, blob: BlobId) -> int:
        """The bytes of a blob."""
        return sum(size for _, size in await self.map(blob)) if blob.mapped else blob.byte_length

    async def map(self, blob: BlobId) -> list[tuple[int, int]]:
        """The blocks that a mapped blob consists of: their numbers and sizes. Raises `DecodeError`."""
        if blob.block_length > MAX_MAP_BLOCKS:
            raise DecodeError(f"A map of a file's blocks has at most {MAX_MAP_BLOCKS} blocks, not {blob.block_length}.")
        found: list[tuple[int, int]] = []
        for index in range(blob.block_offset, blob.block_offset + blob.block_length):
            source = Decoder(await self.core.get(index, timeout=self._timeout))
            version, count = source.uint(), source.uint()
            if version or count > MAX_MAPPED:
                raise DecodeError(f"A map of a file's blocks of version {version}, with {count} blocks.")
            found += [(source.uint(), source.uint()) for _ in range(count)]
        if any(index >= MAX_LENGTH for index, _ in found):
            raise DecodeError("A map of a file's blocks with one that no core can have.")
        return found

    async def download(self, blobs: Sequence[BlobId]) -> Downloads:
        """Begin to fetch all of these."""
        ranges = [(blob.block_offset, blob.block_offset + blob.block_length) for blob in blobs]
        for blob in blobs:
            ranges += [(index, index + 1) for index, _ in await self.map(blob)] if blob.mapped else []
        spans: list[list[int]] = []
        for start, end in sorted(ranges):
            if spans and start <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([start, end])
        return Downloads([await self.core.download(start, end) for start, end in spans])

    async def _stream_mapped(self, blob: BlobId, start: int, end: int | None) -> AsyncIterator[bytes]:
        at = 0
        for index, size in await self.map(blob):
            if at + size > start and (end is None or at < end):
                block = await self.core.get(index, timeout=self._timeout)
                if len(block) != size:
                    raise DecodeError(f"Block {index} has {len(block)} bytes, where the map of its file has {size}.")
                yield block[max(start - at, 0) : None if end is None else end - at]
            at += size

    async def stream(self, blob: BlobId, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a blob from `start` to before `end`, in pieces; only their blocks are fetched."""
        if blob.mapped:
            async for piece in self._stream_mapped(blob, start, end):
                yield piece
            return
        left = (blob.byte_length if end is None else min(end, blob.byte_length)) - start
        if left <= 0:
            return
        index, skip = await self._locate(blob, start)
        last = blob.block_offset + blob.block_length
        size = BLOCK_SIZE if _cut_as_usual(blob) else max(1, blob.byte_length // max(1, blob.block_length))
        while left > 0 and index < last:
            # More is requested than is waited for: a peer sends what comes next while this is used.
            ahead = min(last, index + _READ_BLOCKS, index - (-(skip + left) // size))
            for block in await self.core.read(index, ahead, timeout=self._timeout):
                piece = block[skip : skip + left] if skip or len(block) > left else block
                skip = 0
                index += 1
                left -= len(piece)
                if piece:
                    yield piece
                if left <= 0:
                    return
        if left > 0:
            raise DecodeError("A blob that ends before its length.")

    async def _locate(self, blob: BlobId, offset: int) -> tuple[int, int]:
        if not offset:
            return blob.block_offset, 0
        if _cut_as_usual(blob):
            # The block comes with what `seek` has to know, unless it is the wrong one: JavaScript may cut anyhow.
            await self.core.get(blob.block_offset + offset // BLOCK_SIZE, timeout=self._timeout)
        try:
            await self.core.wait_for_length(blob.block_offset + blob.block_length, timeout=self._timeout)
        except NotAvailable:
            raise NotAvailable(f"No peer sent a head of {self.core!r} that has a whole file.") from None
        try:
            index, skip = await self.core.seek(blob.byte_offset + offset, timeout=self._timeout)
        except UsageError as error:
            raise DecodeError(f"A file is not where its entry points: {error}.") from None
        if not blob.block_offset <= index <= blob.block_offset + blob.block_length:
            raise DecodeError(f"Byte {offset} of a file is in block {index}, which is not one of it.")
        return index, skip


def check_mapped(size: int) -> None:
    """Raises `UsageError` for so many bytes of a mapped blob at once."""
    if size > MAX_MAPPED_BYTES:
        raise UsageError(f"{size} bytes of a file that may repeat itself, over {MAX_MAPPED_BYTES}: use `stream`.")


def _cut_as_usual(blob: BlobId) -> bool:
    return blob.block_length == -(-blob.byte_length // BLOCK_SIZE)


class _Appending:
    """Blocks on their way to a core: those that follow are cut and hashed while those before are being written."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._blocks: list[bytes] = []
        self._size = 0
        self._last: asyncio.Task[int] | None = None

    async def add(self, block: bytes) -> None:
        """Append a block, later; may wait for the disk. Raises `StoreError` if what was added before was refused."""
        self._blocks.append(block)
        self._size += len(block)
        if self._size >= _WRITE_SIZE:
            await self.begin()

    async def begin(self) -> "asyncio.Future[int] | None":
        """Send what was added on its way; the append of the last of it."""
        if not self._blocks:
            return self._last
        before = self._last
        self._last = asyncio.create_task(self._core.append(self._blocks, durable=False))
        self._blocks, self._size = [], 0
        await asyncio.sleep(0)  # lets it begin
        if before:
            await before
        return self._last

    async def __aenter__(self) -> "_Appending":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self.begin()
        finally:
            # Whoever appends next has to know how long the core has become.
            if self._last:
                await asyncio.wait([self._last])
                if kind is None:
                    self._last.result()
                else:
                    self._last.exception()
