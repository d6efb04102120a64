"""`%load_ext linkup_nb`: what a cell says and shares, for each ipykernel that people have."""

import json

from tests.kernels.environments import Kernel
from tests.kernels.page import Page

PREPARE = """
%load_ext linkup_nb
%load_ext linkup_nb
import json
import linkup_nb as lu
from IPython.display import Markdown, display
node = lu.start("kestrel")
room = await node.create_room("lab")
x = 7
"""

SAID = """
print(json.dumps([message.text if hasattr(message, "text") else dict(message.data) for message in room]))
print("x is", x)
"""

SHARED = """import asyncio
await asyncio.sleep(0)
print('seen')
display(Markdown('**drawn**'))
x * 6"""


def test_what_a_cell_says_and_shares(kernel: Kernel) -> None:
    with Page(kernel.python) as page:
        page.ends(page.execute(PREPARE))
        page.ends(page.execute("%chat it costs $x, {x}"))
        page.ends(page.execute("%%chat\n*two*\nlines"))
        shared = page.execute(f"\n%%share -o\n{SHARED}")
        page.ends(shared)
        assert page.printed(shared) == "seen\n"
        assert [data["text/plain"] for data in page.shows(shared)][1:] == ["42"]
        page.ends(page.execute("%%share\nx = 8\nprint('for oneself')"))
        failed = page.execute("%%share -o --room lab\n1 / 0")
        assert page.error(failed) == "ZeroDivisionError"
        lost = page.execute("%%share --room no such\nx = 9")
        page.ends(lost)
        assert page.printed(lost) == "Not shared: You are in no rooms called 'no such': join it, or name another.\n"

        asked = page.execute(SAID)
        page.ends(asked)
        said, x = page.printed(asked).splitlines()
        assert x == "x is 9"
        texts = [
            message if isinstance(message, str) else message.get("text/markdown", message["text/plain"])
            for message in json.loads(said)
        ]
        assert texts == [
            "it costs $x, {x}",
            "*two*\nlines\n",
            f"```python\n{SHARED}\n```",
            "seen\n",
            "**drawn**",
            "42",
            "```python\nx = 8\nprint('for oneself')\n```",
            "```python\n1 / 0\n```",
            "ZeroDivisionError: division by zero",
        ]
