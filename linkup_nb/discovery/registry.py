"""Finding peers on this machine: a folder that only this user can enter, with one small file for each topic and peer.

A file is named `<discovery key>-<public key>`, both in hex, and holds `{"host", "port", "pid"}`. It is alive while its
process is, and while its owner keeps touching it. Nobody is in charge, so nobody is missed when they die.
"""

import asyncio
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec

from linkup_nb.connection.addresses import may_dial
from linkup_nb.discovery.check import Check, Outcome, count, sentence
from linkup_nb.discovery.folders import make_private, our_uid, runtime_folder
from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.loops import Tasks
from linkup_nb.wire.keys import discovery_key

POLL = 0.25  # seconds between looks at the folder's modification time
SETTLE = 2.0  # seconds in which a folder may change twice and show one modification time, on the coarsest file systems
HEARTBEAT = 15.0  # seconds between touches of our own files, and between full look-ups
STALE_AFTER = 60.0  # seconds without a touch after which an entry counts for nothing
MAX_ENTRIES = 1024  # names in the folder that are looked at
MAX_ENTRY_BYTES = 512  # bytes of one file that are read

_NAME = re.compile(r"([0-9a-f]{64})-([0-9a-f]{64})")


class _Entry(msgspec.Struct):
    host: str
    port: int
    pid: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


@dataclass(frozen=True, slots=True)
class _RegistryTopic:
    topic_key: bytes
    server: bool
    client: bool
    found: Callable[[FoundPeer], None]


class Registry:
    """The discovery for one user's processes on one machine."""

    name = "registry"
    this_machine_only = True

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._topics: dict[bytes, _RegistryTopic] = {}
        self._folder: Path | None = None
        self._problem: str | None = None
        self._modified = 0  # nanoseconds, of the folder
        self._settled = 0.0  # monotonic seconds

    def share(self) -> "Registry":
        return Registry()

    async def start(self, announcer: Announcer) -> None:
        self._announcer = announcer

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        """Write our entry and report those already there; later ones are reported within `POLL` seconds.

        A folder that cannot be used is reported by `describe`, and tried again at every heartbeat.
        """
        await self.leave(topic)
        if not self._topics:
            self._tasks.start(self._watch(), "the watch over the registry")
        self._topics[topic] = _RegistryTopic(discovery_key(topic), server, client, found)
        self._look()

    async def leave(self, topic: bytes) -> None:
        joined = self._topics.pop(topic, None)
        if joined and joined.server:
            self._withdraw(joined)
        if not self._topics:
            await self._tasks.cancel()

    async def refresh(self, topic: bytes) -> None:
        self._look()

    async def close(self) -> None:
        for topic in list(self._topics):
            await self.leave(topic)

    async def examine(self) -> Check:
        """Whether the folder can be used, and how many are announced there."""
        try:
            folder = runtime_folder("swarm")
            make_private(folder)
            entries = dict(_read_all(folder))
        except OSError as error:
            seen, advice = "Peers on this machine cannot be found.", "Set XDG_RUNTIME_DIR to a folder of your own."
            return Check(self.name, Outcome.FAILED, seen, sentence(error), advice)
        ours = sum(self._file_name(joined) in entries for joined in self._topics.values())
        seen = f"{count(len(entries), 'announcement')} on this machine, {ours} of them ours, in {folder}."
        return Check(self.name, Outcome.OK, seen)

    def describe(self) -> str:
        if self._problem:
            return f"Peers on this machine cannot be found: {self._problem}."
        return "Looking for peers on this machine."

    async def _watch(self) -> None:
        heartbeat = time.monotonic() + HEARTBEAT
        while True:
            await asyncio.sleep(POLL)
            now = time.monotonic()
            if now >= heartbeat:
                heartbeat = now + HEARTBEAT
                self._touch()
                self._look()
            elif self._changed(now):
                self._look()

    def _changed(self, now: float) -> bool:
        if not self._folder or self._problem:
            return False
        try:
            modified = self._folder.lstat().st_mtime_ns
        except OSError:
            return True
        if modified != self._modified:
            self._modified = modified
            self._settled = now + SETTLE
        return now < self._settled

    def _touch(self) -> None:
        for joined in self._topics.values():
            if joined.server and self._folder:
                with suppress(OSError):
                    os.utime(self._folder / self._file_name(joined))

    def _look(self) -> None:
        """Read the folder, put back what is missing of ours, and report the others."""
        try:
            self._folder = self._folder or runtime_folder("swarm")
            make_private(self._folder)
            entries = dict(_read_all(self._folder))
            for joined in self._topics.values():
                if joined.server and self._file_name(joined) not in entries:
                    self._write(joined)
        except OSError as error:
            self._problem = str(error)
            return
        self._problem = None
        own = self._announcer.key_pair.public_key.hex()
        by_name = {joined.topic_key.hex(): joined for joined in self._topics.values() if joined.client}
        for name, entry in entries.items():
            topic_key, _, public_key = name.partition("-")
            if public_key != own and topic_key in by_name and may_dial(entry.host, entry.port):
                peer = FoundPeer(bytes.fromhex(public_key), ((entry.host, entry.port),), self.name)
                by_name[topic_key].found(peer)

    def _file_name(self, joined: _RegistryTopic) -> str:
        return f"{joined.topic_key.hex()}-{self._announcer.key_pair.public_key.hex()}"

    def _write(self, joined: _RegistryTopic) -> None:
        assert self._folder
        entry = _Entry(self._announcer.hosts[0], self._announcer.port, os.getpid())
        descriptor, unfinished = tempfile.mkstemp(dir=self._folder)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(entry))
        os.replace(unfinished, self._folder / self._file_name(joined))

    def _withdraw(self, joined: _RegistryTopic) -> None:
        if not self._folder:
            return
        path = self._folder / self._file_name(joined)
        with suppress(OSError, ValueError):
            entry = msgspec.json.decode(path.read_bytes(), type=_Entry)
            if (entry.pid, entry.port) == (os.getpid(), self._announcer.port):
                path.unlink()


def _read_all(folder: Path) -> Iterator[tuple[str, _Entry]]:
    """The living entries by file name; what is dead or was never one is swept away."""
    with os.scandir(folder) as files:
        for file in islice(files, MAX_ENTRIES):
            with suppress(OSError):
                entry = _read(file)
                if entry:
                    yield file.name, entry


def _read(file: os.DirEntry[str]) -> _Entry | None:
    info = file.stat(follow_symlinks=False)
    stale = time.time() - info.st_mtime > STALE_AFTER
    if _NAME.fullmatch(file.name) and _is_ours(info) and not stale:
        with suppress(ValueError), open(file.path, "rb") as content:
            entry = msgspec.json.decode(content.read(MAX_ENTRY_BYTES), type=_Entry)
            if _lives(entry.pid):
                return entry
            stale = True
    if stale:
        os.unlink(file.path)
    return None


def _is_ours(info: os.stat_result) -> bool:
    return stat.S_ISREG(info.st_mode) and info.st_uid == our_uid()


def _lives(pid: int) -> bool:
    if os.name == "nt":
        return True  # os.kill would end it there; the heartbeat must do
    try:
        os.kill(pid, 0)
    except OSError:
        return False  # also when it is another user's: then our process is gone and its number was given away
    return True
