"""Known answers, made by the JavaScript packages."""

import json
from pathlib import Path
from typing import Any


def load(name: str) -> Any:
    """The vectors of one file; bytes are hexadecimal digits."""
    return json.loads(Path(__file__).with_name(f"{name}.json").read_text())
