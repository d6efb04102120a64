"""Runs notebooks for those who may: `python notebooks/bots/runner.py INVITE`, then `!run report year=2026` in the room.

LINKUP_BOT_NOTEBOOKS is the folder with the notebooks, LINKUP_BOT_ALLOWED the keys of the people who may run them, in
hexadecimal and with commas between: `node.public_key.hex()` is one's own, and whoever else asks is told theirs. One can
set what the cell tagged `parameters` sets, as with papermill. One message says how far it has come, and what the
last cell shows is shared as an output, so this needs a room with memory. Needs `pip install linkup_nb[bots]`.
"""

import ast
import asyncio
import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

import linkup_nb as lu
from linkup_nb.errors import LinkupError
from linkup_nb.rooms.memory.message import RoomTextMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.names import escape_markdown

TIME_LIMIT = 600.0  # seconds of one run
EDIT_EVERY = 1.0  # seconds between two changes of the message, each of which every member keeps
MAX_REASON = 300  # characters of what went wrong

bot = lu.Bot("runner")
busy = threading.Lock()


@bot.command("!notebooks", help="Which notebooks I can run, and what can be set in them")
def notebooks() -> str:
    """Their names and parameters."""
    lines = []
    for path in sorted(folder().glob("*.ipynb")):
        try:
            settings = " ".join(f"{name}={value!r}" for name, value in parameters(read(path)).items())
        except lu.UsageError as error:
            settings = escape_markdown(str(error))
        lines.append(f"- `{path.stem}` {settings}".rstrip())
    return "\n".join(lines) or "There are none yet."


# A plain function: it has a thread of its own, in which nbclient leaves the signals of the process alone.
@bot.command("!run", help="Run a notebook: !run report year=2026")
def run(room: lu.Room, message: lu.Message, notebook: str, *settings: str) -> str | None:
    """Run it if they may, and share what its last cell shows."""
    if message.key.hex() not in re.split(r"[\s,]+", os.environ.get("LINKUP_BOT_ALLOWED", "").lower()):
        return f"You may not run notebooks here. Whoever runs me can allow your key: `{message.key.hex()}`"
    if not isinstance(room, MemoryRoom):
        return "I run notebooks in rooms with memory: a LinkUp room has no outputs."
    path = {one.stem: one for one in folder().glob("*.ipynb")}.get(notebook)
    if path is None:
        return "There is no such notebook: `!notebooks` lists those that there are."
    try:
        book = read(path)
        set_parameters(book, settings)
    except lu.UsageError as error:
        return escape_markdown(str(error))
    if not busy.acquire(blocking=False):
        return "I am running another one: ask again when it is done."
    asyncio.run(Run(room, message, notebook, book).all())
    return None


class Run:
    """One run of a notebook, and the message that says how far it has come."""

    def __init__(self, room: MemoryRoom, asked: lu.Message, name: str, book: NotebookNode) -> None:
        self._room = room
        self._asked = asked
        self._name = f"`{name}`"
        self._book = book
        self._cells = [cell for cell in book.cells if cell.cell_type == "code" and cell.source.strip()]
        for cell in self._cells:
            cell.execution_count = None  # that of an earlier time, which its file kept
        self._start = self._edited = time.monotonic()

    async def all(self) -> None:
        """Run it, let others run theirs, and say how it ended."""
        try:
            said = await self._asked.reply(f"{self._name} begins: {self._count()}")
            assert isinstance(said, RoomTextMessage)
            fault = await self._execute(said)
        finally:
            busy.release()
        if fault:
            reason = escape_markdown(fault[:MAX_REASON])
            await said.edit(f"{self._name} failed in cell {max(1, self._done())}: {reason}")
            return
        what = f"{self._name} is done: {self._count()} in {time.monotonic() - self._start:.1f} s"
        try:
            result = result_of(self._cells)
            if result is not None:
                await self._room.send(result, channel=said.channel)
            else:
                what += "; its last cell shows nothing"
        except LinkupError as error:
            what += f", but its result could not be shared: {escape_markdown(str(error))}"
        await said.edit(what)

    async def _execute(self, said: RoomTextMessage) -> str:
        """What went wrong; nothing if all went well."""

        async def progress(**_: Any) -> None:
            if time.monotonic() - self._edited >= EDIT_EVERY:
                self._edited = time.monotonic()
                await said.edit(f"{self._name} runs: {self._done()} of {self._count()}")

        client = NotebookClient(self._book, on_cell_executed=progress)
        try:
            async with asyncio.timeout(TIME_LIMIT) as limit:
                await client.async_execute(cwd=str(folder()))
        except CellExecutionError as error:
            return f"{error.ename}: {error.evalue}"
        except NoSuchKernel as error:
            return f"there is no kernel {error.name!r} here"
        except (DeadKernelError, TimeoutError):  # nbclient takes the end of its time for that of its kernel
            return f"it took more than {TIME_LIMIT:.0f} s" if limit.expired() else "its kernel died"
        return ""

    def _count(self) -> str:
        return f"{len(self._cells)} cell{'s' * (len(self._cells) != 1)}"

    def _done(self) -> int:
        return sum(cell.execution_count is not None for cell in self._cells)


class Result:
    """What a cell showed, as an object that shows itself so."""

    def __init__(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        self._bundle = (dict(data), dict(metadata))

    def __repr__(self) -> str:
        return str(self._bundle[0].get("text/plain", ""))

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._bundle


def result_of(cells: list[NotebookNode]) -> Result | None:
    """The last thing that the last cell shows; what it prints, if it shows nothing else."""
    outputs = cells[-1].outputs if cells else []
    shown = [Result(one.data, one.metadata) for one in outputs if "data" in one]
    printed = "".join(one.text for one in outputs if one.output_type == "stream")
    return shown[-1] if shown else Result({"text/plain": printed}, {}) if printed else None


def folder() -> Path:
    """Where the notebooks are."""
    return Path(os.environ.get("LINKUP_BOT_NOTEBOOKS", ".")).expanduser()


def read(path: Path) -> NotebookNode:
    """A notebook. Raises `UsageError` for a file that is none."""
    try:
        book: NotebookNode = nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError, nbformat.ValidationError):
        raise lu.UsageError(f"{path.name} is no notebook that can be read.") from None
    return book


def parameter_cell(book: NotebookNode) -> NotebookNode | None:
    """The cell tagged `parameters`."""
    return next((cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])), None)


def parameters(book: NotebookNode) -> dict[str, Any]:
    """What that cell sets to plain values, and to which. Raises `UsageError` if it is not plain Python."""
    cell = parameter_cell(book)
    try:
        lines = ast.parse(cell.source).body if cell else []
    except SyntaxError:
        raise lu.UsageError("Its cell tagged `parameters` is not plain Python.") from None
    found = {}
    for line in lines:
        match line:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                with suppress(ValueError, TypeError):
                    found[name] = ast.literal_eval(value)
    return found


def set_parameters(book: NotebookNode, settings: tuple[str, ...]) -> None:
    """Add a cell below that one, which sets them otherwise. Raises `UsageError`."""
    known = parameters(book)
    lines = []
    for setting in settings:
        name, equals, text = setting.partition("=")
        if name not in known or not equals:
            names = ", ".join(known) or "nothing"
            raise lu.UsageError(f"In this notebook one can set {names}, each as name=value, not {setting!r}.")
        lines.append(f"{name} = {value_like(known[name], name, text)!r}")
    if lines:
        cell = nbformat.v4.new_code_cell("\n".join(lines))
        book.cells.insert(book.cells.index(parameter_cell(book)) + 1, cell)


def value_like(known: Any, name: str, text: str) -> Any:
    """A text as a value of the type that a parameter has. Raises `UsageError`."""
    if isinstance(known, str):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        value = text
    if known is not None and type(value) is not type(known) and not (type(known) is float and type(value) is int):
        raise lu.UsageError(f"{name} is a value like {known!r}, not {text!r}.")
    return value


if __name__ == "__main__":
    bot.run(*sys.argv[1:])
