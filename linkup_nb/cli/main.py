"""The `linkup-nb` command."""

import click

from linkup_nb.cli.drives import drive
from linkup_nb.cli.jupyter import open_lab
from linkup_nb.cli.networks import bootstrap, config, doctor, relay
from linkup_nb.cli.rooms import create, export, invite, join, leave, rooms, search, send, tail, verify
from linkup_nb.cli.services import bot, seed
from linkup_nb.cli.terminal import chat


@click.group(invoke_without_command=True)
@click.version_option(package_name="linkup_nb", prog_name="linkup-nb")
@click.pass_context
def main(context: click.Context) -> None:
    """Open JupyterLab on the chat notebook."""
    if context.invoked_subcommand is None:
        open_lab()


for command in (
    chat,
    rooms,
    create,
    join,
    leave,
    invite,
    send,
    tail,
    search,
    export,
    verify,
    drive,
    bot,
    seed,
    doctor,
    config,
    bootstrap,
    relay,
):
    main.add_command(command)
