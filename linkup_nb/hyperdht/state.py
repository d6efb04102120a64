"""The nodes of the DHT that were known last time, in a file: a way back in when no bootstrap node replies."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from linkup_nb.wire.dht.rpc import Address
from linkup_nb.wire.dht.scope import Scope, scope

MAX_NODES = 200  # kept
MAX_FILE = 64 * 1024  # bytes; a file of ours is shorter


def load_nodes(path: Path, bootstrap: Sequence[Address]) -> list[Address]:
    """The nodes in a file; none if there is no such file, it holds something else, or nodes of another network."""
    try:
        with path.open("rb") as file:
            state = json.loads(file.read(MAX_FILE))
        if state["bootstrap"] != [list(address) for address in bootstrap]:
            return []
        return [(host, port) for host, port in state["nodes"][:MAX_NODES] if _is_address(host, port)]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def save_nodes(path: Path, bootstrap: Sequence[Address], nodes: Iterable[Address]) -> None:
    """Write the file anew, all or nothing; `bootstrap` is by which the nodes were found. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.write_text(json.dumps({"bootstrap": list(bootstrap), "nodes": list(nodes)[:MAX_NODES]}))
    draft.replace(path)


def _is_address(host: object, port: object) -> bool:
    if not isinstance(host, str) or not isinstance(port, int):
        return False
    return scope(host) is not Scope.NOWHERE and 0 < port < 65536
