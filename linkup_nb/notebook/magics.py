"""`%load_ext linkup_nb`: `%chat text` says something, `%%share` above a cell shares its source.

A cell with `%%share` runs as it would without that line, at the top level and with `await`; so the line is taken out
before IPython makes a call of a magic of it, and the events before and after a cell share it.
"""

import asyncio
import re
import sys
from collections.abc import Coroutine
from typing import Any, TextIO

from IPython.core.error import UsageError as MagicError
from IPython.core.magic import no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from linkup_nb.errors import LinkupError
from linkup_nb.notebook import sharing
from linkup_nb.notebook.register import register
from linkup_nb.rooms.memory.channel import RoomChannel
from linkup_nb.rooms.room import Room

MAX_OUTPUTS = 16  # of one cell that are shared
MAX_PRINTED = 64 * 1024  # characters of what a cell prints that are shared
WIDGET = "application/vnd.jupyter.widget-view+json"  # it would show nothing to others

_SHARE = re.compile(r"%%share(?:[ \t]+(.*))?$")


def load(shell: Any) -> None:
    """Teach a shell of IPython the magics; again and again does no harm."""
    register()
    shell.register_magic_function(_chat, "line_cell", "chat")
    shell.register_magic_function(_share, "cell", "share")
    cleanup = shell.input_transformers_cleanup
    if _without_share not in cleanup:
        names = [getattr(transform, "__name__", "") for transform in cleanup]
        cleanup.insert(names.index("cell_magic") if "cell_magic" in names else len(names), _without_share)
        watch = _Watch(shell)
        shell.events.register("pre_run_cell", watch.begin)
        shell.events.register("post_run_cell", watch.end)


@no_var_expand
def _chat(line: str, cell: str | None = None) -> None:
    """Say the text to the room that is open: `%chat text`, or `%%chat` above lines of Markdown."""
    try:
        place = sharing.open_place()
        _wait(place.send("\n".join(part for part in (line, cell) if part)), place)
    except LinkupError as error:
        raise MagicError(str(error)) from None


@magic_arguments()  # type: ignore[no-untyped-call, untyped-decorator]
@argument("-o", "--outputs", action="store_true", help="share what the cell shows, too")  # type: ignore[no-untyped-call, untyped-decorator]
@argument("-r", "--room", nargs="+", help="the name of the room; without it, the one that is open")  # type: ignore[no-untyped-call, untyped-decorator]
def _share(line: str, cell: str) -> None:
    """Run the cell, and share its source with the room that is open, as code that others can put into a cell."""
    raise MagicError("%%share has to be the first line of its cell.")


def _without_share(lines: list[str]) -> list[str]:
    return ["\n", *lines[1:]] if lines and _SHARE.match(lines[0].rstrip("\n")) else lines


def _wait(sending: Coroutine[Any, Any, Any], place: Room | RoomChannel) -> None:
    asyncio.run_coroutine_threadsafe(sending, place._loop).result()


class _Shown:
    """What a cell has shown, as a value that shows itself so again."""

    def __init__(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        self._shown = {mime: value for mime, value in data.items() if mime != WIDGET}, metadata or {}

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._shown


class _Tee:
    """A stream whose text is also kept."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text[: MAX_PRINTED - len(self.text)]
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _Watch:
    """Shares the cells that ask for it, and what they show."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._place: Room | RoomChannel | None = None
        self._outputs: list[_Shown] | None = None
        self._printed: _Tee | None = None

    def begin(self, info: Any) -> None:
        first, _, source = info.raw_cell.lstrip("\n").partition("\n")
        asked = _SHARE.match(first.rstrip())
        self._place = self._outputs = None
        if not asked:
            return
        try:
            options = parse_argstring(_share, asked[1] or "")  # type: ignore[no-untyped-call]
            self._place = sharing.open_place(" ".join(options.room) if options.room else None)
            _wait(sharing.share(source, room=self._place), self._place)
        except (LinkupError, MagicError) as error:
            self._place = None
            self._say(error)
            return
        if options.outputs:
            self._outputs = []
            self._printed = _Tee(sys.stdout)
            sys.stdout = self._printed
            if hook := getattr(self._shell.display_pub, "register_hook", None):
                hook(self._note)

    def end(self, result: Any) -> None:
        place, outputs, printed = self._place, self._outputs, self._printed
        self._place = self._outputs = self._printed = None
        if place is None or outputs is None or printed is None:
            return
        if sys.stdout is printed:
            sys.stdout = printed.stream
        if unhook := getattr(self._shell.display_pub, "unregister_hook", None):
            unhook(self._note)
        values: list[object] = [*([_Shown({"text/plain": printed.text})] if printed.text.strip() else []), *outputs]
        if result.result is not None:
            values.append(result.result)
        if error := result.error_before_exec or result.error_in_exec:
            values.append(_Shown({"text/plain": f"{type(error).__name__}: {error}"}))
        try:
            for value in values[:MAX_OUTPUTS]:
                _wait(place.send(value), place)
        except LinkupError as error:
            self._say(error)

    def _note(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._outputs is not None and message["header"]["msg_type"] == "display_data":
            content = message["content"]
            if set(content["data"]) - {WIDGET, "text/plain"} or WIDGET not in content["data"]:
                self._outputs.append(_Shown(content["data"], content["metadata"]))
        return message

    def _say(self, error: Exception) -> None:
        print(f"Not shared: {error}", file=sys.stderr)  # noqa: T201  # it stands below the cell
