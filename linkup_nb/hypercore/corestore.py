"""A store of cores: keys made from one secret, one folder on disk, one replication for a whole connection."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

from linkup_nb.arguments import secret, text
from linkup_nb.channels import Channels, MessageStream
from linkup_nb.errors import MachineError, NodeClosed, StoreError, UsageError
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.events import LogClosed
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.peer import PROTOCOL
from linkup_nb.hypercore.replicator import Replicator, Tell
from linkup_nb.hypercore.storage import CoreRow, Store
from linkup_nb.loops import Events, Inbox, Tasks, from_any_loop, is_of_this_process, on_own_loop
from linkup_nb.wire.keys import KEY_SIZE, KeyPair, blake2b_256, discovery_key, namespace, short_key, z32decode

(_NAMES,) = namespace("corestore", [0])
_NO_NAMESPACE = bytes(32)

logger = logging.getLogger("linkup_nb")


class StoredCore(NamedTuple):
    """A core that a store knows, at one moment; `byte_length` counts all its blocks, here or not."""

    key: bytes
    discovery_key: bytes
    name: str | None
    length: int
    byte_length: int
    writable: bool
    open: bool


class CoreUsage(NamedTuple):
    """What of a core is stored here: how many of its blocks, and how many bytes they have."""

    key: bytes
    name: str | None
    blocks: int
    bytes: int


class _Copying(NamedTuple):
    """How to leave a connection, and which cores are copied over it."""

    leave: Callable[[], None]
    only: Callable[[bytes], bool]


def _every_core(_: bytes) -> bool:
    return True


class Corestore(Events):
    """Cores in one folder. `async with Corestore(path) as store`, or `await store.open()` and `await store.close()`.

    The same `primary_key` (32 bytes, a secret) gives the same keys for the same names everywhere, in JavaScript too;
    without one, the folder's own is used, made at the first opening. Emits `core` (key) for each
    core new to it, and `rest` (key) for each that nobody uses any more, here or over a connection.
    """

    def __init__(self, path: Path | str, primary_key: bytes | None = None) -> None:
        super().__init__(asyncio.get_running_loop())
        if not isinstance(path, str | os.PathLike):
            raise UsageError(f"A store is kept in a folder, named by a path, not {type(path).__name__}.")
        self.path = Path(path)
        self.closed = True
        self._primary_key = b"" if primary_key is None else secret(primary_key, "a primary key")
        self._store: Store
        self.tell: Tell = lambda peer, message, request: message
        """What peers are sent instead of what is true: only in a lab anything else."""
        self._open_logs: dict[bytes, tuple[Log, Replicator]] = {}
        self._opening = asyncio.Lock()
        self._channels: dict[Channels, _Copying] = {}
        self._tasks = Tasks()

    def __repr__(self) -> str:
        return f"Corestore({str(self.path)!r}, {'closed' if self.closed else f'{len(self._open_logs)} cores open'})"

    @from_any_loop
    async def open(self) -> None:
        """Open the folder. Raises `StoreInUse`, `StoreVersion` or `StoreError`."""
        if self.closed:
            self._store = Store.open(self.path)
            self._primary_key = self._primary_key or _own_primary_key(self.path)
            self.closed = False
            _opened.append(self)

    async def __aenter__(self) -> "Corestore":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @from_any_loop
    async def core(
        self,
        *,
        name: str | None = None,
        key: bytes | str | None = None,
        key_pair: KeyPair | None = None,
        manifest: Manifest | None = None,
        encryption_key: bytes | None = None,
        forks: bool = True,
    ) -> Core:
        """The core with this name (yours, writable), this key (anybody's; 32 bytes, or their text), or this key pair.

        A key pair may come with the manifest that it signs for, if that is not the ordinary one. With `encryption_key`,
        blocks are written encrypted and read decrypted. Without `forks`, what is here is never cut off because its
        author did so: the core emits `fork` then; and one whose author signed two histories is still copied up to where
        they part, and given to others. Close what you get.
        """
        return await self._core(_NO_NAMESPACE, name, key, key_pair, encryption_key, manifest, forks=forks)

    def namespace(self, name: str) -> "Namespace":
        """A part of this store in which the same names give other keys."""
        return Namespace(self, blake2b_256(_NO_NAMESPACE + text(name, "a namespace").encode()))

    def replicate(self, connection: MessageStream, *, only: Callable[[bytes], bool] | None = None) -> None:
        """Copy over this connection, both ways, each core that is open here, now or later, and that the peer knows.

        With `only`, no core is opened on the connection whose key it refuses; call this again once it accepts more. The
        connection may live on another loop than the store.
        """
        self._check_open()
        if not hasattr(connection, "remote_public_key"):
            raise UsageError(f"A store is copied over a connection, not {type(connection).__name__}.")
        self._replicate(connection, only or _every_core)

    @on_own_loop
    def _replicate(self, connection: MessageStream, only: Callable[[bytes], bool]) -> None:
        if self.closed:
            return
        channels = Channels.of(connection)
        if channels not in self._channels:
            self._copy_over(channels, only)
        for log, replicator in self._open_logs.values():
            if not replicator.has(channels) and self._channels[channels].only(log.key):
                replicator.add(channels)

    def _copy_over(self, channels: Channels, only: Callable[[bytes], bool]) -> None:
        def accept(id: bytes) -> bool:
            return self._accept(channels, id)

        def leave() -> None:
            self._channels.pop(channels, None)
            channels.refuse(PROTOCOL, accept)
            channels.off_end(leave)

        self._channels[channels] = _Copying(leave, only)
        channels.accept(PROTOCOL, accept)
        channels.on_end(leave)

    @property
    def cores(self) -> tuple[StoredCore, ...]:
        """Every core that the store knows, open or not; a snapshot, which any thread may take."""
        self._check_open()
        logs = {key: log for key, (log, _) in self._open_logs.copy().items()}
        return tuple(
            StoredCore(
                row.key,
                row.discovery_key,
                row.name,
                log.length if log else row.head.length,
                log.byte_length if log else byte_length,
                log.writable if log else row.name is not None,
                log is not None,
            )
            for row, byte_length in self._store.survey()
            for log in (logs.get(row.key),)
        )

    @from_any_loop
    async def usage(self) -> tuple[CoreUsage, ...]:
        """What takes the space: of each core what is stored here, the largest first."""
        self._check_open()
        await self._store.flush()
        rows = await asyncio.to_thread(self._store.usage)
        return tuple(CoreUsage(row.key, row.name, blocks, size) for row, blocks, size in rows)

    async def watch(self) -> AsyncIterator[bytes]:
        """The keys of cores that come to be known from now on."""
        found: Inbox[bytes] = Inbox()
        self.on("core", found.put)
        try:
            while True:
                yield await found.get()
        finally:
            self.remove_listener("core", found.put)

    @from_any_loop
    async def close(self) -> None:
        """Write everything, leave every peer, and let another process have the folder."""
        if self.closed:
            return
        self.closed = True
        _opened.remove(self)
        for log, replicator in self._open_logs.values():
            replicator.close()
            await log.close()
            log.notify(LogClosed())
        self._open_logs.clear()
        for copying in tuple(self._channels.values()):
            copying.leave()
        await self._tasks.cancel()
        await self._store.close()

    def _check_open(self) -> None:
        if self.closed:
            raise NodeClosed("This store is closed; `await store.open()` opens it.")

    def key_pair(self, name: str, names: bytes = _NO_NAMESPACE) -> KeyPair:
        """The key pair of a name, as npm's `corestore` 7 makes it from the same primary key."""
        if not self._primary_key:
            self._check_open()
        return KeyPair.from_seed(
            blake2b_256(_NAMES + names + text(name, "the name of a core").encode(), key=self._primary_key)
        )

    async def _core(
        self,
        names: bytes,
        name: str | None,
        key: bytes | str | None,
        key_pair: KeyPair | None,
        encryption_key: bytes | None,
        manifest: Manifest | None = None,
        *,
        forks: bool = True,
    ) -> Core:
        self._check_open()
        if sum(given is not None for given in (name, key, key_pair)) != 1:
            raise UsageError("A core is opened by one of name, key and key_pair.")
        if encryption_key is not None:
            secret(encryption_key, "an encryption key")
        if not isinstance(key_pair, KeyPair | None) or not isinstance(manifest, Manifest | None):
            raise UsageError("A key_pair is a KeyPair, and a manifest the Manifest that it signs for.")
        if name is not None:
            key_pair = self.key_pair(name, names)
        if key_pair and not manifest:
            manifest = Manifest.of(key_pair.public_key)
        core_key = manifest.key if manifest else parse_key(b"" if key is None else key)
        async with self._opening:
            log, replicator = await self._log(core_key, manifest, key_pair, (names, name) if name is not None else None)
        log.follows_forks = log.follows_forks and forks
        core = Core(log, replicator, encryption_key)
        replicator.activate([channels for channels, copying in self._channels.items() if copying.only(core_key)])
        return core

    async def _log(
        self, key: bytes, manifest: Manifest | None, key_pair: KeyPair | None, named: tuple[bytes, str] | None
    ) -> tuple[Log, Replicator]:
        found = self._open_logs.get(key)
        if not found:
            row = self._store.core(discovery_key(key))
            if row is None:
                row = await self._store.add_core(discovery_key(key), key)
                self.emit("core", key)
            # A peer may have opened it here while it was being added.
            found = self._open_logs.get(key) or self._open_row(row, key_pair)
        log = found[0]
        log.key_pair = log.key_pair or key_pair
        if manifest and not log.manifest:
            log.set_manifest(manifest)
        if named:
            self._store.execute("UPDATE core SET namespace = ?, name = ? WHERE id = ?", (*named, log.id))
        await self._store.flush()
        return found

    def _open_row(self, row: CoreRow, key_pair: KeyPair | None) -> tuple[Log, Replicator]:
        if key_pair is None and row.name is not None and row.namespace is not None:
            made = self.key_pair(row.name, row.namespace)
            key_pair = made if Manifest.of(made.public_key).key == row.key else None
        log = Log(self._store, row, key_pair)
        replicator = Replicator(log, lambda *said: self.tell(*said), lambda: self._put_away_soon(log))
        self._open_logs[row.key] = (log, replicator)
        return log, replicator

    def _put_away_soon(self, log: Log) -> None:
        if not self.closed:
            self._tasks.start(self._put_away(log), "putting a log away")

    async def _put_away(self, log: Log) -> None:
        """Forget an open log that nobody uses; it is opened again when somebody does."""
        await log.close()
        await self._store.flush()
        found = self._open_logs.get(log.key)
        if found and found[0] is log and not self._opening.locked() and found[1].resting:
            del self._open_logs[log.key]
            found[1].close()
            self.emit("rest", log.key)

    def _accept(self, channels: Channels, id: bytes) -> bool:
        """A peer has opened the core with this discovery key: open it too, if the store has it."""
        if self.closed:
            return False
        try:
            row = self._store.core(id)
            if row is None or not self._channels[channels].only(row.key):
                return False
            found = self._open_logs.get(row.key)
            _, replicator = found or self._open_row(row, None)
            if not replicator.has(channels):
                replicator.add(channels)
        except MachineError as error:  # no fault of the peer's, nor of the other logs on this connection
            logger.error("The log %s is not replicated: %s", short_key(id), error)
            return False
        return True


class Namespace:
    """A part of a store; its names are kept apart from those of other parts."""

    def __init__(self, store: Corestore, names: bytes) -> None:
        self._store = store
        self._names = names
        self._loop = store._loop

    def namespace(self, name: str) -> "Namespace":
        """A part of this part."""
        return Namespace(self._store, blake2b_256(self._names + text(name, "a namespace").encode()))

    def key_pair(self, name: str) -> KeyPair:
        """The key pair of a name in this part."""
        return self._store.key_pair(name, self._names)

    @property
    def store(self) -> Corestore:
        """The store that this is a part of."""
        return self._store

    @from_any_loop
    async def core(self, *, name: str, encryption_key: bytes | None = None, forks: bool = True) -> Core:
        """The core with this name; see `Corestore.core`."""
        return await self._store._core(self._names, name, None, None, encryption_key, forks=forks)


_opened: list[Corestore] = []


def open_stores() -> tuple[Corestore, ...]:
    """The stores that this process has open, in the order in which it opened them."""
    return tuple(store for store in _opened if is_of_this_process(store) and not store._loop.is_closed())


def parse_key(key: bytes | str) -> bytes:
    """32 bytes out of themselves, 64 hexadecimal digits, or 52 letters of z-base-32. Raises `UsageError`."""
    try:
        if isinstance(key, str):
            key = bytes.fromhex(key) if len(key) == 2 * KEY_SIZE else z32decode(key)
    except Exception:  # noqa: BLE001  # whatever is wrong with it, it is no key
        key = b""
    if not isinstance(key, bytes) or len(key) != KEY_SIZE:
        raise UsageError("A key is 32 bytes, 64 hexadecimal digits, or 52 letters and digits.")
    return key


def _own_primary_key(path: Path) -> bytes:
    file = path / "primary-key"
    try:
        if not file.exists():
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as out:
                out.write(os.urandom(KEY_SIZE))
                out.flush()
                os.fsync(out.fileno())
        key = file.read_bytes()
    except OSError as error:
        raise StoreError(f"The file {file} cannot be used: {error.strerror}.") from None
    if len(key) != KEY_SIZE:
        raise StoreError(f"The file {file} is damaged: it has {len(key)} bytes, not {KEY_SIZE}.")
    return key
