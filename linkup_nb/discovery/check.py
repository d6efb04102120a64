"""What a look at one part of the network found, and the table of all such looks."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from textwrap import wrap
from typing import Protocol, runtime_checkable

from linkup_nb.connection.addresses import may_dial, offline
from linkup_nb.errors import LinkupError

KNOCK_TIMEOUT = 2.5  # seconds for one bootstrap node to be found by its name and to reply
TABLE_WIDTH = 100  # characters of a line of the plain table

_IS_IT_UP = "Make sure that it runs there, and that UDP gets from here to there; or name another."


class Outcome(StrEnum):
    """How a check ended; `OFF` is what was switched off, or is not used."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was seen, and where not all is well, why that is so (`cause`) and what to try (`advice`)."""

    name: str
    outcome: Outcome
    seen: str
    cause: str = ""
    advice: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.seen, self.cause, self.advice)))


@dataclass(frozen=True, slots=True)
class Bootstrap(Check):
    """The check of one bootstrap node; `rtt` is its round trip in seconds, `None` if it did not reply."""

    rtt: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """All checks, in the order in which a packet would meet what they looked at. `print` it for a plain table."""

    checks: tuple[Check, ...]

    @property
    def worst(self) -> Check | None:
        """The first that failed, else the first that warns; `None` if all is well."""
        for outcome in (Outcome.FAILED, Outcome.WARNING):
            for check in self.checks:
                if check.outcome is outcome:
                    return check
        return None

    def __repr__(self) -> str:
        counts = Counter(check.outcome for check in self.checks)
        return f"<Report: {', '.join(f'{counts[outcome]} {outcome}' for outcome in Outcome if counts[outcome])}>"

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        indent = " " * (width + 11)
        lines: list[str] = []
        for check in self.checks:
            first = f"{check.name:<{width}}  {check.outcome:<7}  "
            lines += wrap(_printable(str(check)), TABLE_WIDTH, initial_indent=first, subsequent_indent=indent)
        return "\n".join(lines)


@runtime_checkable
class Examinable(Protocol):
    """A discovery that can be examined; of another, the doctor repeats `describe`."""

    async def examine(self) -> Sequence[Check]:
        """The checks of itself and of the network; ends in bounded time and raises nothing."""


async def knock(host: str, port: int, ping: Callable[[], Awaitable[float]]) -> Bootstrap:
    """Check one bootstrap node; `ping` returns its round trip in seconds, or raises what keeps it from replying."""
    name = f"bootstrap {host}:{port}"
    if offline() and host != "localhost" and not may_dial(host, port):
        return Bootstrap(name, Outcome.OFF, "LINKUP_OFFLINE keeps every packet on this machine.")
    try:
        async with asyncio.timeout(KNOCK_TIMEOUT):
            rtt = await ping()
    except TimeoutError:
        return Bootstrap(name, Outcome.FAILED, f"No reply within {KNOCK_TIMEOUT:g} s.", advice=_IS_IT_UP)
    except (OSError, LinkupError) as error:
        return Bootstrap(name, Outcome.FAILED, "No reply.", sentence(error), _IS_IT_UP)
    return Bootstrap(name, Outcome.OK, f"Replied in {1000 * rtt:.1f} ms.", rtt=rtt)


def count(number: int, noun: str) -> str:
    """`1 peer`, `2 peers`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def sentence(error: Exception) -> str:
    """The text of an exception, as a sentence."""
    text = str(error) or type(error).__name__
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
