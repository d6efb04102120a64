"""A P2P chat that lives in a Jupyter notebook: `import linkup_nb as lu; lu.chat()`."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linkup_nb.chat.message import AudioMessage, FileMessage, IconMessage, Message, TextMessage, UnknownMessage
    from linkup_nb.chat.room import Room
    from linkup_nb.errors import LinkupError, PeerError, UsageError
    from linkup_nb.hypercore.core import Core
    from linkup_nb.hypercore.corestore import Corestore
    from linkup_nb.hyperdrive.drive import Drive
    from linkup_nb.node import Node
    from linkup_nb.notebook.panel import Panel
    from linkup_nb.notebook.runtime import chat, run, start
    from linkup_nb.swarm.connection import Connection, connect
    from linkup_nb.swarm.hyperdht import HyperDHT
    from linkup_nb.swarm.kademlia import Kademlia
    from linkup_nb.swarm.local import Local
    from linkup_nb.swarm.server import Server, listen
    from linkup_nb.swarm.swarm import Swarm
    from linkup_nb.wire.keys import KeyPair

# Imported on first use: a kernel must not wait for the widgets to `import linkup_nb`, and a bot never needs them.
_HOMES = {
    "AudioMessage": "chat.message",
    "Connection": "swarm.connection",
    "Core": "hypercore.core",
    "Corestore": "hypercore.corestore",
    "Drive": "hyperdrive.drive",
    "FileMessage": "chat.message",
    "HyperDHT": "swarm.hyperdht",
    "IconMessage": "chat.message",
    "Kademlia": "swarm.kademlia",
    "KeyPair": "wire.keys",
    "LinkupError": "errors",
    "Local": "swarm.local",
    "Message": "chat.message",
    "Node": "node",
    "Panel": "notebook.panel",
    "PeerError": "errors",
    "Room": "chat.room",
    "Server": "swarm.server",
    "Swarm": "swarm.swarm",
    "TextMessage": "chat.message",
    "UnknownMessage": "chat.message",
    "UsageError": "errors",
    "connect": "swarm.connection",
    "listen": "swarm.server",
    "run": "notebook.runtime",
    "start": "notebook.runtime",
}

__all__ = [
    "AudioMessage",
    "Connection",
    "Core",
    "Corestore",
    "Drive",
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
    "listen",
    "run",
    "start",
]


def __getattr__(name: str) -> object:
    if name == "chat":
        return import_module(f"{__name__}.chat")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    if "IPython" in sys.modules:  # whoever uses a log or a drive need not start a node to see it
        import_module(f"{__name__}.notebook.display").register()
    return value


def __dir__() -> list[str]:
    return [*__all__, "errors"]
