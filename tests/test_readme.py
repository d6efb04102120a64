import re
import sys
from pathlib import Path

import pytest

from tests.kernels.page import Page

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "linkup_nb"
READMES = [ROOT / "README.md", ROOT / "tests" / "README.md", *sorted(PACKAGE.rglob("README.md"))]


def test_the_cells_show_a_panel_and_a_message() -> None:
    shows, sends = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    with Page(Path(sys.executable)) as page:
        assert "application/vnd.jupyter.widget-view+json" in value(page, shows)
        assert "hello** from a cell" in value(page, sends)["text/plain"]


def value(page: Page, code: str) -> dict[str, str]:
    """The value of a cell, by media type."""
    cell = page.execute(code)
    page.ends(cell)
    result = page.sees(
        lambda message: message["msg_type"] == "execute_result" and message["parent_header"]["msg_id"] == cell
    )
    return dict(result["content"]["data"])


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
