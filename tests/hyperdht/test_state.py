"""The nodes known last time."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkup_nb.hyperdht.state import MAX_FILE, MAX_NODES, load_nodes, save_nodes

BOOTSTRAP = [("node1.hyperdht.org", 49737), ("88.99.3.86", 49737)]
NODES = [("8.8.8.8", 5000), ("127.0.0.1", 65535)]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "dht.json"
    save_nodes(file, BOOTSTRAP, NODES)
    assert load_nodes(file, BOOTSTRAP) == NODES
    save_nodes(file, BOOTSTRAP, NODES[:1])
    assert load_nodes(file, BOOTSTRAP) == NODES[:1]
    assert [path.name for path in file.parent.iterdir()] == ["dht.json"]


def test_nodes_of_another_network_are_not_loaded(tmp_path: Path) -> None:
    file = tmp_path / "dht.json"
    save_nodes(file, BOOTSTRAP, NODES)
    assert load_nodes(file, [("127.0.0.1", 49737)]) == []


def test_the_file_has_its_bounds(tmp_path: Path) -> None:
    file = tmp_path / "dht.json"
    save_nodes(file, BOOTSTRAP, [("255.254.253.252", port) for port in range(10_000, 20_000)])
    assert len(load_nodes(file, BOOTSTRAP)) == 0  # nobody is there
    save_nodes(file, BOOTSTRAP, [("155.254.253.252", port) for port in range(10_000, 20_000)])
    assert len(load_nodes(file, BOOTSTRAP)) == MAX_NODES
    assert file.stat().st_size < MAX_FILE


def test_without_a_file_nobody_is_known(tmp_path: Path) -> None:
    assert load_nodes(tmp_path / "none.json", BOOTSTRAP) == []
    assert load_nodes(tmp_path, BOOTSTRAP) == []


@pytest.mark.parametrize(
    "nodes",
    [
        ["8.8.8.8:1"],
        [["8.8.8.8"]],
        [["8.8.8.8", 1, 2]],
        [["host.example", 1]],
        [["224.0.0.1", 1]],
        [["8.8.8.8", 0]],
        [["8.8.8.8", 70000]],
        [["8.8.8.8", "1"]],
        [[8, 8]],
        [None],
        {"8.8.8.8": 1},
        "8.8.8.8",
        None,
        7,
    ],
)
def test_what_is_no_node_is_left_out(tmp_path: Path, nodes: object) -> None:
    file = tmp_path / "dht.json"
    file.write_text(json.dumps({"bootstrap": [], "nodes": nodes}))
    assert load_nodes(file, []) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary() | st.sampled_from([b"[" * 100_000, b'{"bootstrap":[],"nodes":[]', b"\xff\xfe", b"null", b"[]"]))
def test_a_file_of_anything_else_is_survived(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "dht.json"
    file.write_bytes(data)
    assert load_nodes(file, []) == []
