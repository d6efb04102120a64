from linkup_nb.discovery.protocol import PeerInfo, PeerStatus
from linkup_nb.rooms.member import MAX_LOOKS, MAX_MEMBERS, Member, Members, MemberStatus

KESTREL, OTTER, US = b"k" * 32, b"o" * 32, b"u" * 32


def peer(key: bytes, status: PeerStatus = PeerStatus.CONNECTED, rtt: float | None = 0.01) -> PeerInfo:
    return PeerInfo(key, status, frozenset(), (), frozenset(), 0, None, None, None, None, rtt, 0, 0, None, 0)


def number(index: int) -> bytes:
    return index.to_bytes(32, "big")


def test_whoever_is_connected_is_here_and_away_when_gone() -> None:
    members = Members()
    members.update(OTTER, "otter", b"png")
    assert members.snapshot([peer(OTTER)]) == (Member("otter", OTTER, MemberStatus.HERE, b"png", 0.01),)
    assert members.snapshot([]) == (Member("otter", OTTER, MemberStatus.AWAY, b"png"),)


def test_those_here_come_first_then_by_name() -> None:
    members = Members()
    for key, name in ((b"1" * 32, "Zebra"), (b"2" * 32, "ant"), (b"3" * 32, "bee")):
        members.update(key, name)
    shown = members.snapshot([peer(b"1" * 32), peer(b"3" * 32, PeerStatus.CONNECTING)])
    assert [member.name for member in shown] == ["Zebra", "bee", "ant"]


def test_whoever_was_only_announced_is_shown_while_we_try_and_then_forgotten() -> None:
    members = Members()
    assert [m.status for m in members.snapshot([peer(OTTER, PeerStatus.DISCOVERED)])] == [MemberStatus.CONNECTING]
    assert members.snapshot([peer(OTTER, PeerStatus.FAILED)]) == ()


def test_a_member_without_a_name_goes_by_the_short_key() -> None:
    (member,) = Members().snapshot([peer(OTTER)])
    assert member.name == member.short_key == member.label


def test_a_name_that_two_people_use_is_told_apart_by_the_short_key() -> None:
    members = Members()
    members.update(KESTREL, "kestrel")
    assert not members.shares("kestrel")
    members.update(OTTER, "Kes\u200dtrel")
    shown = members.snapshot([])
    assert members.shares("kestrel")
    assert {member.label for member in shown} == {f"{m.name} ({m.short_key})" for m in shown}


def test_a_name_like_ours_is_shared_and_a_name_once_used_stays_so() -> None:
    members = Members()
    members.add_name(US, "me")
    members.update(OTTER, "me")
    assert members.shares("me")
    members.update(OTTER, "otter")
    assert members.shares("me")
    assert not members.shares("otter")


def test_only_changes_are_reported() -> None:
    members = Members()
    assert members.update(OTTER)
    assert not members.update(OTTER)
    assert members.update(OTTER, "otter")
    assert not members.update(OTTER, "otter")
    assert members.update(OTTER, "otter", b"png")
    assert not members.update(OTTER, "otter", None)


def test_what_is_remembered_of_strangers_is_bounded() -> None:
    members = Members()
    for index in range(2 * MAX_LOOKS):
        members.update(number(index), f"name {index}")
    assert len(members.snapshot([])) == MAX_MEMBERS
    announced = [peer(number(index), PeerStatus.DISCOVERED) for index in range(5 * MAX_LOOKS, 6 * MAX_LOOKS)]
    assert len(members.snapshot(announced)) == MAX_MEMBERS
    members.update(b"x" * 32, "name 0")
    assert not members.shares("name 0")
    members.update(b"y" * 32, f"name {2 * MAX_LOOKS - 1}")
    assert members.shares(f"name {2 * MAX_LOOKS - 1}")


def test_a_member_is_one_line_that_cannot_redraw_the_terminal() -> None:
    assert repr(Member("\x1b[2J", OTTER, MemberStatus.HERE)) == "<Member '\\x1b[2J' (p7zs…p7zo), here>"
