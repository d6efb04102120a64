"""Your identity and your rooms, kept in a directory that one process holds at a time."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout
from platformdirs import user_data_path

from linkup_nb.errors import InvalidName, InvalidTopic, ProfileInUse, UsageError
from linkup_nb.rooms.avatar import MAX_AVATAR, from_base64, scale_avatar, to_data_url
from linkup_nb.rooms.files import write_private
from linkup_nb.rooms.names import MAX_NAME, check_name, clean
from linkup_nb.rooms.topic import parse_topic, short_topic
from linkup_nb.wire.keys import KeyPair, blake2b_256

MAX_ROOMS = 256  # rooms of one profile
MAX_CONFIG = 16 * 1_048_576  # bytes of config.json: a LinkUp user's file may hold a picture for everybody they met
SEED_BYTES = 32

_STORE = b"linkup_nb store"


def profile_path(name: str = "default") -> Path:
    """The directory of the profile called `name`. Raises `InvalidName` for a name that no directory can have."""
    name = check_name(name)
    if name.startswith(".") or any(c in '<>:"/\\|?*' for c in name):
        raise InvalidName(f"A profile cannot be called {name!r}: use letters, digits, spaces and dashes.")
    return user_data_path("linkup_nb", appauthor=False) / "profiles" / name


class Profile:
    """A directory with `config.json` (LinkUp's format), `seed` (32 secret bytes that your key is made from) and a lock.

    Call `open` first: it takes the lock and reads both. What you change is written by `save`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._seed = b""
        self._key_pair: KeyPair | None = None
        self._config: dict[str, Any] = {}
        self._avatar: bytes | None = None
        # Opened on one thread and closed on another when a kernel ends.
        self._lock = FileLock(self.path / "lock", timeout=0, thread_local=False)

    def __repr__(self) -> str:
        return f"<Profile {self.path.name!r} of {self.name!r}, {len(self.rooms)} rooms>"

    def open(self) -> None:
        """Take the lock, then read the profile, or make a new one.

        Raises `ProfileInUse` while another process holds it, `UsageError` for a file that is damaged.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        holder = self.path / "pid"
        try:
            self._lock.acquire()
        except Timeout:
            raise ProfileInUse(
                f"Profile {self.path.name!r} is in use by {_process(holder)}: close that notebook, or use another"
                ' profile: lu.chat("second").'
            ) from None
        try:
            write_private(holder, str(os.getpid()).encode())
            self._config = _read_config(self.path / "config.json")
            self._seed = read_seed(self.path / "seed")
            self._key_pair = KeyPair.from_seed(self._seed)
            self._avatar = _read_avatar(self._config.get("userAvatar"))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process have the profile; does nothing when it is not held."""
        self._lock.release()

    def save(self) -> None:
        """Write config.json, so that after a crash it is either the old or the new one."""
        write_private(self.path / "config.json", msgspec.json.format(msgspec.json.encode(self._config), indent=2))

    @property
    def key_pair(self) -> KeyPair:
        """Your public key, by which others know you, and its secret key."""
        if not self._key_pair:
            raise UsageError("Open this profile before you use its key.")
        return self._key_pair

    @property
    def primary_key(self) -> bytes:
        """The secret that the keys of your logs and drives are made from."""
        if not self._seed:
            raise UsageError("Open this profile before you use its keys.")
        return blake2b_256(_STORE, key=self._seed)

    @property
    def name(self) -> str | None:
        """Your name; `None` until you have chosen one."""
        name = self._config.get("userName")
        return clean(name)[:MAX_NAME] or None if isinstance(name, str) else None

    @name.setter
    def name(self, name: str) -> None:
        self._config["userName"] = check_name(name)

    @property
    def avatar(self) -> bytes | None:
        """Your picture; `None` if you have chosen none."""
        return self._avatar

    @avatar.setter
    def avatar(self, avatar: bytes | None) -> None:
        self._avatar = avatar or None
        self._config["userAvatar"] = to_data_url(avatar) if avatar else ""

    @property
    def share_reads(self) -> bool:
        """Whether others see what you have read in rooms with memory, and you what they have; yes unless you say no."""
        return self._config.get("shareReads") is not False

    @share_reads.setter
    def share_reads(self, share: bool) -> None:
        self._config["shareReads"] = bool(share)

    @property
    def share_typing(self) -> bool:
        """Whether the panel lets others see that you are writing; yes unless you say no."""
        return self._config.get("shareTyping") is not False

    @share_typing.setter
    def share_typing(self, share: bool) -> None:
        self._config["shareTyping"] = bool(share)

    @property
    def bootstrap(self) -> tuple[str, ...]:
        """The "host:port" or "hyperdht:host:port" of peers through which private networks are found."""
        return tuple(peer for peer in _list(self._config.get("bootstrap")) if isinstance(peer, str))

    @bootstrap.setter
    def bootstrap(self, peers: Sequence[str]) -> None:
        self._config["bootstrap"] = list(peers)

    @property
    def relay(self) -> str | None:
        """The key, in hexadecimal, of the relay that peers meet us at where no hole can be punched."""
        relay = self._config.get("relay")
        return relay if isinstance(relay, str) and relay else None

    @relay.setter
    def relay(self, key: str | None) -> None:
        self._config["relay"] = key or ""

    @property
    def blind_peers(self) -> tuple[str, ...]:
        """The keys, in z-base-32, of the blind peers that hold our rooms and drives while we are away."""
        return tuple(key for key in _list(self._config.get("blindPeers")) if isinstance(key, str))

    @blind_peers.setter
    def blind_peers(self, keys: Sequence[str]) -> None:
        self._config["blindPeers"] = list(keys)

    @property
    def rooms(self) -> dict[bytes, str]:
        """The name of each room by its topic. Entries that cannot be read are left out here, and alone in the file."""
        found = (_read_room(entry) for entry in _list(self._config.get("rooms")))
        return dict([room for room in found if room][:MAX_ROOMS])

    def add_room(self, topic: bytes, name: str) -> None:
        """Remember a room; a known one keeps its place and takes the name. Raises `UsageError` over `MAX_ROOMS`."""
        entries = _list(self._config.get("rooms"))
        known = [index for index, entry in enumerate(entries) if (room := _read_room(entry)) and room[0] == topic]
        if known and isinstance(entries[known[0]], dict):
            entries[known[0]] |= {"alias": name}
        elif known:
            entries[known[0]] = {"topic": topic.hex(), "alias": name}
        elif len(self.rooms) >= MAX_ROOMS:
            raise UsageError(f"You are in {MAX_ROOMS} rooms, the most there can be: leave one first.")
        else:
            entries.append({"topic": topic.hex(), "alias": name})
        self._config["rooms"] = entries

    def remove_room(self, topic: bytes) -> None:
        """Forget a room."""
        entries = _list(self._config.get("rooms"))
        self._config["rooms"] = [entry for entry in entries if not (room := _read_room(entry)) or room[0] != topic]


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _read_room(entry: object) -> tuple[bytes, str] | None:
    fields = entry if isinstance(entry, dict) else {"topic": entry}
    try:
        topic = parse_topic(str(fields.get("topic")))
    except InvalidTopic:
        return None
    names = (clean(name)[:MAX_NAME] for name in (fields.get("alias"), fields.get("name")) if isinstance(name, str))
    return topic, next(filter(None, names), short_topic(topic))


def _read_config(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"userName": "", "userAvatar": "", "rooms": [], "registeredUsers": {}}
    if path.stat().st_size > MAX_CONFIG:
        raise UsageError(f"{path} is over {MAX_CONFIG // 1_048_576} MiB: move it away to start afresh.")
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (ValueError, RecursionError) as error:  # a file that is not UTF-8, too
        raise UsageError(f"{path} cannot be read ({error}): repair it, or move it away to start afresh.") from None


def read_seed(path: Path) -> bytes:
    """The 32 secret bytes in a file, which is made if there is none; raises `UsageError` for one that is damaged."""
    if not path.exists():
        write_private(path, os.urandom(SEED_BYTES))
    seed = path.read_bytes()
    if len(seed) != SEED_BYTES:
        raise UsageError(f"{path} is damaged: put back its copy, or delete it to become somebody new.")
    return seed


def _read_avatar(value: object) -> bytes | None:
    # LinkUp also writes paths and addresses here; those are not followed.
    if not isinstance(value, str) or not value.startswith("data:"):
        return None
    with contextlib.suppress(ValueError):
        avatar = from_base64(value)
        return avatar if len(avatar) <= MAX_AVATAR else scale_avatar(avatar)
    return None


def _process(holder: Path) -> str:
    try:
        pid = int(holder.read_text())
    except (OSError, ValueError):
        return "another process"
    return "this process already" if pid == os.getpid() else f"process {pid}"
