"""The bots of notebooks/bots."""

import importlib.util
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "notebooks" / "bots"


def load(name: str) -> ModuleType:
    """A module of its own of a bot's file, at each call."""
    spec = importlib.util.spec_from_file_location(f"bot_{name}", FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
