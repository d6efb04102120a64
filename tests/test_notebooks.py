import json
import sys
from pathlib import Path

import pytest

from tests.kernels.page import Page

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


@pytest.mark.parametrize("name", ["bot", "drives", "network"])
def test_every_cell_of_a_tour_runs(name: str) -> None:
    notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())
    with Page(Path(sys.executable)) as page:
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                page.ends(page.execute("".join(cell["source"])))
