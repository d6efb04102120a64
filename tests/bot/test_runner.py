"""notebooks/bots/runner.py, with real kernels."""

import html
import os
from pathlib import Path

import nbformat
import pytest

import linkup_nb as lu
from linkup_nb.rooms.memory.message import RoomOutputMessage, RoomTextMessage
from tests.bot.files import load
from tests.bot.talking import talking_to, texts
from tests.bot.test_dice import answers
from tests.rooms.nodes import until

PATIENCE = 90.0  # seconds: a kernel starts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setenv("LINKUP_BOT_NOTEBOOKS", str(folder))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return folder


def write(folder: Path, name: str, *cells: str, parameters: str = "") -> None:
    book = nbformat.v4.new_notebook()
    if parameters:
        book.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    book.cells += [nbformat.v4.new_code_cell(cell, execution_count=7) for cell in cells]
    nbformat.write(book, folder / f"{name}.ipynb")


async def ends(room: lu.Room, line: str, wanted: str) -> RoomTextMessage:
    """The bot's one message about a run, once it says how that ended."""
    before = len(room)

    def progress() -> list[RoomTextMessage]:
        said = [message for message in room.messages[before:] if isinstance(message, RoomTextMessage) and message.to]
        return [message for message in said if wanted in message.text]

    await room.send(line)
    await until(lambda: bool(progress()), room, patience=PATIENCE)
    [message] = progress()
    return message


async def test_a_notebook_runs_for_who_may_and_its_result_is_shared(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load("runner")
    monkeypatch.setattr(module, "EDIT_EVERY", 0.0)
    write(
        folder,
        "report",
        "total = year + 1",
        "print(city)",
        "total",
        parameters="year = 2000\ncity = 'Ulm'\nx = [i for i in 'a']",
    )
    write(folder, "words", "print('only ' + 'words')")
    async with talking_to(module.bot, tmp_path, "memory", patience=3 * PATIENCE) as (kestrel, room):
        refused = await answers(room, "!run report")
        assert refused.startswith("You may not run notebooks here.")
        assert kestrel.public_key.hex() in refused
        monkeypatch.setenv("LINKUP_BOT_ALLOWED", f"{'0' * 64}, {kestrel.public_key.hex().upper()}")
        assert await answers(room, "!notebooks") == "- `report` year=2000 city='Ulm'\n- `words`"

        done = await ends(room, "!run report year=2025 'city=New Ulm'", "is done")
        assert done.text.startswith("`report` is done: 5 cells in ")
        editions = [edition.text for edition in done.edits]
        assert editions[:-1] == ["`report` begins: 5 cells"] + [f"`report` runs: {n} of 5 cells" for n in range(1, 6)]
        [output] = [message for message in room.messages if isinstance(message, RoomOutputMessage)]
        assert output.data["text/plain"] == "2026"

        done = await ends(room, "!run words", "is done")
        assert isinstance(room[-1], RoomOutputMessage)
        assert room[-1].data["text/plain"] == "only words\n"


async def test_what_goes_wrong_in_a_notebook_is_one_sentence(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load("runner")
    write(folder, "wrong", "1", "1 / 0", "2")
    write(folder, "long", "import os; open('pid', 'w').write(str(os.getpid()))", "import time; time.sleep(1000)")
    write(folder, "dead", "import os; os._exit(1)")
    (folder / "broken.ipynb").write_text("{}")
    async with talking_to(module.bot, tmp_path, "memory", patience=4 * PATIENCE) as (kestrel, room):
        monkeypatch.setenv("LINKUP_BOT_ALLOWED", kestrel.public_key.hex())
        failed = await ends(room, "!run wrong", "failed")
        assert failed.text == "`wrong` failed in cell 2: ZeroDivisionError&#58; division by zero"
        assert (await ends(room, "!run dead", "failed")).text.endswith("its kernel died")
        assert await answers(room, "!run broken") == "broken&#46;ipynb is no notebook that can be read&#46;"
        monkeypatch.setattr(module, "TIME_LIMIT", 20.0)
        assert (await ends(room, "!run long", "failed")).text.endswith("it took more than 20 s")
        with pytest.raises(ProcessLookupError):  # its kernel has ended, too
            os.kill(int((folder / "pid").read_text()), 0)


async def test_one_runs_at_a_time(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "wait", "import os, time\nwhile not os.path.exists('go'): time.sleep(0.02)")
    async with talking_to(load("runner").bot, tmp_path, "memory", patience=2 * PATIENCE) as (kestrel, room):
        monkeypatch.setenv("LINKUP_BOT_ALLOWED", kestrel.public_key.hex())
        assert await answers(room, "!run wait") == "`wait` begins: 1 cell"
        assert await answers(room, "!run wait") == "I am running another one: ask again when it is done."
        (folder / "go").touch()
        await until(lambda: any("`wait` is done" in text for text in texts(room)), room, patience=PATIENCE)


def test_those_that_cannot_be_read_are_named(folder: Path) -> None:
    write(folder, "fine", "1", parameters="a = 1")
    write(folder, "magic", "1", parameters="%matplotlib inline")
    (folder / "broken.ipynb").write_text("{")
    lines = html.unescape(load("runner").notebooks()).splitlines()
    assert lines == [
        "- `broken` broken.ipynb is no notebook that can be read.",
        "- `fine` a=1",
        "- `magic` Its cell tagged `parameters` is not plain Python.",
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("!run ../secret", "There is no such notebook: `!notebooks` lists those that there are."),
        ("!run report month=1", "In this notebook one can set year, city, each as name=value, not 'month=1'."),
        ("!run report year", "In this notebook one can set year, city, each as name=value, not 'year'."),
        ("!run report year=soon", "year is a value like 2000, not 'soon'."),
        ("!run report year=__import__('os')", "year is a value like 2000, not '__import__(os)'."),
    ],
)
async def test_what_does_not_fit_runs_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, line: str, sentence: str
) -> None:
    write(folder, "report", "year", parameters="year: int = 2000\ncity = 'Ulm'")
    write(tmp_path, "secret", "1")
    async with talking_to(load("runner").bot, tmp_path, "memory") as (kestrel, room):
        monkeypatch.setenv("LINKUP_BOT_ALLOWED", kestrel.public_key.hex())
        assert html.unescape(await answers(room, line)) == sentence


async def test_a_linkup_room_has_no_outputs(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "report", "1")
    async with talking_to(load("runner").bot, tmp_path, "linkup") as (kestrel, room):
        monkeypatch.setenv("LINKUP_BOT_ALLOWED", kestrel.public_key.hex())
        assert (await answers(room, "!run report")).startswith("I run notebooks in rooms with memory")
        assert texts(room)
