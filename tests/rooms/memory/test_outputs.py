"""What a cell shows, sent as a message: by its MIME types, small in the block, large in the drive."""

import io
import os
import sys
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from msgspec import Raw
from PIL import Image
from pyarrow import parquet

from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.rooms import outputs
from linkup_nb.rooms.frames import frame_file, parquet_table, read_frame
from linkup_nb.rooms.memory.block import OutputBody
from linkup_nb.rooms.memory.message import RoomOutputMessage, RoomTextMessage
from linkup_nb.rooms.memory.outputs import MAX_INLINE_BYTES, inline, read_output
from linkup_nb.rooms.outputs import MAX_TYPES, Output, output_of
from linkup_nb.surroundings import Surroundings, hand_in
from tests.rooms.memory.members import WAIT
from tests.rooms.memory.test_room import MakeMember, comes, two_rooms


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), os.urandom(3 * width * height)).save(out, "PNG")
    return out.getvalue()


class Table:
    """Shows itself as pandas' tables do."""

    def __repr__(self) -> str:
        return "a  b\n1  2"

    def _repr_html_(self) -> str:
        return "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"


class Figure:
    """Saves itself as matplotlib's figures do, and is shown by nothing else."""

    def __init__(self, picture: bytes) -> None:
        self.picture = picture

    def savefig(self, out: io.BytesIO, **_: object) -> None:
        out.write(self.picture)


class Broken:
    """Fails to show itself in every way but one."""

    def _repr_html_(self) -> str:
        raise ValueError("no")

    def _repr_markdown_(self) -> str:
        return "**it**"


def test_a_value_is_what_a_cell_would_show_of_it() -> None:
    assert output_of(42).data == {"text/plain": "42"}
    assert output_of(Table()).data == {"text/html": Table()._repr_html_(), "text/plain": "a  b\n1  2"}
    assert output_of(Broken()).data["text/markdown"] == "**it**"
    output = output_of(Figure(png(30, 20)))
    picture = output.picture()
    assert picture
    assert output.metadata == {"image/png": {"width": 30, "height": 20, "size": len(picture)}}


def test_a_notebook_shows_it_in_its_own_way() -> None:
    shown: list[object] = []

    def show(value: object) -> tuple[dict[str, Any], dict[str, Any]]:
        shown.append(value)
        return {"text/markdown": "*seen*", "application/x": object(), "text/plain": "\ud800"}, {}

    hand_in(Surroundings(show=show))
    try:
        assert output_of(1.5).data == {"text/markdown": "*seen*", "text/plain": "?"}
    finally:
        hand_in(Surroundings())
    assert shown == [1.5]


def test_an_output_that_is_too_large_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "MAX_OUTPUT_BYTES", 1000)
    with pytest.raises(UsageError, match="send a file of it"):
        output_of(list(range(1000)))


def test_only_so_many_types_are_sent_and_read() -> None:
    class Many:
        def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
            return {f"x/{number}": "x" for number in range(100)}

    assert len(output_of(Many()).data) == MAX_TYPES


@pytest.mark.parametrize("data", [{"image/png": "!!"}, {"image/png": "PGh0bWw+"}, {"image/png": 7}, {"image/png": "é"}])
def test_what_is_no_picture_is_none(data: dict[str, Any]) -> None:
    assert Output(data).picture() is None


@pytest.mark.parametrize("file", [b"", b"[]", b'{"data": 7}', b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_output_is_an_error_of_its_author(file: bytes) -> None:
    with pytest.raises(DecodeError):
        read_output(file)


async def test_a_table_and_a_figure_reach_the_others(make_member: MakeMember, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = await two_rooms(make_member)
    small, large = png(20, 10), png(400, 300)
    assert len(large) > MAX_INLINE_BYTES
    text = await mine.send("a text")
    table = await mine.send(Table())
    assert isinstance(text, RoomTextMessage)
    assert isinstance(table, RoomOutputMessage)
    await mine.send(Figure(small))
    await mine.send(Figure(large))
    await comes(theirs, "message", lambda: len(theirs) == 4)
    _, came, inline, in_drive = theirs.messages
    assert isinstance(came, RoomOutputMessage)
    assert came.data == {"text/html": Table()._repr_html_(), "text/plain": "a  b\n1  2"}
    assert came._repr_mimebundle_() == {"text/plain": "a  b\n1  2"}  # HTML of others runs in no cell
    assert isinstance(inline, RoomOutputMessage)
    assert Output(dict(inline.data)).picture() == small
    assert isinstance(in_drive, RoomOutputMessage)
    assert in_drive.path is not None
    assert set(in_drive.data) == {"text/plain"}
    assert in_drive.metadata["image/png"] == {"width": 400, "height": 300, "size": len(large)}
    whole = await in_drive.load(timeout=WAIT)
    assert not isinstance(whole, pd.DataFrame)
    assert Output(dict(whole)).picture() == large
    await came.verify()

    monkeypatch.setattr("linkup_nb.rooms.memory.origin.MAX_OUTPUT_BYTES", 1000)
    with pytest.raises(DecodeError, match="more than"):
        await in_drive.load(timeout=WAIT)
    await table.retract()
    await comes(theirs, "change", lambda: theirs.messages[1].retracted)
    gone = theirs.messages[1]
    assert isinstance(gone, RoomOutputMessage)
    assert gone.data == {}


def test_a_value_that_no_reader_can_read_is_left_out() -> None:
    body = OutputBody({"text/plain": Raw(b'"here"'), "application/json": Raw(b"1e999")}, {"x": Raw(b"[" * 10_000)})
    assert inline(body) == Output({"text/plain": "here"})


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


class Torn:
    def savefig(self, *_: object, **__: object) -> None:
        raise RuntimeError("no canvas")


@pytest.mark.parametrize(("value", "says"), [(Silent(), "no words"), (Torn(), "no canvas")])
def test_what_cannot_show_itself_is_answered_in_one_sentence(value: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        output_of(value)


async def test_only_a_text_answers_a_message(make_member: MakeMember) -> None:
    room, _ = await two_rooms(make_member)
    message = await room.send("what is it?")
    with pytest.raises(UsageError, match="Only a text can answer"):
        await room.send(Table(), to=message)  # type: ignore[call-overload]


FRAMES = [
    pd.DataFrame(
        {"n": [1, 2, 3], "x": [0.5, None, 1e300], "s": ["a", "", "ü,\n"], "t": pd.to_datetime(["2026-01-01"] * 3)}
    ),
    pd.DataFrame({"a": [1.0]}, index=pd.MultiIndex.from_tuples([("b", 2)], names=["k", "l"])),
    pd.DataFrame(),
    pd.DataFrame({"c": pd.Categorical(["a", "b", "a"]), "b": [b"\0", b"", b"x"], "l": [[1], [], [2, 3]]}),
]


@pytest.mark.parametrize("frame", FRAMES, ids=["columns", "levels", "empty", "kinds"])
async def test_a_data_frame_comes_back_as_one(make_member: MakeMember, frame: pd.DataFrame) -> None:
    mine, theirs = await two_rooms(make_member)
    await mine.send(frame)
    await comes(theirs, "message", lambda: len(theirs) == 1)
    came = theirs[0]
    assert isinstance(came, RoomOutputMessage)
    assert came.data["text/html"].startswith("<div>")
    loaded = await came.load(timeout=WAIT)
    assert isinstance(loaded, pd.DataFrame)
    pd.testing.assert_frame_equal(loaded, frame)


async def test_a_channel_takes_anything_too(make_member: MakeMember) -> None:
    room, _ = await two_rooms(make_member)
    await room.create_channel("data")
    message = await room.channel("data").send(pd.DataFrame({"a": [1]}))
    assert (message.channel, message.path and message.path.endswith(".parquet")) == ("data", True)


@pytest.mark.parametrize("index", [False, True])
def test_without_pyarrow_it_is_csv(monkeypatch: pytest.MonkeyPatch, index: bool) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=pd.Index(["p", "q"], name="k") if index else None)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyarrow", None)
        file = frame_file(frame)
        with pytest.raises(UsageError, match="pip install pandas pyarrow"):
            read_frame("x.parquet", b"PAR1", {})
    assert (file.suffix, file.about["rows"], file.about["columns"]) == (".csv", 2, 2)
    pd.testing.assert_frame_equal(read_frame("x.csv", file.data, {file.mime: file.about}), frame)


def test_what_parquet_cannot_hold_is_csv() -> None:
    assert frame_file(pd.DataFrame({"mixed": [1, "one", [2]]})).suffix == ".csv"


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"\xff\xfe"])
@pytest.mark.parametrize("path", ["/a.parquet", "/a.csv"])
def test_a_file_that_is_no_table_is_an_error_of_its_author(path: str, data: bytes) -> None:
    if path.endswith("csv") and data.startswith(b"PAR1"):
        assert len(read_frame(path, data, {"text/csv": {"index": 99}})) == 0  # a name of a column, as CSV goes
        return
    with pytest.raises(DecodeError, match="This is no table"):
        read_frame(path, data, {"text/csv": {"index": 1}})


def test_a_table_that_swells_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    file = frame_file(pd.DataFrame({"zeros": [0] * 1_000_000}))
    assert len(file.data) < 100_000
    monkeypatch.setattr("linkup_nb.rooms.frames.MAX_FRAME_BYTES", 1_000_000)
    with pytest.raises(DecodeError, match="swells"):
        read_frame("a.parquet", file.data, {})


def test_a_table_that_is_too_large_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.rooms.frames.MAX_FRAME_FILE", 100)
    with pytest.raises(UsageError, match="send a part of it"):
        frame_file(pd.DataFrame({"a": range(1000)}))


BIG = "x" * 3_000_000


def repeated(rows: int, *, nested: bool) -> bytes:
    """A small file of one text of 3 MB that each row names."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([BIG]))
    column = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), texts) if nested else texts
    out = io.BytesIO()
    parquet.write_table(pa.table({"s": column}), out, compression="zstd", store_schema=False)
    return out.getvalue()


@pytest.mark.parametrize("nested", [False, True])
def test_a_text_that_each_row_names_is_counted_each_time(nested: bool) -> None:
    file = repeated(10_000, nested=nested)
    assert len(file) < 100_000
    before = pa.total_allocated_bytes()
    with pytest.raises(DecodeError, match="swells to over 1024 MiB"):
        read_frame("a.parquet", file, {})
    assert pa.total_allocated_bytes() - before < 100_000_000
    table, count = parquet_table(file, 16_000_000, 5)
    assert (len(table), count, table["s"][4].as_py()) == (5, 10_000, [BIG] if nested else BIG)
    with pytest.raises(DecodeError, match="swells"):
        parquet_table(file, 16_000_000, 200)


def test_a_table_of_too_many_columns_or_cells_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.rooms.frames.MAX_FRAME_COLUMNS", 3)
    wide = pd.DataFrame([[1] * 4], columns=list("abcd"))
    for csv, name in ((False, "a.parquet"), (True, "a.csv")):
        with pytest.raises(DecodeError, match="over 3 columns"):
            read_frame(name, frame_file(wide, csv=csv).data, {})
    monkeypatch.setattr("linkup_nb.rooms.frames.MAX_CSV_CELLS", 10)
    with pytest.raises(DecodeError, match="over 10 cells"):
        read_frame("a.csv", b"a\n" * 11, {})
