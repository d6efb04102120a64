import pytest

from linkup_nb.rooms.member import Member, MemberStatus
from linkup_nb.rooms.status import Level, Status, describe

HERE, CONNECTING, AWAY = MemberStatus


def member(name: str, status: MemberStatus, *, shared: bool = False) -> Member:
    return Member(name, name.encode().ljust(32, b"."), status, shared_name=shared)


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ([], Status(0, "Nobody else is in lobby yet. Send someone its topic.", Level.ALONE)),
        ([("ant", HERE)], Status(1, "Connected to ant", Level.OK)),
        ([("ant", HERE), ("bee", HERE)], Status(2, "Connected to ant and bee", Level.OK)),
        ([("ant", HERE), ("bee", HERE), ("cat", HERE)], Status(3, "Connected to ant, bee and cat", Level.OK)),
        ([(f"m{n}", HERE) for n in range(7)], Status(7, "Connected to m0, m1 and 5 more", Level.OK)),
        ([("ant", AWAY), ("bee", HERE), ("cat", CONNECTING)], Status(1, "Connected to bee", Level.OK)),
        ([("ant", AWAY), ("cat", CONNECTING)], Status(0, "Connecting to cat…", Level.WAITING)),
        ([("ant", AWAY)], Status(0, "Nobody else is in lobby now: ant is away.", Level.WAITING)),
        (
            [("ant", AWAY), ("bee", AWAY)],
            Status(0, "Nobody else is in lobby now: ant and bee are away.", Level.WAITING),
        ),
    ],
)
def test_one_sentence_says_whether_we_are_connected_and_to_whom(
    members: list[tuple[str, MemberStatus]], status: Status
) -> None:
    assert describe("lobby", [member(*each) for each in members], offline=False) == status


def test_a_person_in_several_rooms_counts_once_and_where_they_are_nearest() -> None:
    members = [member("ant", AWAY), member("ant", HERE), member("ant", CONNECTING)]
    assert describe("your rooms", members, offline=False) == Status(1, "Connected to ant", Level.OK)


def test_a_shared_name_carries_its_short_key() -> None:
    assert describe("lobby", [member("ant", HERE, shared=True)], offline=False).text == "Connected to ant (cfz8…fazy)"


def test_alone_without_a_network_says_why() -> None:
    text = describe("lobby", [], offline=True).text
    assert text.endswith("Only this machine: the network is off (LINKUP_OFFLINE).")


def test_alone_with_something_wrong_says_what() -> None:
    wrong = "0 of 3 bootstrap nodes replied."
    assert describe("lobby", [], offline=False, finding=wrong) == Status(
        0, f"Nobody else is in lobby yet. {wrong}", Level.WAITING
    )
    away = describe("lobby", [member("ant", AWAY)], offline=True, finding=wrong)
    assert away.text == f"Nobody else is in lobby now: ant is away. {wrong}"
    assert describe("lobby", [member("ant", HERE)], offline=False, finding=wrong).text == "Connected to ant"
