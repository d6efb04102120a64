"""Changes of a drive that others see at once or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from linkup_nb.arguments import content, text
from linkup_nb.errors import UsageError
from linkup_nb.hyperdrive.blobs import BlobId
from linkup_nb.hyperdrive.entry import FILES, Entry, key_of, normalize
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.loops import from_any_loop

BATCH_BYTES = 8 * 1024 * 1024  # contents that a batch holds before it writes them


class DriveBatch:
    """Changes of a drive that are written together."""

    def __init__(self, drive: DriveView) -> None:
        self._drive = drive
        self._loop = drive._loop
        self._open = False
        self._count = 0
        self._waiting: dict[int, bytes] = {}
        self._size = 0
        self._there: dict[bytes, bool] = {}
        self._order: list[tuple[bytes, Entry | None, int | None]] = []
        self._ids: dict[int, BlobId] = {}

    async def __aenter__(self) -> "DriveBatch":
        self._open = True
        return self

    @from_any_loop
    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._open = False
        if kind is not None or not self._order:
            return
        async with self._contents() as written, self._drive._bee.batch(after=written) as batch:
            for key, entry, content in self._order:
                if entry is None:
                    await batch.delete(key)
                else:
                    if content is not None:
                        entry = replace(entry, blob=self._ids[content])
                    await batch.put(key, entry.encode())

    @from_any_loop
    async def put(self, path: str, data: bytes, *, executable: bool = False, metadata: Any = None) -> None:
        """Set the content of a file."""
        self._check_open()
        entry = Entry(normalize(path), 0, None, executable, None, metadata)
        entry.encode()
        self._waiting[self._count] = content(data, "a file's content")
        self._size += len(self._waiting[self._count])
        self._add(entry, self._count)
        self._count += 1
        if self._size >= BATCH_BYTES:
            async with self._contents():
                pass

    @from_any_loop
    async def symlink(self, path: str, target: str) -> None:
        """Put a symbolic link."""
        self._check_open()
        self._add(Entry(normalize(path), 0, None, False, text(target, "what a link points at")), None)

    @from_any_loop
    async def put_entry(self, entry: Entry) -> None:
        """Put what an earlier version of the drive had at a path; its content is there already, and written no more."""
        self._check_open()
        self._add(entry, None)

    @from_any_loop
    async def delete(self, path: str) -> bool:
        """Remove what is at a path; whether there was anything."""
        self._check_open()
        key = key_of(path)
        there = self._there[key] if key in self._there else await self._drive.exists(path)
        self._there[key] = False
        self._order.append((key, None, None))
        return there

    def _check_open(self) -> None:
        if not self._open:
            raise UsageError("A batch is used inside of `async with drive.batch() as batch`.")

    def _add(self, entry: Entry, content: int | None) -> None:
        key = FILES + entry.path.encode()
        self._there[key] = True
        self._order.append((key, entry, content))

    @asynccontextmanager
    async def _contents(self) -> AsyncIterator["asyncio.Future[int] | None"]:
        """Write the contents that wait; gives the append of the last of them, which ends with this context."""
        if not self._waiting:
            yield None
            return
        blobs = await self._drive._contents()
        async with blobs.core.write_lock:
            waiting, self._waiting, self._size = self._waiting, {}, 0
            try:
                async with blobs.putting(list(waiting.values())) as (ids, written):
                    self._ids.update(zip(waiting, ids, strict=True))
                    yield written
            except BaseException:
                self._waiting = waiting | self._waiting
                raise
