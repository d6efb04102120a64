"""One panel's side of the talk with its page: every request is answered once, errors included."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple

import msgspec

from linkup_nb.errors import LinkupError, UnknownRoom, UsageError
from linkup_nb.loops import Tasks
from linkup_nb.node import Node
from linkup_nb.notebook.chat import requests as ask
from linkup_nb.notebook.chat.diagnosis import Diagnosis
from linkup_nb.notebook.chat.feed import Feed, feeds_of
from linkup_nb.notebook.chat.recorder import Recorder
from linkup_nb.notebook.chat.teller import Cursor, SendToPage, Shown, Teller
from linkup_nb.notebook.chat.uploads import CHUNK, Uploads, chunk_count
from linkup_nb.rooms import commands
from linkup_nb.rooms.commands import Action
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message
from linkup_nb.rooms.names import check_name
from linkup_nb.rooms.room import Room
from linkup_nb.rooms.status import Level

Buffers = Sequence[bytes | memoryview]

log = logging.getLogger("linkup_nb")


class Answer(NamedTuple):
    """The fields of a reply besides `ok`, and its buffers."""

    fields: dict[str, Any]
    buffers: list[bytes] | None = None


class Conversation:
    """What a panel shows, and what its page may do; lives on the node's loop.

    Call `receive` for every message from the page; `send` is called for every message to it.
    """

    def __init__(self, node: Node, send: SendToPage, node_expression: str) -> None:
        self._node = node
        self._send = send
        self._feeds = feeds_of(node)
        last = self._feeds.shown_last
        self.shown = Shown(last if last in node.rooms else next(iter(node.rooms), None))
        self._teller = Teller(node, self._feeds, self.shown, send, node_expression)
        self._uploads = Uploads()
        self._recorder = Recorder(self._recorded, self._fail, self._recording_changed)
        self._recorded_in: Room | None = None
        self._tasks = Tasks()
        self._tasks.start(self._teller.run(), "telling the page")
        self._tasks.start(Diagnosis(node, self.shown, self._teller.wake).run(), "asking the doctor")
        self._feeds.on("changed", self._teller.wake)
        self._feeds.on("delivered", self._teller.delivered)
        for event in ("update", "room"):
            node.on(event, self._settle)

    def receive(self, content: object, buffers: Buffers) -> None:
        """Answer a message from the page, in a while."""
        try:
            request = ask.parse(content)
        except msgspec.ValidationError as error:
            log.debug("the page asked for something unknown: %s", error)
            refuse(self._send, content, "This page and its kernel do not understand each other: reload the page.")
            return
        self._tasks.start(self._answer(request, buffers), "answering the page")

    def close(self) -> None:
        """Answer no more, and tell the page nothing more."""
        self._feeds.remove_listener("changed", self._teller.wake)
        self._feeds.remove_listener("delivered", self._teller.delivered)
        for event in ("update", "room"):
            self._node.remove_listener(event, self._settle)
        self._recorder.discard()
        self._ending = asyncio.ensure_future(self._tasks.cancel())

    async def _answer(self, request: ask.AnyRequest, buffers: Buffers) -> None:
        reply: dict[str, Any] = {"type": "reply", "id": request.id, "view": request.view, "ok": True}
        try:
            answer = await self._do(request, buffers)
        except LinkupError as error:
            self._send(reply | {"ok": False, "error": _sentence(error)}, None)
        except Exception as error:
            log.exception("a request of the page failed")
            text = f"This went wrong in the kernel: {type(error).__name__}: {error}"
            self._send(reply | {"ok": False, "error": text}, None)
        else:
            self._send(reply | answer.fields, answer.buffers)

    async def _do(self, request: ask.AnyRequest, buffers: Buffers) -> Answer:
        match request:
            case ask.Hello(view=view, epoch=epoch, last_seq=last):
                self._teller.welcome(view, Cursor(epoch, -1 if last is None else last + 1))
            case ask.Bye(view=view):
                self._teller.dismiss(view)
            case ask.Profile():
                await self._set_profile(request)
            case ask.Create(name=name):
                return self._enter(await self._node.create_room(name, linkup=True))
            case ask.Join(topic=topic):
                return self._enter(await self._node.join(topic))
            case ask.Leave(topic=topic):
                await self._node.room(topic).leave()
            case ask.Show(topic=topic):
                self._show(self._node.room(topic))
            case ask.Send():
                return await self._say(request)
            case ask.Select(topic=topic, seq=seq):
                self._select(self._feed(topic), seq)
            case ask.Seen(topic=topic, seq=seq):
                self._feeds.of(self._node.room(topic)).read(seq)
            case ask.UploadBegin():
                self._uploads.begin(request)
            case ask.UploadChunk(upload=upload, index=index):
                self._uploads.add(upload, index, buffers[0] if buffers else b"")
            case ask.UploadEnd(upload=upload):
                await self._finish_upload(upload)
            case ask.UploadCancel(upload=upload):
                self._uploads.cancel(upload)
            case ask.Fetch(topic=topic, seq=seq, index=index):
                return _fetch(self._feed(topic), seq, index)
            case ask.Avatar(avatar=name):
                return self._picture(name)
            case ask.Record(on=on):
                self._record(on)
        return Answer({})

    def _settle(self, *_: object) -> None:
        rooms = self._node.rooms
        if self.shown.room not in rooms and (rooms or self._node.status.level is not Level.OFF):
            self._show(next(iter(rooms), None))
        self._teller.wake()

    def _show(self, room: Room | None) -> None:
        if room is not self.shown.room:
            self.shown.room = self._feeds.shown_last = room
            self.shown.selection = self.shown.selected_seq = None
        self._teller.wake()

    def _enter(self, room: Room) -> Answer:
        self._show(room)
        return Answer({"topic": room.topic.hex()})

    def _feed(self, topic: str | None) -> Feed:
        feed = self._feeds.of(self.shown.room)
        if topic != (feed.room.topic.hex() if feed.room else None):
            raise UsageError("The panel shows another room by now: click again.")
        return feed

    async def _set_profile(self, request: ask.Profile) -> None:
        name = check_name(request.name)
        if request.avatar:
            _, image = self._uploads.finish(request.avatar)
            await self._node.set_avatar(image)
        await self._node.set_name(name)

    async def _say(self, request: ask.Send) -> Answer:
        room = self._node.room(request.topic) if request.topic else None
        if commands.is_command(request.text):
            return await self._command(request.text, room)
        if not room:
            raise UnknownRoom("You are in no room: create one, or join one by its topic, first.")
        await _until_kept(room, room.send(request.text))
        return Answer({"action": Action.NONE.value})

    async def _command(self, line: str, room: Room | None) -> Answer:
        reply = await commands.run(line, self._node, room)
        if reply.action is Action.SHOW_ROOM:
            self._show(reply.room)
        if reply.text:
            self._feeds.of(self.shown.room).notice(reply.text)
        for_page = reply.action in (Action.CLEAR, Action.PICK_AVATAR)
        return Answer({"action": (reply.action if for_page else Action.NONE).value})

    def _select(self, feed: Feed, seq: int) -> None:
        row = feed.row(seq)
        self.shown.selection = row.message if row else None
        self.shown.selected_seq = seq
        self._teller.wake()

    async def _finish_upload(self, upload: str) -> None:
        if self._uploads.purpose(upload) == "avatar":
            return  # it waits for the profile that it belongs to
        about, data = self._uploads.finish(upload)
        room = self._node.room(about.topic or "")
        sending = room.send_file((about.name, data)) if about.purpose == "file" else room.send_audio(data)
        await _until_kept(room, sending)

    def _picture(self, name: str) -> Answer:
        found = self._feeds.avatars.find(name)
        if not found:
            raise UsageError("This picture has been forgotten.")
        return Answer({"mime": found[0]}, [found[1]])

    def _record(self, on: bool) -> None:
        if not on:
            self._recorder.stop()
        elif self.shown.room:
            self._recorded_in = self.shown.room
            self._recorder.start()
        else:
            raise UnknownRoom("You are in no room: create one, or join one by its topic, first.")

    def _recording_changed(self) -> None:
        self.shown.recording = self._recorder.on
        self._teller.wake()

    def _recorded(self, clip: bytes) -> None:
        assert self._recorded_in
        self._tasks.start(self._send_clip(self._recorded_in, clip), "sending a clip")

    async def _send_clip(self, room: Room, clip: bytes) -> None:
        try:
            await room.send_audio(clip)
        except LinkupError as error:
            self._fail(_sentence(error))

    def _fail(self, sentence: str) -> None:
        self._send({"type": "error", "text": sentence}, None)


def refuse(send: SendToPage, content: object, sentence: str) -> None:
    """Answer a request that is not carried out, if it has an id to answer to."""
    if isinstance(content, dict) and isinstance(content.get("id"), str):
        reply = {"type": "reply", "id": content["id"], "view": content.get("view"), "ok": False, "error": sentence}
        send(reply, None)


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


def _fetch(feed: Feed, seq: int, index: int) -> Answer:
    row = feed.row(seq)
    if not row or not isinstance(row.message, FileMessage | AudioMessage):
        raise UsageError("This file is gone: only the last messages of a room are kept.")
    data = row.message.data
    chunk = data[index * CHUNK : (index + 1) * CHUNK]
    return Answer({"chunks": chunk_count(len(data)), "size": len(data)}, [chunk])


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
