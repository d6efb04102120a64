"""How a file differs between two versions: texts by lines, tables by rows, the rest by size and hash."""

import asyncio
import csv
import difflib
import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from linkup_nb.hyperdrive.entry import normalize

MAX_COMPARED = 16 * 1024 * 1024  # bytes of a file that are compared by rows; larger ones by size and hash
MAX_LINES = 5_000  # of a text that are compared; the worst text of so many takes 10 s, in a thread of its own


class Side(NamedTuple):
    """A file in one version: its bytes and their SHA-256, `None` where there is no file."""

    version: int
    size: int | None
    sha256: str | None

    def __repr__(self) -> str:
        return f"version {self.version}: {'no file' if self.size is None else f'{self.size:,} bytes'}"


class Comparison(NamedTuple):
    """How a file differs between two versions.

    `lines` is a unified diff of a text. `removed` and `added` are the rows of a table that only one version has:
    tuples of texts for CSV, whose header is `columns`, and values for JSON lines. For anything else sizes and hashes
    have to do.
    """

    path: str
    before: Side
    after: Side
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    removed: tuple[Any, ...] = ()
    added: tuple[Any, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the contents are the same."""
        return self.before.sha256 == self.after.sha256

    @property
    def counts(self) -> tuple[int, int]:
        """How many lines or rows were removed, and how many added."""
        if not self.lines:
            return len(self.removed), len(self.added)
        signs = Counter(line[:1] for line in self.lines[2:])
        return signs["-"], signs["+"]

    def __repr__(self) -> str:
        minus, plus = self.counts
        what = "the same" if self.same else f"-{minus:,} +{plus:,}" if minus or plus else "not the same"
        return f"Comparison({self.path!r}, versions {self.before.version} and {self.after.version}: {what})"

    def __str__(self) -> str:
        if self.before.size is None and self.after.size is None:
            return f"there is no {self.path} in versions {self.before.version} and {self.after.version}"
        if self.same:
            return f"{self.path} is the same in versions {self.before.version} and {self.after.version}"
        if self.lines:
            return "\n".join(self.lines)
        if self.removed or self.added:
            return "\n".join([f"- {_text(row)}" for row in self.removed] + [f"+ {_text(row)}" for row in self.added])
        return f"{self.path}: {self.before.size} bytes became {self.after.size}"


async def compare(path: str, versions: tuple[int, int], contents: Sequence[bytes | None]) -> Comparison:
    """How the contents of a file in two versions differ: texts by lines, tables by rows, the rest by size and hash."""
    return await asyncio.to_thread(_compare, normalize(path), versions, contents)


def _compare(path: str, versions: tuple[int, int], contents: Sequence[bytes | None]) -> Comparison:
    before, after = (
        Side(version, None, None) if data is None else Side(version, len(data), hashlib.sha256(data).hexdigest())
        for version, data in zip(versions, contents, strict=True)
    )
    plain = Comparison(path, before, after)
    if plain.same or any(len(data or b"") > MAX_COMPARED for data in contents):
        return plain
    try:
        texts = [(data or b"").decode() for data in contents]
    except UnicodeDecodeError:
        return plain
    if any("\0" in text for text in texts):  # as Git tells what is no text
        return plain
    try:
        if path.endswith(".csv"):
            old, new = ([tuple(row) for row in csv.reader(io.StringIO(text))] for text in texts)
            return plain._replace(columns=next(iter(new or old), ()), removed=_only(old, new), added=_only(new, old))
        if path.endswith((".jsonl", ".ndjson")):
            # Two objects are the same whatever the order of their names.
            first, second = ([json.dumps(json.loads(line), sort_keys=True) for line in _lines(text)] for text in texts)
            removed, added = (map(json.loads, _only(*pair)) for pair in ((first, second), (second, first)))
            return plain._replace(removed=tuple(removed), added=tuple(added))
    except (csv.Error, ValueError, RecursionError):
        pass  # it is no table, whatever its suffix
    first_lines, second_lines = (text.splitlines() for text in texts)
    if max(len(first_lines), len(second_lines)) > MAX_LINES:
        return plain
    names = [f"{path} (version {version})" for version in versions]
    lines = difflib.unified_diff(first_lines, second_lines, names[0], names[1], lineterm="")
    return plain._replace(lines=tuple(lines))


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _only(rows: Sequence[Any], others: Sequence[Any]) -> tuple[Any, ...]:
    """The rows that the others lack, as often as they lack them."""
    spare = Counter(others)
    found = []
    for row in rows:
        if spare[row]:
            spare[row] -= 1
        else:
            found.append(row)
    return tuple(found)


def _text(row: Any) -> str:
    return ", ".join(row) if isinstance(row, tuple) else json.dumps(row, sort_keys=True)
