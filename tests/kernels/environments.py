"""One environment for each ipykernel, kept between runs under tests/.cache."""

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


def requirements(ipykernel: str) -> list[str]:
    """What the project needs inside a kernel, with one version of ipykernel."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.split(r"[<>=!~; ]", need, maxsplit=1)[0] for need in needed]
    return [f"ipykernel=={ipykernel}", *OF_THE_USER] + [
        need for name, need in zip(names, needed, strict=True) if name not in NOT_IN_A_KERNEL
    ]


def interpreter(ipykernel: str) -> Path:
    """The Python of an environment that has this ipykernel; made first if it is not there."""
    folder = CACHE / ipykernel
    python = folder / "bin" / "python"
    wanted = "\n".join(requirements(ipykernel))
    installed = folder / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *requirements(ipykernel)], check=True)
        installed.write_text(wanted)
    return python
