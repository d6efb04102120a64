"""The pictures of a room's people: what a stranger sent is made anew, one at a time, before anybody sees it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from linkup_nb.errors import InvalidImage
from linkup_nb.loops import Tasks
from linkup_nb.rooms.avatar import scale_avatar
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.block import Kind
from linkup_nb.rooms.memory.people import People
from linkup_nb.rooms.memory.rows import BlockRow
from linkup_nb.rooms.memory.session import RoomSession

MAX_STRANGER_PIXELS = 16_000_000  # of an avatar that a member sends
MAX_AVATARS = 256  # pictures of one room that are looked at when it is opened


class Faces:
    """Gives `people` their pictures, and calls `changed` after each."""

    def __init__(self, session: RoomSession, people: People, changed: Callable[[], object]) -> None:
        self._session = session
        self._people = people
        self._changed = changed
        self._tasks = Tasks()
        self._scaling = asyncio.Lock()  # one picture at a time: each may take 100 MB while it is decoded

    def load(self) -> None:
        """Look at what the index knows: also at what has gone from the room, or come back."""
        latest: dict[bytes, BlockRow] = {}
        for row in self._session.index.latest(Kind.ICON):
            identity = self._session.feed_of(row.tie).identity
            if identity is not None and len(latest) < MAX_AVATARS:
                latest.setdefault(identity, row)
        self._people.keep_avatars({identity: row.t for identity, row in latest.items()})
        for identity, row in latest.items():
            if self._people.avatar(identity) is None:
                self.take(row)

    def take(self, row: BlockRow) -> None:
        """An icon has come."""
        self._tasks.start(self._take(row), "scaling an avatar")

    async def close(self) -> None:
        """Look at no more."""
        await self._tasks.cancel()

    async def _take(self, row: BlockRow) -> None:
        identity = self._session.feed_of(row.tie).identity
        _, body = blocks.decode(row.body or b"").body()
        if identity is None or not isinstance(body, blocks.IconBody) or not body.avatar:
            return
        with suppress(InvalidImage):
            async with self._scaling:
                picture = await asyncio.to_thread(scale_avatar, body.avatar, max_pixels=MAX_STRANGER_PIXELS)
            if self._session.index.row_at(row.tie, row.seq):  # meanwhile it may have gone from the room
                self._people.set_avatar(identity, row.t, picture)
                self._changed()
