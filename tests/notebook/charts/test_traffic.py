import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from linkup_nb import Connection, Core, Corestore, connect, listen
from linkup_nb.connection.tap import Tap
from linkup_nb.notebook.charts.traffic import MAX_BINS, MAX_MEASURES, MAX_TYPE, MAX_TYPES, traffic
from tests.connection.udx_pair import udx_pair
from tests.notebook.charts.pictures import kept, rows, shown

PATIENCE = 20.0  # seconds
LARGE = 400_000  # bytes


class Copying(NamedTuple):
    """Lesson 5: a copy of a log, and its connection to the author."""

    connection: Connection
    copy: Core


@pytest.fixture
async def copying(tmp_path: Path) -> AsyncIterator[Copying]:
    async with Corestore(tmp_path / "theirs") as theirs, Corestore(tmp_path / "mine") as mine:
        author = await theirs.core(name="photos")
        await author.append([bytes(4096)] * 100)
        server = await listen("127.0.0.1", 0, theirs.replicate)
        connection = await connect("127.0.0.1", server.port)
        mine.replicate(connection)
        copy = await mine.core(key=author.key)
        await copy.update()
        yield Copying(connection, copy)
        await connection.close()
        await server.close()


def bars(tap: Tap, **where: object) -> list[dict[str, object]]:
    return rows(kept(lambda: traffic(tap)), **where)


async def test_a_block_is_one_request_up_and_one_answer_down(copying: Copying) -> None:
    tap = copying.connection.tap()
    await copying.copy.get(7)
    (request,) = bars(tap, type="DataRequest")
    (data,) = bars(tap, type="Data")
    assert (request["direction"], request["bytes"], request["frames"]) == ("sent", 27, 1)
    assert (data["direction"], data["bytes"], data["frames"]) == ("received", 4346, 1)
    assert float(str(request["y2"])) < float(str(request["y"]))
    assert float(str(data["y2"])) > float(str(data["y"]))
    picture = kept(lambda: traffic(tap))
    assert "Data 4,346 bytes in 1 frame" in picture.text
    assert "DataRequest 27 bytes in 1 frame" in picture.text
    assert "Congestion" not in picture.text
    assert {"↓ 4,346 B in 1", "↑ 27 B in 1", "Data", "DataRequest"} <= shown(picture)


async def test_all_bytes_are_in_the_bars_and_in_the_words(copying: Copying) -> None:
    tap = copying.connection.tap()
    await (await copying.copy.download()).done()
    tap.close()
    size = sum(frame.size for frame in tap.frames)
    drawn = [row for row in bars(tap) if "bytes" in row]
    assert sum(int(str(row["bytes"])) for row in drawn) == size
    assert sum(int(str(row["frames"])) for row in drawn) == len(tap.frames)
    assert f"frames of {size:,} bytes" in kept(lambda: traffic(tap)).text
    assert "closed" in kept(lambda: traffic(tap)).spec["title"]["subtitle"]


async def test_types_of_a_stranger_are_text_bounded_in_number_and_length() -> None:
    arrived: asyncio.Queue[Connection] = asyncio.Queue()
    server = await listen("127.0.0.1", 0, arrived.put_nowait)
    ours = await connect("127.0.0.1", server.port)
    theirs = await arrived.get()
    tap = ours.tap()
    for number in range(MAX_TYPES + 20):
        await theirs.write(b'{"type":"%d<img src=x onerror=alert(1)>\xe2\x80\xae%s"}' % (number, b"x" * 5000))
    async with asyncio.timeout(PATIENCE):
        async for frame in tap:
            if frame.number == MAX_TYPES + 19:
                break
    picture = kept(lambda: traffic(tap))
    names = {str(row["type"]) for row in rows(picture) if "type" in row}
    assert len(names) == MAX_TYPES
    assert "other types" in names
    assert max(map(len, names)) <= MAX_TYPE
    assert "\u202e" not in str(picture.spec) + picture.text
    assert len([row for row in rows(picture) if "bytes" in row]) <= MAX_TYPES * MAX_BINS * 2
    await ours.close()
    await theirs.close()
    await server.close()


async def test_over_udx_the_window_and_the_round_trip_have_a_panel_each() -> None:
    async with udx_pair() as (one, other):
        tap = one.tap()
        reading = asyncio.create_task(drain(other))
        for _ in range(40):
            await one.write(bytes(LARGE))
        tap.close()
        reading.cancel()
        measures = tap.measures
        assert measures[-1].window > measures[0].window
        picture = kept(lambda: traffic(tap))
        assert f"Congestion window from {min(m.window for m in measures):,} to" in picture.text
        assert "round trip from" in picture.text
        lines = [layer for layer in picture.spec["layer"] if layer["mark"]["type"] == "line"]
        assert len(lines) == 2
        for line in lines:
            assert len(line["data"]["values"]) <= MAX_MEASURES + 1
        assert {"congestion window", "round trip"} <= shown(picture)


async def drain(connection: Connection) -> None:
    while True:
        await connection.read()


async def test_no_frame_is_no_picture() -> None:
    async with udx_pair() as (one, _):
        tap = one.tap()
        assert tap.frames == ()
        assert traffic(tap) is None
