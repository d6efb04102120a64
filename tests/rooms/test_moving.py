"""A profile that goes to another machine."""

import zipfile
from pathlib import Path

import pytest

import linkup_nb as lu
from linkup_nb.errors import UsageError
from linkup_nb.rooms.profile import profile_path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


async def test_an_exported_profile_goes_on_as_the_same_person_with_a_feed_of_its_own(home: Path) -> None:
    async with lu.Node(home / "laptop", name="ann", discovery=[]) as ann:
        room = await ann.create_room("physics")
        await room.send("written on the laptop")
        file = await ann.export_profile(home / "ann.zip")
        key, topic, device = ann.public_key, room.topic, ann.swarm.public_key
    assert file.stat().st_mode & 0o77 == 0
    assert lu.import_profile(file, "ann") == profile_path("ann")
    async with lu.Node(profile_path("ann"), discovery=[]) as again:
        assert (again.public_key, again.name) == (key, "ann")
        assert again.swarm.public_key != device  # two devices never write one feed
        [back] = again.rooms
        assert back.topic == topic


async def test_an_export_never_replaces_a_file(home: Path) -> None:
    (home / "there.zip").write_text("mine")
    async with lu.Node(home / "laptop", name="ann", discovery=[]) as ann:
        with pytest.raises(UsageError, match="already: choose another name"):
            await ann.export_profile(home / "there.zip")
    assert (home / "there.zip").read_text() == "mine"


def test_a_profile_is_never_imported_over_another(home: Path) -> None:
    folder = profile_path("ann")
    folder.mkdir(parents=True)
    (folder / "seed").write_bytes(bytes(32))
    packed = home / "other.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("seed", bytes(32))
    with pytest.raises(UsageError, match="There is a profile 'ann' already"):
        lu.import_profile(packed, "ann")


@pytest.mark.parametrize("content", [b"no zip file", b""])
def test_what_is_no_exported_profile_is_refused_in_one_sentence(home: Path, content: bytes) -> None:
    (home / "x.zip").write_bytes(content)
    with pytest.raises(UsageError, match="no exported profile"):
        lu.import_profile(home / "x.zip", "ann")
    assert not profile_path("ann").exists()


def test_a_zip_file_of_something_else_or_that_swells_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.rooms.moving.MAX_PART", 100)
    for parts in ({"readme": b"hello"}, {"seed": bytes(32), "config.json": bytes(101)}):
        with zipfile.ZipFile(home / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
        with pytest.raises(UsageError, match="it holds no key, or too much"):
            lu.import_profile(home / "x.zip", "ann")
