"""The requests of a chat's page, carried out on the node."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from linkup_nb.errors import LinkupError, UnknownRoom, UsageError
from linkup_nb.loops import Tasks
from linkup_nb.node import Node
from linkup_nb.notebook.bridge import Bridge, sentence
from linkup_nb.notebook.chat import requests
from linkup_nb.notebook.chat.diagnosis import Diagnosis
from linkup_nb.notebook.chat.feed import Feed
from linkup_nb.notebook.chat.feeds import feeds_of
from linkup_nb.notebook.chat.markup import clean
from linkup_nb.notebook.chat.media import OTHER, attachment
from linkup_nb.notebook.chat.memory_requests import FILE_TIMEOUT, MemoryRequests
from linkup_nb.notebook.chat.publisher import Cursor, Publisher, Shown
from linkup_nb.notebook.chat.recorder import Recorder
from linkup_nb.notebook.chat.uploads import CHUNK, Uploads, chunk_count
from linkup_nb.rooms import commands
from linkup_nb.rooms.commands import ReplyAction
from linkup_nb.rooms.memory.message import InDrive, RoomOutputMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message, TextMessage
from linkup_nb.rooms.names import check_name
from linkup_nb.rooms.outputs import TEXT
from linkup_nb.rooms.room import Room
from linkup_nb.rooms.status import Level

MAX_WHOLE = 1_048_576  # characters of a text that is shown in full
NO_ROOM = "You are in no room: create one, or join one by its topic, first."


class Conversation:
    """One panel's chat: the state that it shows, and a handler for each request; lives on the node's loop."""

    def __init__(
        self, node: Node, bridge: Bridge, node_expression: str, select: Callable[[Message | None], object]
    ) -> None:
        self._node = node
        self._select_object = select
        self._bridge = bridge
        self._feeds = feeds_of(node)
        last, channel = self._feeds.shown_last
        self.shown = Shown(last, channel) if last in node.rooms else Shown(next(iter(node.rooms), None))
        self._publisher = Publisher(node, self._feeds, self.shown, bridge, node_expression)
        self._uploads = Uploads()
        self._recorder = Recorder(self._recorded, bridge.fail, self._recording_changed)
        self._recorded_in: tuple[Room, str] | None = None
        self._tasks = Tasks()
        self._tasks.start(self._publisher.run(), "sending the page what is new")
        self._tasks.start(Diagnosis(node, self.shown, self._publisher.wake).run(), "asking the doctor")
        self._feeds.on("changed", self._publisher.wake)
        for event in ("update", "room"):
            node.on(event, self._settle)
        self._memory = MemoryRequests(node, bridge)
        self._register()

    def _register(self) -> None:
        on = self._bridge.on
        on(requests.HelloRequest, self._hello)
        on(requests.ByeRequest, self._bye)
        on(requests.ProfileRequest, self._profile)
        on(requests.CreateRequest, self._create)
        on(requests.JoinRequest, self._join)
        on(requests.LeaveRequest, self._leave)
        on(requests.ShowRequest, self._show_other)
        on(requests.SendRequest, self._send)
        on(requests.SelectRequest, self._select)
        on(requests.SeenRequest, self._seen)
        on(requests.PageRequest, self._page)
        on(requests.UploadBeginRequest, self._upload_begin)
        on(requests.UploadChunkRequest, self._upload_chunk)
        on(requests.UploadEndRequest, self._upload_end)
        on(requests.UploadCancelRequest, self._upload_cancel)
        on(requests.FetchRequest, self._fetch)
        on(requests.AwayRequest, self._away)
        on(requests.WholeRequest, self._whole)
        on(requests.RecordRequest, self._record)

    def close(self) -> None:
        """Answer no more, and send the page nothing more."""
        self._feeds.remove_listener("changed", self._publisher.wake)
        for event in ("update", "room"):
            self._node.remove_listener(event, self._settle)
        self._recorder.discard()
        self._ending = asyncio.gather(self._memory.close(), self._tasks.cancel())

    async def _away(self, request: requests.AwayRequest) -> None:
        self._feeds.look(request.view, request.away)

    async def _hello(self, request: requests.HelloRequest) -> None:
        self._feeds.look(request.view, away=False)
        self._publisher.subscribe(request.view, Cursor(request.epoch, request.version or 0))

    async def _bye(self, request: requests.ByeRequest) -> None:
        self._publisher.unsubscribe(request.view)
        self._feeds.look(request.view, None)

    async def _profile(self, request: requests.ProfileRequest) -> None:
        name = check_name(request.name)
        if request.avatar:
            _, image = self._uploads.finish(request.avatar)
            await self._node.set_avatar(image)
        await self._node.set_name(name)

    async def _create(self, request: requests.CreateRequest) -> requests.Entered:
        return self._enter(await self._node.create_room(request.name, linkup=request.linkup))

    async def _join(self, request: requests.JoinRequest) -> requests.Entered:
        return self._enter(await self._node.join(request.word))

    async def _leave(self, request: requests.LeaveRequest) -> None:
        room = self._node.room(request.topic)
        if request.forget and isinstance(room, MemoryRoom):
            await room.leave(forget=True)
        else:
            await room.leave()

    async def _show_other(self, request: requests.ShowRequest) -> None:
        self.show(self._node.room(request.topic), request.channel)

    async def _send(self, request: requests.SendRequest) -> requests.Sent:
        room = self._node.room(request.topic) if request.topic else None
        if commands.is_command(request.text):
            return await self._command(request.text, room)
        if not room:
            raise UnknownRoom(NO_ROOM)
        if isinstance(room, MemoryRoom):
            to = room.message(request.to) if request.to else None
            await room.send(request.text, to=to, channel=request.channel)
        else:
            await _until_kept(room, room.send(request.text))
        return requests.Sent(action="none")

    async def _command(self, line: str, room: Room | None) -> requests.Sent:
        reply = await commands.run(line, self._node, room)
        if reply.action is ReplyAction.SHOW_ROOM:
            self.show(reply.room)
        if reply.text:
            self._feeds.of(self.shown.room, self.shown.channel).notice(reply.text)
        match reply.action:
            case ReplyAction.CLEAR:
                return requests.Sent(action="clear")
            case ReplyAction.PICK_AVATAR:
                return requests.Sent(action="pick_avatar")
        return requests.Sent(action="none")

    async def _select(self, request: requests.SelectRequest) -> None:
        self.shown.selection = self._feed(request.topic).message(request.target)
        self.shown.selected = request.target if self.shown.selection else None
        self._select_object(self.shown.selection)
        self._publisher.wake()

    async def _seen(self, request: requests.SeenRequest) -> None:
        feed = self._feeds.of(self._node.room(request.topic), request.channel)
        await feed.read(request.targets, request.since, request.until)

    async def _page(self, request: requests.PageRequest) -> requests.Page:
        feed = self._feed(request.topic, request.channel)
        pictures = self._publisher.pictures()
        if request.before:
            window = feed.before(request.before, request.count, pictures)
        elif request.after:
            window = feed.after(request.after, request.count, pictures)
        elif request.around:
            window = feed.around(request.around, request.count, pictures)
        else:
            window = feed.newest(request.count, pictures)
        self._publisher.send_avatars(row.avatar for row in window.rows)
        return requests.Page(rows=window.rows, start=window.start, end=window.end)

    async def _upload_begin(self, request: requests.UploadBeginRequest) -> None:
        self._uploads.begin(request)

    async def _upload_chunk(self, request: requests.UploadChunkRequest) -> None:
        self._uploads.add(request.upload, request.index, request.data)

    async def _upload_end(self, request: requests.UploadEndRequest) -> None:
        if self._uploads.purpose(request.upload) == "avatar":
            return  # it waits for the profile that it belongs to
        about, data = self._uploads.finish(request.upload)
        room = self._node.room(about.topic or "")
        if isinstance(room, MemoryRoom):
            await room.send_file((about.name, data), channel=about.channel)
        else:
            await _until_kept(room, room.send_file((about.name, data)))

    async def _upload_cancel(self, request: requests.UploadCancelRequest) -> None:
        self._uploads.cancel(request.upload)

    async def _fetch(self, request: requests.FetchRequest) -> requests.Chunk:
        message = self._feed(request.topic, self.shown.channel).message(request.target)
        if isinstance(message, InDrive):
            return await self._memory.chunk(message, request)
        if isinstance(message, RoomOutputMessage):
            return await self._memory.output_chunk(message, request)
        if not isinstance(message, FileMessage | AudioMessage):
            raise UsageError("This file is gone: only the last messages of a room are kept.")
        start, data = request.index * CHUNK, message.data
        mime = attachment(message).mime if request.inline else OTHER
        return requests.Chunk(
            chunks=chunk_count(len(data)), size=len(data), mime=mime, data=data[start : start + CHUNK]
        )

    async def _whole(self, request: requests.WholeRequest) -> requests.Whole:
        message = self._feed(request.topic, self.shown.channel).message(request.target)
        text: object = ""
        if isinstance(message, RoomOutputMessage):
            text = (await message.origin.load_output(message, FILE_TIMEOUT)).data.get(TEXT)
        elif isinstance(message, TextMessage):
            text = message.text
        return requests.Whole(text=clean(str(text)[:MAX_WHOLE]))

    async def _record(self, request: requests.RecordRequest) -> None:
        if not request.on:
            self._recorder.stop()
        elif self.shown.room:
            self._recorded_in = (self.shown.room, self.shown.channel)
            self._recorder.start()
        else:
            raise UnknownRoom(NO_ROOM)

    def _settle(self, *_: object) -> None:
        rooms = self._node.rooms
        shown = self.shown.room
        if shown not in rooms and (rooms or self._node.status.level is not Level.OFF):
            # A room that a member has let us into takes the place of the one that waited.
            same = [room for room in rooms if shown and room.topic == shown.topic]
            self.show(next(iter([*same, *rooms]), None))
        self._publisher.wake()

    def show(self, room: Room | None, channel: str = "") -> None:
        """Show a room, or one of its channels."""
        if (room, channel) != (self.shown.room, self.shown.channel):
            self.shown.room, self.shown.channel = self._feeds.shown_last = (room, channel)
            self.shown.selection = self.shown.selected = None
            self._select_object(None)
        self._publisher.wake()

    def _enter(self, room: Room) -> requests.Entered:
        self.show(room)
        return requests.Entered(topic=room.topic.hex())

    def _feed(self, topic: str | None, channel: str = "") -> Feed:
        feed = self._feeds.of(self.shown.room, channel)
        if topic != (feed.room.topic.hex() if feed.room else None):
            raise UsageError("The panel shows another room by now: click again.")
        return feed

    def _recording_changed(self) -> None:
        self.shown.recording = self._recorder.on
        self._publisher.wake()

    def _recorded(self, clip: bytes) -> None:
        assert self._recorded_in
        self._tasks.start(self._send_clip(*self._recorded_in, clip), "sending a clip")

    async def _send_clip(self, room: Room, channel: str, clip: bytes) -> None:
        try:
            if isinstance(room, MemoryRoom):
                await room.send_audio(clip, channel=channel)
            else:
                await room.send_audio(clip)
        except LinkupError as error:
            self._bridge.fail(sentence(error))


async def _until_kept(room: Room, sending: Coroutine[Any, Any, Message]) -> None:
    """Wait until the message is in the room; how long it takes to reach everybody is not the page's concern.

    Raises what `sending` raises before that.
    """
    kept = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(sending)

    def notice(_: Message) -> None:
        # A room emits a message of ours from the task that sends it: no other message is taken for it.
        if asyncio.current_task() is task and not kept.done():
            kept.set_result(None)

    room.on("message", notice)
    try:
        await asyncio.wait({task, kept}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        room.remove_listener("message", notice)
        kept.cancel()
    if task.done():
        task.result()
    else:
        task.cancel()  # the delivery goes on without it, see `Room.send`
