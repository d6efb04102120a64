"""The `linkup-nb` command."""

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

import click
from platformdirs import user_data_path

import linkup_nb
from linkup_nb.errors import LinkupError
from linkup_nb.hyperdht.bootstrap import run_dht_bootstrap
from linkup_nb.hyperdht.node import DEFAULT_PORT, PUBLIC_BOOTSTRAP
from linkup_nb.hyperdht.relay import run_relay
from linkup_nb.kademlia.discovery import BOOTSTRAP_PORT, run_bootstrap
from linkup_nb.networks import peers_of_hyperdht
from linkup_nb.rooms.memory.export import verify_export
from linkup_nb.rooms.names import clean
from linkup_nb.rooms.profile import read_seed
from linkup_nb.wire.keys import KeyPair

PACKAGE = Path(linkup_nb.__file__).parent


def chat_notebook(folder: Path) -> Path:
    """The chat notebook to open: the checkout's own, or else one in `folder`, copied there if there is none yet.

    Raises `click.ClickException` if it cannot be written there.
    """
    own = PACKAGE.parent / "notebooks" / "chat.ipynb"
    if own.is_file():
        return own
    notebook = folder / "chat.ipynb"
    if not notebook.exists():
        try:
            shutil.copyfile(PACKAGE / "notebooks" / "chat.ipynb", notebook)
        except OSError as error:
            raise click.ClickException(
                f"Cannot put chat.ipynb into {folder}: {error.strerror}. Run linkup-nb in a folder of your own."
            ) from error
    return notebook


@click.group(invoke_without_command=True)
@click.version_option(package_name="linkup_nb", prog_name="linkup-nb")
@click.pass_context
def main(context: click.Context) -> None:
    """Open JupyterLab on the chat notebook."""
    if context.invoked_subcommand is not None:
        return
    from jupyterlab.labapp import LabApp

    notebook = chat_notebook(Path.cwd())
    arguments = [
        f"--ServerApp.root_dir={notebook.parent}",
        f"--LabApp.default_url=/lab/tree/{notebook.name}",
        "--LabApp.expose_app_in_browser=True",  # so that code of a message can be put into a new cell
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")  # the user is root already; without it Jupyter refuses to start
    LabApp.launch_instance(arguments)


@main.command()
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


@main.command()
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


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def verify(file: Path) -> None:
    """Check FILE, an exported room: is every block as its author signed it, and in its place?

    It needs neither the room nor a network. Prints the first line that is wrong, and ends with 1 if there is one.
    """
    try:
        report = verify_export(file)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}.") from error
    # What a stranger's file says must not steer the terminal.
    if report.bad_line is not None:
        raise click.ClickException(f"Line {report.bad_line} is wrong: {clean(report.reason or '')}")
    blocks = f"{report.blocks:,} blocks of {report.feeds} feeds"
    click.echo(f"The room {clean(report.room)!r}: {blocks}, all as their authors signed them.")
