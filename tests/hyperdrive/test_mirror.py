"""A folder of a drive and a folder of this computer, made the same."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linkup_nb.errors import UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.mirror import Action, Skipped, Step
from tests.hyperdrive.trees import contents, fill


@pytest.fixture
async def drive(tmp_path: Path) -> AsyncIterator[Drive]:
    async with Corestore(tmp_path / "store") as store, await Drive.open(store) as drive:
        yield drive


async def test_a_drive_is_written_to_a_folder(drive: Drive, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    fill(folder, {"same": b"same", "old": b"old", "was/a/folder": b"", "stale": b""})
    await drive.put("/same", b"same")
    await drive.put("/old", b"new")
    await drive.put("/deep/er/tool", bytes(200_000), executable=True)
    await drive.put("/was", b"now a file")
    await drive.symlink("/deep/link", "../same")

    planned = await drive.mirror_to(folder, dry_run=True)
    assert contents(folder)["old"] == b"old"
    done = await drive.mirror_to(folder, progress=True)

    assert sorted(planned) == sorted(done)
    assert contents(folder) == {
        "same": b"same",
        "old": b"new",
        "deep/er/tool": bytes(200_000),
        "was": b"now a file",
        "deep/link": "../same",
    }
    assert os.access(folder / "deep/er/tool", os.X_OK)
    assert await drive.mirror_to(folder) == []


async def test_a_folder_is_put_into_a_drive(drive: Drive, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    fill(folder, {"a": b"1", "b/c": bytes(100_000), "kept": b"kept"})
    (folder / "b/link").symlink_to("c")
    (folder / "a").chmod(0o755)
    await drive.put("/into/kept", b"kept")
    await drive.put("/into/gone", b"")
    await drive.put("/beside", b"stays")

    steps = await drive.mirror_from(folder, to="/into")

    assert sorted(steps) == sorted(
        [
            Step("/into/a", Action.ADD, 1),
            Step("/into/b/c", Action.ADD, 100_000),
            Step("/into/b/link", Action.ADD, 1),
            Step("/into/gone", Action.REMOVE, 0),
        ]
    )
    assert [entry.path async for entry in drive.list()] == [
        "/beside",
        "/into/a",
        "/into/b/c",
        "/into/b/link",
        "/into/kept",
    ]
    assert await drive.get("/into/b/link") == bytes(100_000)
    entry = await drive.entry("/into/a")
    assert entry
    assert entry.executable
    assert await drive.mirror_from(folder, to="/into") == []


async def test_without_pruning_nothing_is_removed(drive: Drive, tmp_path: Path) -> None:
    fill(tmp_path / "here", {"local": b"x"})
    await drive.put("/remote", b"y")

    await drive.mirror_to(tmp_path / "here", prune=False)
    await drive.mirror_from(tmp_path / "here", prune=False)

    assert sorted(contents(tmp_path / "here")) == ["local", "remote"]
    assert [entry.path async for entry in drive.list()] == ["/local", "/remote"]


@pytest.mark.parametrize(("path", "target"), [("/evil", "../x"), ("/a/b", "../../x"), ("/a/b", "c/../../../x")])
async def test_a_link_that_leads_out_of_the_folder_is_skipped_and_counted(
    drive: Drive, tmp_path: Path, path: str, target: str
) -> None:
    await drive.put("/good", b"")
    await drive.symlink(path, target)

    for _ in range(2):
        steps = await drive.mirror_to(tmp_path / "out")
        assert steps.skipped == (Skipped(path, "it leads out of the folder"),)
        assert contents(tmp_path / "out") == {"good": b""}
    assert steps == []


@pytest.mark.parametrize("path", ["/../out", "/a/../../out", "/a//b", "/a\0b", "/a/."])
async def test_a_path_that_no_honest_drive_has_is_skipped_and_counted(drive: Drive, tmp_path: Path, path: str) -> None:
    await drive.put("/good", b"x")
    value = (await drive.bee.get(b"files\x00/good") or (0, b"", b""))[2]
    await drive.bee.put(b"files\x00" + path.encode(), value or b"")

    steps = await drive.mirror_to(tmp_path / "folder")
    assert steps.skipped == (Skipped(path, "it is not a path that files can have"),)
    assert contents(tmp_path / "folder") == {"good": b"x"}
    assert sorted(os.listdir(tmp_path)) == ["folder", "store"]
    assert await drive.mirror_from(tmp_path / "folder") == []


async def test_nothing_is_written_through_a_link_that_was_there(drive: Drive, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a").symlink_to(outside)
    await drive.put("/a/file", b"x")

    await drive.mirror_to(folder)

    assert contents(folder) == {"a/file": b"x"}
    assert contents(outside) == {}


async def test_what_is_no_folder_is_refused(drive: Drive, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        await drive.mirror_from(tmp_path / "none")
