"""Cores between this program and the real Hypercore and Corestore, over TCP, both ways."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import Server, listen
from linkup_nb.errors import NotWritable
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.core import Core, Evidence
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.manifest import Manifest, Signer
from linkup_nb.wire.compact import Encoder
from linkup_nb.wire.keys import KeyPair
from tests.hypercore.javascript import JavaScript, at_rest, javascript
from tests.hypercore.vectors import BLOCKS, Log

SECRET = b"\x04" * 32
COUNTS = [0, 1, 100, 10_000]


class Pair:
    """A store here and a store there."""

    def __init__(self, store: Corestore, peer: JavaScript, server: Server) -> None:
        self.store = store
        self.peer = peer
        self.server = server

    async def join(self) -> None:
        """JavaScript dials us."""
        await self.peer.call("connect", port=self.server.port)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with Corestore(tmp_path / "python", b"\x09" * 32) as store, javascript(tmp_path / "javascript") as peer:
        server = await listen("127.0.0.1", 0, store.replicate)
        yield Pair(store, peer, server)
        await server.close()


def block(index: int, size: int = 50) -> bytes:
    """What `appendMany` appends."""
    text = b"block %d " % index
    return (text * (size // len(text) + 1))[:size]


async def length(core: Core, expected: int, fork: int = 0) -> None:
    """Wait until the core has this length."""
    async with asyncio.timeout(20):
        while (core.length, core.fork) != (expected, fork):
            await core._log.changed()


@pytest.mark.parametrize("count", COUNTS)
async def test_we_read_what_javascript_wrote(pair: Pair, count: int) -> None:
    there = await pair.peer.call("core", handle="a", name="theirs")
    await pair.peer.call("appendMany", handle="a", count=count, size=50)
    core = await pair.store.core(key=there["key"])
    await pair.join()

    await length(core, count)
    await (await core.download()).done(timeout=30)

    assert [b async for b in core.read_stream()] == [block(index) for index in range(count)]
    assert (core.byte_length, core.contiguous_length) == (50 * count, count)
    assert (await core.audit()).clean


@pytest.mark.parametrize("count", COUNTS)
async def test_javascript_reads_what_we_wrote(pair: Pair, count: int) -> None:
    core = await pair.store.core(name="ours")
    if count:
        await core.append([block(index) for index in range(count)])
    await pair.peer.call("core", handle="b", key=core.key.hex())
    await pair.join()

    await pair.peer.call("update", handle="b")
    await pair.peer.call("waitLength", handle="b", length=count)
    info = await pair.peer.call("download", handle="b", start=0, end=count)

    assert (info["contiguousLength"], info["byteLength"], info["fork"]) == (count, 50 * count, 0)
    for index in {0, count // 2, count - 1} if count else ():
        assert bytes.fromhex(await pair.peer.call("get", handle="b", index=index)) == block(index)


async def test_we_see_how_much_javascript_has(pair: Pair) -> None:
    core = await pair.store.core(name="ours")
    await core.append(BLOCKS)
    all_of_it = asyncio.Event()
    core.on("held", lambda _, length: all_of_it.set() if length == len(BLOCKS) else None)
    await pair.join()
    await pair.peer.call("core", handle="b", key=core.key.hex())
    await pair.peer.call("download", handle="b", start=0, end=len(BLOCKS))
    await asyncio.wait_for(all_of_it.wait(), 20)
    assert list(core.held.values()) == [len(BLOCKS)]


async def test_live_appends_both_ways(pair: Pair) -> None:
    ours = await pair.store.core(name="ours")
    theirs = await pair.store.core(key=(await pair.peer.call("core", handle="a", name="theirs"))["key"])
    await pair.peer.call("core", handle="b", key=ours.key.hex())
    await pair.join()

    for index in range(20):
        asked = asyncio.create_task(theirs.get(index, timeout=20))
        await ours.append(b"ours %d" % index)
        await pair.peer.call("append", handle="a", blocks=[(b"theirs %d" % index).hex()])

        assert await asked == b"theirs %d" % index
        await pair.peer.call("update", handle="b")
        assert bytes.fromhex(await pair.peer.call("get", handle="b", index=index)) == b"ours %d" % index


@pytest.mark.parametrize("count", [300, 2000])
async def test_a_newcomer_is_offered_all_that_javascript_has_and_takes_what_it_knows(pair: Pair, count: int) -> None:
    await pair.peer.call("openMany", count=count)
    there = await pair.peer.call("core", handle="a", name="theirs")
    await pair.peer.call("append", handle="a", blocks=[b"known".hex()])
    core = await pair.store.core(key=there["key"])

    await pair.join()

    assert await core.get(0, timeout=20) == b"known"
    assert await pair.peer.call("streams") == 1


async def test_one_block_from_the_middle_fetches_only_that(pair: Pair) -> None:
    there = await pair.peer.call("core", handle="a", name="theirs")
    await pair.peer.call("appendMany", handle="a", count=1000, size=50)
    core = await pair.store.core(key=there["key"])
    ours = await pair.store.core(name="ours")
    await ours.append([block(index) for index in range(1000)])
    await pair.peer.call("core", handle="b", key=ours.key.hex())
    await pair.join()

    assert await core.get(777, timeout=20) == block(777)
    assert [index for index in range(1000) if await core.has(index)] == [777]
    assert await core.seek(50 * 333 + 7, timeout=20) == (333, 7)
    assert bytes.fromhex(await pair.peer.call("get", handle="b", index=555)) == block(555)
    assert (await pair.peer.call("info", handle="b"))["contiguousLength"] == 0
    assert await pair.peer.call("seek", handle="b", offset=50 * 123 + 9) == [123, 9]


async def test_from_a_peer_with_holes_both_ways(pair: Pair) -> None:
    there = await pair.peer.call("core", handle="a", name="theirs")
    await pair.peer.call("appendMany", handle="a", count=100, size=50)
    await pair.peer.call("clear", handle="a", start=10, end=90)
    core = await pair.store.core(key=there["key"])
    ours = await pair.store.core(name="ours")
    await ours.append([block(index) for index in range(100)])
    await ours.clear(10, 90)
    await pair.peer.call("core", handle="b", key=ours.key.hex())
    await pair.join()

    assert await core.get(95, timeout=20) == block(95)
    assert bytes.fromhex(await pair.peer.call("get", handle="b", index=95)) == block(95)


@pytest.mark.parametrize(("cut", "more"), [(5, 0), (5, 3), (5, 20), (0, 4), (9, 1)])
async def test_we_follow_javascript_to_another_fork(pair: Pair, cut: int, more: int) -> None:
    there = await pair.peer.call("core", handle="a", name="theirs")
    await pair.peer.call("appendMany", handle="a", count=10, size=50)
    core = await pair.store.core(key=there["key"])
    await pair.join()
    await length(core, 10)
    await (await core.download()).done(timeout=20)

    await pair.peer.call("truncate", handle="a", length=cut)
    for index in range(more):
        await pair.peer.call("append", handle="a", blocks=[(b"new %d" % index).hex()])

    if cut + more:
        await length(core, cut + more, fork=1)
        assert await core.get(cut + more - 1, timeout=20) == (b"new %d" % (more - 1) if more else block(cut - 1))
        await (await core.download()).done(timeout=20)
        assert (await core.audit()).clean


@pytest.mark.parametrize(("cut", "more"), [(5, 3), (5, 20), (9, 1)])
async def test_javascript_follows_us_to_another_fork(pair: Pair, cut: int, more: int) -> None:
    core = await pair.store.core(name="ours")
    await core.append([block(index) for index in range(10)])
    await pair.peer.call("core", handle="b", key=core.key.hex())
    await pair.join()
    await pair.peer.call("update", handle="b")
    await pair.peer.call("download", handle="b", start=0, end=10)

    await core.truncate(cut)
    await core.append([b"new %d" % index for index in range(more)])

    await pair.peer.call("update", handle="b")
    await pair.peer.call("waitLength", handle="b", length=cut + more, fork=1)
    last = await pair.peer.call("get", handle="b", index=cut + more - 1)
    assert bytes.fromhex(last) == b"new %d" % (more - 1)


async def test_encrypted_cores_both_ways(pair: Pair) -> None:
    there = await pair.peer.call("core", handle="a", name="theirs", encryptionKey=SECRET.hex())
    await pair.peer.call("append", handle="a", blocks=[b"short".hex(), block(0, 500).hex(), ""])
    theirs = await pair.store.core(key=there["key"], encryption_key=SECRET)
    ours = await pair.store.core(name="ours", encryption_key=SECRET)
    await ours.append([b"short", block(0, 500), b""])
    await pair.peer.call("core", handle="b", key=ours.key.hex(), encryptionKey=SECRET.hex())
    await pair.join()

    for index, plain in enumerate([b"short", block(0, 500), b""]):
        assert await theirs.get(index, timeout=20) == plain
        assert bytes.fromhex(await pair.peer.call("get", handle="b", index=index)) == plain
    assert theirs.byte_length == ours.byte_length == 505
    assert (await pair.peer.call("info", handle="b"))["byteLength"] == 505
    blind = await pair.store.core(key=there["key"])
    assert len(await blind.get(0)) == len(b"short") + 8


async def test_three_peers_two_of_them_python_hold_one_core(pair: Pair, tmp_path: Path) -> None:
    there = await pair.peer.call("core", handle="a", name="theirs")
    await pair.peer.call("appendMany", handle="a", count=500, size=50)
    first = await pair.store.core(key=there["key"])
    async with Corestore(tmp_path / "second") as store:
        second = await store.core(key=there["key"])
        store.replicate(await connect("127.0.0.1", pair.server.port))
        await pair.join()
        await length(first, 500)
        download = await second.download(0, 500)

        await (await first.download()).done(timeout=20)
        await download.done(timeout=20)

        assert [b async for b in second.read_stream()] == [block(index) for index in range(500)]


async def test_a_cut_connection_resumes_where_it_was(pair: Pair) -> None:
    there = await pair.peer.call("core", handle="a", name="theirs")
    await pair.peer.call("appendMany", handle="a", count=5000, size=50)
    core = await pair.store.core(key=there["key"])
    await pair.join()
    await length(core, 5000)
    some = asyncio.Event()

    def count(index: int) -> None:
        if index == 500:
            some.set()

    core.on("download", count)
    download = await core.download()
    await asyncio.wait_for(some.wait(), 20)
    await pair.peer.call("disconnect")
    assert not download.finished

    await pair.join()
    await download.done(timeout=30)

    assert (await core.audit()).clean


async def test_a_channel_that_neither_side_uses_is_closed_and_opened_again_on_demand(pair: Pair) -> None:
    there = await pair.peer.call("core", handle="a", name="theirs")
    await pair.peer.call("appendMany", handle="a", count=100, size=50)
    core = await pair.store.core(key=there["key"])
    await pair.join()
    assert await core.get(5, timeout=20) == block(5)

    await pair.peer.call("close", handle="a")
    assert await core.get(6, timeout=20) == block(6)
    await core.close()
    await at_rest(pair.store)

    again = await pair.store.core(key=there["key"])
    assert await again.get(7, timeout=20) == block(7)
    await again.close()
    await pair.peer.call("core", handle="a", name="theirs")
    await pair.peer.call("append", handle="a", blocks=[b"more".hex()])
    async with await pair.store.core(key=there["key"]) as once_more:
        assert await once_more.get(100, timeout=20) == b"more"


async def _passed_on(pair: Pair, there: dict[str, Any]) -> None:
    """A loose core of JavaScript is read by us, and by another JavaScript core from us alone."""
    core = await pair.store.core(key=there["key"])
    await pair.join()
    await length(core, 5)
    await (await core.download()).done(timeout=20)
    assert [b async for b in core.read_stream()] == BLOCKS[:5]
    assert (await core.audit()).clean
    await pair.peer.call("disconnect")
    await pair.peer.call("close", handle="a")
    await pair.peer.call("loose", handle="b", key=there["key"], compat=there.get("compat", False))
    await pair.join()

    await pair.peer.call("update", handle="b")
    for index in range(5):
        assert bytes.fromhex(await pair.peer.call("get", handle="b", index=index)) == BLOCKS[index]


async def test_a_core_that_several_signed_some_of_them_for_more_blocks(pair: Pair) -> None:
    pairs = [KeyPair.from_seed(bytes([number]) * 32) for number in range(1, 4)]
    manifest = Manifest(tuple(Signer(one.public_key) for one in pairs), quorum=2, allow_patch=True)
    log = Log(BLOCKS)
    out = Encoder().uint(2)
    for signer, blocks in ((2, 5), (1, 8)):
        signable = manifest.signable(manifest.key, Log(BLOCKS[:blocks]).peaks.hash(), blocks, 0, signer)
        out.uint(signer).raw(pairs[signer].sign(signable)).uint(blocks - 5)
    patch = [log.nodes[index] for index in flat.extension(5, 8)]
    signature = bytes(out.array(patch, lambda to, node: to.uint(node.index).uint(node.size).raw(node.hash)))
    there = await pair.peer.call("loose", handle="a", manifest=manifest.encode().hex())
    await pair.peer.call("appendSigned", handle="a", blocks=[b.hex() for b in BLOCKS[:5]], signature=signature.hex())

    await _passed_on(pair, there)


async def test_a_core_of_the_first_version_of_manifests(pair: Pair) -> None:
    manifest = Manifest((Signer(KeyPair.from_seed(SECRET).public_key),), version=0)
    there = await pair.peer.call("loose", handle="a", manifest=manifest.encode().hex(), seed=SECRET.hex())
    await pair.peer.call("append", handle="a", blocks=[b.hex() for b in BLOCKS[:5]])

    await _passed_on(pair, there)


async def test_a_core_whose_key_is_its_authors(pair: Pair) -> None:
    there = await pair.peer.call("loose", handle="a", seed=SECRET.hex(), compat=True)
    assert there["key"] == KeyPair.from_seed(SECRET).public_key.hex()
    await pair.peer.call("append", handle="a", blocks=[b.hex() for b in BLOCKS[:5]])

    await _passed_on(pair, there | {"compat": True})


@pytest.mark.parametrize(("ours", "theirs"), [(5, 3), (3, 5), (4, 4)])
async def test_two_histories_of_one_author_freeze_both_sides(pair: Pair, ours: int, theirs: int) -> None:
    core = await pair.store.core(name="twin")  # both stores have the same primary key
    conflicts: asyncio.Queue[tuple[Evidence, Evidence]] = asyncio.Queue()
    core.on("conflict", lambda *evidence: conflicts.put_nowait(evidence))
    await core.append([b"ours %d" % index for index in range(ours)])
    assert (await pair.peer.call("core", handle="a", name="twin"))["key"] == core.key.hex()
    await pair.peer.call("appendMany", handle="a", count=theirs, size=50)
    await pair.join()
    if ours == theirs:
        await core.append(b"one more")

    evidence = await asyncio.wait_for(conflicts.get(), 20)

    assert len({one.check().hash() for one in evidence}) == 2
    assert await pair.peer.call("frozen", handle="a")
    with pytest.raises(NotWritable, match="two histories"):
        await core.append(b"more")
    await pair.store.close()
    await pair.store.open()
    again = await pair.store.core(name="twin")
    assert again.conflict == evidence
    assert not again.writable


async def test_an_encrypted_core_whose_key_is_its_authors(pair: Pair) -> None:
    there = await pair.peer.call("loose", handle="a", seed=SECRET.hex(), compat=True, encryptionKey=SECRET.hex())
    await pair.peer.call("append", handle="a", blocks=[b.hex() for b in BLOCKS[:5]])
    core = await pair.store.core(key=there["key"], encryption_key=SECRET)
    await pair.join()

    assert [await core.get(index, timeout=20) for index in range(5)] == BLOCKS[:5]
    again = await pair.store.core(key=there["key"], encryption_key=SECRET)
    assert await again.get(4) == BLOCKS[4]
