from pathlib import Path

import pytest

from linkup_nb.notebook.charts.conversation import MAX_LANES, MAX_MESSAGES, MAX_TEXT, conversation
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.notebook.charts.conversations import ROOM, SAID, Alone, MakeMember, cut_and_healed, has
from tests.notebook.charts.pictures import Row, kept, marks, rows, shown
from tests.rooms.memory.conftest import make_member
from tests.rooms.memory.members import connect

__all__ = ["make_member"]  # the fixture


@pytest.fixture
async def healed(make_member: MakeMember) -> tuple[MemoryRoom, ...]:
    return await cut_and_healed(make_member)


def lines(room: MemoryRoom) -> list[str]:
    return kept(lambda: conversation(room.messages)).text.splitlines()


async def test_all_show_one_order_with_what_each_author_had_seen(healed: tuple[MemoryRoom, ...]) -> None:
    ann, bob, cy = map(lines, healed)
    assert ann[0] == "Order of 4 messages by 3 authors, oldest first, all shown."
    assert ann[1] == (
        "1 Ann: who brings cake?; 2 Bob: not me after 1 (late); 3 Ann: I will, then; 4 Cy: I will after 2."
    )
    assert bob[1].replace(" (late)", "") == cy[1].replace(" (late)", "") == ann[1].replace(" (late)", "")


async def test_lanes_are_authors_and_lines_lead_to_heads(healed: tuple[MemoryRoom, ...]) -> None:
    picture = kept(lambda: conversation(healed[0].messages))
    by_number: dict[int, Row] = {row["number"]: row for row in marks(picture) if "number" in row}
    assert [by_number[number]["text"] for number in (1, 2, 3, 4)] == SAID
    assert by_number[1]["x"] == by_number[3]["x"] < by_number[2]["x"] < by_number[4]["x"]
    assert by_number[1]["shape"] == by_number[3]["shape"] != by_number[2]["shape"]
    heads = {(row["x"], row["y"], row["x2"], row["y2"]) for row in rows(picture) if "y2" in row}
    place = {number: (row["x"], row["y"]) for number, row in by_number.items()}
    assert (*place[2], *place[1]) in heads
    assert (*place[4], *place[2]) in heads
    assert (*place[4], *place[3]) not in heads
    assert (*place[3], *place[2]) not in heads
    assert {"Ann", "Bob", "Cy", "late", *SAID} <= shown(picture)


async def test_dashes_stand_where_it_is_settled_no_more(healed: tuple[MemoryRoom, ...]) -> None:
    ann = healed[0]
    settled = sum(message.settled for message in ann.messages)
    text = kept(lambda: conversation(ann.messages)).text
    assert (f"Settled up to {settled};" in text) is (0 < settled < len(ann))


async def test_the_newest_are_shown_and_the_rest_counted(healed: tuple[MemoryRoom, ...]) -> None:
    ann, bob, _ = healed
    for number in range(MAX_MESSAGES):
        await ann.send(f"more {number}")
    await has(bob, 4 + MAX_MESSAGES)
    picture = kept(lambda: conversation(bob.messages))
    assert f"the last {MAX_MESSAGES} of {4 + MAX_MESSAGES} shown" in picture.text
    assert sorted(row["number"] for row in marks(picture) if "number" in row) == list(range(5, 5 + MAX_MESSAGES))


async def test_notices_stand_in_the_timeline(healed: tuple[MemoryRoom, ...]) -> None:
    picture = kept(lambda: conversation(healed[0].timeline))
    assert len(marks(picture, text="(hello)")) == 3


EVIL = "<img src=x onerror=alert(1)>\u202e\n" + "x" * 50_000


async def test_what_strangers_say_is_only_text_and_is_cut(healed: tuple[MemoryRoom, ...], tmp_path: Path) -> None:
    ann = healed[0]
    await ann.send(EVIL)
    taken_back = await ann.send("a secret")
    await taken_back.retract()
    (tmp_path / "<b>.csv").write_text("x")
    await ann.send_file(tmp_path / "<b>.csv")
    picture = kept(lambda: conversation(ann.messages))
    drawn = str(picture.spec) + picture.text
    assert "\u202e" not in drawn
    assert "a secret" not in drawn
    assert {"(taken back)", "<b>.csv", "<img src=x onerror=…"} <= shown(picture)
    assert len(drawn) < 20_000
    assert max(len(row["text"]) for row in marks(picture) if "text" in row) <= MAX_TEXT


async def test_what_is_hidden_is_not_told(healed: tuple[MemoryRoom, ...]) -> None:
    _, bob, cy = healed
    (ann,) = [member for member in cy.peers if member.name == "Ann"]
    await cy.mute(ann)
    assert "who brings cake?" not in kept(lambda: conversation(cy.messages)).text
    assert "who brings cake?" in kept(lambda: conversation(bob.messages)).text


async def test_many_authors_share_the_last_lane(make_member: MakeMember) -> None:
    members = [await make_member(f"author {number}") for number in range(MAX_LANES + 2)]
    rooms = [MemoryRoom("crowd", await member.enter(ROOM), Alone()) for member in members]
    for member in members[1:]:
        await connect(members[0], member)
    for room in rooms:
        await room.send("x")
    await has(rooms[0], len(rooms))
    picture = kept(lambda: conversation(rooms[0].messages))
    assert len({row["x"] for row in marks(picture) if "number" in row}) == MAX_LANES
    assert "others" in shown(picture)


async def test_an_empty_timeline_is_no_picture(make_member: MakeMember) -> None:
    member = await make_member("Ann")
    assert conversation(MemoryRoom("cake", await member.enter(ROOM), Alone()).messages) is None
