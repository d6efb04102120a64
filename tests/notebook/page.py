"""The page's end of a widget: a comm whose other side is the test."""

import queue
import time
import uuid
from collections.abc import Callable
from typing import Any

import ipywidgets
from comm.base_comm import BaseComm

from linkup_nb.notebook.chat.uploads import CHUNK

PATIENCE = 10.0  # seconds until a kernel that does not answer has failed the test

Json = dict[str, Any]


class PageComm(BaseComm):
    """A comm that keeps what the kernel sends instead of a kernel that sends it to a browser."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: queue.Queue[tuple[str, Json, list[bytes]]] = queue.Queue()
        self.state: Json = {}
        super().__init__(*args, **kwargs)

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        if msg_type == "comm_open":
            self.state = dict(data["state"])
        elif msg_type == "comm_msg" and data["method"] == "update":
            self.state |= data["state"]
        self.sent.put((msg_type, data or {}, list(buffers or ())))

    def say(self, data: Json, buffers: list[bytes] | None = None) -> None:
        """What the browser would send."""
        self.handle_msg({"content": {"data": data}, "buffers": [memoryview(buffer) for buffer in buffers or ()]})


class Page:
    """One view of a transcript. Everything that the kernel says is kept in `said`, oldest first."""

    def __init__(self, transcript: ipywidgets.DOMWidget, view: str | None = None) -> None:
        self.comm: PageComm = transcript.comm
        self.view = view or uuid.uuid4().hex
        self.said: list[tuple[Json, list[bytes]]] = []

    def ask(self, kind: str, buffers: list[bytes] | None = None, **fields: Any) -> str:
        """Send a request, and return its id at once."""
        identity = f"{self.view}:{uuid.uuid4().hex}"
        content = {"id": identity, "view": self.view, "type": kind, **fields}
        self.comm.say({"method": "custom", "content": content}, buffers)
        return identity

    def answer(self, identity: str) -> tuple[Json, list[bytes]]:
        return self.sees(lambda content: content["type"] == "reply" and content["id"] == identity)

    def request(self, kind: str, buffers: list[bytes] | None = None, **fields: Any) -> Json:
        """Ask for something that must work."""
        content, _ = self.answer(self.ask(kind, buffers, **fields))
        assert content["ok"], content["error"]
        return content

    def refused(self, kind: str, buffers: list[bytes] | None = None, **fields: Any) -> str:
        """Ask for something that must not work; returns the sentence."""
        content, _ = self.answer(self.ask(kind, buffers, **fields))
        assert not content["ok"]
        return str(content["error"])

    def hello(self, epoch: str | None = None, version: int | None = None) -> None:
        self.request("hello", epoch=epoch, version=version)

    def upload(self, data: bytes, purpose: str, topic: str | None, name: str = "file.bin") -> str:
        """Send all of a file but the end."""
        upload = uuid.uuid4().hex
        chunks = -(-len(data) // CHUNK)
        about: Json = {
            "purpose": purpose,
            "topic": topic,
            "name": name,
            "size": len(data),
            "chunks": chunks,
        }
        self.request("upload_begin", upload=upload, **about)
        for index in range(chunks):
            chunk = data[index * CHUNK : (index + 1) * CHUNK]
            self.request("upload_chunk", [chunk], upload=upload, index=index)
        return upload

    def sees(self, matches: Callable[[Json], bool], after: int = 0) -> tuple[Json, list[bytes]]:
        """Wait for a custom message, also one that has come before, but not one of the first `after`."""
        for said in self.said[after:]:
            if matches(said[0]):
                return said
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                kind, data, buffers = self.comm.sent.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                kinds = [content["type"] for content, _ in self.said]
                raise AssertionError(f"the kernel said only {kinds}: {self.said[-3:]}") from None
            if kind != "comm_msg" or data["method"] != "custom":
                continue
            self.said.append((data["content"], buffers))
            if matches(data["content"]):
                return self.said[-1]

    def state(self, matches: Callable[[Json], bool], after: int = 0) -> Json:
        return self.sees(lambda content: content["type"] == "state" and matches(content), after)[0]

    def rows(self, after: int = 0) -> list[Json]:
        """The rows that a view has of what came since, as the page would keep them."""
        kept: dict[str, Json] = {}
        for content, _ in self.said[after:]:
            if content["type"] == "rows" and content.get("view", self.view) == self.view:
                kept = {} if content["reset"] else kept
                kept |= {row["id"]: row for row in content["rows"]}
        return sorted(kept.values(), key=lambda row: str(row["place"]))

    def row(self, matches: Callable[[Json], bool], after: int = 0) -> Json:
        """Wait for a row."""
        content, _ = self.sees(lambda content: content["type"] == "rows" and any(map(matches, content["rows"])), after)
        return next(row for row in content["rows"] if matches(row))
