import json
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from linkup_nb.rooms.memory.export import verify_export
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.rooms.memory.members import TestMember
from tests.rooms.memory.test_room import comes, two_rooms

MakeMember = Callable[[str], Awaitable[TestMember]]


async def a_talk(make_member: MakeMember) -> MemoryRoom:
    hers, his = await two_rooms(make_member)
    for number in range(10):
        await (hers, his)[number % 2].send(f"message {number}")
        await comes(his, "message", lambda number=number: len(his) == number + 1)  # type: ignore[misc]
        await comes(hers, "message", lambda number=number: len(hers) == number + 1)  # type: ignore[misc]
    await his[0].react("👍")
    await hers[0].edit("message zero")
    return hers


async def test_an_export_is_checked_with_nothing_else_at_hand(make_member: MakeMember, tmp_path: Path) -> None:
    room = await a_talk(make_member)
    path = tmp_path / "room.jsonl"
    count = await room.export(path)
    report = verify_export(path)
    assert report
    assert (report.room, report.feeds, report.blocks) == ("physics", 2, count)
    assert "as their authors signed them" in repr(report)
    assert room.invite[7:27] not in path.read_text()


async def test_whatever_is_changed_is_named(make_member: MakeMember, tmp_path: Path) -> None:
    room = await a_talk(make_member)
    path = tmp_path / "room.jsonl"
    await room.export(path)
    lines = path.read_text().splitlines()

    def changed(number: int, **fields: object) -> list[str]:
        row = json.loads(lines[number]) | fields
        return [*lines[:number], json.dumps(row), *lines[number + 1 :]]

    def flipped(number: int, field: str) -> list[str]:
        data = bytearray(b64decode(json.loads(lines[number])[field]))
        data[len(data) // 2] ^= 1
        return changed(number, **{field: b64encode(bytes(data)).decode()})

    last = len(lines) - 1
    lies = {
        "a bit of a block": (flipped(8, "block"), 9),
        "a bit of a signature": (flipped(1, "signature"), 2),
        "a bit of a manifest": (flipped(2, "manifest"), 3),
        "another topic": (changed(0, topic="00" * 32), 4),
        "a block left out and another put in its place": ([*lines[:8], lines[9], lines[8], *lines[10:]], None),
        "another number": (changed(8, seq=json.loads(lines[8])["seq"] + 1), 9),
        "a block twice": ([*lines, lines[last]], last + 2),
        "no hello": ([*lines[:3], *lines[4:]], None),
        "garbage": ([*lines[:5], "{", *lines[5:]], 6),
        "a number that is none": (changed(8, nodes=[[float("inf"), 1, "AA"]]), 9),
        "nothing": ([], 1),
    }
    for name, (told, bad_line) in lies.items():
        path.write_text("".join(line + "\n" for line in told))
        report = verify_export(path)
        assert not report, name
        assert bad_line in (None, report.bad_line), (name, report)
        assert report.reason


def test_a_file_that_is_not_there_is_the_machines_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        verify_export(tmp_path / "none.jsonl")
