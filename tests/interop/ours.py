"""Known answers that this program makes, for JavaScript to check: `python -m tests.interop.ours` writes them.

They are in `tests/vectors/ours.json`; `ours.js` reads them back with the real packages.
"""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from linkup_nb.hypercore import flat
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.messages import Data
from linkup_nb.hypercore.proof import ProofRequest
from linkup_nb.hyperdrive.bee import Bee
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.wire.keys import discovery_key

FILE = Path(__file__).parent.parent / "vectors" / "ours.json"
PRIMARY_KEY = bytes(range(32))
ENCRYPTION_KEY = bytes(range(100, 132))
LENGTHS = (0, 1, 2, 7, 16, 33)


async def make() -> dict[str, Any]:
    """All of them; the same at each call."""
    with tempfile.TemporaryDirectory() as folder:
        async with Corestore(folder, PRIMARY_KEY) as store:
            return {
                "primaryKey": PRIMARY_KEY.hex(),
                "names": await _names(store),
                "cores": [await _core(store, f"core {length}", length) for length in LENGTHS]
                + [await _core(store, "encrypted", 5, ENCRYPTION_KEY), await _forked(store)],
                "bee": await _bee(store),
                "drive": await _drive(store, "drive", None),
                "encryptedDrive": await _drive(store, "encrypted drive", ENCRYPTION_KEY),
            }


async def _names(store: Corestore) -> list[dict[str, str | None]]:
    found: list[dict[str, str | None]] = []
    for namespace, name in ((None, "a"), (None, "é"), ("b", "a")):
        core = await (store.namespace(namespace) if namespace else store).core(name=name)
        found.append({"namespace": namespace, "name": name, "key": core.key.hex()})
    return found


async def _core(store: Corestore, name: str, length: int, encryption_key: bytes | None = None) -> dict[str, Any]:
    core = await store.core(name=name, encryption_key=encryption_key)
    blocks = [b"%d " % index * index for index in range(length)]
    for start in range(0, length, 5):
        await core.append(blocks[start : start + 5])
    return await _describe(core) | {
        "name": name,
        "blocks": [block.hex() for block in blocks],
        "encryptionKey": encryption_key.hex() if encryption_key else None,
    }


async def _forked(store: Corestore) -> dict[str, Any]:
    core = await store.core(name="forked")
    await core.append([b"a", b"b", b"c", b"d"])
    await core.truncate(2)
    await core.append([b"C", b"D", b"E"])
    blocks = [b"a", b"b", b"C", b"D", b"E"]
    return await _describe(core) | {
        "name": "forked",
        "blocks": [block.hex() for block in blocks],
        "encryptionKey": None,
    }


async def _describe(core: Core) -> dict[str, Any]:
    """A core, and messages of hypercore/alpha in which somebody who has nothing of it would get everything."""
    log = core._log
    assert log.manifest
    length = core.length
    answers = (
        [ProofRequest(upgrade=(0, length), seek=(log.byte_length // 2, 0) if length > 2 else None)] if length else []
    )
    if length > 2:
        answers += [ProofRequest(hash=(1, _steps(1, length)))]
    answers += [ProofRequest(block=(index, _steps(2 * index, length))) for index in range(length)]
    messages = [
        Data(number + 1, core.fork, log.synced.prove(wanted), None if number else log.manifest).encode()
        for number, wanted in enumerate(answers)
    ]
    nodes = [node for node in (log.find(index) for index in range(2 * length)) if node]
    return {
        "key": core.key.hex(),
        "discoveryKey": discovery_key(core.key).hex(),
        "manifest": log.manifest.encode().hex(),
        "length": length,
        "byteLength": log.byte_length,
        "fork": core.fork,
        "signature": log.signature.hex(),
        "nodes": [[node.index, node.size, node.hash.hex()] for node in nodes],
        "messages": [message.hex() for message in messages],
    }


def _steps(index: int, length: int) -> int:
    """How far a node is below its root."""
    steps = 0
    while index not in flat.roots(length):
        index, steps = flat.parent(index), steps + 1
    return steps


async def _bee(store: Corestore) -> dict[str, Any]:
    core = await store.core(name="bee")
    bee = Bee(core)
    for number in range(40):
        await bee.put(b"key %02d" % (number * 7 % 40), b"value %d" % number)
    for number in range(0, 40, 3):
        await bee.delete(b"key %02d" % number)
    async with bee.batch() as batch:
        for number in range(20):
            await batch.put(b"batch %02d" % number, b"")
        await batch.delete(b"key 01")
    versions = (1, 2, 20, 41, 50, bee.version)
    return {
        "core": await _describe(core),
        "versions": {
            str(version): [[e.key.hex(), (e.value or b"").hex(), e.seq] async for e in bee.checkout(version).range()]
            for version in versions
        },
        "history": [[e.key.hex(), None if e.value is None else e.value.hex()] async for e in bee.history()],
    }


async def _drive(store: Corestore, namespace: str, encryption_key: bytes | None) -> dict[str, Any]:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number * (22_000 if encryption_key is None else 2_000)

    drive = await Drive.open(store.namespace(namespace), encryption_key=encryption_key)
    await drive.put("/hello.txt", b"hello")
    await drive.put("/empty", b"")
    await drive.put("/a/b/c/deep.json", b"{}", metadata={"type": "application/json", "n": [1, None, "é"]})
    await drive.put("/a/tool", b"#!/bin/sh\n", executable=True)
    await drive.symlink("/a/link", "/hello.txt")
    await drive.put("/hello.txt", b"hello again")
    await drive.put_stream("/a/large", pieces())
    await drive.delete("/empty")
    async with drive.batch() as batch:
        for number in range(12):
            await batch.put(f"/many/{number}", b"%d" % number)
        await batch.delete("/a/tool")
    contents = (await drive._contents()).core
    return {
        "encryptionKey": encryption_key.hex() if encryption_key else None,
        "cores": [await _describe(drive._core), await _describe(contents)],
        "versions": {str(version): await _files(drive[version]) for version in (0, 2, 6, 9, drive.version)},
        "diffs": [
            [a, b, [change.path async for change in drive.diff(a, b)]] for a, b in ((1, 4), (2, 8), (6, drive.version))
        ],
    }


async def _files(drive: DriveView) -> list[list[Any]]:
    found = []
    async for entry in drive.list():
        content = await drive.get(entry.path)
        digest = hashlib.sha256(content).hexdigest() if content is not None else None
        found.append([entry.path, entry.executable, entry.linkname, entry.metadata, digest])
    return found


def encode(vectors: dict[str, Any]) -> str:
    """As they stand in the file."""
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(encode(asyncio.run(make())))
