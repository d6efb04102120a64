"""Drives: JavaScript's bytes, and any changes equal those of a plain dictionary of files."""

import asyncio
import hashlib
import posixpath
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import DecodeError, NotAvailable, NotWritable, StoreError, UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import MAX_PATH, Entry, normalize
from linkup_nb.hyperdrive.view import MAX_LINKS, DriveView
from tests.hypercore.vectors import load

KNOWN = load("hyperdrive")
PRIMARY = bytes.fromhex(KNOWN["primaryKey"])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Corestore]:
    async with Corestore(tmp_path / "store", PRIMARY) as store:
        yield store


@pytest.fixture
async def drive(store: Corestore) -> AsyncIterator[Drive]:
    async with await Drive.open(store) as drive:
        yield drive


def _digest(block: bytes) -> dict[str, Any]:
    return {"length": len(block), "sha256": hashlib.sha256(block).hexdigest()}


async def test_a_drive_is_javascripts_byte_for_byte(drive: Drive) -> None:
    big = next(block for block in KNOWN["dbBlocks"] if b"big.bin" in bytes.fromhex(block))
    assert b'"byteLength":70000' in bytes.fromhex(big)
    await drive.put("/hello.txt", b"hello world")
    await drive.put("/bin/run.sh", b"#!/bin/sh\n", executable=True)
    await drive.symlink("/link", "/hello.txt")
    await drive.put("/big.bin", _big(), metadata={"mime": "x"})
    await drive.delete("/big.bin")

    blobs = (await drive._contents()).core
    assert drive.key.hex() == KNOWN["key"]
    assert blobs.key.hex() == KNOWN["contentKey"]
    assert [block.hex() async for block in drive._core.read_stream()] == KNOWN["dbBlocks"]
    contents = [block async for block in blobs.read_stream()]
    expected = KNOWN["blobBlocks"]
    assert [b.hex() if isinstance(e, str) else _digest(b) for b, e in zip(contents, expected, strict=True)] == expected
    assert drive._core._log.signature.hex() == KNOWN["dbSignature"]
    assert blobs._log.signature.hex() == KNOWN["blobsSignature"]


def _big() -> bytes:
    """The 70,000 bytes whose digests the vectors tell."""
    for pattern in (bytes(range(256)), bytes([7]), b"\x00", b"x", b"a", bytes(range(251))):
        data = (pattern * (70000 // len(pattern) + 1))[:70000]
        if _digest(data[:65536]) == KNOWN["blobBlocks"][2]:
            return data
    raise AssertionError("the vectors' file is made in another way")


async def test_files_come_back_as_they_were_put(drive: Drive) -> None:
    await drive.put("/a/b.txt", b"text", metadata={"é": [1, None]})
    await drive.put("empty", b"")
    await drive.put("/large", bytes(200_000), executable=True)

    assert await drive.get("/a/b.txt") == b"text"
    assert await drive.get("a//./c/../b.txt") == b"text"
    assert await drive.get("/empty") == b""
    assert await drive.get("/large") == bytes(200_000)
    assert await drive.get("/nothing") is None
    entry = await drive.entry("/a/b.txt")
    assert entry
    assert (entry.path, entry.size, entry.executable, entry.metadata) == ("/a/b.txt", 4, False, {"é": [1, None]})
    assert await drive.exists("/large")
    assert not await drive.exists("/a")


async def test_listing_folders(drive: Drive) -> None:
    async with drive.batch() as batch:
        for path in ("/z", "/a/1", "/a/2", "/a/deep/er/x", "/a.txt", "/b/only", "/a0"):
            await batch.put(path, b"")

    assert [entry.path async for entry in drive.list()] == sorted(
        ["/z", "/a/1", "/a/2", "/a/deep/er/x", "/a.txt", "/b/only", "/a0"]
    )
    assert [entry.path async for entry in drive.list("/a")] == ["/a/1", "/a/2", "/a/deep/er/x"]
    assert [entry.path async for entry in drive.list("a/", recursive=False)] == ["/a/1", "/a/2"]
    assert [name async for name in drive.readdir()] == ["a.txt", "a", "a0", "b", "z"]
    assert [name async for name in drive.readdir("/a")] == ["1", "2", "deep"]
    assert [name async for name in drive.readdir("/none")] == []


async def test_symbolic_links_are_followed_so_far_and_no_further(drive: Drive) -> None:
    await drive.put("/docs/real", b"found")
    await drive.symlink("/docs/near", "real")
    await drive.symlink("/far", "/docs/near")
    await drive.symlink("/dangling", "nowhere")
    await drive.symlink("/loop", "/loop")

    assert await drive.get("/far") == b"found"
    assert await drive.get("/dangling") is None
    assert (await drive.entry("/far")) == Entry("/far", 0, None, linkname="/docs/near")
    with pytest.raises(UsageError, match=f"over {MAX_LINKS} symbolic links"):
        await drive.get("/loop")


async def test_ranges_of_a_stream_are_those_of_the_file(drive: Drive) -> None:
    data = bytes(range(256)) * 1000
    await drive.put("/before", b"x" * 1000)
    await drive.put("/file", data)

    for start, end in ((0, None), (0, 10), (65530, 65550), (200_000, 10**9), (255_999, None), (256_000, None), (5, 5)):
        assert b"".join([piece async for piece in drive.stream("/file", start, end)]) == data[start:end]
    with pytest.raises(UsageError, match="no file /none"):
        [piece async for piece in drive.stream("/none")]


async def test_a_stream_in_is_seen_at_its_end(drive: Drive) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for index in range(300):
            assert not await drive.exists("/streamed")
            yield b"%05d" % index * 100

    await drive.put_stream("/streamed", pieces())

    expected = b"".join(b"%05d" % index * 100 for index in range(300))
    assert await drive.get("/streamed") == expected
    assert b"".join([piece async for piece in drive.stream("/streamed", 70_000, 70_010)]) == expected[70_000:70_010]


async def test_a_stream_is_cut_into_whole_blocks_however_it_comes(drive: Drive) -> None:
    sizes = (1, 65_535, 65_536, 10, 0, 200_000, 65_526, 5 * 1024 * 1024, 70_000, 3)

    async def pieces() -> AsyncIterator[bytes]:
        for index, size in enumerate(sizes):
            yield bytes([index]) * size

    await drive.put_stream("/streamed", pieces())

    blobs = (await drive._contents()).core
    assert await drive.get("/streamed") == b"".join(bytes([index]) * size for index, size in enumerate(sizes))
    assert {len(await blobs.get(index)) for index in range(blobs.length - 1)} == {65_536}


async def test_a_stream_that_breaks_off_leaves_the_drive_as_it_was(drive: Drive) -> None:
    await drive.put("/a", b"1")

    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(9 * 1024 * 1024)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await drive.put_stream("/streamed", pieces())
    await drive.put("/b", b"2")

    assert [entry.path async for entry in drive.list()] == ["/a", "/b"]
    assert (await drive.get("/a"), await drive.get("/b")) == (b"1", b"2")


async def test_where_the_contents_are_is_told_before_there_are_any(drive: Drive) -> None:
    await drive.put("/empty", b"")
    contents = (await drive._contents()).core
    assert (contents.length, (await drive.info()).blobs_key) == (0, contents.key)


@pytest.mark.parametrize("size", [100, 9 * 1024 * 1024])
async def test_a_full_disk_refuses_the_content_and_the_entry(drive: Drive, size: int) -> None:
    await drive.put("/a", b"1")
    writer = drive._core._log.store._writer.connection
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    before = await drive.info()

    async def fill() -> None:
        async with drive.batch() as batch:
            await batch.put("/b", bytes(size))
            await batch.put("/c", bytes(100_000))

    with pytest.raises(StoreError, match="full"):
        await fill()

    assert await drive.info() == before
    writer.execute(f"PRAGMA max_page_count = {pages + 10_000}")
    await drive.put("/b", b"2")
    assert [(entry.path, await drive.get(entry.path)) async for entry in drive.list()] == [("/a", b"1"), ("/b", b"2")]


async def test_a_batch_that_fails_leaves_the_drive_as_it_was(drive: Drive) -> None:
    await drive.put("/a", b"1")

    async def fail() -> None:
        async with drive.batch() as batch:
            await batch.put("/b", b"2")
            assert await batch.delete("/b")
            assert not await batch.delete("/b")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert [entry.path async for entry in drive.list()] == ["/a"]


async def test_earlier_versions_and_what_changed_between_them(drive: Drive) -> None:
    await drive.put("/kept", b"same")
    await drive.put("/changed", b"old")
    await drive.put("/gone", b"bye")
    before = drive.version
    await drive.put("/changed", b"new!")
    await drive.delete("/gone")
    await drive.put("/in/new", b"hi")

    changes = [(c.path, c.before and c.before.size, c.after and c.after.size) async for c in drive.diff(before)]
    assert changes == [("/changed", 3, 4), ("/gone", 3, None), ("/in/new", None, 2)]
    assert [c.path async for c in drive.diff(before, folder="/in")] == ["/in/new"]
    assert [c.path async for c in drive.diff(before, before + 1)] == ["/changed"]
    past = drive[before]
    assert [await past.get(path) for path in ("/changed", "/gone", "/in/new")] == [b"old", b"bye", None]
    assert not past.writable
    assert not isinstance(past, Drive)
    with pytest.raises(UsageError, match="has never been"):
        drive.checkout(drive.version + 1)


async def test_watching_gives_the_drive_before_and_after(drive: Drive) -> None:
    await drive.put("/a/file", b"1")
    watching = drive.watch("/a")
    step = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0)

    await drive.put("/elsewhere", b"x")
    await drive.put("/a/file", b"2")
    before, after = await asyncio.wait_for(step, 5)

    assert (await before.get("/a/file"), await after.get("/a/file")) == (b"1", b"2")


async def test_cleared_contents_are_gone_and_entries_stay(drive: Drive) -> None:
    await drive.put("/a", b"content")
    await drive.put("/b", b"other")

    assert await drive.clear("/a")
    assert not await drive.clear("/none")

    assert await drive.exists("/a")
    short = await Drive.open(drive._source.store, timeout=0.01)
    with pytest.raises(NotAvailable):
        await short.get("/a")
    assert await short.get("/b") == b"other"


async def test_a_copy_over_a_connection_and_only_its_author_writes(
    drive: Drive, store: Corestore, tmp_path: Path
) -> None:
    async with drive.batch() as batch:
        for index in range(100):
            await batch.put(f"/folder/{index:03}", b"%d" % index * 50)
    server = await listen("127.0.0.1", 0, store.replicate)
    async with Corestore(tmp_path / "copy") as elsewhere, await Drive.open(elsewhere, drive.key, timeout=5) as copy:
        elsewhere.replicate(await connect("127.0.0.1", server.port))
        assert await copy.update()

        assert await copy.get("/folder/042") == b"42" * 50
        for download in await copy.download("/folder"):
            await download.done(timeout=5)
        assert len([entry async for entry in copy.list()]) == 100
        assert copy.version == drive.version
        with pytest.raises(NotWritable):
            await copy.put("/mine", b"")
    await server.close()


@pytest.mark.parametrize("path", ["/", "", "..", "/a/..", "x" * (MAX_PATH + 1)])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError):
        normalize(path)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"{",
        b'{"a":"\xff"}',
        b"[" * 10_000,
        b'{"blob":{}}',
        b'{"blob":{"blockOffset":-1,"blockLength":0,"byteOffset":0,"byteLength":0}}',
    ],
)
async def test_an_entry_that_is_none_is_the_authors_fault(drive: Drive, value: bytes) -> None:
    await drive._bee.put(b"files\x00/a", value)

    with pytest.raises(DecodeError):
        await drive.entry("/a")


@pytest.mark.parametrize("metadata", [{1, 2}, float("nan"), b"bytes"])
async def test_metadata_that_json_cannot_say_is_refused(drive: Drive, metadata: Any) -> None:
    with pytest.raises(UsageError, match="Metadata"):
        await drive.put("/a", b"", metadata=metadata)
    with pytest.raises(UsageError, match="is bytes, not str"):
        await drive.put("/a", "text")  # type: ignore[arg-type]


paths = st.sampled_from(["/a", "/b", "/a/b", "/a/c", "/a/c/d", "/z"])
contents = st.binary(max_size=20)
steps = st.lists(
    st.tuples(st.just("put"), paths, contents)
    | st.tuples(st.just("link"), paths, paths)
    | st.tuples(st.sampled_from(["delete", "clear", "reopen"]), paths, st.just(b""))
    | st.tuples(st.just("batch"), st.just(""), st.lists(st.tuples(paths, st.none() | contents), max_size=12)),
    max_size=20,
)


@given(steps)
@settings(max_examples=30)
def test_any_changes_equal_those_of_a_dictionary(all_steps: list[tuple[str, str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_compare(Path(folder), all_steps))


Plain = dict[str, tuple[str, int] | str]  # a link is its target; a file is the number of its content
Contents = list[bytes | None]


async def _compare(folder: Path, all_steps: list[tuple[str, str, Any]]) -> None:
    files: Plain = {}
    contents: Contents = []
    history: dict[int, Plain] = {0: {}, 1: {}}

    def put(path: str, data: bytes) -> None:
        contents.append(data)
        files[path] = ("file", len(contents) - 1)

    store = Corestore(folder, PRIMARY)
    await store.open()
    drive = await Drive.open(store, timeout=0.01)
    for step, path, argument in all_steps:
        if step == "put":
            await drive.put(path, argument)
            put(path, argument)
        elif step == "link":
            await drive.symlink(path, argument)
            files[path] = argument
        elif step == "delete":
            assert await drive.delete(path) == (files.pop(path, None) is not None)
        elif step == "clear":
            there = files.get(path)
            assert await drive.clear(path) == isinstance(there, tuple)
            if isinstance(there, tuple) and contents[there[1]]:
                contents[there[1]] = None
        elif step == "reopen":
            await store.close()
            await store.open()
            drive = await Drive.open(store, timeout=0.01)
        else:
            version = max(drive.version, 1)
            async with drive.batch() as batch:
                for one, data in argument:
                    if data is not None:
                        await batch.put(one, data)
                        put(one, data)
                    elif await batch.delete(one):
                        del files[one]
                    else:
                        continue
                    version += 1
                    history[version] = dict(files)
        history[drive.version] = dict(files)
    for version in range(drive.version + 1):
        await _check(drive[version], history[version], contents)
    for version, then in history.items():
        expected = {path for path in then.keys() | files.keys() if then.get(path) != files.get(path)}
        assert {change.path async for change in drive.diff(version)} >= expected
    await store.close()


async def _check(past: DriveView, then: Plain, contents: Contents) -> None:
    found = {entry.path: entry async for entry in past.list()}
    assert found.keys() == then.keys()
    for path, plain in then.items():
        if isinstance(plain, str):
            assert found[path].linkname == plain
        elif contents[plain[1]] is None:
            with pytest.raises(NotAvailable):
                await past.get(path)
        else:
            assert await past.get(path) == contents[plain[1]]
    names = {posixpath.relpath(path, "/").split("/")[0] for path in then}
    assert {name async for name in past.readdir()} == names


async def test_two_who_have_the_same_drive_open_may_write_at_once(store: Corestore) -> None:
    async def pieces(letter: bytes) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield letter * (4 * 1024 * 1024)

    drives = [await Drive.open(store) for _ in range(2)]
    await asyncio.gather(*(drives[n % 2].put(f"/{n}", b"%d" % n * 100_000) for n in range(20)))
    await asyncio.gather(*(drive.put_stream(f"/big {n}", pieces(b"%d" % n)) for n, drive in enumerate(drives)))

    assert [await drives[0].get(f"/{n}") for n in range(20)] == [b"%d" % n * 100_000 for n in range(20)]
    assert [await drives[0].get(f"/big {n}") for n in range(2)] == [b"%d" % n * (12 * 1024 * 1024) for n in range(2)]
    assert len([entry async for entry in drives[0].list()]) == 22


async def test_a_batch_may_be_filled_from_many_tasks(drive: Drive) -> None:
    async with drive.batch() as batch:
        await asyncio.gather(*(batch.put(f"/{n}", b"%d" % n * 1024 * 1024) for n in range(20)))

    assert [await drive.get(f"/{n}") for n in range(20)] == [b"%d" % n * 1024 * 1024 for n in range(20)]


async def test_a_drive_opened_from_another_loop_lives_on_that_of_its_store(store: Corestore) -> None:
    async def use() -> tuple[str, bytes | None]:
        async with await Drive.open(store) as drive:
            await drive.put("/a", b"from afar")
            return drive.id, await drive.get("/a")

    here = await Drive.open(store)
    assert await asyncio.to_thread(asyncio.run, use()) == (here.id, b"from afar")
    assert await here.get("/a") == b"from afar"


async def test_a_file_or_a_folder_is_restored_without_its_content_written_again(drive: Drive) -> None:
    await drive.put("/runs/a", b"first", executable=True, metadata={"by": "hand"})
    await drive.put("/runs/b", b"b")
    await drive.symlink("/runs/link", "/runs/a")
    await drive.put("/other", b"other")
    then = drive.version
    await drive.put("/runs/a", b"second")
    await drive.delete("/runs/b")
    await drive.put("/runs/new", b"new")
    await drive.put("/other", b"changed")
    before = (await drive.info()).byte_length

    assert await drive.restore("/runs/b", then) == 1
    assert await drive.get("/runs/b") == b"b"
    assert await drive.restore("/runs", then) == 2
    assert [entry.path async for entry in drive.list("/runs")] == ["/runs/a", "/runs/b", "/runs/link"]
    restored = await drive.entry("/runs/a")
    assert restored
    assert (restored.executable, restored.metadata) == (True, {"by": "hand"})
    assert await drive.get("/runs/link") == b"first"
    assert await drive.get("/other") == b"changed"
    assert await drive.restore("/", then) == 1
    assert await drive.get("/other") == b"other"
    version = drive.version
    assert await drive.restore("/", then) == 0
    assert drive.version == version
    assert (await drive.info()).byte_length - before < 2_000  # entries alone
    with pytest.raises(UsageError, match="There is no /nothing in version"):
        await drive.restore("/nothing", then)
    with pytest.raises(UsageError, match="version"):
        await drive.restore("/runs", version + 1)


async def test_what_of_a_file_is_stored_here_is_counted(drive: Drive) -> None:
    await drive.put("/big", bytes(1_000_000))
    await drive.put("/empty", b"")
    big, empty = await drive.entry("/big"), await drive.entry("/empty")
    assert big
    assert empty
    assert await drive.stored(big) == (16, 16)
    assert await drive.stored(empty) == (0, 0)
    await drive.clear("/big")
    assert await drive.stored(big) == (0, 16)
    await drive.put("/other", bytes(1_000_000))
    other = await drive.entry("/other")
    assert other
    assert await drive.clear("/")
    assert await drive.stored(other) == (0, 16)
