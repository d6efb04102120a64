"""The page's modules, joined into one."""

import subprocess
from pathlib import Path

import pytest

from linkup_nb.notebook.static import widgets

STATIC = Path(widgets.__file__).parent
ALONE = ("explorer_view", "net_view", "swarm_view")  # widgets of their own


def test_every_module_and_style_sheet_is_in_it_once() -> None:
    alone = {"alone", *ALONE}
    joined, styles = widgets.module("transcript"), widgets.styles()
    titles = [path.read_text().splitlines()[1] for path in STATIC.glob("*.js") if path.stem not in alone]
    assert [joined.splitlines().count(line) for line in titles] == [1] * len(titles)
    assert sorted(styles) == sorted("\n".join(path.read_text() for path in STATIC.glob("*.css")))


@pytest.mark.parametrize("entry", ["transcript", *ALONE])
def test_no_name_of_one_module_is_another_s_too(tmp_path: Path, entry: str) -> None:
    # All modules share one scope once they are joined, and a name that is declared twice there is a SyntaxError.
    (tmp_path / "joined.mjs").write_text(widgets.module(entry))
    subprocess.run(["node", "--check", tmp_path / "joined.mjs"], check=True, timeout=30)


def test_a_module_stands_after_those_that_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widgets, "_STATIC", tmp_path)
    (tmp_path / "a.js").write_text(
        'import { b } from "./b.js";\nimport {\n  c,\n} from "./c.js";\n\nexport default b + c;\n'
    )
    (tmp_path / "b.js").write_text('import { c } from "./c.js";\n\nexport const b = c + 1;\n')
    (tmp_path / "c.js").write_text("export const c = 1;\n")
    assert " ".join(widgets.module("a").split()) == "const c = 1; const b = c + 1; export default b + c;"


@pytest.mark.parametrize(
    "line",
    ['import * as dom from "./dom.js";', 'import "./dom.js";', "export { one };", 'export * from "./dom.js";'],
)
def test_what_cannot_be_joined_is_refused(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widgets, "_STATIC", tmp_path)
    (tmp_path / "a.js").write_text(f"{line}\nconst one = 1;\n")
    with pytest.raises(ValueError, match=r"cannot be joined: (im|ex)port"):
        widgets.module("a")


def test_modules_that_import_each_other_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widgets, "_STATIC", tmp_path)
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nexport const a = 1;\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\nexport const b = 1;\n')
    with pytest.raises(ValueError, match="cycle"):
        widgets.module("a")
