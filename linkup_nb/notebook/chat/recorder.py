"""The microphone of whoever looks at the page, through ipywebrtc."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ipywidgets
from ipywebrtc import AudioRecorder, CameraStream
from ipywidgets.widgets.trait_types import CByteMemoryView

from linkup_nb.notebook.comms import free_comm

MAX_RECORDING = 300.0  # seconds; at ipywebrtc's 128 kbit/s half of what a message holds
CLIP_TIMEOUT = 10.0  # seconds from the end of a recording until its clip must have come

NO_CLIP = "No sound came from the browser: allow it to use the microphone, or attach a sound file instead."


class _Clip(ipywidgets.Audio):  # type: ignore[misc]  # ipywidgets has no types
    # Without this the kernel would send every clip straight back to the page.
    value = CByteMemoryView(help="The recorded clip.").tag(sync=True, echo_update=False)


@dataclass
class _Take:
    recorder: AudioRecorder
    stream: CameraStream
    clip: _Clip
    deadline: asyncio.TimerHandle | None = None

    def close(self) -> None:
        if self.deadline:
            self.deadline.cancel()
        # Closed and not kept: a closed stream lets go of the microphone, and no clip gets saved into the notebook.
        for widget in (self.recorder, self.clip, self.stream):
            widget.layout.close()
            widget.close()


class Recorder:
    """Records one clip at a time, with widgets made for it; lives on the node's loop.

    `recorded` gets the clip as the browser encoded it, `failed` a sentence; `changed` is called when `on` has changed.
    """

    def __init__(
        self, recorded: Callable[[bytes], None], failed: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._recorded = recorded
        self._failed = failed
        self._changed = changed
        self._take: _Take | None = None
        self._on = False

    @property
    def on(self) -> bool:
        """Whether it is recording."""
        return self._on

    def start(self) -> None:
        """Start recording; a clip that has not come by now is given up."""
        if self._on:
            return
        self.discard()
        stream = CameraStream(constraints={"audio": True, "video": False})
        clip = _Clip(format="webm")
        recorder = AudioRecorder(stream=stream, audio=clip)
        free_comm(recorder)
        take = self._take = _Take(recorder, stream, clip)
        clip.observe(lambda change: self._arrived(take, change["new"]), "value")
        take.deadline = self._loop.call_later(MAX_RECORDING, self.stop)
        self._turn(True)

    def stop(self) -> None:
        """Stop recording; the clip comes a little later."""
        if not self._take or not self._on:
            return
        if self._take.deadline:
            self._take.deadline.cancel()
        self._take.deadline = self._loop.call_later(CLIP_TIMEOUT, self._missed)
        self._turn(False)

    def discard(self) -> None:
        """Stop recording, without a clip."""
        take, self._take = self._take, None
        if take:
            take.close()
        if self._on:
            self._on = False
            self._changed()

    def _turn(self, on: bool) -> None:
        assert self._take
        self._on = on
        self._take.recorder.recording = on
        self._changed()

    def _arrived(self, take: _Take, value: Any) -> None:
        # Called on one of the kernel's threads.
        self._loop.call_soon_threadsafe(self._took, take, bytes(value))

    def _took(self, take: _Take, clip: bytes) -> None:
        if take is self._take and clip:
            self.discard()
            self._recorded(clip)

    def _missed(self) -> None:
        self.discard()
        self._failed(NO_CLIP)
