"""`binder/` is what repo2docker reads: https://repo2docker.readthedocs.io, "Configuration Files"."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
BINDER = ROOT / "binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
THERE = set(sys.stdlib_module_names) | {"linkup_nb", "IPython"}  # the last comes with every kernel


def requirements() -> list[str]:
    lines = (line.partition("#")[0].strip() for line in (BINDER / "requirements.txt").read_text().splitlines())
    return [line for line in lines if line]


def imported(notebook: Path) -> set[str]:
    """The packages that the cells of a notebook import."""
    sources = ["".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"]]
    return set(re.findall(r"^(?:import|from) (\w+)", "\n".join(sources), re.MULTILINE))


def test_its_python_is_one_that_the_project_runs_on() -> None:
    name, _, version = (BINDER / "runtime.txt").read_text().strip().partition("-")
    assert name == "python"
    assert version in SpecifierSet(PROJECT["requires-python"])


def test_it_installs_the_project_with_what_the_notebooks_import() -> None:
    # pip runs in the folder of the repository; repo2docker copies that first if a line begins with a dot.
    project, *others = requirements()
    extras = re.fullmatch(r"\.\[(.*)\]", project)
    assert extras
    installed = [Requirement(line).name for line in others + PROJECT["dependencies"]]
    for extra in extras[1].split(","):
        installed += [Requirement(line).name for line in PROJECT["optional-dependencies"][extra]]
    wanted = set[str]().union(*(imported(path) for path in (ROOT / "notebooks").rglob("*.ipynb")))
    assert {"linkup_nb", "pandas"} <= wanted
    assert wanted - THERE <= set(installed)


def test_what_it_starts_stays_on_the_machine_and_has_its_arguments(tmp_path: Path) -> None:
    start = BINDER / "start"
    assert os.access(start, os.X_OK)
    code = "import os, sys; print(os.environ['LINKUP_OFFLINE'], sys.argv[1:])"
    environment = {name: value for name, value in os.environ.items() if name != "LINKUP_OFFLINE"}
    command = [str(start), sys.executable, "-c", code, "a b", "c"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "1 ['a b', 'c']\n"


def test_after_its_build_code_of_a_message_can_go_into_a_cell(tmp_path: Path) -> None:
    build = BINDER / "postBuild"
    assert os.access(build, os.X_OK)
    # A Python whose prefix is a folder of this test.
    (tmp_path / "python").write_text(f"#!/bin/sh\necho {tmp_path}\n")
    (tmp_path / "python").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([str(build)], cwd=ROOT, env=environment, check=True)
    config = json.loads((tmp_path / "etc" / "jupyter" / "jupyter_lab_config.json").read_text())
    assert config == {"LabApp": {"expose_app_in_browser": True}}
