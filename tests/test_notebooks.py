import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
PATIENCE = 120  # seconds that one cell may take


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[AsyncKernelManager]:
    """A kernel to be started, with this checkout."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # By sockets in a folder: a port that is chosen for a kernel may be taken by the time it starts.
    with tempfile.TemporaryDirectory(prefix="lu-", ignore_cleanup_errors=True) as folder:
        yield AsyncKernelManager(kernel_name="python3", transport="ipc", connection_file=f"{folder}/kernel.json")


def each_twice(sources: list[str]) -> list[str]:
    return [source for source in sources for _ in range(2)]


def all_twice(sources: list[str]) -> list[str]:
    return sources * 2


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("order", [each_twice, all_twice])
@pytest.mark.parametrize("name", ["chat", "explore-a-drive", "network", "bot"])
def test_a_notebook_runs_from_top_to_bottom_and_every_cell_once_more(
    kernel: AsyncKernelManager, name: str, order: Callable[[list[str]], list[str]]
) -> None:
    sources = order([cell.source for cell in code_cells(NOTEBOOKS / f"{name}.ipynb")])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, km=kernel, timeout=PATIENCE, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    assert all(cell.execution_count for cell in notebook.cells)


def test_they_are_stored_as_they_are_before_anybody_ran_them() -> None:
    for path in NOTEBOOKS.rglob("*.ipynb"):
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
        assert set(notebook.metadata) == {"kernelspec", "language_info"}, path
        assert [cell for cell in code_cells(path) if cell.outputs or cell.execution_count] == [], path


@pytest.mark.parametrize("readme", ["README.md", "notebooks/README.md"])
def test_each_is_listed_in_order_of_use(readme: str) -> None:
    listed = (ROOT / readme).read_text()
    places = [
        listed.index(f"{name}]") for name in ("chat.ipynb", "explore-a-drive.ipynb", "network.ipynb", "bot.ipynb")
    ]
    assert places == sorted(places)
    assert len(list(NOTEBOOKS.glob("*.ipynb"))) == len(places)
