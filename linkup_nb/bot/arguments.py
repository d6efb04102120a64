"""The arguments of a bot's command: split as a shell would, and typed by the annotations of its handler."""

import inspect
import shlex
import types
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from linkup_nb.errors import UsageError

GIVEN = ("room", "message")  # what a handler may name to get, in any order, besides its arguments

_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


class Signature:
    """What a handler takes: `usage` shows it, `parse` makes the arguments of a line. Raises `UsageError` for a bad one.

    Each parameter is a word, `*words` takes all that are left, one that is keyword-only is an option: `--times 3`, or
    `--loud` alone for a bool. Words become `int`, `float`, `bool`, an `Enum` by its name, or one of a `Literal`.
    """

    def __init__(self, handler: Callable[..., Any]) -> None:
        hints = get_type_hints(handler)
        parameters = inspect.signature(handler).parameters.values()
        self.given = [one.name for one in parameters if one.name in GIVEN]
        self._words = [one for one in parameters if one.name not in GIVEN and one.kind is not one.KEYWORD_ONLY]
        self._options = {one.name: one for one in parameters if one.kind is one.KEYWORD_ONLY}
        self._types = {one.name: hints.get(one.name, str) for one in parameters}
        if any(one.kind is one.VAR_KEYWORD for one in parameters):
            raise UsageError(f"The handler {handler.__name__} takes any keyword: name those that its command has.")

    @property
    def usage(self) -> str:
        """The arguments as people read them: `sides [times] [--loud]`."""
        words = [_shown(one, self._types[one.name]) for one in self._words]
        for name, one in self._options.items():
            text = f"--{_dashed(name)}" + ("" if self._types[name] is bool else f" {name.upper()}")
            words.append(text if one.default is one.empty else f"[{text}]")
        return " ".join(words)

    def parse(self, line: str) -> tuple[list[Any], dict[str, Any]]:
        """The arguments, positional and by name, of what stands behind a command. Raises `UsageError`."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise UsageError(f"{error}: close it, or put a \\ before it") from None
        options = self._take_options(words)
        values = []
        for one in self._words:
            if one.kind is one.VAR_POSITIONAL:
                values += [_convert(word, self._types[one.name], one.name) for word in words]
                words = []
            elif words:
                values.append(_convert(words.pop(0), self._types[one.name], one.name))
            elif one.default is one.empty:
                raise UsageError(f"{one.name} is missing")
        if words:
            raise UsageError(f"{words[0]!r} is one word too many: put what belongs together between quotes")
        return values, options

    def _take_options(self, words: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        names = {f"--{_dashed(name)}": name for name in self._options}
        while hits := [place for place, word in enumerate(words) if word.partition("=")[0] in names]:
            word, equals, value = words.pop(hits[0]).partition("=")
            name = names[word]
            if self._types[name] is bool and not equals:
                found[name] = True
                continue
            if not equals and hits[0] >= len(words):
                raise UsageError(f"{word} needs a value")
            found[name] = _convert(value if equals else words.pop(hits[0]), self._types[name], word)
        for name, one in self._options.items():
            if name not in found and one.default is one.empty:
                raise UsageError(f"--{_dashed(name)} is missing")
        return found


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _shown(one: inspect.Parameter, kind: Any) -> str:
    name = "|".join(map(str, get_args(kind))) if get_origin(kind) is Literal else one.name
    if one.kind is one.VAR_POSITIONAL:
        return f"[{name} …]"
    return name if one.default is one.empty else f"[{name}]"


def _convert(word: str, kind: Any, name: str) -> Any:
    """A word as a value of a type. Raises `UsageError`."""
    if get_origin(kind) in (Union, types.UnionType):
        return _convert(word, next(one for one in get_args(kind) if one is not type(None)), name)
    if get_origin(kind) is Literal:
        choices: Mapping[str, Any] = {str(one): one for one in get_args(kind)}
        return _chosen(word, choices, name)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _chosen(word, dict(kind.__members__), name)
    if kind is bool:
        if word.lower() not in (*_YES, *_NO):
            raise UsageError(f"{name} is yes or no, not {word!r}")
        return word.lower() in _YES
    try:
        return kind(word)
    except (ValueError, TypeError, ArithmeticError, LookupError):
        raise UsageError(f"{name} is {_A.get(kind, f'a {kind.__name__}')}, not {word!r}") from None


def _chosen(word: str, choices: Mapping[str, Any], name: str) -> Any:
    if word not in choices:
        raise UsageError(f"{name} is one of {', '.join(choices)}, not {word!r}")
    return choices[word]


_A: Mapping[Any, str] = {int: "a whole number", float: "a number"}
