"""Which lines of the package have been reached, as the interpreter's own tracing sees them, while there are more."""

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

PACKAGE = "/linkup_nb/"


class Coverage:
    """Lines that have not been reached are looked for; a function of which all have is run at its full speed."""

    def __init__(self) -> None:
        self.reached = 0  # lines
        self._left: dict[CodeType, set[int]] = {}

    def run(self, check: Callable[[bytes], None], data: bytes) -> int:
        """Run a check; how many lines it has reached that had not been."""
        before = self.reached
        sys.settrace(self._on_call)
        try:
            check(data)
        finally:
            sys.settrace(None)
        return self.reached - before

    def _on_call(self, frame: FrameType, _event: str, _: Any) -> Any:
        code = frame.f_code
        left = self._left.get(code)
        if left is None:
            ours = PACKAGE in code.co_filename
            left = self._left[code] = {line for *_, line in code.co_lines() if line} if ours else set()
        return self._on_line if left else None

    def _on_line(self, frame: FrameType, event: str, _: Any) -> Any:
        left = self._left[frame.f_code]
        if event == "line" and frame.f_lineno in left:
            left.discard(frame.f_lineno)
            self.reached += 1
        return self._on_line
