"""How the files hang together: a floor imports only from floors below it, and only the notebook floor knows Jupyter."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "linkup_nb"
MAX_LINES = 500  # of a file; one that nears 400 wants splitting along a noun

# Lowest first. A file may import from its own floor and from those above it in this list.
FLOORS = (
    "errors",
    "wire",
    "arguments",
    "loops",
    "surroundings",
    "progress",
    "channels",
    "hypercore",
    "hyperdrive",
    "connection",
    "discovery",
    "kademlia",
    "hyperdht",
    "networks",
    "swarm",
    "blind",
    "rooms",
    "drives",
    "own_networks",
    "lending",
    "node",
    "control",
    "notebook",
    "lab",
    "bot",
    "",  # linkup_nb itself
    "cli",
)
NOTEBOOK = FLOORS.index("notebook")
# What belongs to Jupyter, or looks for it by itself.
JUPYTER = re.compile(
    r"(IPython|anywidget|comm|ipykernel|ipywebrtc|ipywidgets|jupyter\w*|matplotlib_inline|nbformat|nest_asyncio2?|sidecar"
    r"|traitlets)(\.|$)|tqdm\.(auto|notebook|autonotebook)(\.|$)"
)
JUPYTER_TEXT = re.compile(r"IPython|ipykernel|ipywidgets|JUPYTER\w*|jupyter_server_proxy")
INPUT_AND_OUTPUT = {"asyncio", "os", "random", "secrets", "selectors", "socket", "ssl", "threading", "time"}


@cache
def modules() -> dict[str, ast.Module]:
    """The tree of every file of the package, by the module's name within it; "" is the package itself."""
    trees = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        trees[".".join(parts).removesuffix("__init__").rstrip(".")] = ast.parse(file.read_text(), str(file))
    return trees


def imports(module: str) -> Iterator[str]:
    """Every module that a file imports, by its whole name: also within functions, and for its types only."""
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{module} has a relative import"
            assert not node.level, f"{module} has a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if own(whole) in modules() else node.module


def own(name: str) -> str | None:
    """A module's name within the package; `None` for one of another package."""
    if name == "linkup_nb":
        return ""
    return name.removeprefix("linkup_nb.") if name.startswith("linkup_nb.") else None


@cache
def neighbours(module: str) -> frozenset[str]:
    """The files of the package that a file imports."""
    return frozenset(name for name in map(own, imports(module)) if name is not None and name != module)


def floor(module: str) -> int:
    return FLOORS.index(module.partition(".")[0])


@pytest.mark.parametrize("module", modules())
def test_a_floor_imports_only_from_floors_below_it(module: str) -> None:
    assert [name for name in neighbours(module) if floor(name) > floor(module)] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles() == []


def circles() -> list[frozenset[str]]:
    """The groups of files in which each can be reached from each."""
    reach = {module: reachable(module) for module in modules()}
    groups = {
        frozenset(other for other in reach[module] if module in reach[other])
        for module in reach
        if module in reach[module]
    }
    return sorted(groups, key=sorted)


def reachable(module: str) -> set[str]:
    found: set[str] = set()
    ahead: set[str] = set(neighbours(module))
    while ahead:
        found |= ahead
        ahead = set().union(*map(neighbours, ahead)) - found
    return found


@pytest.mark.parametrize("module", [name for name in modules() if floor(name) < NOTEBOOK])
def test_nothing_below_the_notebook_knows_jupyter(module: str) -> None:
    texts = (node.value for node in ast.walk(modules()[module]) if isinstance(node, ast.Constant))
    known = {name for name in imports(module) if JUPYTER.match(name)}
    known |= {text for text in texts if isinstance(text, str) and JUPYTER_TEXT.fullmatch(text)}
    assert known == set()


@pytest.mark.parametrize("module", [name for name in modules() if name.startswith("wire.")])
def test_the_wire_does_no_io(module: str) -> None:
    assert set(imports(module)) & INPUT_AND_OUTPUT == set()


def test_no_file_is_too_long() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for folder in (PACKAGE, ROOT / "tests")
        for file in folder.rglob("*")
        if file.suffix in (".py", ".js", ".css") and not {"node_modules", ".cache"} & set(file.parts)
        if (lines := len(file.read_text().splitlines())) > MAX_LINES
    }
    assert long == {}
