"""What is called wrongly says so in one sentence, and never hangs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from linkup_nb import Corestore, Drive
from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.hypercore.core import Core
from linkup_nb.hyperdrive.bee import Bee

PATIENCE = 10.0  # seconds


async def end(result: Any) -> None:
    """Await it, or read it to its end."""
    if hasattr(result, "__aiter__"):
        _ = [one async for one in result]
    elif isawaitable(result):
        await result


async def refused(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        async with asyncio.timeout(PATIENCE):
            await end(call())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Corestore]:
    async with Corestore(tmp_path / "store") as store:
        yield store


@pytest.fixture
async def core(store: Corestore) -> Core:
    core = await store.core(name="log")
    await core.append([b"1", b"2"])
    return core


@pytest.fixture
async def drive(store: Corestore) -> Drive:
    drive = await Drive.open(store)
    await drive.put("/a", b"1")
    return drive


WRONG_OF_CORE: dict[str, tuple[Callable[[Core], Any], str]] = {
    "text": (lambda core: core.append("text"), "A block is bytes, not str; encode"),  # type: ignore[arg-type]
    "texts": (lambda core: core.append(["text"]), "A block is bytes, not str"),  # type: ignore[list-item]
    "nothing": (lambda core: core.append(None), "A block is bytes, not None"),  # type: ignore[arg-type]
    "half": (lambda core: core.get(0.5), "a whole number, not float"),  # type: ignore[arg-type]
    "far": (lambda core: core.get(2**70), "This core has 2 blocks"),
    "has": (lambda core: core.has("1"), "a whole number, not str"),  # type: ignore[arg-type]
    "seek": (lambda core: core.seek(None), "a whole number, not None"),  # type: ignore[arg-type]
    "clear": (lambda core: core.clear(1, 9), "2 blocks, not blocks 1 to 9"),
    "checkout": (lambda core: core.checkout("1"), "A length is a whole number"),  # type: ignore[arg-type]
    "stream": (lambda core: core.read_stream("1"), "a whole number"),  # type: ignore[arg-type]
    "backwards": (lambda core: core.download(2, 1), "not blocks 2 to 1"),
    "endless": (lambda core: core.download(0, 2**70), "This core has 2 blocks"),
    "proof": (lambda core: core.proof(2**70), "is not here"),
    "verify": (lambda core: core.verify(3), "A proof is bytes, not int"),  # type: ignore[arg-type]
    "truncate": (lambda core: core.truncate(1, 2**80), "A new fork"),
}
WRONG_OF_DRIVE: dict[str, tuple[Callable[[Drive], Any], str]] = {
    "path": (lambda drive: drive.get(Path("/a")), "A path in a drive is text"),  # type: ignore[arg-type]
    "folder": (lambda drive: drive.list(None), "A folder of a drive is text"),  # type: ignore[arg-type]
    "surrogate": (lambda drive: drive.put("\ud800", b""), "UTF-8"),
    "text": (lambda drive: drive.put("/b", "text"), "is bytes, not str; encode"),  # type: ignore[arg-type]
    "stream of bytes": (lambda drive: drive.put_stream("/b", b"text"), "put takes bytes"),  # type: ignore[arg-type]
    "link": (lambda drive: drive.symlink("/b", 3), "points at is text"),  # type: ignore[arg-type]
    "version": (lambda drive: drive["2"], "A version is a whole number"),  # type: ignore[index]
    "diff of the future": (lambda drive: drive.diff(99), "a version 99"),
    "bytes": (lambda drive: drive.stream("/a", -1), "Bytes -1"),
    "bisect": (lambda drive: drive.bisect(None), "takes a function"),  # type: ignore[arg-type]
    "mirror": (lambda drive: drive.mirror_to(None), "named by a path"),  # type: ignore[arg-type]
    "watch of the past": (lambda drive: drive[2].watch(), "does not change"),
    "batch outside": (lambda drive: drive.batch().put("/b", b""), "inside of `async with"),
}


@pytest.mark.parametrize("name", WRONG_OF_CORE)
async def test_of_a_core(core: Core, name: str) -> None:
    call, sentence = WRONG_OF_CORE[name]
    await refused(lambda: call(core), sentence)
    assert core.length == 2


@pytest.mark.parametrize("name", WRONG_OF_DRIVE)
async def test_of_a_drive(drive: Drive, name: str) -> None:
    call, sentence = WRONG_OF_DRIVE[name]
    await refused(lambda: call(drive), sentence)
    assert drive.version == 2


async def test_of_a_store(store: Corestore, tmp_path: Path) -> None:
    await refused(lambda: Corestore(None), "named by a path")  # type: ignore[arg-type]
    await refused(lambda: Corestore(tmp_path, b"short"), "A primary key is 32 bytes, not 5 bytes")
    with pytest.raises(NodeClosed, match="open"):
        Corestore(tmp_path).key_pair("a")
    await refused(lambda: store.core(name=3), "The name of a core is text")  # type: ignore[arg-type]
    await refused(lambda: store.core(key=3), "A key is 32 bytes")  # type: ignore[arg-type]
    await refused(lambda: store.core(key_pair=b"pair"), "A key_pair is a KeyPair")  # type: ignore[arg-type]
    await refused(lambda: store.core(name="a", encryption_key=b"x"), "An encryption key is 32 bytes")
    await refused(lambda: store.namespace(3), "A namespace is text")  # type: ignore[arg-type]
    await refused(lambda: store.replicate(None), "over a connection")  # type: ignore[arg-type]
    await refused(lambda: Drive.open(None), "opened in a store")  # type: ignore[arg-type]


async def test_of_a_bee(store: Corestore) -> None:
    bee = Bee(await store.core(name="bee"))
    await bee.put(b"a", b"1")
    await refused(lambda: bee.put("a", b""), "A key is bytes, not str")  # type: ignore[arg-type]
    await refused(lambda: bee.put(b"a", 1), "A value is bytes, not int")  # type: ignore[arg-type]
    await refused(lambda: bee.range(gt="a"), "A key is bytes")  # type: ignore[arg-type]
    await refused(lambda: bee.range(limit="a"), "A limit is a whole number")  # type: ignore[arg-type]
    await refused(lambda: bee.history("a"), "a whole number")  # type: ignore[arg-type]
    await refused(lambda: bee.diff(-1), "a version -1")
    async with bee.batch() as batch:
        await batch.put(b"b", b"2")
    await refused(lambda: batch.put(b"c", b"3"), "inside of `async with")
    assert [entry.key async for entry in bee.range()] == [b"a", b"b"]


async def test_what_others_lack_yet_can_be_downloaded(core: Core) -> None:
    download = await core.download(0, 2**31)
    assert (download.downloaded, download.finished) == (2, False)
    download.cancel()
