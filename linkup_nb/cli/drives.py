"""Drives from a terminal."""

from pathlib import Path

import click

from linkup_nb.cli.output import Output, common
from linkup_nb.control.actions import Item
from linkup_nb.control.requests import (
    DiffAsk,
    DrivesAsk,
    FilesAsk,
    GetAsk,
    HistoryAsk,
    MirrorAsk,
    MountAsk,
    PutAsk,
    ServeAsk,
)

VERSION = click.option("--version", type=click.IntRange(1), help="As it was then; now if not said.")


@click.group()
def drive() -> None:
    """Files with a history. DRIVE is the name of one of yours, or anybody's key or link."""


@drive.command("ls")
@click.argument("drive", required=False)
@click.argument("folder", default="/")
@VERSION
@click.option("-r", "--recursive", is_flag=True, help="Files of the folders in it, too.")
@common
def list_files(output: Output, drive: str | None, folder: str, version: int | None, recursive: bool) -> None:
    """List the drives, or what is in a folder of one."""
    if drive is None:
        output.run(DrivesAsk(), _drive)
    else:
        output.run(FilesAsk(drive=drive, folder=folder, version=version, recursive=recursive), _file)


@drive.command()
@click.argument("drive")
@click.argument("path")
@click.argument("to", default=".", type=click.Path(path_type=Path))
@VERSION
@common
def get(output: Output, drive: str, path: str, to: Path, version: int | None) -> None:
    """Save a file of a drive as TO, or into the folder TO."""
    target = to / path.rpartition("/")[2] if to.is_dir() else to
    ask = GetAsk(drive=drive, path=path, to=str(target.absolute()), version=version)
    output.run(ask, lambda saved: f"{saved['path']}: {saved['size']:,} bytes, of version {saved['version']}")


@drive.command()
@click.argument("drive")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("path", default="/")
@common
def put(output: Output, drive: str, file: Path, path: str) -> None:
    """Put FILE into a drive of yours, at PATH or into the folder PATH; the drive is made if there is none."""
    ask = PutAsk(drive=drive, file=str(file.absolute()), path=path)
    output.run(ask, lambda put: f"{put['path']}: {put['size']:,} bytes, as version {put['version']}")


@drive.command()
@click.argument("drive")
@click.argument("path", default="/")
@click.option("-n", "count", default=1000, show_default=True, type=click.IntRange(1))
@common
def history(output: Output, drive: str, path: str, count: int) -> None:
    """Print the changes of a file or folder, the newest first."""

    def shown(event: Item) -> str:
        return f"v{event['version']}  {event['operation']}  {event['path']}  {_change(event)}"

    output.run(HistoryAsk(drive=drive, path=path, count=count), shown)


@drive.command()
@click.argument("drive")
@click.argument("a", type=click.IntRange(0))
@click.argument("b", type=click.IntRange(0), required=False)
@click.option("--folder", default="/", show_default=True)
@common
def diff(output: Output, drive: str, a: int, b: int | None, folder: str) -> None:
    """Print which files differ between version A and B, or the newest one."""

    def shown(change: Item) -> str:
        sign = "+" if change["before"] is None else "-" if change["after"] is None else "~"
        return f"{sign} {change['path']}  {_change(change)}"

    output.run(DiffAsk(drive=drive, a=a, b=b, folder=folder), shown)


@drive.command()
@click.argument("drive")
@click.argument("local", type=click.Path(path_type=Path))
@click.option("--folder", default="/", show_default=True, help="Of the drive.")
@click.option("--back", is_flag=True, help="The other way: make the folder of the drive like LOCAL.")
@click.option("--dry-run", is_flag=True, help="Only say what differs.")
@VERSION
@common
def mirror(
    output: Output, drive: str, local: Path, folder: str, back: bool, dry_run: bool, version: int | None
) -> None:
    """Make the folder LOCAL like one of a drive; what the drive has not is removed there."""
    ask = MirrorAsk(drive=drive, folder=folder, local=str(local.absolute()), version=version, back=back, dry=dry_run)
    output.run(ask, lambda step: f"{step['action']} {step['path']}{': ' + step['reason'] if 'reason' in step else ''}")


@drive.command()
@click.argument("drive")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0 takes any free one.")
@common
def serve(output: Output, drive: str, port: int) -> None:
    """Serve a drive to the browsers of this computer, until Ctrl-C."""
    output.run(ServeAsk(drive=drive, port=port), lambda served: str(served["url"]), lasting=True)


@drive.command()
@click.argument("key")
@common
def mount(output: Output, key: str) -> None:
    """Mount somebody's drive: it is looked for and kept from now on, whenever this profile runs."""
    output.run(MountAsk(drive=key), _drive)


def _drive(drive: Item) -> str:
    kind = "yours" if drive["writable"] else "mounted"
    return f"{drive['name']}  {drive['key']}  version {drive['version']}, {kind}, {drive['peers']} peers"


def _file(file: Item) -> str:
    if file["folder"]:
        return f"{'':>14}  {file['path']}/"
    return f"{file['size']:>14,}  {file['path']}{' -> ' + file['link'] if 'link' in file else ''}"


def _change(sizes: Item) -> str:
    before, after = ("nothing" if size is None else f"{size:,} bytes" for size in (sizes["before"], sizes["after"]))
    return f"{before} became {after}"
