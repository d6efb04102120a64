from pathlib import Path

import pytest

from linkup_nb.hypercore import nodes
from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.nodes import Nodes
from linkup_nb.hypercore.storage import Store


async def test_what_memory_has_no_room_for_is_found_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "MAX_WINDOWS", 2)
    monkeypatch.setattr(nodes, "MAX_HIGH", 2)
    store = Store.open(tmp_path / "store")
    core = (await store.add_core(b"d", b"k")).id
    kept = [MerkleNode(index, 1, bytes([index % 251]) * 32) for index in (0, 255, 512, 767, 1024, 1279, 1536, 2047)]
    found = Nodes(store, core)
    found.put(kept)
    for _ in range(2):
        assert [found.find(node.index) for node in kept] == kept
        assert found.find(2) is None
        assert max(len(found._windows), len(found._high)) <= 2
    await store.close()
