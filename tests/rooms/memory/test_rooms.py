"""Rooms with memory as a user of nodes has them: over discovery, through restarts, from copies."""

import asyncio
import contextlib
import io
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import segno
from PIL import Image

import linkup_nb as lu
from linkup_nb.errors import InvalidInvite, NodeClosed
from linkup_nb.kademlia.discovery import run_bootstrap
from linkup_nb.rooms.memory import rooms, session
from linkup_nb.rooms.memory.invite import parse_invite
from linkup_nb.rooms.memory.message import RoomFileMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.waiting import WaitingRoom
from linkup_nb.rooms.room import Room

WAIT = 20.0


def node(path: Path, name: str | None = None) -> lu.Node:
    return lu.Node(path, name=name, discovery=[lu.Local(mdns=False)])


async def until(room: Room, condition: Callable[[], bool]) -> None:
    changed = asyncio.Event()
    for event in ("message", "change", "update"):
        room.on(event, lambda *_: changed.set())
    async with asyncio.timeout(WAIT):
        while not condition():
            changed.clear()
            await changed.wait()


async def joined(one: lu.Node, invite: str) -> MemoryRoom:
    room = await one.join(invite)
    assert isinstance(room, MemoryRoom)
    return room


def joined_room(room: Room) -> MemoryRoom:
    assert isinstance(room, MemoryRoom)
    return room


def texts(room: Room) -> list[str]:
    return [message.text for message in room.messages if isinstance(message, lu.TextMessage)]


async def test_a_room_is_created_joined_by_its_invite_and_talked_in(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "bob", "bob") as bob:
        hers = await ann.create_room("physics")
        assert ann.status.text.startswith("Nobody else is in physics yet. Send someone its invite.")
        await hers.send("first")
        his = await joined(bob, hers.invite)
        assert his.name == "physics"
        await until(his, lambda: texts(his) == ["first"])
        await his.send("hello")
        await until(hers, lambda: texts(hers) == ["first", "hello"])
        assert (ann.rooms, bob.rooms) == ((hers,), (his,))
        assert ann.status.text == "Connected to bob"


async def test_who_writes_while_nobody_is_there_is_read_when_somebody_comes(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann:
        hers = await ann.create_room("physics")
        invite = hers.invite
    async with node(tmp_path / "bob", "bob") as bob:
        his = await joined(bob, invite)
        await his.send("is anybody here?")
    async with node(tmp_path / "ann") as ann, node(tmp_path / "bob") as bob:
        [hers_again], [his_again] = ann.rooms, bob.rooms
        await until(hers_again, lambda: texts(hers_again) == ["is anybody here?"])
        assert texts(his_again) == ["is anybody here?"]


async def test_a_fourth_comes_when_one_old_member_is_left(tmp_path: Path) -> None:
    async with node(tmp_path / "bob", "bob") as bob:
        async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "cat", "cat") as cat:
            hers = await ann.create_room("physics")
            rooms = [hers, await joined(bob, hers.invite), await joined(cat, hers.invite)]
            for number in range(30):
                await rooms[number % 3].send(f"{number}")
            await rooms[0].send_file(("notes.txt", b"notes"))
            for room in rooms:
                await until(room, lambda room=room: len(room) == 31)  # type: ignore[misc]
            file = rooms[1].messages[-1]
            assert isinstance(file, RoomFileMessage)
            assert await file.load(timeout=WAIT) == b"notes"
        async with node(tmp_path / "dan", "dan") as dan:
            his = await joined(dan, rooms[1].invite)
            await until(his, lambda: len(his) == 31)
            assert [message.id for message in his.messages] == [message.id for message in rooms[1].messages]
            for message in his.messages:
                await message.verify()
            file = his.messages[-1]
            assert isinstance(file, RoomFileMessage)
            assert await file.load(timeout=WAIT) == b"notes"


async def test_a_copied_profile_is_another_device_and_a_moved_one_is_not(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann:
        hers = await ann.create_room("physics")
        await hers.send("from the first device")
        device = ann.swarm.public_key
    shutil.copytree(tmp_path / "ann", tmp_path / "copy")
    async with node(tmp_path / "ann") as ann, node(tmp_path / "copy") as copy:
        assert ann.swarm.public_key == device != copy.swarm.public_key
        assert ann.public_key == copy.public_key
        [hers_again], [theirs] = ann.rooms, copy.rooms
        await theirs.send("from the copy")
        await hers_again.send("from the original")
        for room in (hers_again, theirs):
            await until(room, lambda room=room: len(room) == 3)  # type: ignore[misc]
        assert texts(hers_again) == texts(theirs)
        assert {message.own for message in theirs.messages} == {True}
        copied = copy.swarm.public_key
    (tmp_path / "copy").rename(tmp_path / "moved")
    async with node(tmp_path / "moved") as moved:
        assert moved.swarm.public_key == copied


async def test_a_room_that_was_left_is_not_joined_again_by_itself(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann:
        hers = await ann.create_room("physics")
        await hers.send("kept")
        invite = hers.invite
        await hers.leave()
        assert ann.rooms == ()
        with pytest.raises(NodeClosed):
            await hers.send("too late")
    async with node(tmp_path / "ann") as ann:
        assert ann.rooms == ()
        again = await joined(ann, invite)
        assert texts(again) == ["kept"]


async def test_a_room_that_is_forgotten_leaves_nothing_and_can_be_joined_again(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "bob", "bob") as bob:
        hers = await ann.create_room("physics")
        his = await joined(bob, hers.invite)
        await hers.send("from her")
        await until(his, lambda: texts(his) == ["from her"])
        sent = await his.send_file(("notes.txt", os.urandom(100_000)))
        await until(hers, lambda: len(hers) == 2)
        secret, first = his.invite, sent.id.partition("/")[0]
        taken = sum(use.bytes for use in await bob.store.usage())
        await his.leave(forget=True)
        assert taken - sum(use.bytes for use in await bob.store.usage()) >= 100_000
        assert list((tmp_path / "bob" / "rooms").iterdir()) == []
        assert bob.rooms == ()
        book = msgspec.json.decode((tmp_path / "bob" / "rooms.json").read_bytes())
        assert [entry["secret"] for entry in book["rooms"]] == [""]
        again = await joined(bob, secret)
        await until(again, lambda: len(again) == 2)  # from her: she has kept it
        mine = await again.send("back")
        assert mine.id.partition("/")[0] != first  # the feed that was given up is not written again
        await until(hers, lambda: texts(hers)[-1] == "back")
        assert not any(row.faults for row in hers._session.feeds.rows)


async def test_forgetting_goes_on_after_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError

    async with node(tmp_path / "ann", "ann") as ann:
        hers = await ann.create_room("physics")
        await hers.send("something")
        with monkeypatch.context() as patch:
            patch.setattr(rooms, "free_room", crash)
            with pytest.raises(RuntimeError):
                await hers.leave(forget=True)
    assert list((tmp_path / "ann" / "rooms").iterdir())
    async with node(tmp_path / "ann") as ann:
        assert ann.rooms == ()
        assert list((tmp_path / "ann" / "rooms").iterdir()) == []


async def test_a_name_is_told_to_the_room(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "bob", "bob") as bob:
        hers = await ann.create_room("physics")
        his = await joined(bob, hers.invite)
        await until(his, lambda: [member.name for member in his.peers] == ["ann"])
        await ann.set_name("anna")
        await until(his, lambda: [member.name for member in his.peers] == ["anna"])


async def test_both_kinds_of_rooms_side_by_side(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "bob", "bob") as bob:
        hers = await ann.create_room("physics")
        lobby = await ann.create_room("lobby", linkup=True)
        his, his_lobby = await joined(bob, hers.invite), await bob.join(lobby.topic)
        await until(his, lambda: bool(his.peers))
        await until(his_lobby, lambda: [member.status.value for member in his_lobby.peers] == ["here"])
        await hers.send("kept")
        await lobby.send("forgotten")
        await until(his, lambda: texts(his) == ["kept"])
        await until(his_lobby, lambda: texts(his_lobby) == ["forgotten"])
        assert [room.name for room in ann.rooms] == ["physics", "lobby"]


async def test_what_is_neither_invite_nor_topic(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann:
        with pytest.raises(InvalidInvite, match="a letter is wrong or missing"):
            await ann.join("linkup:" + "y" * 56)


async def test_the_secret_is_in_a_file_of_its_own_that_others_cannot_read(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann:
        hers = await ann.create_room("physics")
        assert hers.invite[7:27] not in (tmp_path / "ann" / "config.json").read_text()
    for name in ("rooms.json", "device"):
        assert (tmp_path / "ann" / name).stat().st_mode & 0o077 == 0


async def test_a_restored_backup_that_meets_somebody_first_goes_on_with_its_own_feed(tmp_path: Path) -> None:
    async with node(tmp_path / "bob", "bob") as bob:
        async with node(tmp_path / "ann", "ann") as ann:
            hers = await ann.create_room("physics")
            his = await joined(bob, hers.invite)
            await hers.send("before the backup")
        shutil.copytree(tmp_path / "ann", tmp_path / "backup")
        async with node(tmp_path / "ann") as ann:
            await ann.rooms[0].send("after the backup")
            await until(his, lambda: len(his) == 2)
        shutil.rmtree(tmp_path / "ann")
        (tmp_path / "backup").rename(tmp_path / "ann")
        async with node(tmp_path / "ann") as ann:
            [restored] = ann.rooms
            await until(restored, lambda: len(restored) == 2)
            await restored.send("and on")
            await until(his, lambda: len(his) == 3)
            assert texts(his) == texts(restored) == ["before the backup", "after the backup", "and on"]
            assert len({message.id.split("/")[0] for message in his.messages}) == 1


async def test_a_restored_backup_that_is_alone_begins_another_feed(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann:
        hers = await ann.create_room("physics")
        invite = hers.invite
        await hers.send("before the backup")
    shutil.copytree(tmp_path / "ann", tmp_path / "backup")
    async with node(tmp_path / "bob", "bob") as bob:
        his = await joined(bob, invite)
        async with node(tmp_path / "ann") as ann:
            await ann.rooms[0].send("after the backup")
            await until(his, lambda: len(his) == 2)
    shutil.rmtree(tmp_path / "ann")
    (tmp_path / "backup").rename(tmp_path / "ann")
    async with node(tmp_path / "ann") as ann:
        await ann.rooms[0].send("written alone")
    async with node(tmp_path / "ann") as ann, node(tmp_path / "bob") as bob:
        [hers_again], [his_again] = ann.rooms, bob.rooms
        for room in (hers_again, his_again):
            await until(room, lambda room=room: len(room) == 3)  # type: ignore[misc]
        assert texts(hers_again) == texts(his_again)
        assert sorted(texts(his_again)) == ["after the backup", "before the backup", "written alone"]
        assert len({message.id.split("/")[0] for message in joined_room(his_again).messages}) == 2
        assert {message.own for message in hers_again.messages} == {True}


async def test_a_picture_is_made_anew_before_it_is_shown(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "bob", "bob") as bob:
        hers = await ann.create_room("physics")
        his = await joined(bob, hers.invite)
        await until(his, lambda: bool(his.peers))
        await ann.set_avatar(picture.getvalue())
        await until(his, lambda: his.peers[0].avatar is not None)


async def test_an_invite_is_shown_as_a_qr_code_and_never_by_evaluating_it(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann:
        hers = await ann.create_room("physics")
        code = hers.invite_qr()
        assert code.svg.startswith("<svg")
        assert segno.make(hers.invite, error="m", micro=False).svg_inline(scale=4, light="white") == code.svg
        assert len({len(line) for line in str(code).splitlines()[1:-1]}) == 1
        assert not [name for name in dir(code) if name.startswith("_repr_")]
        assert repr(code) == "<QrCode of an invite: print it, or show its svg, to let somebody in>"


async def test_a_restored_backup_whose_lost_blocks_nobody_sends_begins_another_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "OWN_BLOCKS_TIMEOUT", 0.5)
    async with node(tmp_path / "bob", "bob") as bob:
        async with node(tmp_path / "ann", "ann") as ann:
            hers = await ann.create_room("physics")
            his = await joined(bob, hers.invite)
            await hers.send("before the backup")
        shutil.copytree(tmp_path / "ann", tmp_path / "backup")
        async with node(tmp_path / "ann") as ann:
            await ann.rooms[0].send("after the backup")
            await until(his, lambda: len(his) == 2)
        shutil.rmtree(tmp_path / "ann")
        (tmp_path / "backup").rename(tmp_path / "ann")
        core = await bob.store.core(key=(await his[0].provenance()).evidence.key)
        await core.clear(core.length - 1)
        async with node(tmp_path / "ann") as ann:
            [restored] = ann.rooms
            await until(restored, lambda: bool(restored.peers))
            await restored.send("and on")
            await until(his, lambda: len(his) == 3)
            assert texts(his)[-1] == "and on"


@contextlib.asynccontextmanager
async def bootstrap() -> AsyncIterator[str]:
    """A private Kademlia network: the host:port by which one enters it."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(
        run_bootstrap("127.0.0.1", 0, ready=lambda host, port: listening.set_result(f"{host}:{port}"))
    )
    try:
        yield await listening
    finally:
        running.cancel()
        await asyncio.wait([running])


def found_by(node: lu.Node) -> set[str]:
    return {source for peer in node.swarm.peers for source in peer.sources}


@pytest.mark.parametrize("limited", [False, True], ids=["open", "limited"])
async def test_an_invite_leads_into_the_network_of_its_room(tmp_path: Path, limited: bool) -> None:
    async with bootstrap() as peer:
        async with (
            lu.Node(tmp_path / "ann", name="ann", bootstrap=[peer]) as ann,
            lu.Node(tmp_path / "bob", name="bob") as bob,
        ):
            hers = await ann.create_room("physics")
            invite = (await hers.create_invite()).link if limited else hers.invite
            assert invite
            assert parse_invite(invite).via == (peer,)
            assert all(one.name != "kademlia" for one in bob.swarm.discovery)
            entered = await bob.join(invite)
            his = await entered.admitted(timeout=WAIT) if isinstance(entered, WaitingRoom) else entered
            await his.send("found")
            await until(joined_room(hers), lambda: texts(hers) == ["found"])
            async with asyncio.timeout(WAIT):
                while "kademlia" not in found_by(bob):
                    changed = asyncio.Event()
                    bob.swarm.once("update", lambda *_, changed=changed: changed.set())
                    await changed.wait()
            assert parse_invite(joined_room(his).invite).via == (peer,)
        async with lu.Node(tmp_path / "bob") as bob:
            assert [one.name for one in bob.swarm.discovery].count("kademlia") == 1


async def test_what_an_invite_names_wrongly_is_left_out(tmp_path: Path) -> None:
    async with lu.Node(tmp_path / "ann", name="ann") as ann, lu.Node(tmp_path / "bob", name="bob") as bob:
        room = await ann.create_room("physics")
        await joined(bob, f"{room.invite}&via=127.0.0.1:99999")
        assert [one.name for one in bob.swarm.discovery] == ["local"]


async def test_an_invite_of_many_peers_is_one_network_and_there_is_a_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkup_nb.own_networks.MAX_NETWORK_PEERS", 4)
    async with lu.Node(tmp_path / "ann", name="ann") as ann, lu.Node(tmp_path / "bob", name="bob") as bob:
        room = joined_room(await ann.create_room("physics"))
        await joined(bob, room.invite + "".join(f"&via=127.0.0.{n}:9" for n in range(2, 6)))
        assert [one.name for one in bob.swarm.discovery] == ["local", "kademlia"]
        other = joined_room(await ann.create_room("chemistry"))
        await joined(bob, f"{other.invite}&via=127.0.0.9:9")
        assert [one.name for one in bob.swarm.discovery] == ["local", "kademlia"]


async def test_who_is_away_is_connected_and_not_here(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "bob", "bob") as bob:
        hers = joined_room(await ann.create_room("physics"))
        his = await joined(bob, hers.invite)
        await until(his, lambda: [member.here for member in his.peers] == [True])
        ann.away = True
        await until(his, lambda: [member.here for member in his.peers] == [False])
        await hers.send("from afar")
        await until(his, lambda: texts(his) == ["from afar"])
        ann.away = False
        await until(his, lambda: [member.here for member in his.peers] == [True])
