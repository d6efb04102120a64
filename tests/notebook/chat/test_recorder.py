"""The recorder, with the browser's side of its widgets played by the test."""

import asyncio
from typing import Any

import comm
import pytest

from linkup_nb.notebook.chat import recorder as recorders
from linkup_nb.notebook.chat.recorder import NO_CLIP, Recorder
from tests.notebook.page import PATIENCE, PageComm


class Browser:
    """The widgets that the kernel has opened in the page, by model name, the latest last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.comms: list[PageComm] = []
        monkeypatch.setattr(comm, "create_comm", self._create)

    def _create(self, *args: Any, **kwargs: Any) -> PageComm:
        self.comms.append(PageComm(*args, **kwargs))
        return self.comms[-1]

    def widget(self, model: str) -> PageComm:
        return next(one for one in reversed(self.comms) if one.state["_model_name"] == model)

    def record(self, clip: bytes) -> None:
        """What ipywebrtc does when a recording has ended."""
        update = {"method": "update", "state": {}, "buffer_paths": [["value"]]}
        self.widget("AudioModel").say(update, [clip])


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    return Browser(monkeypatch)


class Callbacks:
    """What the recorder says."""

    def __init__(self) -> None:
        self.clips: asyncio.Queue[bytes] = asyncio.Queue()
        self.failures: asyncio.Queue[str] = asyncio.Queue()
        self.changes = 0
        self.recorder = Recorder(self.clips.put_nowait, self.failures.put_nowait, self._changed)

    def _changed(self) -> None:
        self.changes += 1


async def test_a_clip_is_recorded_and_nothing_of_it_stays(browser: Browser) -> None:
    callbacks = Callbacks()
    callbacks.recorder.start()
    assert callbacks.recorder.on
    assert browser.widget("CameraStreamModel").state["constraints"] == {"audio": True, "video": False}
    assert browser.widget("AudioRecorderModel").state["recording"] is True

    callbacks.recorder.stop()
    assert browser.widget("AudioRecorderModel").state["recording"] is False
    await asyncio.to_thread(browser.record, b"\x1a\x45\xdf\xa3 a clip")
    assert await asyncio.wait_for(callbacks.clips.get(), PATIENCE) == b"\x1a\x45\xdf\xa3 a clip"
    assert all(one._closed for one in browser.comms)
    assert callbacks.changes == 2


async def test_the_clip_is_not_sent_back_to_the_page(browser: Browser) -> None:
    callbacks = Callbacks()
    callbacks.recorder.start()
    sent = browser.widget("AudioModel").sent
    while not sent.empty():
        sent.get()
    browser.record(b"a clip")
    await callbacks.clips.get()
    messages = [sent.get_nowait() for _ in range(sent.qsize())]
    assert [b"a clip" in buffers for _, _, buffers in messages] == [False] * len(messages)


async def test_no_clip_is_a_sentence(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "CLIP_TIMEOUT", 0.01)
    callbacks = Callbacks()
    callbacks.recorder.start()
    callbacks.recorder.stop()
    assert await asyncio.wait_for(callbacks.failures.get(), PATIENCE) == NO_CLIP
    assert all(one._closed for one in browser.comms)


async def test_a_recording_ends_by_itself(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "MAX_RECORDING", 0.01)
    monkeypatch.setattr(recorders, "CLIP_TIMEOUT", 0.01)
    callbacks = Callbacks()
    callbacks.recorder.start()
    await asyncio.wait_for(callbacks.failures.get(), PATIENCE)
    assert not callbacks.recorder.on


async def test_a_late_clip_of_an_earlier_recording_is_dropped(browser: Browser) -> None:
    callbacks = Callbacks()
    callbacks.recorder.start()
    late = browser.widget("AudioModel")
    callbacks.recorder.stop()
    callbacks.recorder.start()
    late.say({"method": "update", "state": {}, "buffer_paths": [["value"]]}, [b"late"])
    browser.record(b"new")
    assert await asyncio.wait_for(callbacks.clips.get(), PATIENCE) == b"new"
    assert callbacks.clips.empty()
