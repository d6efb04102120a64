"""What a node does when it is asked, by a command in its own process or over the socket: each answer is JSON objects.

Whatever others wrote has been cleaned of what steers a terminal.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from linkup_nb.blind.status import BlindPeerState
from linkup_nb.control import requests
from linkup_nb.errors import LinkupError, NotAvailable, UsageError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import Entry
from linkup_nb.hyperdrive.mirror import mirror_from, mirror_to
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.node import Node
from linkup_nb.progress import INTERVAL, Tally
from linkup_nb.rooms.memory.invite import is_invite
from linkup_nb.rooms.memory.message import InDrive, RoomMessage, RoomNotice, RoomOutputMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.waiting import WaitingRoom
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message, TextMessage
from linkup_nb.rooms.names import clean
from linkup_nb.rooms.room import Room

Item: TypeAlias = dict[str, Any]
Answer: TypeAlias = AsyncGenerator[Item, None]

MIN_TOPIC = 4  # hexadecimal digits of a topic that name a room
MAX_UNREAD = 10_000  # messages that wait for one who follows
MAX_STEM = 200  # characters of a name that one of an unfinished file begins with
MAX_TEXT = 65_536  # characters of a message that are printed


class SlowReader(LinkupError):
    """Whoever follows does not take what comes."""


class NobodyThere(NotAvailable):
    """Nobody was reached in time."""


async def answer(node: Node, ask: requests.Ask) -> Answer:
    """Carry out a request; raises `UsageError` for what cannot be, `NobodyThere` where nobody was reached in time."""
    async with aclosing(_ACTIONS[type(ask)](node, ask)) as items:
        async for item in items:
            yield item


async def _rooms(node: Node, ask: requests.RoomsAsk) -> Answer:
    for room in node.rooms:
        yield _room(node, room)


async def _create(node: Node, ask: requests.CreateAsk) -> Answer:
    yield _room(node, await node.create_room(ask.name, writers=ask.writers, linkup=ask.linkup))


async def _join(node: Node, ask: requests.JoinAsk) -> Answer:
    if not is_invite(ask.word):
        named = [room for room in node.rooms if room.name == ask.word]
        if named:
            yield _room(node, named[0])
            return
    yield _room(node, await node.join(ask.word, name=ask.name))


async def _leave(node: Node, ask: requests.LeaveAsk) -> Answer:
    room = room_of(node, ask.room)
    if ask.forget and isinstance(room, MemoryRoom):
        await room.leave(forget=True)
    else:
        await room.leave()
    yield {"left": clean(room.name)}


async def _invite(node: Node, ask: requests.InviteAsk) -> Answer:
    room = room_of(node, ask.room)
    if not isinstance(room, MemoryRoom):
        yield {"room": clean(room.name), "invite": room.topic.hex()}
    elif ask.expires is None and ask.uses is None:
        yield {"room": clean(room.name), "invite": room.invite}
    else:
        expires = None if ask.expires is None else timedelta(seconds=ask.expires)
        made = await room.create_invite(expires=expires, uses=ask.uses)
        yield {"room": clean(room.name), "invite": made.link}


async def _send(node: Node, ask: requests.SendAsk) -> Answer:
    room = room_of(node, ask.room)
    if ask.wait and not isinstance(room, MemoryRoom):
        # What LinkUp's rooms do not take now is lost.
        await _until(node, room, ask.wait, lambda: any(member.here for member in room.peers))
    channel: dict[str, Any] = {"channel": ask.channel} if isinstance(room, MemoryRoom) else {}
    message: Message
    if ask.file is not None:
        message = await room.send_file(ask.file, **channel)
    else:
        message = await room.send(ask.text, **channel)
    yield _message(room, message)
    if ask.wait and isinstance(room, MemoryRoom) and isinstance(message, RoomMessage):
        sent = message
        try:
            await _until(node, room, ask.wait, lambda: bool(sent.held_by or _is_kept(node, sent)), "delivery")
        except NobodyThere:
            raise NobodyThere(
                f"It is written and kept, but nobody came within {ask.wait:g} s to take it: it goes out when"
                " this profile runs again."
            ) from None


async def _tail(node: Node, ask: requests.TailAsk) -> Answer:
    rooms = [room_of(node, ask.room)] if ask.room else list(node.rooms)
    came: deque[tuple[Room, Message]] = deque()
    news = asyncio.Event()

    def take(room: Room, message: Message) -> None:
        if (not ask.room or room in rooms) and not isinstance(message, RoomNotice):
            if len(came) <= MAX_UNREAD:
                came.append((room, message))
            news.set()

    if ask.follow:
        node.on("message", take)
    try:
        last = [(room, message) for room in rooms for message in (room[-ask.count :] if ask.count else ())]
        for room, message in sorted(last, key=lambda one: one[1].timestamp)[-ask.count :] if ask.count else ():
            yield _message(room, message)
        while ask.follow:
            await news.wait()
            news.clear()
            while came:
                if len(came) > MAX_UNREAD:
                    raise SlowReader(f"Over {MAX_UNREAD:,} messages wait to be read: whoever reads them is too slow.")
                yield _message(*came.popleft())
    finally:
        if ask.follow:
            node.remove_listener("message", take)


async def _search(node: Node, ask: requests.SearchAsk) -> Answer:
    room = room_of(node, ask.room)
    if not isinstance(room, MemoryRoom):
        raise UsageError("A LinkUp room keeps nothing to search.")
    for message in await room.search(ask.words, limit=ask.count):
        yield _message(room, message)


async def _export(node: Node, ask: requests.ExportAsk) -> Answer:
    room = room_of(node, ask.room)
    if not isinstance(room, MemoryRoom):
        raise UsageError("A LinkUp room keeps nothing to export.")
    yield {"room": clean(room.name), "path": ask.path, "blocks": await room.export(ask.path)}


async def _people(node: Node, ask: requests.PeopleAsk) -> Answer:
    for member in room_of(node, ask.room).peers:
        yield {"name": clean(member.name), "key": member.key.hex(), "here": member.here}


async def _doctor(node: Node, ask: requests.DoctorAsk) -> Answer:
    for check in (await node.doctor()).checks:
        texts = {"seen": check.seen, "cause": check.cause, "advice": check.advice}
        yield {"name": check.name, "outcome": check.outcome.value} | {key: clean(text) for key, text in texts.items()}


async def _config(node: Node, ask: requests.ConfigAsk) -> Answer:
    for setting, value in ask.change.items():
        await _set(node, setting, value)
    profile = node.profile
    yield {
        "path": str(node.path),
        "key": node.public_key.hex(),
        "name": clean(node.name),
        "bootstrap": " ".join(profile.bootstrap),
        "relay": profile.relay or "",
        "blind-peers": " ".join(profile.blind_peers),
        "share-reads": "on" if node.share_reads else "off",
        "share-typing": "on" if node.share_typing else "off",
    }


async def _set(node: Node, setting: str, value: str) -> None:
    switches = {"on": True, "off": False}
    match setting:
        case "name":
            await node.set_name(value)
        case "bootstrap" | "relay":
            node.set_networks(**{setting: value})
        case "blind-peers":
            node.blind_peers = value.replace(",", " ").split()
        case "share-reads" | "share-typing" if value in switches:
            setattr(node, setting.replace("-", "_"), switches[value])
        case "share-reads" | "share-typing":
            raise UsageError(f"{setting} is on or off, not {value!r}.")
        case _:
            raise UsageError(
                f"There is no setting {setting!r}: there are name, bootstrap, relay, blind-peers, share-reads and"
                " share-typing."
            )


async def _drives(node: Node, ask: requests.DrivesAsk) -> Answer:
    for name, drive in node.drives.items():
        yield _drive(name, drive)


async def _mount(node: Node, ask: requests.MountAsk) -> Answer:
    drive = await drive_of(node, ask.drive)
    name = next((name for name, one in node.drives.items() if one is drive), drive.id)
    yield _drive(name, drive)


async def _files(node: Node, ask: requests.FilesAsk) -> Answer:
    view = await _view(node, ask.drive, ask.version)
    if ask.recursive:
        async for entry in view.list(ask.folder):
            yield _entry(entry)
        return
    async for path, found in view.children(ask.folder):
        yield {"path": _line(path), "folder": True} if found is None else _entry(Entry.decode(found))


async def _get(node: Node, ask: requests.GetAsk) -> Answer:
    view = await _view(node, ask.drive, ask.version)
    entry = await view.entry(ask.path, follow=True)
    if entry is None:
        raise UsageError(f"There is no file {ask.path} in version {view.version}.")
    total, done = await view.size(entry), 0
    to = Path(ask.to)
    unfinished = to.with_name(
        f".{to.name[:MAX_STEM]}.{os.urandom(4).hex()}.part"
    )  # what is there stays until all of the new one is here
    try:
        with await asyncio.to_thread(unfinished.open, "wb") as file:
            async for piece in view.stream(entry):
                await asyncio.to_thread(file.write, piece)
                done += len(piece)
                yield {"done": done, "total": total}
        await asyncio.to_thread(unfinished.replace, to)
    finally:
        await asyncio.to_thread(unfinished.unlink, missing_ok=True)
    yield {"path": str(to), "size": done, "version": entry.version}


async def _put(node: Node, ask: requests.PutAsk) -> Answer:
    drive = await drive_of(node, ask.drive, make=True)
    source = Path(ask.file)
    path = ask.path if ask.path.startswith("/") else f"/{ask.path}"
    if path.endswith("/"):
        path += source.name
    total = (await asyncio.to_thread(source.stat)).st_size
    progress = asyncio.Queue[int]()

    async def pieces() -> AsyncIterator[bytes]:
        done = 0
        with await asyncio.to_thread(source.open, "rb") as file:
            while piece := await asyncio.to_thread(file.read, 1_048_576):
                yield piece
                done += len(piece)
                progress.put_nowait(done)

    putting = asyncio.ensure_future(drive.put_stream(path, pieces(), progress=False))
    try:
        while not putting.done():
            step = asyncio.ensure_future(progress.get())
            await asyncio.wait({putting, step}, return_when=asyncio.FIRST_COMPLETED)
            if step.done():
                yield {"done": step.result(), "total": total}
            else:
                step.cancel()
        await putting
    finally:
        putting.cancel()
    yield {"path": path, "size": total, "version": drive.version}


async def _history(node: Node, ask: requests.HistoryAsk) -> Answer:
    drive = await drive_of(node, ask.drive)
    count = 0
    async for event in drive.history(ask.path, newest_first=True):
        if count >= ask.count:
            return
        count += 1
        yield {
            "version": event.version,
            "path": _line(event.path),
            "operation": event.operation.value,
            "before": event.size_before,
            "after": event.size_after,
        }


async def _diff(node: Node, ask: requests.DiffAsk) -> Answer:
    drive = await drive_of(node, ask.drive)
    async for change in drive.diff(ask.a, ask.b, folder=ask.folder):
        sizes = {side: entry and entry.size for side, entry in (("before", change.before), ("after", change.after))}
        yield {"path": _line(change.path)} | sizes


async def _mirror(node: Node, ask: requests.MirrorAsk) -> Answer:
    tally = Tally()
    if ask.back:
        drive = await drive_of(node, ask.drive, make=True)
        work = mirror_from(drive, ask.local, tally, to=ask.folder, dry_run=ask.dry)
    else:
        view = await _view(node, ask.drive, ask.version)
        work = mirror_to(view.checkout(view.version), ask.local, tally, of=ask.folder, dry_run=ask.dry)
    mirroring = asyncio.ensure_future(work)
    try:
        while not mirroring.done():
            await asyncio.wait({mirroring}, timeout=INTERVAL)
            if tally.total and not ask.dry:
                yield {"done": tally.done, "total": tally.total}
    finally:
        mirroring.cancel()
    steps = await mirroring
    for step in steps:
        yield {"path": _line(step.path), "action": step.action.value, "size": step.size}
    for skipped in steps.skipped:
        yield {"path": _line(skipped.path), "action": "skip", "reason": clean(skipped.reason)}


async def _serve(node: Node, ask: requests.ServeAsk) -> Answer:
    drive = await drive_of(node, ask.drive)
    server = await drive.serve(port=ask.port)
    try:
        yield {"url": server.url}
        await asyncio.Event().wait()
    finally:
        await server.close()


def room_of(node: Node, text: str) -> Room:
    """The room with this name, or whose topic begins so. Raises `UsageError` for none, and for several."""
    named = [room for room in node.rooms if room.name == text]
    if not named and len(text) >= MIN_TOPIC:
        named = [room for room in node.rooms if room.topic.hex().startswith(text.lower())]
    if len(named) == 1:
        return named[0]
    if named:
        topics = ", ".join(room.topic.hex()[:8] for room in named)
        raise UsageError(f"{len(named)} rooms are called {text!r}: name one by the beginning of its topic: {topics}.")
    there = ", ".join(clean(room.name) for room in node.rooms[:20]) or "none"
    raise UsageError(f"You are in no room {text!r}: join it first. There are: {there}.")


async def drive_of(node: Node, text: str, *, make: bool = False) -> Drive:
    """The drive with this name, or the one of this key, which is mounted. Raises `UsageError` for none.

    With `make` there is one's own drive of this name afterwards.
    """
    drives: Mapping[str, Drive] = node.drives
    if text in drives:
        return drives[text]
    try:
        return await node.drive(text)
    except UsageError:
        if make:
            return await node.drive(name=text)
        there = ", ".join(clean(name) for name in list(drives)[:20]) or "none"
        raise UsageError(
            f"There is no drive {text!r}, and it is no key of one: there are {there}. `drive put` makes your own."
        ) from None


async def _view(node: Node, text: str, version: int | None) -> DriveView:
    drive = await drive_of(node, text)
    await drive.arrived()
    return drive if version is None else drive.checkout(version)


def _is_kept(node: Node, sent: RoomMessage) -> bool:
    """Whether a blind peer has a message, and everything else that it was given: the file of it, too."""
    kept_by = sent.kept_by
    return any(blind.key in kept_by and blind.state is BlindPeerState.HOLDS for blind in node.blind_peers)


async def _until(node: Node, room: Room, seconds: float, condition: Callable[[], bool], *events: str) -> None:
    changed = asyncio.Event()

    def change(*_: object) -> None:
        changed.set()

    heard = [(node, "update"), *[(room, event) for event in ("update", *events)]]
    for emitter, event in heard:
        emitter.on(event, change)
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                changed.clear()
                await changed.wait()
    except TimeoutError:
        raise NobodyThere(f"Nobody was in {clean(room.name)} within {seconds:g} s.") from None
    finally:
        for emitter, event in heard:
            emitter.remove_listener(event, change)


def _room(node: Node, room: Room) -> Item:
    kind = "memory" if isinstance(room, MemoryRoom) else "waiting" if isinstance(room, WaitingRoom) else "linkup"
    item: Item = {"name": clean(room.name), "topic": room.topic.hex(), "kind": kind, "messages": len(room)}
    item["here"] = sum(member.here for member in room.peers)
    item["people"] = len(room.peers)
    if isinstance(room, MemoryRoom):
        item |= {"unread": room.unread, "invite": room.invite}
    item["status"] = clean(node.status_of(room).text)
    return item


def _drive(name: str, drive: Drive) -> Item:
    return {
        "name": clean(name),
        "key": drive.id,
        "version": drive.version,
        "writable": drive.writable,
        "peers": len(drive.peers),
    }


def _entry(entry: Entry) -> Item:
    item: Item = {"path": _line(entry.path), "folder": False, "size": entry.size, "version": entry.version}
    return item if entry.linkname is None else item | {"link": clean(entry.linkname)}


def _message(room: Room, message: Message) -> Item:
    item: Item = {
        "room": clean(room.name),
        "topic": room.topic.hex(),
        "id": message.id if isinstance(message, RoomMessage) else str(message.index),
        "time": message.timestamp.isoformat(timespec="milliseconds"),
        "name": clean(message.name),
        "key": message.key.hex(),
        "own": message.own,
    }
    if isinstance(message, RoomMessage) and message.channel:
        item["channel"] = clean(message.channel)
    match message:
        case TextMessage(text=text):
            item |= {"kind": "text", "text": printable(text)}
        case FileMessage(file_name=name):
            item |= {"kind": "file", "file": clean(name), "size": message.size}
        case AudioMessage():
            item |= {"kind": "audio", "size": message.size}
        case RoomOutputMessage(data=data):
            item |= {"kind": "output", "text": printable(str(data.get("text/plain", "")))}
        case _:
            item |= {"kind": "unknown"}
    if isinstance(message, InDrive):
        item |= {"drive": message.drive.hex(), "path": _line(message.path), "version": message.version}
    return item


def printable(text: str) -> str:
    """A text of several lines in which nothing steers a terminal."""
    lines = text[:MAX_TEXT].expandtabs(4).split("\n")
    return "\n".join(line[: len(line) - len(line.lstrip(" "))] + clean(line) for line in lines)


def _line(path: str) -> str:
    return str(PurePosixPath("/") / clean(path.lstrip("/"))) if clean(path) != path else path


_ACTIONS: dict[type[requests.Ask], Callable[[Node, Any], Answer]] = {
    requests.RoomsAsk: _rooms,
    requests.CreateAsk: _create,
    requests.JoinAsk: _join,
    requests.LeaveAsk: _leave,
    requests.InviteAsk: _invite,
    requests.SendAsk: _send,
    requests.TailAsk: _tail,
    requests.SearchAsk: _search,
    requests.ExportAsk: _export,
    requests.PeopleAsk: _people,
    requests.DoctorAsk: _doctor,
    requests.ConfigAsk: _config,
    requests.DrivesAsk: _drives,
    requests.MountAsk: _mount,
    requests.FilesAsk: _files,
    requests.GetAsk: _get,
    requests.PutAsk: _put,
    requests.HistoryAsk: _history,
    requests.DiffAsk: _diff,
    requests.MirrorAsk: _mirror,
    requests.ServeAsk: _serve,
}
