"""The worst finding of the doctor while a panel's room has nobody else in it, for the status line."""

import asyncio
from collections.abc import Callable

from linkup_nb.discovery.check import Outcome
from linkup_nb.errors import NodeClosed
from linkup_nb.node import Node
from linkup_nb.notebook.chat.publisher import Shown
from linkup_nb.rooms.status import Level

FIRST_LOOK = 6.0  # seconds after which most of the peers that can be found have been found
NEXT_LOOK = 60.0  # seconds


class Diagnosis:
    """Asks the doctor now and then while nobody is there; `changed` is called when `shown.finding` has changed."""

    def __init__(self, node: Node, shown: Shown, changed: Callable[[], object]) -> None:
        self._node = node
        self._shown = shown
        self._changed = changed

    async def run(self) -> None:
        """Look for ever."""
        pause = FIRST_LOOK
        while True:
            await asyncio.sleep(pause)
            pause = NEXT_LOOK
            finding = await self._find()
            if finding != self._shown.finding:
                self._shown.finding = finding
                self._changed()

    async def _find(self) -> str:
        if not self._shown.room or self._node.status_of(self._shown.room).level in (Level.OK, Level.OFF):
            return ""
        try:
            worst = (await self._node.doctor()).worst
        except NodeClosed:
            return ""
        if not worst or worst.outcome is not Outcome.FAILED:
            return ""
        return " ".join(filter(None, (worst.seen, worst.cause, "Type ~doctor for more.")))
