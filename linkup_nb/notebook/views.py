"""Tabs of the panel as widgets of their own, to put beside one's own: `lu.explore(drive)`, `lu.swarm_view(node)`."""

import traitlets

from linkup_nb.errors import UsageError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.node import Node
from linkup_nb.notebook.bridge import Bridge
from linkup_nb.notebook.explorer.tab import ExplorerTab
from linkup_nb.notebook.runtime import running_nodes
from linkup_nb.notebook.static import widgets
from linkup_nb.notebook.swarm.tab import SwarmTab
from linkup_nb.notebook.widget import BridgedWidget


class SwarmView(BridgedWidget[SwarmTab]):
    """The swarm of a node, live; see `lu.swarm_view`."""

    _esm = widgets.module("swarm_view")
    _css = widgets.styles()

    def __init__(self, node: Node, node_expression: str) -> None:
        super().__init__(node, lambda bridge: SwarmTab(node, bridge, node_expression, _ignore))


class Explorer(BridgedWidget[ExplorerTab]):
    """A drive, live; see `lu.explore`. `version` and `path` are traits: observe them, link them, or set them."""

    _esm = widgets.module("explorer_view")
    _css = widgets.styles()
    version = traitlets.Int(0, help="The version that is looked at.").tag(sync=True)
    path = traitlets.Unicode("", help="The file that is looked at, empty for none.").tag(sync=True)

    def __init__(self, node: Node, drive: Drive, node_expression: str) -> None:
        def open_tab(bridge: Bridge) -> ExplorerTab:
            return ExplorerTab(node, bridge, node_expression, _ignore, only=drive.id)

        super().__init__(node, open_tab)


def swarm_view(node: Node) -> SwarmView:
    """A widget that shows who a node is connected to and how; the Swarm tab of the panel alone."""
    return SwarmView(node, _expression(node))


def explore(drive: Drive) -> Explorer:
    """A widget that shows a drive of a running node at any version; `explorer.version` and `explorer.path` are traits.

    Raises `UsageError` for a drive that is none of a running node's: `await lu.start().drive(key)` mounts one.
    """
    nodes = [node for node in running_nodes().values() if any(one.id == drive.id for one in node.drives.values())]
    if not nodes:
        raise UsageError("This drive is not one of a running node's: mount it by await lu.start().drive(key) first.")
    # Another person of this kernel may have the same drive.
    node = next((node for node in nodes if drive in node.drives.values()), nodes[0])
    return Explorer(node, drive, _expression(node))


def _expression(node: Node) -> str:
    name = next((name for name, one in running_nodes().items() if one is node), None)
    return "node" if name is None else "lu.start()" if name == "default" else f"lu.start({name!r})"


def _ignore(_: object) -> None:
    """A widget of its own has no selection beside its traits."""
