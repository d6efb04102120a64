"""What a page asks of rooms with memory: changes of messages and of the room, searches, files in drives."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from linkup_nb.errors import NotAvailable, UsageError
from linkup_nb.node import Node
from linkup_nb.notebook.bridge import Bridge
from linkup_nb.notebook.chat import requests
from linkup_nb.notebook.chat.media import MAX_INLINE, OTHER, clip_type, vet, vet_output
from linkup_nb.notebook.chat.rendering import render_safely
from linkup_nb.notebook.chat.requests import Part
from linkup_nb.notebook.chat.updates import ProgressUpdate
from linkup_nb.notebook.chat.uploads import CHUNK, chunk_count
from linkup_nb.rooms.frames import frame_size, has_frame
from linkup_nb.rooms.linkup.room import LinkUpRoom
from linkup_nb.rooms.memory.message import InDrive, RoomMessage, RoomOutputMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.waiting import WaitingRoom
from linkup_nb.rooms.message import AudioMessage, FileMessage, TextMessage
from linkup_nb.rooms.names import clean, file_name

FOUND = 50  # messages of one answer to a search
EDITIONS = 50  # texts of one message that are shown, the last ones
EXCERPT = 240  # characters of a message that was found
BEFORE_HIT = 60  # characters of it before what was looked for
FILE_TIMEOUT = 60.0  # seconds that each step of fetching a file waits for a peer
PROGRESS_EVERY = 0.2  # seconds between two reports of a file on its way

HONEST = {
    "retract": "Retracted for everybody. Others may have kept it.",
    "verify": "It is as its author signed it, block {seq} of their feed.",
    "hide": "Hidden. Everybody's copy still has it.",
    "mute": "Muted, for you only: others still read them. ~mute --off undoes it.",
    "block": "Blocked: nothing of theirs is shown or fetched here, but others may pass on to them what you write."
    " ~block --off undoes it.",
    "remove": "Removed: nobody shows what they write from now on. They keep what they have, and the room's secret.",
}
"""What each action did, and what it cannot do."""


class MemoryRequests:
    """The handlers; lives on the node's loop."""

    def __init__(self, node: Node, bridge: Bridge) -> None:
        self._node = node
        self._bridge = bridge
        self._loading: dict[str, asyncio.Task[None]] = {}
        on = bridge.on
        on(requests.EditRequest, self._edit)
        on(requests.ReactRequest, self._react)
        on(requests.ActRequest, self._act)
        on(requests.TypingRequest, self._typing)
        on(requests.SearchRequest, self._search)
        on(requests.EditionsRequest, self._editions)
        on(requests.VersionsRequest, self._versions)
        on(requests.InviteRequest, self._invite)
        on(requests.ChangeRoomRequest, self._change_room)
        on(requests.ChannelRequest, self._channel)
        on(requests.LoadRequest, self._load)
        on(requests.LoadCancelRequest, self._load_cancel)

    async def close(self) -> None:
        """Fetch no more."""
        for task in self._loading.values():
            task.cancel()

    def room(self, topic: str) -> MemoryRoom:
        """The room with memory of this topic. Raises `UsageError` for one of another kind."""
        room = self._node.room(topic)
        if isinstance(room, WaitingRoom):
            raise UsageError(room.refusal or "No member has let you in yet: wait until one is there.")
        if not isinstance(room, MemoryRoom):
            raise UsageError("This is a room of LinkUp, which forgets: create one that keeps its history.")
        return room

    async def chunk(self, message: InDrive, request: requests.FetchRequest) -> requests.Chunk:
        """A chunk of a file in a drive; one that is to be shown is looked at first."""
        if request.inline:
            if message.size > MAX_INLINE:
                raise UsageError("This is too large to be shown: save it.")
            data = b"".join([piece async for piece in self._stream(message)])
            media = vet(message.file_name if isinstance(message, FileMessage) else "", data)
            mime = clip_type(data) if isinstance(message, AudioMessage) else media.mime
            if mime == OTHER or (media.kind == "file" and not isinstance(message, AudioMessage)):
                raise UsageError("This is not what its sender says it is: it is not shown.")
            start = request.index * CHUNK
            piece = data[start : start + CHUNK]
            return requests.Chunk(chunks=chunk_count(len(data)), size=len(data), mime=mime, data=piece)
        start = request.index * CHUNK
        size = message.size
        if request.version not in (None, message.version):
            found = await message.history(timeout=FILE_TIMEOUT)
            size = next((event.size_after or 0 for event in found if event.version == request.version), 0)
        part = [piece async for piece in self._stream(message, start, start + CHUNK, request.version)]
        return requests.Chunk(chunks=max(1, chunk_count(size)), size=size, mime=OTHER, data=b"".join(part))

    async def output_chunk(self, message: RoomOutputMessage, request: requests.FetchRequest) -> requests.Chunk:
        """A chunk of the data frame that was sent, or of the picture of what a cell showed."""
        if has_frame(message.path):
            first = request.index * CHUNK
            piece = b"".join([part async for part in self._stream(message, first, first + CHUNK)])
            chunks = max(1, chunk_count(frame_size(message.metadata)))
            return requests.Chunk(chunks=chunks, size=frame_size(message.metadata), mime=OTHER, data=piece)
        media = vet_output(await message.origin.load_output(message, FILE_TIMEOUT))
        start, size = request.index * CHUNK, len(media.data)
        mime = media.mime if request.inline else OTHER
        return requests.Chunk(chunks=chunk_count(size), size=size, mime=mime, data=media.data[start : start + CHUNK])

    def _stream(
        self,
        message: InDrive | RoomOutputMessage,
        start: int = 0,
        end: int | None = None,
        version: int | None = None,
    ) -> AsyncIterator[bytes]:
        return message.origin.stream(message, start, end, version=version, timeout=FILE_TIMEOUT)

    def _message(self, topic: str, id: str) -> RoomMessage:
        return self.room(topic).message(id)

    def _file(self, topic: str, id: str) -> InDrive:
        message = self._message(topic, id)
        if not isinstance(message, InDrive):
            raise UsageError("This message has no file.")
        return message

    async def _edit(self, request: requests.EditRequest) -> None:
        await self._message(request.topic, request.target).edit(request.text)

    async def _react(self, request: requests.ReactRequest) -> None:
        message = self._message(request.topic, request.target)
        await message.react(request.symbol, remove=request.remove)

    async def _act(self, request: requests.ActRequest) -> requests.Done:
        room, message = self.room(request.topic), self._message(request.topic, request.target)
        match request.action:
            case "retract":
                await message.retract()
            case "verify":
                await message.verify()
            case "hide":
                await room.hide(message)
            case "mute":
                await room.mute(message.key)
            case "block":
                await room.block(message.key)
            case "remove":
                await room.remove(message.key)
        return requests.Done(text=HONEST[request.action].format(seq=message.place[2]))

    async def _typing(self, request: requests.TypingRequest) -> None:
        if self._node.share_typing:
            await self.room(request.topic).set_typing(request.channel)

    async def _search(self, request: requests.SearchRequest) -> requests.Hits:
        room = self.room(request.topic)
        before = room.message(request.before) if request.before else None
        found = await room.search(request.text, channel=request.channel, before=before, limit=FOUND + 1)
        words = [word.strip('"*').casefold() for word in request.text.split() if word.strip('"*')]
        hits = [
            requests.Hit(
                id=message.id,
                channel=message.channel,
                name=message.name,
                time=_ms(message.timestamp),
                parts=excerpt(message.text if isinstance(message, TextMessage) else _file_of(message), words),
            )
            for message in found[:FOUND]
        ]
        return requests.Hits(hits=hits, more=len(found) > FOUND)

    async def _editions(self, request: requests.EditionsRequest) -> requests.Editions:
        message = self._message(request.topic, request.target)
        if message.retracted or message.hidden:
            raise UsageError("Its earlier texts are not shown, as it is not shown itself.")
        return requests.Editions(
            editions=[
                requests.EditionEntry(html=render_safely(edition.text), time=_ms(edition.timestamp))
                for edition in message.edits[-EDITIONS:]
            ]
        )

    async def _versions(self, request: requests.VersionsRequest) -> requests.Versions:
        message = self._file(request.topic, request.target)
        found = await message.history(timeout=FILE_TIMEOUT)
        return requests.Versions(
            versions=[
                requests.VersionEntry(version=event.version, size=event.size_after, time=None)
                for event in found
                if event.size_after is not None
            ]
        )

    async def _invite(self, request: requests.InviteRequest) -> requests.InviteAnswer:
        room = self.room(request.topic)
        return requests.InviteAnswer(link=room.invite, svg=room.invite_qr().svg)

    async def _change_room(self, request: requests.ChangeRoomRequest) -> None:
        if request.name is not None:
            room = self._node.room(request.topic)
            await (room if isinstance(room, LinkUpRoom) else self.room(request.topic)).rename(request.name)
        if request.subject is not None:
            await self.room(request.topic).set_subject(request.subject)
        if request.muted is not None:
            await self.room(request.topic).set_muted(request.muted)

    async def _channel(self, request: requests.ChannelRequest) -> None:
        await self.room(request.topic).create_channel(request.name)

    async def _load(self, request: requests.LoadRequest) -> None:
        message = self._file(request.topic, request.target)
        if request.target in self._loading:
            return
        report = self._reporter(request.topic, message)

        async def load() -> None:
            received = 0
            async for piece in self._stream(message, version=request.version):
                received += len(piece)
                report(received)

        task = self._loading[request.target] = asyncio.ensure_future(load())
        try:
            await task
        except asyncio.CancelledError:
            raise NotAvailable("You stopped it; what has come is kept.") from None
        finally:
            del self._loading[request.target]

    async def _load_cancel(self, request: requests.LoadCancelRequest) -> None:
        if task := self._loading.get(request.target):
            task.cancel()

    def _reporter(self, topic: str, message: InDrive) -> Callable[[int], None]:
        loop = asyncio.get_running_loop()
        room, last = self.room(topic), 0.0

        def report(received: int) -> None:
            nonlocal last
            if loop.time() - last >= PROGRESS_EVERY or received >= message.size:
                last = loop.time()
                update = ProgressUpdate(
                    room=topic, target=message.id, received=received, size=message.size, senders=room.holders(message)
                )
                self._bridge.send(update)

        return report


def _file_of(message: RoomMessage) -> str:
    return file_name(message.file_name) if isinstance(message, FileMessage) else ""


def excerpt(text: str, words: list[str]) -> list[Part]:
    """The part of a text around the first of these words, cut where they stand: each piece, and whether it is one."""
    shown = clean(text[: 64 * EXCERPT])
    folded = shown.casefold()
    if len(folded) != len(shown):  # a letter that folds into two would move what is marked
        folded = shown.lower() if len(shown.lower()) == len(shown) else shown
    first = min((at for word in words if (at := folded.find(word)) >= 0), default=0)
    start = max(0, first - BEFORE_HIT)
    end = start + EXCERPT
    parts: list[Part] = []
    at = start
    while at < min(end, len(shown)):
        hits = [(place, len(word)) for word in words if (place := folded.find(word, at, end)) >= 0]
        place, length = min(hits, key=lambda hit: (hit[0], -hit[1]), default=(min(end, len(shown)), 0))
        if place > at:
            parts.append(Part(shown[at:place], False))
        if length:
            parts.append(Part(shown[place : place + length], True))
        at = place + length
    if start > 0:
        parts.insert(0, Part("…", False))
    if end < len(shown):
        parts.append(Part("…", False))
    return parts


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
