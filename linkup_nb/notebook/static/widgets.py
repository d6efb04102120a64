"""Joins the page's ES modules, one noun each, into the one module that anywidget takes."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

_STATIC = Path(__file__).parent
_STYLES = (
    "frame",
    "sides",
    "head",
    "log",
    "message",
    "file",
    "composer",
    "forms",
    "tabs",
    "swarm",
    "settings",
    "explorer",
    "net",
    "narrow",
    "forced",
)  # a later one overrides an earlier one
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) )", re.MULTILINE)
_UNRESOLVED = re.compile(r"^(?:import\b|export (?!default )).*", re.MULTILINE)


def module(entry: str) -> str:
    """The source of `static/<entry>.js` and of all that it imports, each once and after what it imports itself.

    All share one scope. Raises `ValueError` for an import or export of another form than `import {…} from "./….js";`
    and `export const`, `class` or `function`, and for modules that import each other.
    """
    sources: dict[str, str] = {}
    graph: dict[str, list[str]] = {}
    todo = [entry]
    while todo:
        name = todo.pop()
        if name not in sources:
            sources[name] = (_STATIC / f"{name}.js").read_text(encoding="utf-8")
            graph[name] = _IMPORT.findall(sources[name])
            todo += graph[name]
    joined = "\n".join(
        _EXPORT.sub("", _IMPORT.sub("", sources[name])) for name in TopologicalSorter(graph).static_order()
    )
    if left := _UNRESOLVED.search(joined):
        raise ValueError(f"The page's modules cannot be joined: {left[0]}")
    return joined


def styles() -> str:
    """The page's style sheet."""
    return "\n".join((_STATIC / f"{name}.css").read_text(encoding="utf-8") for name in _STYLES)
