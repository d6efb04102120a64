"""The notebooks of the lessons: from top to bottom, with the answers and without, in whatever order."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.lab.lessons.session import NUMBERS, cells, notebook

ROOT = Path(__file__).parents[3]
PATIENCE = 120  # seconds that one cell may take
MAX_CELLS = 12  # of code, in one lesson
ORDERS = 2


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[AsyncKernelManager]:
    """A kernel to be started, with this checkout."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with tempfile.TemporaryDirectory(prefix="lu-", ignore_cleanup_errors=True) as folder:
        yield AsyncKernelManager(kernel_name="python3", transport="ipc", connection_file=f"{folder}/kernel.json")


def run(kernel: AsyncKernelManager, sources: list[str]) -> list[str]:
    """The words that each cell's value is shown by."""
    ran = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(ran, km=kernel, timeout=PATIENCE).execute()
    return [
        output.data.get("text/plain", "")
        for cell in ran.cells
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]


@pytest.mark.parametrize("seed", range(ORDERS))
def test_solved_they_run_in_any_order_in_one_kernel_and_every_check_is_right(
    kernel: AsyncKernelManager, seed: int
) -> None:
    order = list(NUMBERS)
    random.Random(seed).shuffle(order)
    sources = [source for number in order for source in cells(number, solved=True)]
    verdicts = [words for words in run(kernel, sources) if words.startswith(("✓ Right", "Not yet"))]
    assert len(verdicts) == sum("lesson.check(" in source for source in sources)
    assert [words for words in verdicts if not words.startswith("✓ Right")] == []


def test_without_answers_they_run_too_and_each_cell_twice(kernel: AsyncKernelManager) -> None:
    run(kernel, [source for number in NUMBERS for source in cells(number, solved=False) for _ in range(2)])


@pytest.mark.parametrize("number", NUMBERS)
def test_a_lesson_has_at_most_a_dozen_cells_and_short_words_between(number: int) -> None:
    assert len(cells(number, solved=False)) <= MAX_CELLS
    words = [cell.source for cell in nbformat.read(notebook(number), 4).cells if cell.cell_type == "markdown"]
    assert max(len(text.split()) for text in words) <= 70
