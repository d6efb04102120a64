"""How every command asks a node and says what came of it: for people, or with `--json` for programs.

Exit codes: 0 done, 1 failed with one sentence on standard error, 2 wrong usage, 3 nobody reachable in time, 130
interrupted.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec
from tqdm import tqdm  # type: ignore[import-untyped]

from linkup_nb.control.actions import Item
from linkup_nb.control.client import Asked, node_of
from linkup_nb.control.requests import Ask
from linkup_nb.control.server import problem
from linkup_nb.errors import LinkupError, ProfileInUse
from linkup_nb.rooms.profile import profile_path

FAILED, USAGE, NOBODY, INTERRUPTED = 1, 2, 3, 130


@dataclass(frozen=True, slots=True)
class Output:
    """The profile of a command, and whether a program reads what it says."""

    profile: str
    json: bool

    @property
    def path(self) -> Path:
        """The folder of the profile."""
        return profile_path(self.profile)

    def run(self, ask: Ask, shown: Callable[[Any], str | None], *, lasting: bool = False) -> None:
        """Ask the node of the profile, and say what it answers; `shown` makes words of an item, `None` for no words.

        A command that is `lasting` answers others while it runs.
        """
        self.finish(self._run(ask, shown, lasting))

    async def _run(self, ask: Ask, shown: Callable[[Any], str | None], lasting: bool) -> None:
        async with node_of(self.path, lasting=lasting) as node:
            await self.ask(node, ask, shown)

    async def ask(self, node: Asked, ask: Ask, shown: Callable[[Any], str | None]) -> None:
        """The same of a node that is there."""
        async with aclosing(node.ask(ask)) as answer, aclosing(_Bar(self.json)) as bar:
            async for item in answer:
                if "done" in item:
                    bar.show(item)
                else:
                    self.say(item, shown)

    def say(self, item: Item, shown: Callable[[Any], str | None]) -> None:
        """Print an item."""
        if self.json:
            click.echo(msgspec.json.encode(item).decode())
        elif (words := shown(item)) is not None:
            click.echo(words)

    def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Run to the end; what goes wrong is one sentence on standard error, and an exit code."""
        try:
            asyncio.run(work)
        except (LinkupError, TimeoutError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                _hang_up()
            self.fail(problem(error), other_profile=isinstance(error, ProfileInUse))
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None

    def fail(self, end: dict[str, str], *, other_profile: bool = False) -> NoReturn:
        """Say why not, and end."""
        sentence = end["error"] + (" Or choose another with --profile." if other_profile else "")
        click.echo(msgspec.json.encode(end | {"error": sentence}).decode() if self.json else sentence, err=True)
        raise click.exceptions.Exit(NOBODY if end["kind"] == "nobody" else FAILED)


class _Bar:
    """A bar on a terminal; nothing in a pipe, nor for a program."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent or not sys.stderr.isatty()
        self._bar: Any = None

    def show(self, item: Item) -> None:
        """So many bytes of so many are done."""
        if self._silent:
            return
        self._bar = self._bar or tqdm(total=item["total"], unit="B", unit_scale=True)
        self._bar.update(item["done"] - self._bar.n)

    async def aclose(self) -> None:
        """Nothing more is done."""
        if self._bar is not None:
            self._bar.close()


def _hang_up() -> NoReturn:
    """Whoever read what we print has gone, as `head` does: there is nobody to tell."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise click.exceptions.Exit(0)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that asks a node: `--profile` and `--json`."""

    @click.option("--profile", default="default", show_default=True, help="Whose rooms and drives.")
    @click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
    @wraps(command)
    def call(profile: str, as_json: bool, *args: Any, **kwargs: Any) -> Any:
        return command(Output(profile, as_json), *args, **kwargs)

    return call


async def until_stopped() -> None:
    """Wait for SIGTERM, or Ctrl-C, whichever comes first."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows has no such signals for a loop
            loop.add_signal_handler(one, stopped.set)
    await stopped.wait()
