"""JupyterLab on the chat notebook, and on the lessons: `lab`."""

import asyncio
import os
import shutil
from pathlib import Path

import click

import linkup_nb
from linkup_nb.errors import UsageError
from linkup_nb.networks import knock_on, named_peers

PACKAGE = Path(linkup_nb.__file__).parent
CHECKOUT = PACKAGE.parent / "notebooks"


def chat_notebook(folder: Path) -> Path:
    """The chat notebook to open: the checkout's own, or else one in `folder`, copied there if there is none yet.

    Raises `click.ClickException` if it cannot be written there.
    """
    return _own_or_copied("chat.ipynb", folder)


def lessons(folder: Path) -> Path:
    """The folder of the lessons: the checkout's own, or else one in `folder`, to which those are copied that it lacks.

    What is there stays as it is: it is the learner's. Raises `click.ClickException` if it cannot be written there.
    """
    return _own_or_copied("lessons", folder)


def _own_or_copied(name: str, folder: Path) -> Path:
    own = CHECKOUT / name
    if own.exists():
        return own
    try:
        _copy(PACKAGE / "notebooks" / name, folder / name)
    except OSError as error:
        raise click.ClickException(
            f"Cannot put {name} into {folder}: {error.strerror}. Run linkup-nb in a folder of your own."
        ) from error
    return folder / name


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(exist_ok=True)
        for child in source.iterdir():
            _copy(child, target / child.name)
    elif not target.exists():
        # Else a copy that was cut off would be taken for the learner's.
        unfinished = target.with_name(f".{target.name}.part")
        shutil.copyfile(source, unfinished)
        unfinished.replace(target)


@click.command()
@click.option(
    "--class",
    "network",
    metavar="HOST:PORT",
    help="Be on the private network of a class: what `linkup-nb bootstrap` prints on the teacher's machine.",
)
def lab(network: str | None) -> None:
    """Open JupyterLab on the lessons about P2P.

    They run on this machine alone. With --class, the chats of these notebooks are on the class's network.
    """
    if network is not None:
        try:
            peers = named_peers(network)
        except UsageError as error:
            raise click.BadParameter(str(error), param_hint="--class") from None
        if not peers:
            raise click.BadParameter("It is what `linkup-nb bootstrap` prints, host:port.", param_hint="--class")
        os.environ["LINKUP_BOOTSTRAP"] = network  # the kernels have it from here
        _warn(network)
    folder = lessons(Path.cwd())
    _open(folder.parent, f"{folder.name}/{min(folder.glob('*.ipynb')).name}")


def _warn(network: str) -> None:
    for check in asyncio.run(knock_on(network)):
        if check.rtt is None:
            more = "JupyterLab opens all the same; in a notebook, `await lu.start().doctor()` looks again."
            click.echo(f"Warning, {check.name}: {check} {more}", err=True)


def open_chat() -> None:
    """Run JupyterLab on the chat notebook, until it is stopped."""
    notebook = chat_notebook(Path.cwd())
    _open(notebook.parent, notebook.name)


def _open(root: Path, notebook: str) -> None:
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        raise click.ClickException("There is no JupyterLab in this environment: pip install jupyterlab.") from None

    arguments = [
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{notebook}",
        "--LabApp.expose_app_in_browser=True",  # so that code of a message can be put into a new cell
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")  # the user is root already; without it Jupyter refuses to start
    LabApp.launch_instance(arguments)
