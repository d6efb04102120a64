"""Names, links and files that only one side can hold: skipped and counted, and the second mirror changes nothing."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from linkup_nb.errors import UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import FILES
from linkup_nb.hyperdrive.folder import Folder
from linkup_nb.hyperdrive.mirror import Action, Skipped, Step
from tests.hyperdrive.trees import bind, contents, fill, listed, snapshot

LEADS_OUT = "it leads out of the folder"
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def drive(tmp_path: Path) -> AsyncIterator[Drive]:
    async with Corestore(tmp_path / "store") as store, await Drive.open(store) as drive:
        yield drive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


# From a folder into a drive

ODD: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a named pipe": (lambda f: os.mkfifo(f / "odd"), "/odd", "it is a named pipe"),
    "a socket": (lambda f: bind(f / "odd"), "/odd", "it is a socket"),
    "a backslash": (
        lambda f: (f / "a\\b").write_bytes(b""),
        "/a\\b",
        "its name has a backslash, which a drive takes for a slash",
    ),
    "a folder with a backslash": (
        lambda f: fill(f, {"a\\b/c": b""}),
        "/a\\b",
        "its name has a backslash, which a drive takes for a slash",
    ),
    "a name that is not UTF-8": (
        lambda f: os.close(os.open(os.fsencode(f) + b"/\xff", os.O_CREAT)),
        "/\udcff",
        "its name is not UTF-8",
    ),
    "a link out by its steps": (lambda f: (f / "odd").symlink_to("../elsewhere"), "/odd", LEADS_OUT),
    "a link out by its root": (lambda f: (f / "odd").symlink_to("/etc/passwd"), "/odd", LEADS_OUT),
    "a link to what is beside the folder": (lambda f: (f / "odd").symlink_to(f"{f}-too"), "/odd", LEADS_OUT),
    "a target that is not UTF-8": (
        lambda f: os.symlink(b"\xff", os.fsencode(f / "odd")),
        "/odd",
        "its target is not UTF-8",
    ),
}


@pytest.mark.parametrize(("make", "path", "reason"), ODD.values(), ids=ODD)
async def test_what_no_drive_can_hold_is_skipped_and_counted(
    drive: Drive, folder: Path, make: Callable[[Path], object], path: str, reason: str
) -> None:
    fill(folder, {"before": b"1", "z/after": b"2"})
    make(folder)
    before = snapshot(folder)

    for turn in range(2):
        async with asyncio.timeout(20):
            steps = await drive.mirror_from(folder)
        assert [step.path for step in steps] == [["/before", "/z/after"], []][turn]
        assert steps.skipped == (Skipped(path, reason),)
        assert await drive.mirror_to(folder) == []
    assert await listed(drive) == {"/before": b"1", "/z/after": b"2"}
    assert snapshot(folder) == before
    assert reason in repr(steps)


async def test_a_path_that_is_too_long_for_a_drive_is_skipped(drive: Drive, folder: Path) -> None:
    fill(folder, {"b": b"1"})
    to = "/".join(["x" * 250] * 16)  # 4,015 bytes
    fill(folder, {"c" * 100: b"2"})

    steps = await drive.mirror_from(folder, to=to)

    assert [step.path for step in steps] == [f"/{to}/b"]
    assert steps.skipped == (Skipped(f"/{to}/{'c' * 100}", "its path is too long for a drive"),)


async def test_what_is_not_looked_into_is_not_deleted_from_the_drive(drive: Drive, folder: Path) -> None:
    fill(folder, {"pipe": b"1", "stays": b"2", "gone": b"3"})
    await drive.mirror_from(folder)
    for name in ("pipe", "gone"):
        (folder / name).unlink()
    os.mkfifo(folder / "pipe")

    for turn in range(2):
        assert await drive.mirror_from(folder) == [Step("/gone", Action.REMOVE, 0)][turn:]
        assert await listed(drive) == {"/pipe": b"1", "/stays": b"2"}
    steps = await drive.mirror_to(folder)
    assert (steps, [one.path for one in steps.skipped]) == ([], ["/pipe"])


def test_folders_and_files_that_are_locked_are_skipped_and_stay_in_the_drive(tmp_path: Path) -> None:
    """In a process of its own, which gives up root's rights."""
    code = """
import asyncio, os, sys
from pathlib import Path
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive

async def main(root):
    folder = root / "folder"
    for name in ("open", "file", "locked/in"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"1")
    async with Corestore(root / "store") as store:
        drive = await Drive.open(store)
        await drive.mirror_from(folder)
        (folder / "file").write_bytes(b"2")
        (folder / "file").chmod(0)
        (folder / "locked").chmod(0)
        for _ in range(2):
            steps = await drive.mirror_from(folder)
            print(list(steps), *steps.skipped)
        print([entry.path async for entry in drive.list()])
        print(list(await drive.mirror_to(folder, dry_run=True)))
        (folder / "locked").chmod(0o755)

if os.geteuid() == 0:
    os.chown(sys.argv[1], 65534, 65534)
    os.seteuid(65534)
asyncio.run(main(Path(sys.argv[1])))
"""
    with tempfile.TemporaryDirectory(prefix="lu-locked-") as root:
        done = subprocess.run([sys.executable, "-c", code, root], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    refused = "reason='this computer refuses it: Permission denied')"
    skipped = f"[] Skipped(path='/file', {refused} Skipped(path='/locked', {refused}"
    changed = "[Step(path='/file', action=<Action.CHANGE: 'change'>, size=1)]"
    assert done.stdout.splitlines() == [skipped, skipped, "['/file', '/locked/in', '/open']", changed]


async def test_a_file_that_vanishes_midway_is_skipped_and_counted(
    drive: Drive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, {name: bytes(100) for name in ("a", "b", "c")})
    opened = Folder.open

    def vanish(self: Folder, name: str) -> object:
        (folder / "b").unlink(missing_ok=True)
        return opened(self, name)

    monkeypatch.setattr(Folder, "open", vanish)
    steps = await drive.mirror_from(folder)

    assert [step.path for step in steps] == ["/a", "/c"]
    assert steps.skipped == (Skipped("/b", "this computer refuses it: No such file or directory"),)
    assert await drive.mirror_from(folder) == []


async def test_a_file_that_becomes_a_pipe_midway_is_skipped(
    drive: Drive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, {"a": b"1"})
    scan = Folder.scan

    def become(self: Folder) -> object:
        found = scan(self)
        (folder / "a").unlink()
        os.mkfifo(folder / "a")
        return found

    monkeypatch.setattr(Folder, "scan", become)
    async with asyncio.timeout(10):
        steps = await drive.mirror_from(folder)

    assert (steps, [one.path for one in steps.skipped]) == ([], ["/a"])


# From a drive into a folder


@pytest.mark.parametrize("size", [248, 250, 254, 255])
async def test_names_as_long_as_a_disk_allows(drive: Drive, folder: Path, size: int) -> None:
    for name in ("x" * size, "é" * (size // 2), f"{'d' * size}/{'f' * size}"):
        await drive.put(f"/{name}", name.encode())
    await drive.symlink("/" + "l" * size, "x" * size)

    assert (await drive.mirror_to(folder)).skipped == ()
    assert (await drive.mirror_to(folder), await drive.mirror_from(folder)) == ([], [])
    assert len(contents(folder)) == 4
    assert (folder / ("l" * size)).read_bytes() == b"x" * size


@pytest.mark.parametrize("path", ["/" + "x" * 256, "/" + "é" * 128, "/a/" + "x" * 300 + "/b", "/x" * 2040])
async def test_names_that_are_too_long_for_this_disk_are_skipped(drive: Drive, folder: Path, path: str) -> None:
    await drive.put("/good", b"1")
    await drive.put(path, b"2")

    for turn in range(2):
        steps = await drive.mirror_to(folder)
        assert [step.path for step in steps] == ["/good"][turn:]
        assert [one.path for one in steps.skipped] == [path]
        assert "too long for this computer" in steps.skipped[0].reason
        assert await drive.mirror_from(folder) == []
    assert contents(folder) == {"good": b"1"}


TARGETS = {
    "empty": ("", "its target is empty"),
    "with NUL": ("a\0b", "its target is not a path that files can have"),
    "of 5,000 characters": ("x" * 5000, "its target is too long for this computer"),
    "out": ("../x", LEADS_OUT),
}


@pytest.mark.parametrize(("target", "reason"), TARGETS.values(), ids=TARGETS)
async def test_a_target_that_no_link_here_can_have_is_skipped(
    drive: Drive, folder: Path, target: str, reason: str
) -> None:
    fill(folder, {"stale": b"", "link": b"mine"})
    await drive.put("/good", b"1")
    await drive.symlink("/link", target)

    for turn in range(2):
        steps = await drive.mirror_to(folder)
        assert [step.path for step in steps] == [["/good", "/stale"], []][turn]
        assert steps.skipped == (Skipped("/link", reason),)
    assert contents(folder) == {"good": b"1", "link": b"mine"}
    (folder / "link").unlink()
    assert await drive.mirror_from(folder) == []
    assert await drive.exists("/link")


async def test_an_entry_that_cannot_be_read_is_skipped(drive: Drive, folder: Path) -> None:
    await drive.put("/good", b"1")
    for key, value in ((b"/bad", b"{"), (b"/\xff\xfe", b"null"), (b"/neither", json.dumps({"blob": None}).encode())):
        await drive.bee.put(FILES + key, value)

    for turn in range(2):
        steps = await drive.mirror_to(folder)
        assert [step.path for step in steps] == ["/good"][turn:]
        assert [one.path for one in steps.skipped] == ["/\\xff\\xfe", "/bad", "/neither"]
        assert await drive.mirror_from(folder) == []


@pytest.mark.parametrize("link", ["/d/link", "/link"])
@pytest.mark.parametrize("target", ["/a", "/", "/d/b", "/nowhere", "/../a", "/etc/passwd", "."])
async def test_a_target_from_the_root_of_the_drive_stays_in_the_folder(
    drive: Drive, folder: Path, tmp_path: Path, link: str, target: str
) -> None:
    await drive.put("/a", b"of a")
    await drive.put("/d/b", b"of b")
    await drive.symlink(link, target)

    assert (await drive.mirror_to(folder)).skipped == ()
    here = folder / link[1:]
    assert here.is_symlink()
    assert here.resolve() == (folder / target.removeprefix("/../").lstrip("/") if target != "." else here.parent)
    assert (await drive.mirror_to(folder), await drive.mirror_from(folder)) == ([], [])

    other = await Drive.open(drive._source.store.namespace("other"))
    await other.mirror_from(folder)
    await other.mirror_to(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(folder)


async def test_a_link_of_a_folder_that_leads_to_another_is_skipped(drive: Drive, folder: Path) -> None:
    await drive.put("/sub/a", b"1")
    for name, target in (("in", "/sub/a"), ("up", "/sub"), ("out", "/other"), ("root", "/"), ("near", "/subway")):
        await drive.symlink(f"/sub/{name}", target)

    steps = await drive.mirror_to(folder, of="/sub")

    assert contents(folder) == {"a": b"1", "in": "a", "up": "."}
    assert steps.skipped == tuple(Skipped(f"/sub/{name}", LEADS_OUT) for name in ("near", "out", "root"))


async def test_an_absolute_link_within_the_folder_is_of_no_machine(drive: Drive, folder: Path, tmp_path: Path) -> None:
    fill(folder, {"a": b"of a", "d/b": b"of b"})
    for name, target in (("one", folder / "a"), ("d/two", folder / "d" / "b"), ("d/root", folder)):
        (folder / name).symlink_to(target)
    (tmp_path / "by another name").symlink_to(folder)
    (folder / "three").symlink_to(tmp_path / "by another name" / "a")

    steps = await drive.mirror_from(tmp_path / "by another name")

    assert steps.skipped == ()
    links = {entry.path: entry.linkname async for entry in drive.list() if entry.linkname}
    assert links == {"/d/root": "..", "/d/two": "b", "/one": "a", "/three": "a"}
    assert await drive.get("/d/two") == b"of b"
    assert await drive.mirror_to(tmp_path / "by another name") == []
    elsewhere = tmp_path / "elsewhere"
    await drive.mirror_to(elsewhere)
    assert (elsewhere / "d" / "two").read_bytes() == b"of b"
    assert (elsewhere / "d" / "root").resolve() == elsewhere


# Files where the other side has folders


@pytest.mark.parametrize("names", [["/foo", "/foo/bar"], ["/a/b", "/a/b/c/d", "/a/b/c"], ["/foo", "/foo-", "/foo/x"]])
async def test_a_file_and_what_would_be_in_it_are_refused_before_anything_is_written(
    drive: Drive, folder: Path, names: list[str]
) -> None:
    fill(folder, {"stale": b""})
    for name in ["/0", *names]:
        await drive.put(name, b"x")

    for _ in range(2):
        with pytest.raises(UsageError, match=rf"'{names[0]}' and '{names[0]}/.*'.*\. Nothing was changed\.$"):
            await drive.mirror_to(folder)
    assert contents(folder) == {"stale": b""}
    await drive.delete(names[0])
    if names[-1] != "/a/b/c":
        await drive.mirror_to(folder)
        assert len(contents(folder)) == len(names)


async def test_an_empty_folder_gives_way_to_a_file(drive: Drive, folder: Path) -> None:
    await drive.put("/foo", b"x")
    (folder / "foo" / "deep" / "er").mkdir(parents=True)

    assert await drive.mirror_to(folder, prune=False) == [Step("/foo", Action.ADD, 1)]
    assert contents(folder) == {"foo": b"x"}


async def test_a_folder_and_a_file_change_places(drive: Drive, folder: Path) -> None:
    fill(folder, {"file": b"1", "folder/in": b"2", "folder/deep/in": b"3"})
    for path in ("/file/in", "/file/deep/in", "/folder"):
        await drive.put(path, b"new")
    planned = await drive.mirror_to(folder, dry_run=True)

    assert sorted(await drive.mirror_to(folder)) == sorted(planned)
    assert contents(folder) == {"file/in": b"new", "file/deep/in": b"new", "folder": b"new"}
    assert await drive.mirror_to(folder) == []


async def test_a_file_and_a_folder_change_places_in_the_drive(drive: Drive, folder: Path) -> None:
    fill(folder, {"file/in": b"1", "file/deep/in": b"1", "folder": b"1"})
    for path in ("/file", "/folder/in", "/folder/deep/in"):
        await drive.put(path, b"old")
    begin = drive.version

    await drive.mirror_from(folder)

    assert await listed(drive) == {"/file/in": b"1", "/file/deep/in": b"1", "/folder": b"1"}
    for version in range(begin, drive.version + 1):
        paths = [entry.path async for entry in drive[version].list()]
        assert not any(other.startswith(f"{path}/") for path in paths for other in paths)
    assert await drive.mirror_from(folder) == []


@pytest.mark.parametrize(("here", "there"), [("foo", "/foo/bar"), ("foo/bar", "/foo")])
async def test_without_pruning_no_drive_gets_a_file_and_what_is_in_it(
    drive: Drive, folder: Path, here: str, there: str
) -> None:
    await drive.put(there, b"theirs")
    fill(folder, {here: b"mine", "another": b""})

    with pytest.raises(UsageError, match=r"'/foo' and '/foo/bar'\. Nothing was changed\."):
        await drive.mirror_from(folder, prune=False)
    assert await listed(drive) == {there: b"theirs"}

    steps = await drive.mirror_to(folder, prune=False)
    assert [one.path for one in steps.skipped] == [there]
    assert contents(folder) == {here: b"mine", "another": b""}


async def test_a_folder_with_a_pipe_does_not_give_way_to_a_file(drive: Drive, folder: Path) -> None:
    fill(folder, {"foo/mine": b""})
    os.mkfifo(folder / "foo" / "pipe")
    await drive.put("/foo", b"x")
    await drive.put("/foot", b"x")
    before = snapshot(folder / "foo")

    for _ in range(2):
        steps = await drive.mirror_to(folder)
        assert [one.path for one in steps.skipped] == ["/foo", "/foo/pipe"]
    assert steps == []
    assert snapshot(folder / "foo") == before


async def test_a_file_where_the_folder_should_be_is_refused(drive: Drive, folder: Path) -> None:
    fill(folder, {"file": b"mine"})
    await drive.put("/a", b"")

    for mirror in (drive.mirror_to, drive.mirror_from):
        with pytest.raises(UsageError, match=r"file (is not a folder|cannot be used as a folder)"):
            await mirror(folder / "file")
    assert contents(folder) == {"file": b"mine"}
