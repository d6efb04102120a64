"""A real JupyterLab, and notebooks of it in a real Chromium."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_client.blocking.client import BlockingKernelClient
from playwright.sync_api import Browser, BrowserContext, Dialog, FilePayload, Locator, Page, Request, expect

PATIENCE = 60.0  # seconds until something that does not show has failed the test
TOKEN = "a-token-for-tests"
CHAT_CELL = "import linkup_nb as lu\n\npanel = lu.chat({profile!r})\npanel"
SETTINGS: dict[str, dict[str, object]] = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false"},
    "@jupyter-widgets/jupyterlab-manager/plugin.jupyterlab-settings": {"saveState": True},
}


# A cell that is run before its kernel has been connected is not run at all.
READY = """async () => {
    await window.jupyterapp.restored;
    const {sessionContext} = window.jupyterapp.shell.currentWidget;
    await sessionContext.ready;
    await sessionContext.session.kernel.info;
}"""


class Lab:
    """A JupyterLab server with folders of its own, where the profiles of its kernels lie too."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir()
        for name, settings in SETTINGS.items():
            path = folder / "settings" / name
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(settings))
        self.environment = {
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_RUNTIME_DIR": str(runtime),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "LINKUP_OFFLINE": "1",
        }
        with (folder / "jupyter.log").open("w") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "jupyterlab",
                    "--no-browser",
                    "--allow-root",
                    "--ServerApp.port=0",
                    f"--ServerApp.root_dir={self.notebooks}",
                    f"--IdentityProvider.token={TOKEN}",
                    "--LabApp.expose_app_in_browser=True",
                    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                ],
                env=os.environ | self.environment,
                stdout=log,
                stderr=log,
            )
        self.url = self._address()

    def _address(self) -> str:
        """The server writes its address into a file when it knows it, and listens a moment later."""
        deadline = time.monotonic() + PATIENCE
        info = self.folder / "runtime" / f"jpserver-{self._process.pid}.json"
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                url = str(json.loads(info.read_text())["url"])
                with urllib.request.urlopen(f"{url}api/status?token={TOKEN}"):
                    return url
            except (OSError, ValueError):
                continue
        raise AssertionError((self.folder / "jupyter.log").read_text())

    def api(self, method: str, path: str) -> Any:
        request = urllib.request.Request(
            f"{self.url}api/{path}", method=method, headers={"Authorization": f"token {TOKEN}"}
        )
        with urllib.request.urlopen(request) as answer:
            body = answer.read()
            return json.loads(body) if body else None

    def profile_path(self, profile: str) -> Path:
        return self.folder / "data" / "linkup_nb" / "profiles" / profile

    def write_profile(self, profile: str, name: str) -> None:
        """Put a LinkUp user's config.json where the profile will look for it."""
        folder = self.profile_path(profile)
        folder.mkdir(parents=True)
        config = {"userName": name, "rooms": [], "registeredUsers": []}
        (folder / "config.json").write_text(json.dumps(config))

    def write_notebook(self, name: str, cells: list[str]) -> None:
        notebook = {
            "cells": [
                {
                    "cell_type": "code",
                    "execution_count": None,
                    "id": f"cell-{number}",
                    "metadata": {},
                    "outputs": [],
                    "source": cell,
                }
                for number, cell in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (self.notebooks / f"{name}.ipynb").write_text(json.dumps(notebook))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)


class Watch:
    """Everything that a page did which it must not do: requests to other hosts, scripts of strangers, dialogs."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.host = urlsplit(url).netloc
        self.strangers: list[str] = []
        self.dialogs: list[str] = []
        self.errors: list[str] = []
        context.on("request", self._requested)
        context.on("dialog", self._dialog_opened)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.add_init_script("window.pwned = []")

    def _dialog_opened(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload":  # JupyterLab asks before a page with unsaved outputs is left
            dialog.accept()
        else:
            self.dialogs.append(dialog.message)
            dialog.dismiss()

    def _requested(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != self.host:
            self.strangers.append(request.url)


class Notebook:
    """One notebook in one browser window, and its kernel. `cells` are its cells; the first shows the chat."""

    def __init__(self, lab: Lab, browser: Browser, profile: str, cells: list[str], **context: Any) -> None:
        self.lab = lab
        self.profile = profile
        self.context = browser.new_context(permissions=["microphone", "clipboard-read", "clipboard-write"], **context)
        self.context.set_default_timeout(PATIENCE * 1000)
        self.watch = Watch(self.context, lab.url)
        lab.write_notebook(profile, [CHAT_CELL.format(profile=profile), *cells])
        self.page = self.context.new_page()
        self.chat = Chat(self.page)
        self.open()

    def open(self) -> None:
        self.page.goto(f"{self.lab.url}lab/workspaces/{self.profile}/tree/{self.profile}.ipynb?token={TOKEN}")
        self._ready()

    def reload(self) -> None:
        self.page.reload()
        self._ready()

    def _ready(self) -> None:
        self.page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext")
        self.page.evaluate(READY)
        self.idle()

    def idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        expect(self.page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")

    def cell(self, number: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def start(self, number: int) -> None:
        """Run a cell, and return while it runs."""
        self.cell(number).locator(".jp-InputArea-editor .cm-content").click()
        self.page.keyboard.press("Shift+Enter")

    def run(self, number: int) -> None:
        """Run a cell to its end."""
        self.start(number)
        expect(self.cell(number).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))

    def restart_kernel(self) -> None:
        self.command("kernelmenu:restart")
        self.page.get_by_role("button", name="Confirm Kernel Restart").click()
        self.idle()

    def shut_down_kernel(self) -> None:
        for session in self.lab.api("GET", "sessions"):
            if session["path"] == f"{self.profile}.ipynb":
                self.lab.api("DELETE", f"sessions/{session['id']}")

    def command(self, name: str, **arguments: Any) -> None:
        """Run one of JupyterLab's commands, as its menus do."""
        self.page.evaluate(
            "([name, arguments]) => void window.jupyterapp.commands.execute(name, arguments)", [name, arguments]
        )

    def evaluate(self, expression: str) -> str:
        """The repr of an expression in the kernel, as another cell would show it."""
        session = next(s for s in self.lab.api("GET", "sessions") if s["path"] == f"{self.profile}.ipynb")
        client = BlockingKernelClient()
        client.load_connection_file(str(self.lab.folder / "runtime" / f"kernel-{session['kernel']['id']}.json"))
        client.start_channels()
        try:
            client.wait_for_ready(timeout=PATIENCE)
            reply = client.execute_interactive("", user_expressions={"value": expression}, timeout=PATIENCE)
        finally:
            client.stop_channels()
        value = reply["content"]["user_expressions"]["value"]
        assert value["status"] == "ok", value
        return str(value["data"]["text/plain"])

    def config(self) -> Any:
        """What the profile's config.json holds."""
        return json.loads((self.lab.profile_path(self.profile) / "config.json").read_text())

    def close(self) -> None:
        """Close the window and stop the kernel. Raises AssertionError if the page did what no peer may make it do."""
        ran = [pwned for page in self.context.pages for pwned in page.evaluate("window.pwned || []")]
        self.context.close()
        self.shut_down_kernel()
        assert not ran, f"a script of a stranger ran: {ran}"
        assert not self.watch.dialogs, f"a dialog opened: {self.watch.dialogs}"
        assert not self.watch.strangers, f"the page asked other hosts: {self.watch.strangers}"


class Chat:
    """One view of the panel, by the hooks that the modules of `notebook/static` give their elements."""

    def __init__(self, page: Page, view: Callable[[Page], Locator] | None = None) -> None:
        self.page = page
        self.root = view(page) if view else page.locator('[data-lu="root"]').first

    def hook(self, name: str) -> Locator:
        return self.root.locator(f'[data-lu="{name}"]')

    def row(self, text: str | re.Pattern[str]) -> Locator:
        return self.hook("row").filter(has_text=text)

    def introduce(self, name: str) -> None:
        self.hook("name").fill(name)
        self.hook("save-profile").click()

    @property
    def topic(self) -> str:
        """The topic of the room that is shown, "" for none."""
        shown = self.root.locator('[data-lu="room"][aria-current="true"]')
        return shown.get_attribute("data-topic") or "" if shown.count() else ""

    def shows(self, topic: str) -> None:
        """Wait until a room is shown."""
        shown = self.root.locator('[data-lu="room"][aria-current="true"]')
        expect(shown).to_have_attribute("data-topic", topic)

    def show_people(self) -> None:
        """Open the column of the people, which a narrow panel folds."""
        if not self.hook("people").is_visible():
            self.hook("show-peers").click()
        expect(self.hook("people")).to_be_visible()

    def fold_people(self) -> None:
        """Close it again, where it stands over the log."""
        if self.root.get_attribute("data-drawer") == "peers":
            self.root.press("Escape")
            expect(self.hook("people")).to_be_hidden()

    def create(self, name: str, *, linkup: bool = True) -> str:
        """Create a room, and return its topic."""
        before = self.topic
        self.hook("create-or-join").click()
        self.hook("create-name").fill(name)
        self.hook("create-linkup").set_checked(linkup)
        self.hook("create").click()
        expect(self.hook("room-name")).to_have_text(name)
        expect(self.hook("create-name")).to_be_hidden()
        shown = self.root.locator('[data-lu="room"][aria-current="true"]')
        expect(shown).to_have_count(1)
        expect(shown).not_to_have_attribute("data-topic", before)
        return self.topic

    def invite(self) -> str:
        """The invite of the room with memory that is shown, as one copies it."""
        self.hook("copy-topic").click()
        expect(self.hook("copy-topic")).to_have_attribute("data-note", "Copied")
        return str(self.page.evaluate("navigator.clipboard.readText()"))

    def join(self, word: str) -> None:
        self.hook("create-or-join").click()
        self.hook("join-word").fill(word)
        self.hook("join").click()

    def say(self, text: str) -> None:
        self.hook("composer").fill(text)
        self.hook("composer").press("Enter")

    def attach(self, file: FilePayload | Path) -> None:
        """Choose a file, and send it."""
        self.hook("file-input").set_input_files(file)
        self.hook("send").click()

    @property
    def error(self) -> Locator:
        return self.hook("error").locator("visible=true")
