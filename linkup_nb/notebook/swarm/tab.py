"""The Swarm tab of one widget, in the kernel: what the page shows of the swarms, and the tap that is switched on."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from linkup_nb.connection.connection import Connection
from linkup_nb.connection.tap import Frame, Tap
from linkup_nb.discovery.check import Report
from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.loops import Tasks
from linkup_nb.node import Node
from linkup_nb.notebook.bridge import Bridge
from linkup_nb.notebook.open_views import OpenViews
from linkup_nb.notebook.swarm import requests
from linkup_nb.notebook.swarm.entries import check_entry, dht_entry, entry_of, frame_entries, people_of, swarms_of
from linkup_nb.notebook.swarm.updates import Network, SwarmUpdate, TapUpdate
from linkup_nb.rooms.status import Level
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import short_key

PAUSE = 0.25  # seconds for which changes are gathered
RATES_EVERY = 2.0  # seconds over which bytes a second are counted
SHOWN_FRAMES = 1_000  # frames that the page keeps

Selected = PeerInfo | Frame | None


class SwarmTab:
    """Shows a node's swarms to a page; `select` is called with what is clicked. Lives on the node's loop."""

    def __init__(self, node: Node, bridge: Bridge, node_expression: str, select: Callable[[Selected], object]) -> None:
        self._node = node
        self._bridge = bridge
        self._expression = node_expression
        self._select = select
        self.tap: Tap | None = None
        """The tap that was switched on last."""
        self._tapped: bytes | None = None
        self._taps = 0
        self._first = 0  # the number of the first frame that is shown
        self._frames_sent: TapUpdate | None = None
        self._last_sent = -1  # the number of the last frame that the page has
        self._views = OpenViews[None]()
        self._sent: SwarmUpdate | None = None
        self._report: Report | None = None
        self._examining: asyncio.Task[None] | None = None
        self._selected = ""
        self._frame: int | None = None
        self._counts: dict[bytes, tuple[int, int]] = {}
        self._rates: dict[bytes, tuple[int, int]] = {}
        self._counted_at = 0.0
        self._changed = asyncio.Event()
        self._looking = asyncio.Event()
        self._tasks = Tasks()
        self._tasks.start(self._run(), "showing the swarm")
        self._tasks.start(self._count(), "counting the bytes of the swarm")
        node.on("update", self._wake)
        on = bridge.on
        on(requests.SwarmOpenRequest, self._open)
        on(requests.SwarmCloseRequest, self._leave)
        on(requests.SwarmSelectRequest, self._on_select)
        on(requests.ExamineRequest, self._examine)
        on(requests.TapRequest, self._switch)
        on(requests.TapClearRequest, self._clear)

    def close(self) -> None:
        """Send the page nothing more, and tap nothing."""
        self._node.remove_listener("update", self._wake)
        if self.tap:
            self.tap.close()
        self._ending = asyncio.ensure_future(self._tasks.cancel())

    async def _open(self, request: requests.SwarmOpenRequest) -> None:
        self._views.open(request.view, None)
        self._sent, self._frames_sent, self._last_sent = None, None, -1
        self._looking.set()
        if self._report is None:
            await self._examine()
        self._wake()

    async def _leave(self, request: requests.SwarmCloseRequest) -> None:
        self._views.pop(request.view, None)
        if not self._views:
            self._looking.clear()

    async def _on_select(self, request: requests.SwarmSelectRequest) -> None:
        self._selected, self._frame = "", None
        found: Selected = None
        if request.frame is not None and self.tap:
            found = next((frame for frame in self.tap.frames if frame.number == request.frame), None)
            self._frame = request.frame if found else None
        elif request.peer is not None:
            found = self._swarm_of(request.peer).peer(request.peer)
            self._selected = request.peer
        self._select(found)
        self._wake()

    async def _examine(self, _: requests.ExamineRequest | None = None) -> None:
        if self._examining is None or self._examining.done():
            self._examining = self._tasks.start(self._ask_doctor(), "asking the doctor")
            self._wake()

    async def _ask_doctor(self) -> None:
        try:
            self._report = await self._node.doctor()
        except NodeClosed:
            self._report = None
        asyncio.get_running_loop().call_soon(self._wake)

    async def _switch(self, request: requests.TapRequest) -> None:
        if self.tap:
            self.tap.close()
        if request.peer is None:
            self._wake()
            return
        connection: Connection = self._swarm_of(request.peer).connection(request.peer)
        self.tap, self._tapped = connection.tap(), connection.remote_public_key
        self._taps += 1
        self._first, self._last_sent = 0, -1
        self._tasks.start(self._follow(self.tap), "showing the frames of a connection")
        self._wake()

    async def _clear(self, _: requests.TapClearRequest) -> None:
        if self.tap:
            self._first = self.tap.dropped + len(self.tap.frames)
            self._frame = None
            self._wake()

    async def _follow(self, tap: Tap) -> None:
        async for _ in tap:
            self._wake()
        self._wake()

    def _swarm_of(self, key: str) -> Swarm:
        for swarm in swarms_of(self._node):
            if any(peer.public_key.hex() == key for peer in swarm.peers):
                return swarm
        raise UsageError("This peer is known no more: it was forgotten meanwhile.")

    def _wake(self, *_: object) -> None:
        self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._views and self._node.status.level is not Level.OFF:
                self._publish()
                self._send_frames()
            await asyncio.sleep(PAUSE)

    async def _count(self) -> None:
        """Bytes change without an event; while nobody looks nothing is counted."""
        while True:
            await self._looking.wait()
            if self._node.status.level is not Level.OFF:
                self._measure(time.monotonic())
                self._wake()
            await asyncio.sleep(RATES_EVERY)

    def _measure(self, now: float) -> None:
        peers = [peer for swarm in swarms_of(self._node) for peer in swarm.peers]
        counts = {peer.public_key: (peer.bytes_received, peer.bytes_sent) for peer in peers}
        seconds = max(now - self._counted_at, RATES_EVERY / 2)
        self._rates = {
            key: (round(max(0, received - before[0]) / seconds), round(max(0, sent - before[1]) / seconds))
            for key, (received, sent) in counts.items()
            if (before := self._counts.get(key))
        }
        self._counts, self._counted_at = counts, now

    def _publish(self) -> None:
        node, people = self._node, people_of(self._node)
        tapped = self._tapped if self.tap and not self.tap.closed else None
        view = node.swarm.dht or node.linkup_swarm.dht
        peers = [
            entry_of(peer, people, self._rates.get(peer.public_key, (0, 0)), tapped=peer.public_key == tapped)
            for swarm in swarms_of(node)
            for peer in swarm.peers
        ]
        update = SwarmUpdate(
            own=node.public_key.hex(),
            own_name=node.name,
            peers=peers,
            dropped=sum(sum(swarm.counters.values()) for swarm in swarms_of(node)),
            networks=[Network(name=one.name, text=one.describe()) for one in node.swarm.discovery],
            dht=dht_entry(view, people) if view else None,
            checks=[check_entry(check) for check in self._report.checks] if self._report else None,
            examining=bool(self._examining and not self._examining.done()),
            selected=self._selected,
            expression=self._python(),
        )
        if update != self._sent:
            self._sent = update
            self._bridge.send(update)

    def _python(self) -> str:
        """The Python that gives what is selected."""
        if self._frame is not None and self.tap:
            frames = self.tap.frames
            if frames and frames[0].number <= self._frame:
                return f"panel.tap.frames[{self._frame - frames[0].number}]"
            return "panel.selection"
        if not self._selected:
            return f"{self._expression}.swarm"
        linkup = all(peer.public_key.hex() != self._selected for peer in self._node.swarm.peers)
        return f"{self._expression}.{'linkup_swarm' if linkup else 'swarm'}.peer({self._selected!r})"

    def _send_frames(self) -> None:
        tap = self.tap
        if not tap or self._tapped is None:
            return
        next_one = max(self._first, self._last_sent + 1)
        frames = tuple(frame for frame in tap.frames if frame.number >= next_one)[-SHOWN_FRAMES:]
        _, name = people_of(self._node).name(self._tapped)
        update = TapUpdate(
            tap=self._taps,
            peer=self._tapped.hex(),
            name=name or short_key(self._tapped),
            open=not tap.closed,
            first=self._first,
            seen=tap.dropped + len(tap.frames) - self._first,
            frames=frame_entries(frames),
        )
        if update != self._frames_sent:
            self._bridge.send(update)
            self._frames_sent = msgspec.structs.replace(update, frames=[])
            self._last_sent = frames[-1].number if frames else self._last_sent
