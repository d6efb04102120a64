"""A copy of a log on the disk, changed behind its back as a thief or a bad disk does."""

import sqlite3
from contextlib import closing
from pathlib import Path

from linkup_nb.hypercore.merkle import leaf

_DATABASE = "logs.sqlite3"


def copy_changed(source: Path, target: Path, key: bytes, block: int, value: bytes, *, mend: bool) -> None:
    """Copy the folder of a store, with other bytes in one block; `mend` also puts the hash there that they have."""
    target.mkdir()
    with closing(sqlite3.connect(source / _DATABASE)) as whole, closing(sqlite3.connect(target / _DATABASE)) as copy:
        whole.backup(copy)
        [core] = copy.execute("SELECT id FROM core WHERE key = ?", (key,)).fetchone()
        copy.execute("UPDATE block SET value = ? WHERE place = ?", (value, (core << 42) + block))
        if mend:
            node = leaf(block, value)
            copy.execute(
                "UPDATE node SET size = ?, hash = ? WHERE place = ?", (node.size, node.hash, (core << 42) + 2 * block)
            )
        copy.commit()
