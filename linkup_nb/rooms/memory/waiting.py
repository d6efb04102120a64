"""A room that one is not in yet: a member has still to answer who came by a limited invite."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import NoReturn, Protocol, overload

from linkup_nb.connection.connection import WRITE_TIMEOUT
from linkup_nb.errors import InvalidInvite, NodeClosed, NotAvailable, UsageError
from linkup_nb.loops import from_any_loop
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.memory.admission import Candidate
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message, TextMessage
from linkup_nb.rooms.room import Room


class WaitingBackend(Protocol):
    """What a room that waits needs of the node."""

    async def give_up(self, room: "WaitingRoom") -> None:
        """Ask no more to be let in."""


class WaitingRoom(Room):
    """A room that you have a limited invite to, until a member lets you in.

    It has no messages and takes none. It asks whoever it meets, also after a restart; `await room.admitted()` is the
    room once you are in, which takes its place in `node.rooms`. `refusal` is why a member did not let you in. Emits
    `update` when either has come.
    """

    def __init__(self, name: str, candidate: Candidate, backend: WaitingBackend) -> None:
        super().__init__(asyncio.get_running_loop())
        self.topic = candidate.invite.topic
        self.name = name
        self.refusal: str | None = None
        self._backend = backend
        self._room: MemoryRoom | None = None
        self._closed = False
        self._answered = asyncio.Event()

    def __repr__(self) -> str:
        return f"<WaitingRoom {self.name!r}: {self.refusal or 'waiting for a member to let you in'}>"

    @from_any_loop
    async def admitted(self, timeout: float | None = None) -> MemoryRoom:
        """The room, as soon as a member has let you in; `timeout` in seconds, `None` to wait for days if need be.

        Raises `InvalidInvite` if a member says that the invite is no longer good, `NotAvailable` if nobody answers in
        time, `NodeClosed` if you leave meanwhile.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._answered.wait()
        except TimeoutError:
            raise NotAvailable("No member has answered yet: this goes on, ask for `admitted` again.") from None
        if self.refusal:
            raise InvalidInvite(self.refusal)
        if self._room is None:
            raise NodeClosed("This room has been left, or its node closed: join it again.")
        return self._room

    def answered(self, *, room: MemoryRoom | None = None, refusal: str | None = None) -> None:
        """A member has answered; called by the node."""
        self._room, self.refusal = room, refusal
        self._answered.set()
        self.emit("update")

    def close(self) -> None:
        """Wait no more; called by the node."""
        self._closed = True
        self._answered.set()

    @property
    def messages(self) -> tuple[Message, ...]:
        """None yet."""
        return ()

    @property
    def peers(self) -> tuple[Member, ...]:
        """Nobody is known yet."""
        return ()

    def __len__(self) -> int:
        return 0

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Message, ...]: ...
    def __getitem__(self, index: int | slice) -> Message | tuple[Message, ...]:
        return self.messages[index]

    async def __aiter__(self) -> AsyncIterator[Message]:
        for message in self.messages:
            yield message

    def shares_name(self, name: str) -> bool:
        """Nobody is known yet."""
        return False

    async def send(self, text: object, *, timeout: float = WRITE_TIMEOUT) -> TextMessage:
        """Raises `UsageError`: nobody has let you in yet."""
        self._refuse()

    async def send_file(
        self, file: str | os.PathLike[str] | tuple[str, bytes], *, timeout: float = WRITE_TIMEOUT
    ) -> FileMessage:
        """Raises `UsageError`: nobody has let you in yet."""
        self._refuse()

    async def send_audio(self, data: bytes, *, timeout: float = WRITE_TIMEOUT) -> AudioMessage:
        """Raises `UsageError`: nobody has let you in yet."""
        self._refuse()

    async def clear(self) -> None:
        """Raises `UsageError`: there is nothing."""
        self._refuse()

    @from_any_loop
    async def leave(self) -> None:
        """Ask no more to be let in; the invite can be used again."""
        await self._backend.give_up(self)

    def _refuse(self) -> NoReturn:
        raise UsageError(self.refusal or "No member has let you in yet: wait until one is there.")
