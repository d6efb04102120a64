"""JupyterLab on the chat notebook."""

import os
import shutil
from pathlib import Path

import click

import linkup_nb

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


def open_lab() -> None:
    """Run JupyterLab on the chat notebook, until it is stopped."""
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
