import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OLD_PYTHON = "#!/bin/sh\nexit 1\n"
# New enough, but without what `python3 -m venv` needs: Debian's, when only the package python3 is there.
BARE_PYTHON = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; *print*) echo python3.11-venv ;; esac\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh clone's files."""
    left_out = shutil.ignore_patterns(".git", ".venv*", ".cache", "node_modules", "__pycache__")
    return shutil.copytree(ROOT, tmp_path / "checkout", ignore=left_out)


def start(checkout: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PATH": path} if path else {})
    command = ["/bin/sh", str(checkout / "notebooks" / "start"), *arguments]
    return subprocess.run(command, cwd=checkout.parent, env=environment, capture_output=True, text=True)


def test_a_fresh_clone_installs_itself_and_starts_again_without_a_network(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(checkout, "--version")
    assert first.stdout.startswith("linkup-nb, version"), first.stderr
    assert (checkout / ".venv" / "bin" / "jupyter-lab").exists()

    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/")
    again = start(checkout, "--version")
    assert again.stdout == first.stdout
    assert again.stderr == ""


@pytest.mark.parametrize(
    ("tools", "sentence"),
    [
        ({"python3": OLD_PYTHON}, "linkup_nb needs Python 3.11 or newer, and there is none here."),
        ({"python3": BARE_PYTHON}, "Please install python3.11-venv with your system's package manager"),
        (
            {"python3": BARE_PYTHON, "apt-get": OLD_PYTHON, "id": "#!/bin/sh\necho 1000\n"},
            "Please ask an administrator to run: apt-get install python3.11-venv",
        ),
        (
            {"python3": BARE_PYTHON, "apt-get": OLD_PYTHON, "id": "#!/bin/sh\necho 0\n"},
            "apt-get update failed, see above. Is this machine connected to the internet?",
        ),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(
    checkout: Path, tmp_path: Path, tools: dict[str, str], sentence: str
) -> None:
    """A machine whose only programs are these."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "dirname").symlink_to(str(shutil.which("dirname")))
    for name, script in tools.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    done = start(checkout, path=str(folder))
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]
