"""The `linkup-nb` command."""

from importlib import import_module

import click

_HOMES = {
    "chat": "terminal",
    "rooms": "rooms",
    "create": "rooms",
    "join": "rooms",
    "leave": "rooms",
    "invite": "rooms",
    "send": "rooms",
    "tail": "rooms",
    "search": "rooms",
    "export": "rooms",
    "verify": "rooms",
    "drive": "drives",
    "bot": "services",
    "seed": "services",
    "lab": "jupyter",
    "doctor": "networks",
    "config": "networks",
    "bootstrap": "networks",
    "relay": "networks",
}
"""The module of each command: a bot need not load what draws a terminal."""


class Commands(click.Group):
    """Commands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See `click.Group`."""
        if cmd_name not in _HOMES:
            return None
        command: click.Command = getattr(import_module(f"linkup_nb.cli.{_HOMES[cmd_name]}"), cmd_name)
        return command


@click.group(cls=Commands, invoke_without_command=True)
@click.version_option(package_name="linkup_nb", prog_name="linkup-nb")
@click.pass_context
def main(context: click.Context) -> None:
    """Open JupyterLab on the chat notebook."""
    if context.invoked_subcommand is None:
        from linkup_nb.cli.jupyter import open_chat

        open_chat()
