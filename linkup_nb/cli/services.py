"""What runs until it is stopped: `bot`, and `seed`."""

import importlib.util
import logging
import sys
import traceback
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType

import click

from linkup_nb.bot.bot import Bot
from linkup_nb.cli.output import Output, until_stopped
from linkup_nb.control.server import serve
from linkup_nb.rooms.names import clean

log = logging.getLogger("linkup_nb")


class JsonLines(logging.Formatter):
    """A log record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        import json

        said = {"time": self.formatTime(record), "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def log_to_stdout(as_json: bool) -> None:
    """Have every line of the log on standard output, where a service's log is looked for."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("room", required=False, envvar="LINKUP_ROOM_ID")
@click.option("--log-json", is_flag=True, help="The log as one JSON object a line.")
def bot(file: Path, room: str | None, log_json: bool) -> None:
    """Run the bot that the Python program FILE makes, in the room of an invite or topic and those of its profile."""
    log_to_stdout(log_json)
    output = Output("", json=False)
    found = _bot_of(_load(output, file), output, file)

    async def run() -> None:
        async with found:
            if room:
                await found.join(room)
            if not found.node.rooms:
                output.fail({"kind": "usage", "error": "This bot is in no room: name an invite or a topic after FILE."})
            control = await serve(found.node)
            for each in found.node.rooms:
                log.info("%s is in %s.", clean(found.name), clean(each.name))
            await until_stopped()
            if control:
                await control.close()

    output.finish(run())


def _load(output: Output, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("linkup_bot", file.absolute())
    if spec is None or spec.loader is None:
        output.fail({"kind": "failed", "error": f"{file} is no Python program: name one that ends in .py."})
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.absolute().parent))
    sys.modules["linkup_bot"] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # it is the bot's own code
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file.absolute())]
        line = getattr(error, "lineno", None) or (own[-1].lineno if own else None)
        at = f", line {line}" if line else ""
        output.fail({"kind": "failed", "error": f"{file}{at}: {type(error).__name__}: {error}"})
    return module


def _bot_of(module: ModuleType, output: Output, file: Path) -> Bot:
    bots = {id(value): value for value in vars(module).values() if isinstance(value, Bot)}
    if len(bots) != 1:
        there = f"makes {len(bots)} bots" if bots else "makes no bot"
        output.fail({"kind": "failed", "error": f"{file} {there}: one `bot = lu.Bot(…)` is run."})
    return next(iter(bots.values()))


def _metrics_address(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, int] | None:
    if value is None:
        return None
    host, _colon, port = value.rpartition(":")
    try:
        ip_address(host)
        return host, int(port)
    except ValueError:
        raise click.BadParameter("It is an address and a port, as in 127.0.0.1:9464.") from None


@click.command()
@click.argument("what", nargs=-1)
@click.option("--profile", default="seed", show_default=True, help="Where it keeps what it holds.")
@click.option("--name", default="seed", show_default=True, help="How it shows itself in rooms.")
@click.option("--blind", is_flag=True, help="Also hold logs for others, who ask by its key, without reading them.")
@click.option("--log-json", is_flag=True, help="The log as one JSON object a line.")
@click.option("--metrics", metavar="HOST:PORT", callback=_metrics_address, help="Serve figures for Prometheus there.")
@click.option("--allow-public", is_flag=True, help="Let --metrics be on an address that others reach.")
def seed(
    what: tuple[str, ...],
    profile: str,
    name: str,
    blind: bool,
    log_json: bool,
    metrics: tuple[str, int] | None,
    allow_public: bool,
) -> None:
    """Keep rooms and drives available while everybody is away, until it is stopped.

    WHAT are invites of rooms with memory and keys of drives; what it held before it holds again. In a room it is a
    member that says nothing, and has what a member has: it can read all of it.

    With --blind it is a blind peer as well: it says its key in the log, and holds what it is asked to by that key, with
    `linkup-nb config blind-peers KEY` or by JavaScript's blind-peering. Of such a room it is no member.
    """
    if metrics and not (allow_public or ip_address(metrics[0]).is_loopback):
        raise click.UsageError(f"Others who reach {metrics[0]} could read them: add --allow-public if they may.")
    from linkup_nb.cli.seed import Seed  # which brings what serves the metrics

    log_to_stdout(log_json)
    output = Output(profile, json=False)

    async def run() -> None:
        async with Seed(output.path, name, blind=blind) as holder:
            for one in what:
                await holder.hold(one)
            if metrics:
                holder.serve_metrics(*metrics)
            control = await serve(holder.node)
            log.info("%s is ready.", clean(name))
            await until_stopped()
            log.info("%s stops.", clean(name))
            if control:
                await control.close()

    output.finish(run())
