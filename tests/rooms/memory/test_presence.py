"""Who is here and who is typing: the rules with a clock of their own, then between members."""

from collections.abc import Awaitable, Callable

from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.presence import PRESENCE_LIFE, TYPING_LIFE, Presences
from linkup_nb.wire.rooms import MAX_TYPING, PresenceState
from tests.rooms.memory.members import TestMember, connect
from tests.rooms.memory.test_room import a_room, comes, two_rooms

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)


def test_who_is_named_is_here_for_a_while() -> None:
    presences = Presences()
    presences.connected(b"ann")
    presences.presence(b"ann", PresenceState.HERE, frozenset({1, 2}), now=0)
    assert presences.named(PRESENCE_LIFE - 1) == {1, 2}
    assert presences.named(PRESENCE_LIFE) == frozenset()
    presences.presence(b"ann", PresenceState.HERE, frozenset({2}), now=10)
    assert presences.named(11) == {2}


def test_who_goes_is_not_here_nor_whom_they_named() -> None:
    presences = Presences()
    presences.connected(b"ann")
    presences.presence(b"ann", PresenceState.HERE, frozenset({1}), now=0)
    presences.gone(b"ann")
    assert (presences.devices(), presences.named(1)) == (frozenset(), frozenset())
    presences.presence(b"ann", PresenceState.HERE, frozenset({1}), now=2)  # not connected: not believed
    assert presences.named(3) == frozenset()


def test_who_says_that_they_are_away_is_away() -> None:
    presences = Presences()
    presences.connected(b"ann")
    assert presences.devices() == {b"ann"}
    for state in (PresenceState.AWAY, PresenceState.GONE):
        presences.presence(b"ann", state, frozenset({1}), now=0)
        assert presences.devices() == frozenset()
    assert presences.named(1) == frozenset()


def test_typing_ends_by_itself_whatever_was_announced() -> None:
    presences = Presences()
    presences.typing(b"ann", "random", MAX_TYPING, now=0)
    assert presences.typists(TYPING_LIFE - 1) == {b"ann": "random"}
    assert presences.typists(TYPING_LIFE) == {}
    presences.typing(b"ann", "", 3, now=10)
    assert presences.stopped(b"ann")
    assert not presences.stopped(b"ann")
    assert presences.typists(11) == {}


async def test_who_is_connected_to_somebody_who_is_here_is_here(make_member: MakeMember) -> None:
    ann, eve, bob = await make_member("ann"), await make_member("eve"), await make_member("bob")
    hers, between, his = await a_room(ann), await a_room(eve), await a_room(bob)
    await connect(ann, eve)
    other = await connect(eve, bob)
    await comes(hers, "update", lambda: {member.name for member in hers.peers if member.here} == {"eve", "bob"})
    await other.close()
    await comes(hers, "update", lambda: {member.name for member in hers.peers if member.here} == {"eve"})
    away = next(member for member in hers.peers if member.name == "bob")
    assert away.last_seen
    assert away.last_seen <= next(member for member in hers.peers if member.here).last_seen  # type: ignore[operator]
    assert len(between.peers) == len(his.peers) == 2


async def test_who_types_is_shown_until_they_send(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    await comes(his, "update", lambda: bool(his.peers))
    await hers.set_typing("random")
    await comes(his, "typing", lambda: bool(his.typing))
    assert {channel: [member.name for member in who] for channel, who in his.typing.items()} == {"random": ["ann"]}
    await hers.send("this")
    await comes(his, "typing", lambda: not his.typing)


async def test_typing_is_sent_once_in_a_while(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    await comes(his, "update", lambda: bool(his.peers))
    came: list[None] = []
    his.on("typing", lambda: came.append(None))
    for _ in range(50):
        await hers.set_typing()
    await hers.send("this")
    await comes(his, "message", lambda: len(his) == 1)
    assert len(came) == 2  # that she types, and that she does no longer
