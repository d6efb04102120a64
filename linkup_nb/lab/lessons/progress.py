"""How far a learner is, kept from kernel to kernel beside the profiles: names of checks and counts, no answer."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Annotated, Any

import msgspec
from filelock import FileLock
from msgspec import Meta
from platformdirs import user_data_path

from linkup_nb.rooms.files import write_private

MIME = "application/vnd.linkup.lessons+json"
MAX_CHECKS = 16  # of one lesson
MAX_LESSONS = 64
LOCK_TIMEOUT = 1.0  # seconds for another kernel to note a try; it may have been stopped

Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Name = Annotated[str, Meta(max_length=64)]


class CheckProgress(msgspec.Struct, frozen=True):
    """How often a check was tried, and whether it was answered."""

    tries: Count = 0
    done: bool = False


class LessonProgress(msgspec.Struct, frozen=True):
    """The checks of a lesson by name, and the seconds that the learner was at it."""

    checks: Annotated[dict[Name, CheckProgress], Meta(max_length=MAX_CHECKS)] = {}
    seconds: Annotated[float, Meta(ge=0, le=1e9)] = 0.0

    @property
    def done(self) -> int:
        """How many checks are answered."""
        return sum(one.done for one in self.checks.values())

    @property
    def tries(self) -> int:
        """How often any was tried."""
        return sum(one.tries for one in self.checks.values())


class Progress(msgspec.Struct, frozen=True):
    """All lessons that a learner has begun, by number; as a value of a cell, and as a message, it is a table."""

    lessons: Annotated[dict[Name, LessonProgress], Meta(max_length=MAX_LESSONS)] = {}

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Of each lesson: its number, the checks (✓ where answered), tries, minutes."""
        return [
            (
                number,
                ", ".join(f"{name} ✓" if one.done else name for name, one in lesson.checks.items()) or "none",
                str(lesson.tries),
                f"{lesson.seconds / 60:.0f}",
            )
            for number, lesson in sorted(self.lessons.items())
        ]

    def __repr__(self) -> str:
        rows = self.rows()
        if not rows:
            return "No lesson has been begun."
        return "\n".join(
            f"lesson {number}: {checks}; {tries} tries, {minutes} min" for number, checks, tries, minutes in rows
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        html = html_table(("lesson", "checks", "tries", "minutes"), self.rows())
        return {"text/plain": repr(self), "text/html": html, MIME: msgspec.to_builtins(self)}


def html_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table, escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(data)}</td>' for data in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def read() -> Progress:
    """What is kept; a file that cannot be read counts as none."""
    found: dict[str, LessonProgress] = {}
    for path in sorted(_folder().glob("*.json"))[:MAX_LESSONS]:
        try:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=LessonProgress)
        except (OSError, msgspec.DecodeError):
            continue
    return Progress(found)


def keep(number: int, name: str, *, done: bool, seconds: float) -> LessonProgress:
    """Note that a check was tried, after so many more seconds at its lesson; returns that lesson's progress.

    Two kernels may be at one lesson. What cannot be written, on a full disk or because the other stands still, is lost:
    a lesson goes on without.
    """
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{number}.lock", timeout=LOCK_TIMEOUT):
            now = _tried(number, name, done, seconds)
            write_private(folder / f"{number}.json", msgspec.json.encode(now))
    except OSError:
        return _tried(number, name, done, seconds)
    return now


def _tried(number: int, name: str, done: bool, seconds: float) -> LessonProgress:
    before = read().lessons.get(str(number), LessonProgress())
    tried = before.checks.get(name, CheckProgress())
    checks = before.checks | {name: CheckProgress(tried.tries + 1, tried.done or done)}
    return LessonProgress(checks, before.seconds + seconds)


def _folder() -> Path:
    return user_data_path("linkup_nb", appauthor=False) / "lessons"
