"""Drives: folders and files with every earlier version, which anybody who knows the key can copy and check.

Format: the npm package `hyperdrive` 13.3: a bee of entries, and a core of file contents whose key the bee's gives.
"""

import asyncio
from collections.abc import AsyncIterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

from linkup_nb.arguments import content
from linkup_nb.errors import NotWritable, UsageError
from linkup_nb.hypercore.core import GET_TIMEOUT
from linkup_nb.hypercore.corestore import Corestore, Namespace
from linkup_nb.hyperdrive.batch import BATCH_BYTES, DriveBatch
from linkup_nb.hyperdrive.bee import Bee
from linkup_nb.hyperdrive.blobs import Blobs
from linkup_nb.hyperdrive.entry import Entry, key_of, normalize
from linkup_nb.hyperdrive.mirror import Steps, mirror_from
from linkup_nb.hyperdrive.serve import DriveServer, serve
from linkup_nb.hyperdrive.view import DriveSource, DriveView
from linkup_nb.loops import from_any_loop
from linkup_nb.progress import Tally, shown

D = TypeVar("D", bound="Drive")


class Drive(DriveView):
    """Files with a history; made by `Drive.open`. `async with` it, or `close` it.

    `drive[version]` and `checkout` give the past, which stays as it was.
    """

    @classmethod
    async def open(
        cls,
        store: Corestore | Namespace,
        key: bytes | str | None = None,
        *,
        encryption_key: bytes | None = None,
        timeout: float | None = GET_TIMEOUT,
    ) -> Self:
        """Your drive of this store, or of a namespace of it; or with `key` somebody's (32 bytes, or their text).

        `timeout` is how many seconds its methods wait for a peer that has what they need.
        """
        if not isinstance(store, Corestore | Namespace):
            raise UsageError(f"A drive is opened in a store, not in {type(store).__name__}: Drive.open(store, key).")
        return await _open(store, cls, key, encryption_key, timeout)

    # Writing

    def check_writable(self) -> None:
        """Raises `NotWritable` unless files can be put here."""
        if not self.writable:
            frozen = "its author signed two histories" if self._core.conflict else "only its author can change it"
            raise NotWritable(f"{self!r} cannot be changed: {frozen}.")

    async def put(
        self,
        path: str,
        data: bytes,
        *,
        executable: bool = False,
        metadata: Any = None,
        progress: bool | None = None,
    ) -> None:
        """Set the content of a file; on disk when this returns. `metadata` is anything that JSON can hold.

        See `put_stream` for `progress`.
        """
        data = content(data, "a file's content")
        size = len(data)
        work = self._put(path, data, executable, metadata)
        if not self.writable or (size < BATCH_BYTES and not progress):
            await work
            return
        core = (await self._contents_anywhere()).core
        before = core.byte_length
        await shown(work, lambda: (min(core.byte_length - before, size), size), "B", progress)

    @from_any_loop
    async def _put(self, path: str, data: bytes, executable: bool, metadata: Any) -> None:
        async with self.batch() as batch:
            await batch.put(path, data, executable=executable, metadata=metadata)

    async def put_stream(
        self,
        path: str,
        pieces: AsyncIterable[bytes],
        *,
        executable: bool = False,
        metadata: Any = None,
        progress: bool | None = None,
    ) -> None:
        """Set the content of a file to what comes, which is never all in memory; nobody sees it before its end.

        With `progress` a bar counts the bytes; without, only in a notebook, when it takes over a second.
        """
        entry = Entry(normalize(path), 0, None, executable, None, metadata)
        entry.encode()
        if not isinstance(pieces, AsyncIterable):
            raise UsageError(f"The pieces come from `async for`, not from {type(pieces).__name__}; put takes bytes.")
        self.check_writable()
        tally = Tally()
        work = self._put_stream(key_of(path), entry, tally.count(pieces))
        await shown(work, lambda: (tally.done, tally.total), "B", progress)

    @from_any_loop
    async def _put_stream(self, key: bytes, entry: Entry, pieces: AsyncIterable[bytes]) -> None:
        blobs = await self._contents()
        async with blobs.core.write_lock:
            blob = await blobs.put_stream(pieces)
            await self._bee.put(key, replace(entry, blob=blob).encode())

    @from_any_loop
    async def symlink(self, path: str, target: str) -> None:
        """Put a symbolic link; `target` may be relative to the link's folder, and need not exist."""
        async with self.batch() as batch:
            await batch.symlink(path, target)

    @from_any_loop
    async def delete(self, path: str) -> bool:
        """Remove what is at a path; whether there was anything. Earlier versions keep it."""
        async with self.batch() as batch:
            return await batch.delete(path)

    @from_any_loop
    async def restore(self, path: str, version: int) -> int:
        """Make a file, or all of a folder, what it was in a version, as new versions; how many files that changed.

        Contents are not written again. Raises `UsageError` for what was in neither version.
        """
        self.check_writable()
        past = self.checkout(version)
        files = [(path, await self.entry(path), await past.entry(path))] if path.strip("/") else []
        if not any(entry for _, *entries in files for entry in entries):
            files = [(path, now, then) for path, then, now in await self.diff(version, folder=path)]
            if not files and path.strip("/") and not [name async for name in self.readdir(path)]:
                raise UsageError(f"There is no {path} in version {self.version} or {version}.")
        changed = 0
        async with self.batch() as batch:
            for name, now, then in files:
                if then is not None and then != now:
                    await batch.put_entry(then)
                elif then is None and now is not None:
                    await batch.delete(name)
                changed += then != now
        return changed

    def batch(self) -> DriveBatch:
        """Many changes that others see at once or not at all: `async with drive.batch() as b: await b.put(…)`."""
        self.check_writable()
        return DriveBatch(self)

    @from_any_loop
    async def purge(self) -> None:
        """Forget all that is here of this drive; its key stays, and peers may still have it."""
        core = self._core
        if core.manifest or (core.length and await core.has(0, 1)):  # else nobody knows yet where the contents are
            blobs = await self._contents()
            await blobs.core.clear(0, blobs.core.length)
        await core.clear(0, core.length)

    async def mirror_from(
        self,
        folder: Path | str,
        *,
        to: str = "/",
        prune: bool = True,
        dry_run: bool = False,
        progress: bool | None = None,
    ) -> Steps:
        """Make a folder of this drive like a local folder; see `hyperdrive.mirror`, and `put_stream` for `progress`."""
        tally = Tally()
        work = self._mirror_from(folder, tally, to, prune, dry_run)
        return await shown(work, lambda: (tally.done, tally.total), "B", progress)

    @from_any_loop
    async def _mirror_from(self, folder: Path | str, tally: Tally, to: str, prune: bool, dry_run: bool) -> Steps:
        return await mirror_from(self, folder, tally, to=to, prune=prune, dry_run=dry_run)

    @from_any_loop
    async def serve(self, *, port: int = 0, token: str | bool = True) -> DriveServer:
        """Serve this drive to this computer's browsers; the result's `url` says where. See `hyperdrive.serve`."""
        return await serve(self, port=port, token=token)


@from_any_loop
async def _open(
    store: Corestore | Namespace,
    kind: type[D],
    key: bytes | str | None,
    encryption_key: bytes | None,
    timeout: float | None,
) -> D:
    root = store.store if isinstance(store, Namespace) else store
    if key is None:
        core = await store.core(name="db", encryption_key=encryption_key)
    else:
        core = await root.core(key=key, encryption_key=encryption_key)
    blobs: asyncio.Future[Blobs] = asyncio.get_running_loop().create_future()
    return kind(core, Bee(core, metadata=b"", timeout=timeout), blobs, DriveSource(root, encryption_key, timeout))
