"""An environment for each ipykernel, kept between runs under tests/.cache."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "tests" / ".cache" / "kernels"
NOT_IN_A_KERNEL = {"ipykernel", "jupyterlab"}  # the first is pinned instead, the second only serves pages
OF_THE_USER = ["matplotlib", "sidecar>=0.7"]

# Which versions handle what the user does during a cell: those with subshells. On the others it waits for its end.
SENDS_DURING_A_CELL = {"6.31.0": False, "7.0.1": True, "7.3.0": True, "7.4.0": True}


class Kernel(NamedTuple):
    """One version of ipykernel."""

    version: str
    python: Path

    @property
    def sends_during_a_cell(self) -> bool:
        return SENDS_DURING_A_CELL[self.version]


def shared_requirements() -> list[str]:
    """What the project and its users need inside a kernel, without ipykernel."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.split(r"[<>=!~; ]", need, maxsplit=1)[0] for need in needed]
    return OF_THE_USER + [need for name, need in zip(names, needed, strict=True) if name not in NOT_IN_A_KERNEL]


def interpreters() -> dict[str, Path]:
    """The Python of an environment with each ipykernel; what they have in common is installed once and seen by all."""
    shared = environment("shared", shared_requirements())
    return {version: environment(version, [f"ipykernel=={version}"], behind=shared) for version in SENDS_DURING_A_CELL}


def environment(name: str, requirements: list[str], behind: Path | None = None) -> Path:
    """The Python of an environment with these packages, which sees those of `behind` too; made unless it is kept."""
    folder = CACHE / name
    python = folder / "bin" / "python"
    wanted = "\n".join([*requirements, str(behind)])
    installed = folder / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", folder], check=True)
        if behind:
            (packages_of(python) / "behind.pth").write_text(str(packages_of(behind)))
        pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", *requirements], check=True)
        installed.write_text(wanted)
    return python


def packages_of(python: Path) -> Path:
    [folder] = python.parents[1].glob("lib/python*/site-packages")
    return folder
