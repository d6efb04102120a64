import re
import sys
from pathlib import Path

from tests.kernels.page import Page

ROOT = Path(__file__).parents[1]


def test_the_snippet_runs_in_a_notebook() -> None:
    [snippet] = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    with Page(Path(sys.executable)) as page:
        page.ends(page.execute(snippet))
        result = page.sees(lambda message: message["msg_type"] == "execute_result")
    assert "hello** from a cell" in result["content"]["data"]["text/plain"]


def test_the_commands_are_there() -> None:
    commands = re.findall(r"^```sh\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert commands == ["sh notebooks/start", "sh tests/run"]
    for command in commands:
        assert (ROOT / command.split()[1]).is_file()
