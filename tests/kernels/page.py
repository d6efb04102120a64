"""What JupyterLab does with a widget, over the kernel's own sockets, without a browser.

Like JupyterLab 4.6 it asks a kernel that has subshells for one, and sends the messages of every widget there
(`CommsOverSubshells.PerCommTarget`; JEP 91).
"""

import os
import queue
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.kernels.environments import ROOT

PATIENCE = 30.0  # seconds until a kernel that does not answer has failed the test
ANSWER_WINDOW = 5.0  # seconds in which a request that is handled during a cell is answered

Json = dict[str, Any]


class Page:
    """One kernel, and the page in front of it. Everything that the kernel says is kept in `said`, oldest first."""

    def __init__(self, python: Path, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        # By sockets in a folder: a port that is chosen for a kernel may be taken by the time it starts.
        self._folder = tempfile.mkdtemp(prefix="lu-")
        self._manager = KernelManager(transport="ipc", connection_file=f"{self._folder}/kernel.json")
        assert self._manager.kernel_spec is not None
        self._manager.kernel_spec.argv = [
            str(python),
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
            "--log-level=ERROR",
        ]
        self._manager.start_kernel(cwd=str(ROOT), env={**os.environ, "PYTHONPATH": str(ROOT), **environment})
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
        shutil.rmtree(self._folder, ignore_errors=True)

    def execute(self, code: str) -> str:
        """Send a cell, and return its message id at once; one that fails takes no later one with it."""
        return str(self._client.execute(code, stop_on_error=False))

    def ends(self, cell: str) -> None:
        """Wait until a cell has ended well."""
        while True:
            reply = self._client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == cell:
                assert reply["content"]["status"] == "ok", "\n".join(reply["content"].get("traceback", []))
                return

    def error(self, cell: str) -> str:
        """Wait until a cell has ended by an exception; the name of that."""
        while True:
            reply = self._client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == cell:
                assert reply["content"]["status"] == "error"
                return str(reply["content"]["ename"])

    def open_chat(self, profile: str) -> None:
        """Run the chat's one cell, and find the transcript's comm among those it opens."""
        self.ends(self.execute(f"import linkup_nb as lu\npanel = lu.chat({profile!r})\npanel"))
        opened = self.sees(
            lambda message: (
                message["msg_type"] == "comm_open"
                and "TabsWidget" in str(message["content"]["data"]["state"].get("_anywidget_id"))
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
        self._send(self._comm, {"method": "custom", "content": content})
        return identity

    def touch_all(self) -> list[str]:
        """Send every widget that is open an update that changes nothing, as a page may; returns its models."""
        opened = {}
        for message in self.said:
            comm = message["content"].get("comm_id", "")
            if message["msg_type"] == "comm_open":
                opened[comm] = message["content"]["data"]["state"]["_model_name"]
            elif message["msg_type"] == "comm_close":
                opened.pop(comm, None)
        for comm in opened:
            self._send(comm, {"method": "update", "state": {}, "buffer_paths": []})
        return sorted(opened.values())

    def _send(self, comm: str, data: Json) -> None:
        message = self._client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        message["header"]["subshell_id"] = self.subshell
        self._client.shell_channel.send(message)

    def answer(self, identity: str, timeout: float = PATIENCE) -> Json:
        """Wait for the reply to a request. Raises `queue.Empty` when none comes in time."""
        said = self.sees(lambda message: of_transcript(message).get("id") == identity, timeout)
        return of_transcript(said)

    def request(self, kind: str, **fields: Any) -> Json:
        reply = self.answer(self.ask(kind, **fields))
        assert reply["ok"], reply
        return reply

    def is_answered(self, identity: str) -> bool:
        """Whether a request that is handled at once would have been answered by now."""
        try:
            return bool(self.answer(identity, ANSWER_WINDOW))
        except queue.Empty:
            return False

    def row(self, text: str) -> Json:
        """Wait until the page has a row with this text."""

        def has_it(message: Json) -> bool:
            return any(
                text in (row.get("text") or row.get("html") or "") for row in of_transcript(message).get("rows", [])
            )

        return self.sees(has_it)

    def line(self, cell: str, text: str) -> None:
        """Wait until a cell's output has a text, on one of both streams."""
        self.sees(lambda message: text in message["content"].get("text", "") and of_cell(message, cell))

    def printed(self, cell: str) -> str:
        """What stands in the output of a cell that has ended, of both streams."""
        self._sees_idle(cell)
        return "".join(said["content"]["text"] for said in self._outputs(cell, "stream"))

    def picture(self, cell: str) -> str:
        """The one picture in the output of a cell that has ended, in base64."""
        [picture] = [data["image/png"] for data in self.shows(cell)]
        return str(picture)

    def shows(self, cell: str) -> list[dict[str, Any]]:
        """What stands in the output of a cell that has ended, by media type: what it displayed, then its value."""
        self._sees_idle(cell)
        outputs = self._outputs(cell, "display_data") + self._outputs(cell, "execute_result")
        return [said["content"]["data"] for said in outputs]

    def _sees_idle(self, cell: str) -> None:
        self.sees(lambda message: message["content"].get("execution_state") == "idle" and of_cell(message, cell))

    def _outputs(self, cell: str, kind: str) -> list[Json]:
        return [message for message in self.said if message["msg_type"] == kind and of_cell(message, cell)]

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


def of_cell(message: Json, cell: str) -> bool:
    """Whether a message belongs to the output of a cell."""
    return bool(message["parent_header"].get("msg_id") == cell)


def of_transcript(message: Json) -> Json:
    """The custom message that a widget sent, or nothing."""
    if message["msg_type"] != "comm_msg" or message["content"]["data"].get("method") != "custom":
        return {}
    return dict(message["content"]["data"]["content"])
