import json
import os
import signal
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from linkup_nb.errors import InvalidName, ProfileInUse, UsageError
from linkup_nb.rooms.avatar import MAX_AVATAR, generated_avatar
from linkup_nb.rooms.profile import MAX_CONFIG, MAX_ROOMS, Profile, profile_path

TOPIC = bytes(range(32))

HOLD = """
import sys
from linkup_nb.rooms.profile import Profile
profile = Profile(sys.argv[1])
profile.open()
print("held", flush=True)
sys.stdin.read()
"""


def opened(path: Path) -> Profile:
    profile = Profile(path)
    profile.open()
    return profile


def config(path: Path) -> dict[str, Any]:
    return dict(json.loads((path / "config.json").read_text()))


def write_config(path: Path, content: object) -> None:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_a_profile_is_a_directory_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert profile_path().name == "default"
    assert profile_path("second").parent == profile_path().parent


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\\b", ".hidden", "..", "a:b", "x" * 65])
def test_a_profile_name_cannot_lead_elsewhere(name: str) -> None:
    with pytest.raises(InvalidName):
        profile_path(name)


def test_what_was_saved_is_there_when_opened_again(tmp_path: Path) -> None:
    first = opened(tmp_path / "p")
    assert (first.name, first.avatar, first.rooms) == (None, None, {})
    first.name = " kestrel "
    first.avatar = generated_avatar("kestrel", bytes(32))
    first.add_room(TOPIC, "lobby")
    first.save()
    first.close()

    second = opened(tmp_path / "p")
    assert (second.name, second.avatar, second.rooms) == ("kestrel", first.avatar, {TOPIC: "lobby"})
    assert second.key_pair == first.key_pair
    second.close()


def test_the_file_is_as_linkup_has_it(tmp_path: Path) -> None:
    profile = opened(tmp_path)
    profile.name = "kestrel"
    profile.add_room(TOPIC, "lobby")
    profile.save()
    profile.close()
    assert config(tmp_path) == {
        "userName": "kestrel",
        "userAvatar": "",
        "rooms": [{"topic": TOPIC.hex(), "alias": "lobby"}],
        "registeredUsers": {},
    }


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    profile = opened(tmp_path / "p")
    profile.save()
    profile.close()
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == 0o700
    for name in ("seed", "config.json"):
        assert stat.S_IMODE((tmp_path / "p" / name).stat().st_mode) == 0o600
    assert (tmp_path / "p" / "seed").read_bytes().hex() not in repr(profile)


def test_a_file_that_linkup_wrote_can_be_dropped_in(tmp_path: Path) -> None:
    other = bytes(reversed(TOPIC))
    avatar = generated_avatar("otter", TOPIC)
    linkup = {
        "userName": "otter",
        "userAvatar": f"data:image/png;base64,{b64encode(avatar).decode()}",
        "rooms": [
            TOPIC.hex().upper(),
            {"topic": other.hex(), "alias": "pond", "createdAt": 1},
            {"guild": "x"},
            "junk",
            7,
            None,
        ],
        "registeredUsers": [{"name": "otter"}],
        "theme": "dark",
    }
    write_config(tmp_path, linkup)
    profile = opened(tmp_path)
    assert (profile.name, profile.avatar) == ("otter", avatar)
    assert profile.rooms == {TOPIC: "000102…", other: "pond"}

    profile.add_room(other, "big pond")
    profile.add_room(bytes(32), "new")
    profile.remove_room(TOPIC)
    profile.save()
    profile.close()
    kept = [{"topic": other.hex(), "alias": "big pond", "createdAt": 1}, {"guild": "x"}, "junk", 7, None]
    assert config(tmp_path) == linkup | {"rooms": [*kept, {"topic": "00" * 32, "alias": "new"}]}


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"userName": 5, "userAvatar": 5, "rooms": "x", "registeredUsers": None, "bootstrap": 5},
        {"userName": "\u202e", "userAvatar": "data:image/png;base64,!!", "rooms": {"a": 1}, "bootstrap": [1]},
        {"userAvatar": "data:image/png;base64," + b64encode(b"x" * (MAX_AVATAR + 1)).decode()},
        {
            "userAvatar": "https://example.org/me.png",
            "rooms": [{"topic": 5}, {"topic": "ab"}, {"alias": "x"}, [TOPIC.hex()]],
        },
        {"userAvatar": "/etc/passwd"},
    ],
)
def test_entries_of_the_wrong_kind_count_as_absent(tmp_path: Path, content: dict[str, object]) -> None:
    write_config(tmp_path, content)
    profile = opened(tmp_path)
    assert (profile.name, profile.avatar, profile.rooms, profile.bootstrap) == (None, None, {}, ())
    profile.close()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 100_000, " " * (MAX_CONFIG + 1)])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    write_config(tmp_path, content)
    with pytest.raises(UsageError, match="move it away to start afresh"):
        opened(tmp_path)
    assert (tmp_path / "config.json").read_text() == content
    (tmp_path / "config.json").unlink()
    opened(tmp_path).close()


def test_a_file_that_is_not_utf8_is_damaged_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'{"userName":"\xff"}')
    with pytest.raises(UsageError, match="move it away to start afresh"):
        opened(tmp_path)


def test_a_damaged_seed_is_never_replaced_silently(tmp_path: Path) -> None:
    (tmp_path / "seed").write_bytes(b"short")
    with pytest.raises(UsageError, match="delete it to become somebody new"):
        opened(tmp_path)


def test_rooms_are_limited(tmp_path: Path) -> None:
    write_config(tmp_path, {"rooms": [number.to_bytes(32, "big").hex() for number in range(MAX_ROOMS + 5)]})
    profile = opened(tmp_path)
    assert len(profile.rooms) == MAX_ROOMS
    with pytest.raises(UsageError, match="leave one first"):
        profile.add_room(b"\xff" * 32, "one more")
    profile.close()


def test_a_crash_while_saving_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = opened(tmp_path)
    profile.name = "kestrel"
    profile.save()
    before = (tmp_path / "config.json").read_bytes()

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", crash)
    profile.name = "otter"
    with pytest.raises(OSError, match="disk full"):
        profile.save()
    profile.close()
    assert (tmp_path / "config.json").read_bytes() == before
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_a_second_process_is_told_who_has_the_profile(tmp_path: Path) -> None:
    path = tmp_path / "default"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ProfileInUse) as raised:
        opened(path)
    assert str(raised.value) == (
        f"Profile 'default' is in use by process {holder.pid}: close that notebook, or use another profile:"
        ' lu.chat("second").'
    )
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    opened(path).close()


def test_a_second_profile_object_in_this_process_is_told_so_too(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(ProfileInUse, match="by this process already"):
        opened(tmp_path)
    first.close()
    first.close()
    opened(tmp_path).close()
