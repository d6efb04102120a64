"""Freeing what is here of a room that is left for good."""

import asyncio
from concurrent.futures import Executor
from pathlib import Path

from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.wire.keys import KEY_SIZE

_BESIDE = ("", "-wal", "-shm", "-journal")  # what SQLite keeps beside a database


def index_path(folder: Path, topic: bytes) -> Path:
    """Where the index of a room is."""
    return folder / f"{topic.hex()}.sqlite3"


async def free_room(store: Corestore, keys: RoomKeys, index: Path, executor: Executor) -> None:
    """Clear the feeds and drives that the index of a room names, then delete the index; nobody uses the room meanwhile.

    The index goes last: what ends in between is begun again. Raises `StoreError` if the disk refuses.
    """
    for key in await asyncio.get_running_loop().run_in_executor(executor, _cores, index):
        core = await store.core(key=key, encryption_key=keys.encryption_key, forks=False)
        await core.clear(0, core.length)
        await core.close()
    for beside in _BESIDE:
        await asyncio.to_thread(Path(f"{index}{beside}").unlink, missing_ok=True)


def _cores(path: Path) -> list[bytes]:
    if not path.exists():
        return []
    index = Index(path)
    try:
        drives = index.meta("drive cores") or b""
        feeds = [row.key for row in index.feeds()]
        return feeds + [drives[at : at + KEY_SIZE] for at in range(0, len(drives), KEY_SIZE)]
    finally:
        index.close()
