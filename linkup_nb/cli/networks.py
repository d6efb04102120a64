"""Nodes that networks need, and what keeps one from them: `bootstrap`, `relay`, `doctor`, `config`."""

import asyncio
import contextlib
import os
from pathlib import Path

import click
from platformdirs import user_data_path

from linkup_nb.cli.output import Output, common
from linkup_nb.control.requests import ConfigAsk, DoctorAsk
from linkup_nb.errors import LinkupError
from linkup_nb.hyperdht.bootstrap import run_dht_bootstrap
from linkup_nb.hyperdht.node import DEFAULT_PORT, PUBLIC_BOOTSTRAP
from linkup_nb.hyperdht.relay import run_relay
from linkup_nb.kademlia.discovery import BOOTSTRAP_PORT, run_bootstrap
from linkup_nb.networks import peers_of_hyperdht
from linkup_nb.rooms.profile import read_seed
from linkup_nb.wire.keys import KeyPair


@click.command()
@click.option("--host", default="0.0.0.0", show_default=True, help="The IPv4 address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"0 takes any free one.  [default: {BOOTSTRAP_PORT}, with --hyperdht {DEFAULT_PORT}]",
)
@click.option("--hyperdht", is_flag=True, help="For a network that Hyperswarm and JavaScript peers can be in as well.")
def bootstrap(host: str, port: int | None, hyperdht: bool) -> None:
    """Run a node by which others enter a private network."""

    def ready(host: str, port: int) -> None:
        click.echo(f"{host}:{port}")
        name = f"hyperdht:{host}:{port}" if hyperdht else f"{host}:{port}"
        click.echo(f"Others enter this network with LINKUP_BOOTSTRAP={name}. Control-C ends it.", err=True)

    if port is None:
        port = DEFAULT_PORT if hyperdht else BOOTSTRAP_PORT
    run = run_dht_bootstrap if hyperdht else run_bootstrap
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(run(host, port, ready=ready))
        except LinkupError as error:
            raise click.ClickException(str(error)) from error


@click.command()
@click.option("--host", default="0.0.0.0", show_default=True, help="The IPv4 address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0 takes any free one."
)
@click.option(
    "--secret",
    type=click.Path(dir_okay=False, path_type=Path),
    default=user_data_path("linkup_nb", appauthor=False) / "relay",
    show_default=True,
    help="The file with the secret behind the relay's key; it is made if it is not there.",
)
def relay(host: str, port: int, secret: Path) -> None:
    """Relay for peers behind firewalls through which they cannot connect, on a server that everyone reaches.

    It is in the public HyperDHT network, or in the one that LINKUP_BOOTSTRAP names.
    """

    def ready(public_key: bytes) -> None:
        click.echo(public_key.hex())
        use = f"HyperDHT(relay_through=bytes.fromhex('{public_key.hex()}'))"
        click.echo(f"Peers name this relay with {use}. Control-C ends it.", err=True)

    with contextlib.suppress(KeyboardInterrupt):
        try:
            network = peers_of_hyperdht(os.environ.get("LINKUP_BOOTSTRAP", ""))
            secret.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            key_pair = KeyPair.from_seed(read_seed(secret))
            asyncio.run(run_relay(key_pair, network or PUBLIC_BOOTSTRAP, host, port, ready=ready))
        except LinkupError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(f"The secret cannot be kept in {secret}: {error.strerror}.") from error


@click.command()
@common
def doctor(output: Output) -> None:
    """Say what works between you and others, what does not, and what to try."""
    output.run(DoctorAsk(), lambda check: "\n".join(filter(None, _check(check))))


def _check(check: dict[str, str]) -> list[str]:
    advice = f"  try: {check['advice']}" if check["advice"] else ""
    return [f"{check['outcome']:<8}{check['name']}: {' '.join(filter(None, (check['seen'], check['cause'])))}", advice]


@click.command()
@click.argument("setting", required=False)
@click.argument("value", required=False)
@common
def config(output: Output, setting: str | None, value: str | None) -> None:
    """Show the settings of the profile, or one; or change one.

    Those that can be changed are name, bootstrap (peers, with spaces between), relay (a key), blind-peers (keys of
    those that hold your rooms and drives while everybody is away, with spaces between), share-reads and share-typing
    (on or off). Networks are used when the node opens the next time.
    """
    change = {} if setting is None or value is None else {setting: value}

    def shown(settings: dict[str, str]) -> str:
        if setting is not None and setting not in settings:
            raise click.UsageError(f"There is no setting {setting!r}: there are {', '.join(settings)}.")
        if setting is not None and value is None:
            return settings[setting]
        return "\n".join(f"{name}: {said}" for name, said in settings.items())

    output.run(ConfigAsk(change=change), shown)
