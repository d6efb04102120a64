"""A LinkUp room: a topic, and whoever has joined it now. It has no history."""

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

from linkup_nb.connection.connection import WRITE_TIMEOUT
from linkup_nb.errors import UsageError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.loops import from_any_loop
from linkup_nb.rooms.files import read_file
from linkup_nb.rooms.linkup.messages import check_size, encode
from linkup_nb.rooms.linkup.state import RoomState
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.message import AudioMessage, FileMessage, LinkUpFileMessage, Message, TextMessage
from linkup_nb.rooms.names import check_name, file_name
from linkup_nb.rooms.outputs import nearest
from linkup_nb.rooms.room import Room

M = TypeVar("M", bound=Message)
R = TypeVar("R")


class LinkUpBackend(Protocol):
    """What a room needs of the node that has joined it."""

    def envelope(self, topic: bytes) -> dict[str, Any]:
        """The fields of a new message of ours that say who, where and when."""

    async def broadcast(self, topic: bytes, data: bytes, timeout: float) -> int:
        """Write to every peer on the topic; returns to how many that went well."""

    def in_background(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """Run what the node waits for when it closes."""

    def drive(self, topic: bytes) -> Drive | None:
        """One's own drive of the room."""

    async def keep_file(self, topic: bytes, path: str, data: bytes) -> Drive | None:
        """Put a file into that drive; `None` if that is not possible."""

    async def rename(self, room: "LinkUpRoom", name: str) -> None:
        """Keep what we call the room."""

    async def leave(self, room: "LinkUpRoom") -> None:
        """Forget the room; one that has been left already is nothing to it."""


class LinkUpRoom(Room):
    """A LinkUp room that this node has joined; `messages` are those since then.

    At most `MAX_MESSAGES` and `MAX_KEPT_BYTES` of them are kept.
    """

    def __init__(self, topic: bytes, name: str, state: RoomState, backend: LinkUpBackend) -> None:
        super().__init__(asyncio.get_running_loop())
        self.topic = topic
        self.name = name
        self._state = state
        state.room = self
        self._backend = backend

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages since this node joined, oldest first."""
        return tuple(self._state.messages)

    @property
    def peers(self) -> tuple[Member, ...]:
        """The others: connected, being connected to, and away."""
        return self._state.peers

    @property
    def drive(self) -> Drive | None:
        """Your own drive of this room, with the files that you have sent here; `None` before the first."""
        return self._backend.drive(self.topic)

    def __len__(self) -> int:
        return len(self._state.messages)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Message, ...]: ...
    def __getitem__(self, index: int | slice) -> Message | tuple[Message, ...]:
        messages = self._state.messages
        return messages[index] if isinstance(index, int) else tuple(messages[index])

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._follow(self._state.next_index)

    async def _follow(self, index: int) -> AsyncIterator[Message]:
        while message := await self._wait_for(index):
            yield message
            index = message.index + 1

    @from_any_loop
    async def _wait_for(self, index: int) -> Message | None:
        return await self._state.wait_for(index)

    def shares_name(self, name: str) -> bool:
        """Whether two people of this room have used a name that looks like this: show short keys beside it then."""
        return self._state.members.shares(name)

    @overload
    def send(self, text: str, *, timeout: float = WRITE_TIMEOUT) -> Coroutine[Any, Any, TextMessage]: ...
    @overload
    def send(self, text: object, *, timeout: float = WRITE_TIMEOUT) -> Coroutine[Any, Any, Message]: ...
    def send(self, text: object, *, timeout: float = WRITE_TIMEOUT) -> Coroutine[Any, Any, Message]:
        """Send a text in Markdown; returns when it is written to everybody here.

        Anything else is sent as the nearest that LinkUp can show: a figure as a picture, a data frame of pandas as a
        CSV file, what only prints as code. A peer that takes nothing for `timeout` seconds meanwhile is disconnected.
        Raises `UsageError` for what is empty or over `MAX_TEXT` bytes, `FileTooLarge` over `MAX_FILE`.
        """
        said = nearest(text)  # here, for a figure belongs to its thread
        return self._send_text(said, timeout) if isinstance(said, str) else self.send_file(said, timeout=timeout)

    @from_any_loop
    async def _send_text(self, text: str, timeout: float) -> TextMessage:
        if not text.strip():
            raise UsageError("There is nothing to send: type a message first.")
        # A text typed on a page may hold half of an emoji, which UTF-8 cannot.
        whole = text.encode(errors="replace").decode()
        return await self._send(TextMessage(text=whole, **self._backend.envelope(self.topic)), timeout)

    @from_any_loop
    async def send_file(
        self, file: str | os.PathLike[str] | tuple[str, bytes], *, timeout: float = WRITE_TIMEOUT
    ) -> FileMessage:
        """Send a file by its path, or as its name and bytes; returns when it is written to everybody here.

        It is also put into your `drive` of this room, where it stays readable to whoever has the drive's key, each
        later one of that name as a new version. Raises `FileTooLarge` over `MAX_FILE` bytes, `UsageError` if there is
        no such file.
        """
        check = partial(check_size, noun="file")
        name, data = file if isinstance(file, tuple) else await asyncio.to_thread(read_file, Path(file), check)
        check(len(data))
        name = file_name(name)
        path = f"/files/{name}"
        drive = await self._backend.keep_file(self.topic, path, data)
        fields = self._backend.envelope(self.topic)
        if drive is None:
            return await self._send(FileMessage(file_name=name, data=data, **fields), timeout)
        at: dict[str, Any] = {"drive": drive.id, "path": path, "version": drive.version}
        return await self._send(LinkUpFileMessage(file_name=name, data=data, **at, **fields), timeout)

    @from_any_loop
    async def send_audio(self, data: bytes, *, timeout: float = WRITE_TIMEOUT) -> AudioMessage:
        """Send a recorded clip, as the browser encoded it; returns when it is written to everybody here."""
        if not data:
            raise UsageError("The recording is empty: record again.")
        return await self._send(AudioMessage(data=data, **self._backend.envelope(self.topic)), timeout)

    async def _send(self, message: M, timeout: float) -> M:
        if self._state.closed:
            raise self._state.closed.with_traceback(None)
        data = encode(message)
        kept = self._state.add(message)
        self.emit("message", kept)
        # Shielded: once it stands in the room it goes out, also if whoever awaits this gives up.
        return await asyncio.shield(self._backend.in_background(self._deliver(kept, data, timeout)))

    async def _deliver(self, message: M, data: bytes, timeout: float) -> M:
        recipients = await self._backend.broadcast(self.topic, data, timeout)
        delivered = dataclasses.replace(message, recipients=recipients)
        self._state.replace(delivered)
        self.emit("delivery", delivered)
        return delivered

    @from_any_loop
    async def rename(self, name: str) -> None:
        """Call the room something else, for you only. Raises `InvalidName`."""
        name = check_name(name)
        await self._backend.rename(self, name)
        self.name = name
        self.emit("update")

    @from_any_loop
    async def leave(self) -> None:
        """Leave the room and forget it; its messages stay in this object."""
        await self._backend.leave(self)

    @from_any_loop
    async def clear(self) -> None:
        """Delete the messages kept here; the others keep theirs."""
        self._state.clear()
        self.emit("clear")
