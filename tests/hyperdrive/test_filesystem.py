"""`linkup://`, as pandas and fsspec use it; fsspec's own tests are in `test_filesystem_abstract.py`."""

import asyncio
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest

from linkup_nb.errors import DriveUnreachable, NodeClosed, NotWritable, UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.events import BlockRequested, LogEvent
from linkup_nb.hyperdrive import place
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import FILES
from linkup_nb.hyperdrive.filesystem import MAX_SPOOL, DriveFileSystem
from linkup_nb.wire.keys import z32encode
from tests.hyperdrive.conftest import BIG, OpenStore, meet
from tests.hyperdrive.threads import LoopThread

NOBODY = z32encode(b"\x07" * 32)

# What users type


def test_pandas_finds_the_protocol_by_itself_and_is_told_what_to_do() -> None:
    code = f"import pandas as pd; pd.read_csv('linkup://{NOBODY}/a.csv')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip().splitlines()[-1].startswith("linkup_nb.errors.UsageError: No store of drives is open")
    assert "lu.start()" in done.stderr


def test_pandas_writes_and_reads_tables(url: str, drive: Drive) -> None:
    table = pd.DataFrame({"n": range(3), "word": ["a", "é", "c"]})
    for name in ("a.csv", "deep/er/a.csv.gz"):
        table.to_csv(f"{url}/{name}", index=False)
        assert pd.read_csv(f"{url}/{name}").equals(table)
    table.to_json(f"{url}/a.json", orient="records", lines=True)
    assert pd.read_json(f"{url}/a.json", orient="records", lines=True).equals(table)


def test_a_version_of_the_past_is_read_by_its_number(url: str, drive: Drive, fs: DriveFileSystem) -> None:
    for rows in range(3):
        pd.DataFrame({"n": range(rows)}).to_csv(f"{url}/a.csv", index=False)
    fs.rm(f"{url}/a.csv")

    assert [len(pd.read_csv(f"{url}+{version}/a.csv")) for version in (2, 3, 4)] == [0, 1, 2]
    assert fs.ls(f"{url}+4", detail=False) == [f"{drive.id}+4/a.csv"]
    assert fs.ls(f"{url}+5") == fs.ls(url) == fs.ls(f"{url}+0") == []
    with pytest.raises(FileNotFoundError, match=r"a\.csv"):
        pd.read_csv(f"{url}+5/a.csv")
    with pytest.raises(UsageError, match="the newest version known here is 5"):
        fs.ls(f"{url}+6")


def test_a_key_may_be_hexadecimal(url: str, drive: Drive, fs: DriveFileSystem) -> None:
    fs.pipe(f"{url}/a", b"x")
    assert fs.ls(f"linkup://{drive.key.hex()}", detail=False) == [f"{drive.key.hex()}/a"]
    assert fs.cat(f"linkup://{drive.key.hex()}+2/a") == b"x"


@pytest.mark.parametrize("address", ["", "nokey/a", NOBODY + "+/a", NOBODY + "+x/a", NOBODY + "+-1/a", NOBODY + "+²/a"])
def test_what_names_no_drive_gets_a_sentence(fs: DriveFileSystem, address: str) -> None:
    with pytest.raises(UsageError, match=r"linkup://KEY|A key is 32 bytes"):
        fs.cat(f"linkup://{address}")


# Where drives are looked for


def test_the_store_that_can_write_a_drive_is_used_then_one_that_knows_it(
    open_store: OpenStore, thread: LoopThread
) -> None:
    reader, other, author = (open_store(name) for name in ("reader", "other", "author"))
    drive = thread.call(Drive.open(author))
    fs = fsspec.filesystem("linkup")
    fs.pipe(f"{drive.id}/a", b"written")
    assert fs.cat(f"{drive.id}/a") == b"written"

    thread.call(meet(author, other))
    assert fsspec.filesystem("linkup", store=other).cat(f"{drive.id}/a") == b"written"
    thread.call(author.close())
    assert fs.cat(f"{drive.id}/a") == b"written"
    assert reader.cores == ()


def test_a_store_may_be_named_and_then_no_other_is_looked_at(open_store: OpenStore, thread: LoopThread) -> None:
    drive = thread.call(Drive.open(open_store("author")))
    named = {"store": open_store("reader"), "timeout": 0.1}
    pd.DataFrame({"n": [1]}).to_csv(f"linkup://{drive.id}/a.csv")
    with pytest.raises(DriveUnreachable):
        pd.read_csv(f"linkup://{drive.id}/a.csv", storage_options=named)


def test_a_store_that_was_closed_and_opened_again_is_used_again(
    url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread
) -> None:
    fs.pipe(f"{url}/a", b"x")
    thread.call(drive._source.store.close())
    with pytest.raises(UsageError, match="No store of drives is open"):
        fs.cat(f"{url}/a")
    thread.call(drive._source.store.open())
    assert fs.cat(f"{url}/a") == b"x"


def test_closed_stores_are_forgotten(open_store: OpenStore, thread: LoopThread) -> None:
    fs = fsspec.filesystem("linkup")
    first = open_store("first")
    fs.ls(thread.call(Drive.open(first)).id)
    assert first in place._open
    thread.call(first.close())
    second = open_store("second")
    fs.ls(thread.call(Drive.open(second)).id)
    assert list(place._open) == [second]


def test_an_encrypted_drive_needs_its_key(open_store: OpenStore, thread: LoopThread) -> None:
    store = open_store()
    drive = thread.call(Drive.open(store, encryption_key=b"k" * 32))
    fs = fsspec.filesystem("linkup", encryption_key=b"k" * 32)
    fs.pipe(f"{drive.id}/a", b"secret")
    assert fs.cat(f"{drive.id}/a") == thread.call(drive.get("/a")) == b"secret"


async def test_a_store_on_the_loop_that_would_wait_for_it_gets_a_sentence(tmp_path: Path) -> None:
    async with Corestore(tmp_path) as store:
        drive = await Drive.open(store)
        await drive.put("/a.csv", b"n\n1\n")
        with pytest.raises(UsageError, match=r"asyncio\.to_thread"):
            pd.read_csv(f"linkup://{drive.id}/a.csv")

        table = await asyncio.to_thread(pd.read_csv, f"linkup://{drive.id}/a.csv")
        fs = fsspec.filesystem("linkup", asynchronous=True)
        assert list(table.n) == [1]
        assert await fs._cat_file(f"{drive.id}/a.csv") == b"n\n1\n"


def test_a_store_whose_loop_stands_still_gets_a_sentence(tmp_path: Path) -> None:
    async def opened() -> Corestore:
        store = Corestore(tmp_path)
        await store.open()
        return store

    loop = asyncio.new_event_loop()
    store = loop.run_until_complete(opened())
    with pytest.raises(UsageError, match="does not run"):
        DriveFileSystem(store=store).ls(NOBODY)
    loop.run_until_complete(store.close())
    loop.close()


async def test_a_store_on_another_thread_is_read_inside_of_async_code(url: str, fs: DriveFileSystem) -> None:
    fs.pipe(f"{url}/a.csv", b"n\n1\n")
    there = fsspec.filesystem("linkup", asynchronous=True)
    assert list(pd.read_csv(f"{url}/a.csv").n) == [1]
    assert await asyncio.gather(*(there._cat_file(f"{url}/a.csv", start) for start in range(3))) == [
        b"n\n1\n",
        b"\n1\n",
        b"1\n",
    ]


def test_many_threads_read_and_write_at_once(url: str, drive: Drive) -> None:
    def work(number: int) -> bytes:
        fs = fsspec.filesystem("linkup")
        for turn in range(5):
            fs.pipe(f"{url}/{number}", b"%d %d" % (number, turn) * 20_000)
        with fs.open(f"{url}/{number}") as file:
            return bytes(file.read())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(16))) == [b"%d 4" % number * 20_000 for number in range(16)]
    assert drive.version == 1 + 16 * 5


def test_a_read_ends_when_its_store_is_closed_meanwhile(drive: Drive, far: Corestore, thread: LoopThread) -> None:
    thread.call(drive.clear("/big"))
    fs = fsspec.filesystem("linkup", store=far, timeout=20)
    assert fs.size(f"{drive.id}/big") == len(BIG)

    asked = threading.Event()

    def listener(event: LogEvent) -> None:
        if isinstance(event, BlockRequested):
            asked.set()

    async def listen() -> None:
        core = (await (await Drive.open(far, drive.key))._contents()).core
        core._log.listeners.add(listener)

    thread.call(listen())
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(fs.cat, f"{drive.id}/big")
        assert asked.wait(5)
        thread.call(far.close())
        with pytest.raises(NodeClosed, match="The store was closed"):
            reading.result(5)


# Writing


def test_somebody_elses_drive_and_the_past_cannot_be_written(
    url: str, drive: Drive, far: Corestore, fs: DriveFileSystem
) -> None:
    theirs = fsspec.filesystem("linkup", store=far)
    changes: list[Callable[[DriveFileSystem, str], object]] = [
        lambda fs, url: fs.pipe(f"{url}/a", b"x"),
        lambda fs, url: fs.open(f"{url}/a", "wb"),
        lambda fs, url: fs.rm(f"{url}/big"),
        lambda fs, url: fs.cp(f"{url}/big", f"{url}/b"),
        lambda fs, url: fs.put(__file__, f"{url}/b"),
    ]
    for there, where, sentence in ((theirs, url, "only its author"), (fs, f"{url}+2", "the past")):
        for change in changes:
            with pytest.raises(NotWritable, match=sentence):
                change(there, where)
    assert drive.version == 2


def test_what_is_written_is_there_when_the_file_is_closed(url: str, drive: Drive, fs: DriveFileSystem) -> None:
    piece = os.urandom(1024 * 1024)
    with fs.open(f"{url}/big", "wb") as file:
        for _ in range(MAX_SPOOL // len(piece) * 3):
            file.write(piece)
        assert (fs.exists(f"{url}/big"), drive.version) == (False, 0)
    assert fs.cat(f"{url}/big") == piece * (MAX_SPOOL // len(piece) * 3)
    assert drive.version == 2


def test_two_files_may_be_written_at_once(url: str, fs: DriveFileSystem) -> None:
    with fs.open(f"{url}/a", "wb", block_size=1024) as a, fs.open(f"{url}/b", "wb", block_size=1024) as b:
        for _ in range(10):
            a.write(b"a" * 2000)
            b.write(b"b" * 2000)
    assert fs.cat([f"{url}/a", f"{url}/b"]) == {f"{url[9:]}/a": b"a" * 20_000, f"{url[9:]}/b": b"b" * 20_000}


def test_files_open_in_every_mode_that_makes_sense(url: str, fs: DriveFileSystem) -> None:
    with fs.open(f"{url}/a", "w", encoding="utf-8", newline="\r\n") as file:
        file.write("é\nb\n")
    assert fs.cat(f"{url}/a") == "é\r\nb\r\n".encode()
    for _ in range(2):
        with fs.open(f"{url}/a", "ab") as file:
            file.write(b"more")
    with fs.open(f"{url}/new", "a") as file:
        file.write("new")
    with fsspec.open(f"{url}/a", "r", encoding="utf-8") as file:
        assert list(file) == ["é\n", "b\n", "moremore"]
    with fs.open(f"{url}/x", "xb") as file:
        file.write(b"x")
    with pytest.raises(FileExistsError, match="is there already"):
        fs.open(f"{url}/x", "xb")
    with pytest.raises(NotImplementedError):
        fs.open(f"{url}/x", "r+b")
    for missing in ("no", ""):
        with pytest.raises((FileNotFoundError, IsADirectoryError)):
            fs.open(f"{url}/{missing}")
    assert fs.cat_file(f"{url}/new") == b"new"


def test_a_transaction_writes_all_or_nothing(url: str, drive: Drive, fs: DriveFileSystem) -> None:
    with fs.transaction, fs.open(f"{url}/a", "wb") as file:
        file.write(b"a")

    def fail() -> None:
        with fs.transaction:
            fs.pipe(f"{url}/c", b"at once")
            with fs.open(f"{url}/b", "wb") as file:
                file.write(b"b")
            raise io.UnsupportedOperation

    with pytest.raises(io.UnsupportedOperation):
        fail()
    assert (fs.ls(url, detail=False), drive.version) == ([f"{drive.id}/a", f"{drive.id}/c"], 3)


def test_a_folder_is_removed_at_once_and_a_missing_file_removes_nothing(
    url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread
) -> None:
    fs.pipe({f"{url}/f/{n}": b"" for n in range(20)} | {f"{url}/a": b"", f"{url}/b": b""})
    with pytest.raises(FileNotFoundError, match=r"linkup://.*/missing"):
        fs.rm([f"{url}/a", f"{url}/missing"])
    assert fs.exists(f"{url}/a")
    with pytest.raises(FileNotFoundError):
        fs.rm(f"{url}/f")

    before = drive.version
    fs.rm(f"{url}/f", recursive=True)
    assert fs.ls(url, detail=False) == [f"{drive.id}/a", f"{drive.id}/b"]
    assert drive.version == before + 20

    async def appends() -> list[int]:
        return [len(block) for block in [await drive._core.get(drive.version - 1)]]

    assert thread.call(appends())


def test_files_are_copied_and_moved_with_what_is_known_of_them(
    url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread
) -> None:
    thread.call(drive.put("/tool", b"#!", executable=True, metadata={"by": "me"}))
    fs.mv(f"{url}/tool", f"{url}/bin/tool")
    fs.mkdir(f"{url}/empty")
    fs.makedirs(f"{url}/empty/too", exist_ok=True)
    fs.cp(f"{url}/bin", f"{url}/copy", recursive=True)

    about = fs.info(f"{url}/copy/tool")
    assert (about["size"], about["executable"], about["metadata"]) == (2, True, {"by": "me"})
    assert fs.find(url) == [f"{drive.id}/bin/tool", f"{drive.id}/copy/tool"]
    assert not fs.exists(f"{url}/empty")


def test_files_come_and_go_with_their_executable_bit(url: str, fs: DriveFileSystem, tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(b"#!")
    (tmp_path / "tool").chmod(0o755)
    fs.put(str(tmp_path / "tool"), f"{url}/tool")
    fs.get(f"{url}/tool", str(tmp_path / "new" / "tool"))
    assert fs.info(f"{url}/tool")["executable"]
    assert os.access(tmp_path / "new" / "tool", os.X_OK)


# What is there


def test_folders_are_walked(url: str, drive: Drive, fs: DriveFileSystem) -> None:
    fs.pipe({f"{url}{path}": b"x" for path in ("/a/b/c", "/a/b.txt", "/a/d", "/a.csv", "/b.csv", "/a-/x")})
    root = drive.id
    assert sorted(fs.ls(f"{url}/a", detail=False)) == [f"{root}/a/b", f"{root}/a/b.txt", f"{root}/a/d"]
    assert fs.glob(f"{url}/*.csv") == [f"{root}/a.csv", f"{root}/b.csv"]
    assert fs.glob(f"{url}/**/[cd]") == [f"{root}/a/b/c", f"{root}/a/d"]
    assert [(path, sorted(folders), sorted(files)) for path, folders, files in fs.walk(f"{url}/a")] == [
        (f"{root}/a", ["b"], ["b.txt", "d"]),
        (f"{root}/a/b", [], ["c"]),
    ]
    assert (fs.isdir(f"{url}/a"), fs.isfile(f"{url}/a"), fs.isfile(f"{url}/a.csv")) == (True, False, True)
    assert fs.du(url) == 6
    assert fs.ls(f"{url}/a.csv") == [fs.info(f"{url}/a.csv")]
    with pytest.raises(FileNotFoundError):
        fs.ls(f"{url}/nothing")


def test_a_large_folder_and_one_of_folders_are_listed_whole(url: str, drive: Drive, thread: LoopThread) -> None:
    async def fill() -> None:
        async with drive.batch() as batch:
            for n in range(600):
                await batch.put(f"/flat/{n:03}", b"")
                await batch.put(f"/nested/{n:03}/{n % 7}", b"")
                await batch.put(f"/nested/{n:03}/x/y", b"")

    thread.call(fill())
    fs = fsspec.filesystem("linkup")
    for folder, kind in (("flat", "file"), ("nested", "directory")):
        found = fs.ls(f"{url}/{folder}")
        assert [about["name"] for about in found] == [f"{drive.id}/{folder}/{n:03}" for n in range(600)]
        assert {about["type"] for about in found} == {kind}


def test_symbolic_links_are_followed(url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread) -> None:
    thread.call(drive.put("/a/file", b"content"))
    thread.call(drive.symlink("/a/link", "file"))
    thread.call(drive.symlink("/broken", "/nowhere"))
    link, broken = fs.info(f"{url}/a/link"), fs.info(f"{url}/broken")
    assert (link["type"], link["size"], link["islink"], link["destination"]) == ("file", 7, True, "file")
    assert (broken["type"], broken["size"], fs.isfile(f"{url}/broken")) == ("link", 0, False)
    assert fs.cat(f"{url}/a/link") == b"content"
    with pytest.raises(FileNotFoundError):
        fs.cat(f"{url}/broken")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"created": "2026-05-01T10:00:00+00:00", "mtime": 1_777_777_777_000}, (2026, 5, 1)),
        ({"birthtime": 1_777_600_000_000, "modified": "2026-05-03T03:09:37Z"}, (2026, 5, 1)),
    ],
)
def test_the_metadata_may_tell_when(
    url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread, metadata: Any, expected: tuple[int, int, int]
) -> None:
    thread.call(drive.put("/a", b"", metadata=metadata))
    assert fs.created(f"{url}/a").timetuple()[:3] == expected
    assert fs.modified(f"{url}/a") == datetime(2026, 5, 3, 3, 9, 37, tzinfo=UTC)


@pytest.mark.parametrize("metadata", [None, "x", [1], {}, {"mtime": None}, {"mtime": "soon"}, {"mtime": 10**400}])
def test_a_file_whose_metadata_does_not_tell_is_of_1970(
    url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread, metadata: Any
) -> None:
    thread.call(drive.put("/a", b"", metadata=metadata))
    assert fs.modified(f"{url}/a") == fs.created(f"{url}/a") == datetime(1970, 1, 1, tzinfo=UTC)


def test_names_that_lead_out_of_a_folder_are_not_there(
    url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread, tmp_path: Path
) -> None:
    async def write() -> None:
        await drive.put("/a/good", b"good")
        value = (await drive.bee.get(FILES + b"/a/good")).value  # type: ignore[union-attr]
        for name in (b"/a/../../evil", b"/a/..", b"/a/./x", b"/a//x", b"/../evil", b"/a/b\\..\\..\\evil", b"x"):
            await drive.bee.put(FILES + name, value or b"")

    thread.call(write())
    assert fs.find(url) == [f"{drive.id}/a/good"]
    fs.get(url, str(tmp_path / "in" / "side"), recursive=True)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and "mine" not in path.parts] == ["good"]


def test_what_changes_changes_the_fingerprint(url: str, fs: DriveFileSystem) -> None:
    fs.pipe({f"{url}/a": b"1", f"{url}/b": b"1"})
    a, b = fs.ukey(f"{url}/a"), fs.ukey(f"{url}/b")
    fs.pipe(f"{url}/a", b"2")
    assert fs.ukey(f"{url}/a") != a
    assert fs.ukey(f"{url}/b") == b


def test_many_files_are_written_at_once_or_none_of_them(url: str, fs: DriveFileSystem, tmp_path: Path) -> None:
    fs.pipe({f"{url}/many/{number}": str(number).encode() for number in range(100)})
    with pytest.raises(UsageError, match="A path has at most"):
        fs.pipe({f"{url}/more": b"1", f"{url}/{'x' * 5000}": b"2"})
    with pytest.raises(FileExistsError):
        fs.pipe({f"{url}/more": b"1", f"{url}/many/7": b"2"}, mode="create")
    assert (len(fs.ls(f"{url}/many")), fs.cat(f"{url}/many/42")) == (100, b"42")
    assert not fs.exists(f"{url}/more")
