"""A learner without a kernel: the cells of a lesson's notebook, run in this process, with answers of the test."""

import ast
import inspect
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOKS = Path(__file__).parents[3] / "notebooks" / "lessons"
NUMBERS = range(1, 9)


def notebook(number: int) -> Path:
    """The notebook of a lesson."""
    [path] = NOTEBOOKS.glob(f"{number}-*.ipynb")
    return path


def cells(number: int, *, solved: bool) -> list[str]:
    """The sources of its code cells; `solved` has the answers in them."""
    found = []
    for cell in nbformat.read(notebook(number), 4).cells:
        if cell.cell_type == "code":
            solution = cell.metadata.get("linkup", {}).get("solution")
            found.append(solution if solved and solution else cell.source)
    return found


class Session:
    """Runs cells in one namespace, as IPython does: with `await`, and the last expression as the value."""

    def __init__(self) -> None:
        self.shown: list[object] = []
        self.names: dict[str, Any] = {"display": self.shown.append, "__name__": "__main__"}

    async def run(self, source: str) -> Any:
        """The value of a cell's last expression."""
        tree = ast.parse(source)
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            tree.body[-1] = ast.copy_location(ast.Assign([ast.Name("_value", ast.Store())], last.value), last)
            ast.fix_missing_locations(tree)
        self.names["_value"] = None
        made = eval(compile(tree, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), self.names)
        if inspect.isawaitable(made):
            await made
        return self.names["_value"]

    async def begin(self, number: int) -> None:
        """Run a lesson's cells, solved, up to its first check."""
        for source in cells(number, solved=True):
            if "lesson.check(" in source:
                break
            await self.run(source)
