"""`linkup://` as other programs use it: other processes, DuckDB, transactions, and names that look like patterns."""

import multiprocessing
import os
import pickle
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pandas as pd
import pytest

from linkup_nb.errors import StoreError, UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import FILES
from linkup_nb.hyperdrive.filesystem import DriveFileSystem
from tests.hyperdrive.conftest import OpenStore
from tests.hyperdrive.threads import LoopThread

PATIENCE = 60  # seconds, of which a new process takes a few

# Other processes


def ask(context: BaseContext, work: Callable[..., Any], *arguments: Any) -> Any:
    """The answer of another process, or what it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, which is what is tested
        with context.Pool(1) as pool:
            return pool.apply_async(work, arguments).get(PATIENCE)


@pytest.mark.parametrize("kind", ["fork", "spawn"])
def test_pandas_in_another_process_is_told_at_once_where_the_drive_is(url: str, drive: Drive, kind: str) -> None:
    fsspec.filesystem("linkup").pipe(f"{url}/a.csv", b"n\n1\n")

    with pytest.raises(UsageError, match="opened in another process is read there"):
        ask(multiprocessing.get_context(kind), pd.read_csv, f"{url}/a.csv")
    assert list(pd.read_csv(f"{url}/a.csv").n) == [1]


def _read(file: Any) -> bytes:
    return bytes(file.read())


def _get(drive: Drive) -> bytes | None:
    import asyncio

    return asyncio.run(drive.get("/a"))


def _cat(fs: DriveFileSystem, path: str) -> bytes:
    return bytes(fs.cat_file(path))


def _read_with(store: Corestore, path: str) -> Any:
    return pd.read_csv(path, storage_options={"store": store})


INHERITED: dict[str, Any] = {}


def _inherited(name: str) -> Any:
    return INHERITED[name]()


def test_what_a_fork_inherits_says_that_it_belongs_to_the_other_process(url: str, drive: Drive) -> None:
    fs = fsspec.filesystem("linkup")
    fs.pipe(f"{url}/a", b"n\n1\n")
    store = drive._source.store
    INHERITED.update(
        file=partial(_read, fs.open(f"{url}/a")),
        fs=partial(_cat, fs, f"{url}/a"),
        drive=partial(_get, drive),
        store=partial(_read_with, store, f"{url}/a"),
    )

    for name in INHERITED:
        with pytest.raises(UsageError, match=rf"was made in process {os.getpid()},.* fork"):
            ask(multiprocessing.get_context("fork"), _inherited, name)
    INHERITED.clear()


def _write_and_read(folder: Path) -> bytes:
    """What a fork does with a store of its own."""
    import asyncio

    async def work() -> bytes | None:
        async with Corestore(folder) as store:
            drive = await Drive.open(store)
            await drive.put("/a", b"of the fork")
            fs = fsspec.filesystem("linkup")
            return await asyncio.to_thread(fs.cat_file, f"{drive.id}/a")

    return asyncio.run(work()) or b""


def test_a_fork_may_have_a_store_of_its_own(drive: Drive, tmp_path: Path) -> None:
    assert ask(multiprocessing.get_context("fork"), _write_and_read, tmp_path / "fork") == b"of the fork"


def test_a_pickled_file_is_the_version_at_which_it_was_opened(url: str, fs: DriveFileSystem) -> None:
    fs.pipe({f"{url}/a": b"0123456789", f"{url}/b": b""})
    with fs.open(f"{url}/a") as file:
        assert file.read(4) == b"0123"
        pickled = pickle.dumps(file)
        fs.pipe(f"{url}/a", b"abcdefghij")
        for _ in range(2):
            with pickle.loads(pickled) as again:
                assert (again.tell(), again.size, again.read()) == (4, 10, b"456789")
            fs.rm(f"{url}/a", recursive=True) if fs.exists(f"{url}/a") else None
        assert file.read() == b"456789"


def test_what_cannot_be_pickled_says_so(url: str, drive: Drive, fs: DriveFileSystem) -> None:
    certain = fsspec.filesystem("linkup", store=drive._source.store)
    with pytest.raises(UsageError, match="certain store cannot be pickled"):
        pickle.dumps(certain)
    with fs.open(f"{url}/a", "wb") as file, pytest.raises(UsageError, match="being written cannot be pickled"):
        pickle.dumps(file)
    assert pickle.loads(pickle.dumps(fs)).cat(f"{url}/a") == b""


# DuckDB


def test_duckdb_reads_and_writes_parquet(url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread) -> None:
    with duckdb.connect() as database:
        database.register_filesystem(fs)
        database.execute(f"COPY (SELECT range AS n, 'row ' || range AS text FROM range(10000)) TO '{url}/t/a.parquet'")
        version = drive.version
        database.execute(f"COPY (SELECT range AS n, 'row' AS text FROM range(3)) TO '{url}/t/b.parquet'")
        for path, count in ((f"{url}/t/a.parquet", 10_000), (f"{url}/t/*.parquet", 10_003), (f"{url}/t/b.parquet", 3)):
            assert database.execute(f"SELECT count(n) FROM read_parquet('{path}')").fetchone() == (count,)
        past = f"{url}+{version}/t/*.parquet"
        assert database.execute(f"SELECT max(n) FROM read_parquet('{past}')").fetchone() == (9999,)
    assert fs.modified(f"{url}/t/a.parquet") == datetime(1970, 1, 1, tzinfo=UTC)


# Names that look like patterns


def test_the_file_that_is_named_is_removed_and_no_other(url: str, drive: Drive, fs: DriveFileSystem) -> None:
    names = ("a[1].csv", "a1.csv", "a?.csv", "ab.csv", "*", "{a,b}")
    for remove in (fs.rm_file, fs.rm, lambda path: fs.rm([path]), lambda path: fs.rm(path, recursive=True)):
        for name in names:
            fs.pipe({f"{url}/{one}": one.encode() for one in names})
            remove(f"{url}/{name}")
            assert sorted(fs.ls(url, detail=False)) == sorted(f"{drive.id}/{one}" for one in names if one != name)
    with pytest.raises(FileNotFoundError):
        fs.rm_file(f"{url}/{name}")


@pytest.mark.parametrize("name", ["a[1].csv", "a?.csv", "*.csv"])
def test_the_file_that_is_named_is_read_copied_and_fetched(
    url: str, drive: Drive, fs: DriveFileSystem, tmp_path: Path, name: str
) -> None:
    fs.pipe({f"{url}/{one}": one.encode() for one in ("a1.csv", "ab.csv", name)})

    assert fs.cat(f"{url}/{name}") == name.encode()
    assert fs.expand_path(f"{url}/{name}") == [f"{drive.id}/{name}"]
    fs.cp(f"{url}/{name}", f"{url}/copy.csv")
    assert fs.cat(f"{url}/copy.csv") == name.encode()
    fs.mv(f"{url}/copy.csv", f"{url}/in/{name}")
    fs.mv(f"{url}/in/{name}", f"{url}/moved.csv")
    assert (fs.cat(f"{url}/moved.csv"), fs.find(f"{url}/in")) == (name.encode(), [])
    fs.get(f"{url}/{name}", str(tmp_path / "got.csv"))
    assert (tmp_path / "got.csv").read_bytes() == name.encode()
    (tmp_path / "into").mkdir()
    fs.get(f"{url}/{name}", str(tmp_path / "into"))
    assert [path.name for path in (tmp_path / "into").iterdir()] == [name]
    assert fs.exists(f"{url}/a1.csv")
    assert fs.exists(f"{url}/ab.csv")


def test_a_pattern_that_names_no_file_is_still_one(url: str, drive: Drive, fs: DriveFileSystem) -> None:
    fs.pipe({f"{url}/{one}": b"" for one in ("a1.csv", "a2.csv", "b")})
    fs.rm(f"{url}/a[12].csv")
    assert fs.ls(url, detail=False) == [f"{drive.id}/b"]


# Transactions, and files that are written


def test_a_transaction_that_fails_shows_the_users_error_and_writes_nothing(
    url: str, drive: Drive, fs: DriveFileSystem
) -> None:
    def fail(close: bool) -> None:
        with fs.transaction:
            file = fs.open(f"{url}/a", "wb")
            file.write(b"1" * 10)
            other = fs.open(f"{url}/b", "wb")
            other.write(b"2" * 20_000_000)
            if close:
                file.close()
            raise ValueError("the user's")

    for close in (False, True):
        with pytest.raises(ValueError, match="the user's"):
            fail(close)
        assert drive.version == 0
    with fs.transaction:
        fs.open(f"{url}/a", "wb").write(b"left open")
    assert fs.cat(f"{url}/a") == b"left open"


def test_a_file_that_is_appended_to_begins_at_its_end(url: str, fs: DriveFileSystem) -> None:
    fs.pipe(f"{url}/a", b"12345")
    with fs.open(f"{url}/a", "ab") as file:
        assert file.tell() == 5
        assert file.write(b"67") == 2
        assert file.tell() == 7
    for name, size in (("a", 7), ("new", 0)):
        with fs.open(f"{url}/{name}", "ab") as file:
            assert file.tell() == size
    assert (fs.cat_file(f"{url}/a"), fs.cat_file(f"{url}/new")) == (b"1234567", b"")
    pd.DataFrame({"n": [1]}).to_csv(f"{url}/t.csv", index=False)
    pd.DataFrame({"n": [2]}).to_csv(f"{url}/t.csv", index=False, header=False, mode="a")
    assert list(pd.read_csv(f"{url}/t.csv").n) == [1, 2]


def test_a_pipe_is_not_waited_for(url: str, fs: DriveFileSystem, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match="no file"):
        fs.put(str(tmp_path / "pipe"), f"{url}/pipe")
    with pytest.raises(OSError, match="no file"):
        fs.put_file(str(tmp_path / "pipe"), f"{url}/pipe")
    assert not fs.exists(f"{url}/pipe")


# One odd entry among others


@pytest.mark.parametrize(
    "target", [".", "..", "/", "/odd", "odd", "", "../../..", "x" * 5000, "a\0", "/good/x", "folder"]
)
def test_a_folder_with_an_odd_link_is_listed(
    url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread, target: str
) -> None:
    fs.pipe({f"{url}/good": b"1", f"{url}/folder/x": b"2"})
    thread.call(drive.symlink("/odd", target))

    assert [(about["name"].partition("/")[2], about["type"]) for about in fs.ls(url)] == [
        ("folder", "directory"),
        ("good", "file"),
        ("odd", "link"),
    ]
    about = fs.info(f"{url}/odd")
    assert (about["type"], about["islink"], about["destination"], about["size"]) == ("link", True, target, 0)
    assert fs.find(url) == [f"{drive.id}/folder/x", f"{drive.id}/good", f"{drive.id}/odd"]
    assert (fs.isfile(f"{url}/odd"), fs.isdir(f"{url}/odd"), fs.exists(f"{url}/odd")) == (False, False, True)
    assert fs.du(url) == 2


def test_a_folder_with_what_is_no_entry_is_listed(
    url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread
) -> None:
    fs.pipe(f"{url}/good", b"1")
    thread.call(drive.bee.put(FILES + b"/bad", b"{"))
    thread.call(drive.symlink("/to bad", "bad"))

    kinds = {about["name"].partition("/")[2]: about["type"] for about in fs.ls(url)}
    assert kinds == {"bad": "other", "good": "file", "to bad": "link"}


def test_what_is_both_a_file_and_a_folder_is_a_folder_everywhere(
    url: str, drive: Drive, fs: DriveFileSystem, thread: LoopThread, tmp_path: Path
) -> None:
    fs.pipe({f"{url}/foo": b"file", f"{url}/foo-": b"", f"{url}/foo/bar": b"in it"})

    kinds = [(about["name"].partition("/")[2], about["type"]) for about in fs.ls(url)]
    assert kinds == [("foo", "directory"), ("foo-", "file")]
    assert (fs.isdir(f"{url}/foo"), fs.isfile(f"{url}/foo"), fs.info(f"{url}/foo")["type"]) == (
        True,
        False,
        "directory",
    )
    assert fs.ls(f"{url}/foo", detail=False) == [f"{drive.id}/foo/bar"]
    assert (fs.cat_file(f"{url}/foo"), fs.cat_file(f"{url}/foo/bar")) == (b"file", b"in it")

    async def names() -> list[str]:
        return [name async for name in drive.readdir()]

    assert thread.call(names()) == ["foo", "foo-"]
    with pytest.raises(UsageError, match="both a file and a folder"):
        fs.get(url, str(tmp_path / "got"), recursive=True)
    fs.cp(url, f"{url}/copy", recursive=True)
    assert fs.cat_file(f"{url}/copy/foo") == b"file"
    fs.rm(f"{url}/foo", recursive=True)
    assert not fs.exists(f"{url}/foo")


# The machine's faults


def test_a_fault_of_the_store_is_not_taken_for_an_answer(
    url: str, drive: Drive, fs: DriveFileSystem, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.pipe(f"{url}/f/a", b"1")

    async def broken(*_: object, **__: object) -> bytes:
        raise StoreError("The disk is gone.")

    monkeypatch.setattr(type(drive._core), "get", broken)
    drive._bee._blocks.clear()
    drive._bee._tree = None
    for ask_for in (fs.exists, fs.isfile, fs.isdir, fs.ls, fs.find, fs.glob, fs.cat, fs.rm, fs.modified):
        with pytest.raises(StoreError, match="The disk is gone"):
            ask_for(f"{url}/f/a")
