"""Any trees of files, links and what is neither: what one machine mirrors in, another mirrors out."""

import asyncio
import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.errors import UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.mirror import Steps
from tests.hyperdrive.trees import bind, listed, snapshot

names = st.sampled_from(
    [
        "a",
        "b",
        "d",
        "a.txt",
        "x" * 255,
        "é" * 127,
        " ",
        ".hidden",
        "a\\b",
        "\udcff",
        "\x01\n",
        "-",
        "con",
        "\u202e",
        "~",
    ]
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
targets = st.sampled_from(
    [
        "a",
        "../a",
        "../../a",
        ".",
        "..",
        "/",
        "/etc/passwd",
        "ROOT",
        "ROOT/a",
        "ROOT/d/b",
        "ROOT-not",
        "d/../..",
        "\udcfe",
    ]
)
things = st.one_of(
    st.tuples(st.just("file"), st.binary(max_size=3)),
    st.tuples(st.just("tool"), st.binary(max_size=3)),
    st.tuples(st.just("link"), targets),
    st.tuples(st.sampled_from(["pipe", "socket", "folder"]), st.none()),
)
Tree = dict[str, tuple[str, bytes | str | None]]
trees = st.dictionaries(paths, things, max_size=10)


def grow(folder: Path, tree: Tree) -> None:
    """Make as much of a tree as its clashes allow."""
    folder.mkdir(exist_ok=True)
    for path, (kind, content) in tree.items():
        place = folder / path
        if any(up.is_symlink() or (up.exists() and not up.is_dir()) for up in place.parents) or os.path.lexists(place):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
            place.chmod(0o755 if kind == "tool" else 0o644)
        elif isinstance(content, str):
            place.symlink_to(content.replace("ROOT", str(folder)))
        elif kind == "pipe":
            os.mkfifo(place)
        elif kind == "socket" and len(os.fsencode(place.name)) < 100:
            bind(place)
        else:
            place.mkdir()


@given(trees, trees, st.booleans())
@settings(deadline=None, max_examples=40)
def test_any_trees_go_in_and_out(first: Tree, second: Tree, prune: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(_round_trip(Path(place), first, second, prune))


async def _round_trip(
    place: Path,
    first: Tree,
    second: Tree,
    prune: bool,
) -> None:
    one, two, three = (place / name for name in ("one", "two", "three"))
    grow(one, first)
    grow(two, second)
    async with Corestore(place / "store") as store:
        drive = await Drive.open(store)
        # What one machine mirrors in, it finds unchanged, and another mirrors out.
        before = snapshot(one)
        planned = await drive.mirror_from(one, dry_run=True)
        assert sorted(await drive.mirror_from(one)) == sorted(planned)
        version = drive.version
        assert await drive.mirror_from(one) == []
        if version:
            assert await drive.mirror_to(one) == []
            out = await drive.mirror_to(three)
            assert out.skipped == ()
            assert await drive.mirror_to(three) == []
            assert await drive.mirror_from(three) == []
            assert (three.exists() and snapshot(three).keys() <= before.keys()) or not await listed(drive)
        assert snapshot(one) == before
        assert drive.version == version
        # Over whatever was in another folder before.
        if version:
            await drive.mirror_to(two, prune=prune)
            assert await drive.mirror_to(two, prune=prune) == []
        # And the other folder into the drive.
        try:
            await drive.mirror_from(two, prune=prune)
        except UsageError as error:
            assert not prune and "Nothing was changed" in str(error)  # noqa: PT017, PT018
        else:
            assert await drive.mirror_from(two, prune=prune) == []


drive_targets = st.sampled_from(
    ["", "a", "../a", "/", "/a", "/d/b", "/../a", "a\0", "x" * 5000, ".", "..", "d/../../..", "\u202e", "b\\c", "//a"]
)
entries = st.dictionaries(
    st.lists(st.sampled_from(["a", "b", "d", "x" * 255, "x" * 256, "é", " ", "\0"]), min_size=1, max_size=3).map(
        lambda parts: "/" + "/".join(parts)
    ),
    st.tuples(st.just("file"), st.binary(max_size=3)) | st.tuples(st.just("link"), drive_targets),
    max_size=8,
)


@given(entries, trees, st.sampled_from(["/", "/d"]), st.booleans())
@settings(deadline=None, max_examples=40)
def test_any_drive_is_mirrored_out_or_refused_whole(
    drive: dict[str, tuple[str, bytes | str]], tree: Tree, of: str, prune: bool
) -> None:
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(_mirror_out(Path(place), drive, tree, of, prune))


async def _mirror_out(
    place: Path, all_entries: dict[str, tuple[str, bytes | str]], tree: Tree, of: str, prune: bool
) -> None:
    folder = place / "folder"
    grow(folder, tree)
    before = snapshot(folder)
    async with Corestore(place / "store") as store:
        drive = await Drive.open(store)
        async with drive.batch() as batch:
            for path, (_, content) in all_entries.items():
                if isinstance(content, bytes):
                    await batch.put(path, content)
                else:
                    await batch.symlink(path, content)
        version = drive.version
        try:
            steps = await drive.mirror_to(folder, of=of, prune=prune)
        except UsageError as error:
            assert str(error).lower().endswith("nothing was changed.")  # noqa: PT017
            assert snapshot(folder) == before
            return
        inside = {entry.path async for entry in drive.list(of)}
        assert inside <= {one.path for one in steps.skipped} | await _held(drive, folder, of)
        assert await drive.mirror_to(folder, of=of, prune=prune) == []
        # Unless a file of the folder has the place of what was skipped, the way back changes nothing.
        if prune and not taken(folder, steps, of):
            assert await drive.mirror_from(folder, to=of) == []
            assert drive.version == version
    assert sorted(os.listdir(place)) == ["folder", "store"]


def taken(folder: Path, steps: Steps, of: str) -> bool:
    """Whether the folder has something where the first name of what was skipped would be."""
    names = [one.path.removeprefix(of).lstrip("/").split("/")[0] for one in steps.skipped]
    return any(os.path.lexists(folder / name) for name in names if "\0" not in name and len(name) < 256)


async def _held(drive: Drive, folder: Path, of: str) -> set[str]:
    """Which files of a drive are in a folder, with their contents."""
    held = set()
    async for entry in drive.list(of):
        try:
            here = folder / entry.path.removeprefix(of).lstrip("/")
            link = here.is_symlink() and entry.linkname is not None
            if link or here.read_bytes() == await drive.get(entry.path):
                held.add(entry.path)
        except (OSError, ValueError):
            continue
    return held
