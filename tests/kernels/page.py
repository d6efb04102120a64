"""What JupyterLab does with a widget, over the kernel's own sockets, without a browser.

Like JupyterLab 4.6 it asks a kernel that has subshells for one, and sends the messages of every widget there
(`CommsOverSubshells.PerCommTarget`; JEP 91).
"""

import os
import queue
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.kernels.environments import ROOT

PATIENCE = 30.0  # seconds until a kernel that does not answer has failed the test

Json = dict[str, Any]


class Page:
    """One kernel, and the page in front of it. Everything that the kernel says is kept in `said`, oldest first."""

    def __init__(self, python: Path, environment: dict[str, str]) -> None:
        self._manager = KernelManager()
        assert self._manager.kernel_spec is not None
        self._manager.kernel_spec.argv = [
            str(python),
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
            "--log-level=ERROR",
        ]
        self._manager.start_kernel(cwd=str(ROOT), env=os.environ | {"PYTHONPATH": str(ROOT)} | environment)
        self._client: BlockingKernelClient = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)
        self.said: list[Json] = []
        self.view = uuid.uuid4().hex
        self.subshell: str | None = None
        self._comm = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel()

    def execute(self, code: str) -> str:
        """Send a cell, and return its message id at once."""
        return str(self._client.execute(code))

    def ends(self, cell: str) -> None:
        """Wait until a cell has ended well."""
        while True:
            reply = self._client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == cell:
                assert reply["content"]["status"] == "ok", "\n".join(reply["content"].get("traceback", []))
                return

    def open_chat(self, profile: str) -> None:
        """Run the chat's one cell, and find the transcript's comm among those it opens."""
        self.ends(self.execute(f"import linkup_nb as lu\npanel = lu.chat({profile!r})\npanel"))
        opened = self.sees(
            lambda message: (
                message["msg_type"] == "comm_open"
                and "ranscript" in str(message["content"]["data"]["state"].get("_anywidget_id"))
            )
        )
        self._comm = opened["content"]["comm_id"]
        if "kernel subshells" in self._kernel_features():
            self.subshell = self._control("create_subshell_request")["subshell_id"]

    def _kernel_features(self) -> list[str]:
        reply = self._client.kernel_info(reply=True, timeout=PATIENCE)
        return list(reply["content"].get("supported_features", []))

    def _control(self, kind: str) -> Json:
        request = self._client.session.msg(kind, {})
        self._client.control_channel.send(request)
        while True:
            reply = self._client.get_control_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                return dict(reply["content"])

    def ask(self, kind: str, **fields: Any) -> str:
        """Send the transcript a request, and return its id at once."""
        identity = f"{self.view}:{uuid.uuid4().hex}"
        content = {"id": identity, "view": self.view, "type": kind, **fields}
        message = self._client.session.msg(
            "comm_msg", {"comm_id": self._comm, "data": {"method": "custom", "content": content}}
        )
        message["header"]["subshell_id"] = self.subshell
        self._client.shell_channel.send(message)
        return identity

    def answer(self, identity: str, timeout: float = PATIENCE) -> Json:
        """Wait for the reply to a request. Raises `queue.Empty` when none comes in time."""
        said = self.sees(lambda message: of_transcript(message).get("id") == identity, timeout)
        return of_transcript(said)

    def request(self, kind: str, **fields: Any) -> Json:
        reply = self.answer(self.ask(kind, **fields))
        assert reply["ok"], reply
        return reply

    def row(self, text: str) -> Json:
        """Wait until the page has a row with this text."""

        def has_it(message: Json) -> bool:
            return any(
                text in (row.get("text") or row.get("html") or "") for row in of_transcript(message).get("rows", [])
            )

        return self.sees(has_it)

    def sees(self, matches: Callable[[Json], bool], timeout: float = PATIENCE) -> Json:
        """Wait for a message on iopub, also one that has come before."""
        for message in self.said:
            if matches(message):
                return message
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            message = self._client.get_iopub_msg(timeout=left)
            self.said.append(message)
            if matches(message):
                return message
        raise queue.Empty


def of_transcript(message: Json) -> Json:
    """The custom message that a widget sent, or nothing."""
    if message["msg_type"] != "comm_msg" or message["content"]["data"].get("method") != "custom":
        return {}
    return dict(message["content"]["data"]["content"])
