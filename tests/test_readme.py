import re
import sys
from pathlib import Path

import pytest

from tests.kernels.page import Page

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "linkup_nb"
WIDGET = "application/vnd.jupyter.widget-view+json"
READMES = [
    *ROOT.glob("README.md"),
    *ROOT.glob("notebooks/**/README.md"),
    *ROOT.glob("tests/README.md"),
    *ROOT.glob("tests/*/README.md"),
]
READMES += sorted(PACKAGE.rglob("README.md"))


def test_the_cell_shows_the_panel_and_then_the_message() -> None:
    [code] = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    with Page(Path(sys.executable)) as page:
        cell = page.execute(code)
        page.ends(cell)
        panel, message = page.shows(cell)
    assert WIDGET in panel
    assert "hello** from a cell" in message["text/plain"]


def test_the_commands_are_there() -> None:
    commands = re.findall(r"^```sh\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert commands == ["sh notebooks/start", "sh tests/run"]
    for command in commands:
        assert (ROOT / command.split()[1]).is_file()


def test_every_folder_of_the_package_has_one() -> None:
    folders = {file.parent for file in PACKAGE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "README.md").is_file()] == []


@pytest.mark.parametrize("readme", READMES, ids=lambda readme: str(readme.relative_to(ROOT)))
def test_what_it_names_is_there(readme: Path) -> None:
    text = readme.read_text()
    links = [readme.parent / link for link in re.findall(r"\]\(([^):#]+)\)", text)]
    files = re.findall(r"(?<![\w./-])[a-z_\d/]+\.(?:py|js|css|ipynb)\b", text)
    assert [link for link in links if not link.exists()] == []
    folders = (readme.parent, PACKAGE, ROOT)
    assert [file for file in files if not any((folder / file).exists() for folder in folders)] == []
