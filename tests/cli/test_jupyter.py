import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from tests.cli.reading import START_TIMEOUT, read_until

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).with_name("linkup-nb"))
CODE: dict[str, object] = {
    "cell_type": "code",
    "execution_count": None,
    "id": "a",
    "metadata": {},
    "outputs": [],
    "source": "1",
}
LESSON = json.dumps({"cells": [CODE], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

OpenLab = Callable[..., subprocess.Popen[str]]


def fetch(url: str) -> Any:
    """Get JSON from a server that prints its address a moment before it listens there."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise


@pytest.fixture
def open_lab(tmp_path: Path) -> Iterator[OpenLab]:
    """Starts `linkup-nb` in an empty folder, without a browser to open; ends it with the test."""
    folder = tmp_path / "mine"
    folder.mkdir()
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "BROWSER": "true",
        "HOME": str(tmp_path),
    }
    with ExitStack() as ends:

        def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
            process = ends.enter_context(
                subprocess.Popen(
                    [COMMAND, *arguments],
                    cwd=folder,
                    env=environment | more,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    bufsize=1,
                )
            )
            assert process.stdout is not None
            ends.callback(process.stdout.read)
            ends.callback(process.terminate)
            return process

        yield start


def contents(process: subprocess.Popen[str], path: str) -> Any:
    """A notebook that JupyterLab shows, once it has printed its address with this path."""
    port, token = read_until(process, rf"http://localhost:(\d+)/lab/tree/{path}\?token=(\w+)").groups()
    return fetch(f"http://127.0.0.1:{port}/api/contents/{path}?token={token}")["content"]


def evaluate(runtime: Path, process: subprocess.Popen[str], expression: str) -> str:
    """The repr of an expression in a new kernel of the server."""
    server = json.loads((runtime / f"jpserver-{process.pid}.json").read_text())
    headers = {"Authorization": f"token {server['token']}"}
    request = urllib.request.Request(f"{server['url']}api/kernels", method="POST", data=b"{}", headers=headers)
    with urllib.request.urlopen(request) as answer:
        kernel = json.load(answer)["id"]
    client = BlockingKernelClient()
    client.load_connection_file(str(runtime / f"kernel-{kernel}.json"))
    client.start_channels()
    try:
        client.wait_for_ready(timeout=START_TIMEOUT)
        reply = client.execute_interactive("import os", user_expressions={"it": expression}, timeout=START_TIMEOUT)
    finally:
        client.stop_channels()
    return str(reply["content"]["user_expressions"]["it"]["data"]["text/plain"])


def test_opens_jupyterlab_on_the_chat_notebook_of_the_checkout(open_lab: OpenLab) -> None:
    cells = contents(open_lab(), "chat.ipynb")["cells"]
    assert [cell["source"] for cell in cells if cell["cell_type"] == "code"] == ["import linkup_nb as lu\n\nlu.chat()"]


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("teacher", "A bootstrap peer is written host:port"),
        ("192.168.1.5:99999", "The port of a bootstrap peer is 1 to 65535"),
        ("not a host:8468", "A bootstrap peer is written host:port"),
        ("", "It is what `linkup-nb bootstrap` prints, host:port."),
    ],
)
def test_a_class_that_cannot_be_one_is_refused(tmp_path: Path, named: str, sentence: str) -> None:
    done = subprocess.run([COMMAND, "lab", "--class", named], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--class" in done.stderr
    assert sentence in " ".join(done.stderr.split())
    assert list(tmp_path.glob("lessons")) == []


def test_where_there_is_no_jupyterlab_it_says_so(tmp_path: Path) -> None:
    code = "import sys; sys.modules['jupyterlab'] = None; from linkup_nb.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        "Error: There is no JupyterLab in this environment: pip install jupyterlab.\n",
    )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a wheel of this checkout is installed, one with a lesson more and what JupyterLab leaves behind."""
    folder = tmp_path_factory.mktemp("wheel")
    left_out = shutil.ignore_patterns(".git", ".venv*", ".cache", "node_modules", "__pycache__", "tests")
    checkout = shutil.copytree(ROOT, folder / "checkout", ignore=left_out)
    (checkout / "notebooks" / "lessons" / ".ipynb_checkpoints").mkdir(parents=True)
    (checkout / "notebooks" / "lessons" / ".ipynb_checkpoints" / "old.ipynb").write_text(LESSON)
    (checkout / "notebooks" / "lessons" / "0-before.ipynb").write_text(LESSON)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder / "wheels", checkout], check=True)
    target = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", target, *(folder / "wheels").glob("*.whl")], check=True)
    return target


class TestInstalledFromAWheel:
    """The notebooks then lie in the package, and the user gets copies."""

    def call(self, package: Path, folder: Path, function: str) -> subprocess.CompletedProcess[str]:
        code = f"from pathlib import Path; from linkup_nb.cli.jupyter import {function}; print({function}(Path.cwd()))"
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(package)},
            capture_output=True,
            text=True,
        )

    @pytest.fixture
    def mine(self, tmp_path: Path) -> Path:
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        return folder

    def test_copies_the_chat_notebook_and_never_overwrites_one(self, package: Path, mine: Path) -> None:
        copy = mine / "chat.ipynb"
        assert self.call(package, mine, "chat_notebook").stdout == f"{copy}\n"
        assert copy.read_bytes() == (ROOT / "notebooks" / "chat.ipynb").read_bytes()

        copy.write_text("mine")
        assert self.call(package, mine, "chat_notebook").stdout == f"{copy}\n"
        assert copy.read_text() == "mine"

    def test_copies_the_lessons_that_are_not_there_and_never_overwrites_one(self, package: Path, mine: Path) -> None:
        assert self.call(package, mine, "lessons").stdout == f"{mine / 'lessons'}\n"
        own = {path.name for path in (ROOT / "notebooks" / "lessons").glob("[!.]*")}
        assert {path.name for path in (mine / "lessons").iterdir()} == own | {"0-before.ipynb"}

        changed = mine / "lessons" / "0-before.ipynb"
        changed.write_text("mine")
        (mine / "lessons" / "notes.txt").write_text("mine, too")
        for path in (mine / "lessons").glob("[1-9]*"):
            path.unlink()
        self.call(package, mine, "lessons")
        assert changed.read_text() == "mine"
        assert {path.name for path in (mine / "lessons").iterdir()} == own | {"0-before.ipynb", "notes.txt"}

    def test_where_they_cannot_be_put_it_says_so(self, package: Path, mine: Path) -> None:
        (mine / "lessons").write_text("a file")
        environment = os.environ | {"PYTHONPATH": str(package)}
        done = subprocess.run([COMMAND, "lab"], cwd=mine, env=environment, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr == (
            f"Error: Cannot put lessons into {mine}: File exists. Run linkup-nb in a folder of your own.\n"
        )

    def test_lab_opens_the_first_lesson_on_the_network_of_the_class(
        self, package: Path, tmp_path: Path, open_lab: OpenLab
    ) -> None:
        command = [COMMAND, "bootstrap", "--host", "127.0.0.1", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as teacher:
            network = read_until(teacher, r".*:.*")[0]
            process = open_lab("lab", "--class", network, PYTHONPATH=str(package))
            assert [cell["source"] for cell in contents(process, "lessons/0-before.ipynb")["cells"]] == ["1"]
            bootstrap = evaluate(tmp_path / "runtime", process, "os.environ['LINKUP_BOOTSTRAP']")
            teacher.terminate()
        assert bootstrap == repr(network)

    def test_a_class_that_nobody_answers_for_is_warned_of(self, package: Path, open_lab: OpenLab) -> None:
        process = open_lab("lab", "--class", "127.0.0.1:1", PYTHONPATH=str(package))
        read_until(process, r"^Warning, bootstrap 127\.0\.0\.1:1: No reply\..*`await lu\.start\(\)\.doctor\(\)`")
        assert contents(process, "lessons/0-before.ipynb")["cells"]
