"""The tree nodes of one log, with those used lately in memory."""

from collections.abc import Sequence

from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.storage import Store

MAX_WINDOWS = 64  # subtrees in memory; about 100 KiB each
MAX_HIGH = 8192  # nodes above such subtrees in memory

_SPAN = 512  # numbers in a window: those of a subtree of 256 blocks
_HIGH = 255  # nodes that end in this many ones stand over whole windows


class Nodes:
    """Finds the nodes of a log; what a window lacks is known to be absent without asking the disk."""

    def __init__(self, store: Store, core: int) -> None:
        self._store = store
        self._core = core
        self._windows: dict[int, dict[int, MerkleNode]] = {}
        self._high: dict[int, MerkleNode] = {}

    def find(self, index: int) -> MerkleNode | None:
        """The node `index`, `None` if it is not here."""
        if index & _HIGH == _HIGH:
            node = self._high.get(index) or self._store.node(self._core, index)
            if node:
                self._keep_high(node)
            return node
        number = index // _SPAN
        window = self._windows.get(number)
        if window is None:
            if len(self._windows) >= MAX_WINDOWS:
                del self._windows[next(iter(self._windows))]
            nodes = self._store.nodes(self._core, number * _SPAN, (number + 1) * _SPAN)
            window = self._windows[number] = {node.index: node for node in nodes}
        return window.get(index)

    def put(self, nodes: Sequence[MerkleNode]) -> None:
        """Keep these nodes."""
        self._store.put_nodes(self._core, nodes)
        self.learn(nodes)

    def learn(self, nodes: Sequence[MerkleNode]) -> None:
        """These nodes are kept now."""
        windows = self._windows
        for node in nodes:
            index = node.index
            if index & _HIGH == _HIGH:
                self._keep_high(node)
            elif (window := windows.get(index // _SPAN)) is not None:
                window[index] = node

    def forget(self) -> None:
        """The disk has changed: ask it again."""
        self._windows.clear()
        self._high.clear()

    def _keep_high(self, node: MerkleNode) -> None:
        if len(self._high) >= MAX_HIGH:
            self._high.clear()
        self._high[node.index] = node
