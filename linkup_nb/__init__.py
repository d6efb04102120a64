"""A P2P chat that lives in a Jupyter notebook: `import linkup_nb as lu; lu.chat()`."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linkup_nb import lab
    from linkup_nb.bot.bot import Bot
    from linkup_nb.connection.connection import Connection, connect
    from linkup_nb.connection.server import Server, listen
    from linkup_nb.discovery.local import Local
    from linkup_nb.errors import LinkupError, PeerError, UsageError
    from linkup_nb.hypercore.core import Core
    from linkup_nb.hypercore.corestore import Corestore
    from linkup_nb.hyperdht.discovery import HyperDHT
    from linkup_nb.hyperdrive.drive import Drive
    from linkup_nb.kademlia.discovery import Kademlia
    from linkup_nb.node import Node
    from linkup_nb.notebook.panel import Panel
    from linkup_nb.notebook.runtime import chat, run, start
    from linkup_nb.notebook.sharing import share
    from linkup_nb.notebook.views import explore, swarm_view
    from linkup_nb.rooms.memory.export import ExportReport, verify_export
    from linkup_nb.rooms.message import AudioMessage, FileMessage, IconMessage, Message, TextMessage, UnknownMessage
    from linkup_nb.rooms.moving import import_profile
    from linkup_nb.rooms.room import Room
    from linkup_nb.swarm.swarm import Swarm
    from linkup_nb.wire.keys import KeyPair

# Imported on first use: a kernel must not wait for the widgets to `import linkup_nb`, and a bot never needs them.
_HOMES = {
    "AudioMessage": "rooms.message",
    "Bot": "bot.bot",
    "Connection": "connection.connection",
    "Core": "hypercore.core",
    "Corestore": "hypercore.corestore",
    "Drive": "hyperdrive.drive",
    "ExportReport": "rooms.memory.export",
    "FileMessage": "rooms.message",
    "HyperDHT": "hyperdht.discovery",
    "IconMessage": "rooms.message",
    "Kademlia": "kademlia.discovery",
    "KeyPair": "wire.keys",
    "LinkupError": "errors",
    "Local": "discovery.local",
    "Message": "rooms.message",
    "Node": "node",
    "Panel": "notebook.panel",
    "PeerError": "errors",
    "Room": "rooms.room",
    "Server": "connection.server",
    "Swarm": "swarm.swarm",
    "TextMessage": "rooms.message",
    "UnknownMessage": "rooms.message",
    "UsageError": "errors",
    "chat": "notebook.runtime",
    "connect": "connection.connection",
    "explore": "notebook.views",
    "import_profile": "rooms.moving",
    "listen": "connection.server",
    "run": "notebook.runtime",
    "share": "notebook.sharing",
    "start": "notebook.runtime",
    "swarm_view": "notebook.views",
    "verify_export": "rooms.memory.export",
}

__all__ = [
    "AudioMessage",
    "Bot",
    "Connection",
    "Core",
    "Corestore",
    "Drive",
    "ExportReport",
    "FileMessage",
    "HyperDHT",
    "IconMessage",
    "Kademlia",
    "KeyPair",
    "LinkupError",
    "Local",
    "Message",
    "Node",
    "Panel",
    "PeerError",
    "Room",
    "Server",
    "Swarm",
    "TextMessage",
    "UnknownMessage",
    "UsageError",
    "chat",
    "connect",
    "explore",
    "import_profile",
    "lab",
    "listen",
    "run",
    "share",
    "start",
    "swarm_view",
    "verify_export",
]


def load_ipython_extension(shell: object) -> None:
    """What `%load_ext linkup_nb` calls: `%chat` and `%%share` are there then."""
    import_module(f"{__name__}.notebook.magics").load(shell)


def __getattr__(name: str) -> object:
    if name == "lab":
        return import_module(f"{__name__}.lab")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    if "IPython" in sys.modules:  # whoever uses a log or a drive need not start a node to see it
        import_module(f"{__name__}.notebook.register").register()
    return value


def __dir__() -> list[str]:
    return [*__all__, "errors"]
