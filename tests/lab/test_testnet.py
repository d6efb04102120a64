"""`lu.lab.testnet`: what it makes, what repeats, what it refuses, and that nothing is left of it."""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import linkup_nb as lu
from linkup_nb.discovery.view import QueryView
from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.lab.network import LabNetwork
from linkup_nb.wire.dht.rpc import node_id
from tests.lab.waiting import KEY_PAIR, TOPIC, join, knows, until

BOARD: dict[str, Any] = {"seed": 1, "bits": 8, "k": 3, "alpha": 1}


def on_board(sockets: bool = False) -> LabNetwork[DhtNode]:
    return lu.lab.testnet(32, **BOARD, dht_only=True, sockets=sockets)


async def test_the_peers_are_nodes_that_serve_the_dht_before_their_first_topic() -> None:
    async with lu.lab.testnet(5, seed=2) as net:
        assert len(net) == len(list(net)) == 5
        assert net.alive == (0, 1, 2, 3, 4)
        assert all(isinstance(node, lu.Node) for node in net)
        assert [node.name for node in net] == [f"peer {number}" for number in range(5)]
        assert net[-1] is net[4]
        for number, node in enumerate(net):
            assert node.swarm.dht
            assert node.swarm.dht.id == node_id(node.swarm.dht.address) == net.dht(number).id
            assert len(node.swarm.dht.nodes) == 4


async def test_peers_meet_on_a_topic_over_udx_and_listen_on_no_other_port() -> None:
    async with lu.lab.testnet(5, seed=2) as net:
        await join(net[1])
        await join(net[3])
        await until(lambda: knows(net[1], net[3]) and knows(net[3], net[1]))
        [met] = net[3].swarm.peers
        assert met.transport == "udx"
        assert net[1].swarm.addresses == net[3].swarm.addresses == ()


async def test_a_peer_is_awaited_on_any_loop_and_in_a_plain_block() -> None:
    with lu.lab.testnet(4, dht_only=True) as net:
        assert net[1].loop is not asyncio.get_running_loop()
        await net[1].announce(TOPIC, KEY_PAIR)
        assert [record.public_key async for record in net[2].lookup(TOPIC)] == [KEY_PAIR.public_key]
        async for _ in net[2].lookup(TOPIC):
            break  # what is left of the query ends on its own loop
        assert list(net.lookups) == [1, 2]
        assert isinstance(net.lookups[2], QueryView)
        assert net.lookups[2].command == "LOOKUP"


@pytest.mark.parametrize("count", [1, 2, 128])
def test_there_may_be_few_peers_or_as_many_as_bytes_allow(count: int) -> None:
    with lu.lab.testnet(count, bits=8, k=3, dht_only=True) as net:
        assert len(net) == count
        assert len(set(net.ids)) == count
        assert max(net.ids, default=0) < 256
        assert [node.id and node.id[0] for node in net] == list(net.ids)


def test_all_tables_are_as_full_as_they_can_be() -> None:
    with on_board() as net:
        for node in net:
            shared = node.table.by_shared_bits
            others = Counter(8 - (node.table.id[0] ^ other).bit_length() for other in net.ids)
            del others[8]  # itself
            assert {bits: len(nodes) for bits, nodes in shared.items()} == {
                bits: min(count, 3) for bits, count in others.items()
            }


async def test_all_repeats_with_the_seed_over_sockets_as_well() -> None:
    drawn = []
    for sockets in (False, False, True):
        async with on_board(sockets) as net:
            found = await net[18].find(TOPIC)
            tables = [sorted(node.contacts) for node in net]
            drawn.append((net.ids, tables, [hop.address for hop in found.hops], found.closest))
    assert drawn[0] == drawn[1] == drawn[2]


def test_keys_repeat_with_the_seed_and_no_two_peers_share_one() -> None:
    keys = []
    for seed in (1, 1, 2):
        with lu.lab.testnet(3, seed=seed) as net:
            keys.append([(node.public_key, node.swarm.public_key) for node in net])
    assert keys[0] == keys[1] != keys[2]
    assert len({key for pair in (*keys[0], *keys[2]) for key in pair}) == 12


def test_near_is_by_distance_to_a_topic_or_its_name() -> None:
    with on_board() as net:
        nearest = sorted(net.alive, key=lambda number: net.ids[number] ^ TOPIC[0])
        assert net.near(TOPIC) == net.near("library") == tuple(nearest)
        net.kill(nearest[0])
        assert net.near(TOPIC) == tuple(nearest[1:])


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 0},
        {"n": -1},
        {"n": 10_000},
        {"n": "ten"},
        {"n": 1.5},
        {"n": True},
        {"n": 129, "bits": 8},
        {"n": 5, "bits": 16},
        {"n": 5, "seed": "one"},
        {"n": 5, "k": 0},
        {"n": 5, "alpha": 21},
    ],
)
def test_what_no_network_can_have_is_refused_in_one_sentence(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        lu.lab.testnet(**arguments)
    assert str(refused.value).endswith(".")


def test_peers_that_are_not_there_and_faults_that_cannot_be_are_refused() -> None:
    with lu.lab.testnet(3, dht_only=True) as net:
        for number in (3, -4, "1", True, 1.0):
            with pytest.raises(UsageError, match=r"There is no peer .*: this network has 0 to 2\."):
                net.kill(number)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="nobody reaches itself"):
            net.link(1, 1, delay=0.1)
        for faults in (
            {"delay": -1},
            {"delay": 1000},
            {"loss": 1.5},
            {"rate": "fast"},
            {"rate": 0},
            {"loss": float("nan")},
        ):
            with pytest.raises(UsageError):
                net.link(0, 1, **faults)
        for groups in ((0, 1), ({0, 1}, {1, 2}), ({0, 7},)):
            with pytest.raises(UsageError):
                net.partition(*groups)
        for call in (
            lambda: net.add(names=0),  # type: ignore[arg-type]
            lambda: net.sybils(0, near=TOPIC),
            lambda: net.sybils(3, near=b"short"),
            lambda: net.flood(0, requests=10**9),
            lambda: net.liar(0, "silent"),
            lambda: net.clock(0, 1.0),
        ):
            with pytest.raises(UsageError):
                call()
    with lu.lab.testnet(1) as net_of_peers, pytest.raises(UsageError, match="'false proofs', 'false length'"):
        net_of_peers.liar(0, "boldly")


async def test_a_network_that_has_ended_says_so() -> None:
    async with lu.lab.testnet(2, dht_only=True) as net:
        node = net[0]
    net.close()
    assert repr(net) == "<LabNetwork, closed>"
    for use in (lambda: net[0], lambda: net.kill(0), lambda: net.state, net.heal, lambda: net.add()):
        with pytest.raises(NodeClosed, match=r"lu\.lab\.testnet\(n\) makes another one"):
            use()
    with pytest.raises(NodeClosed):
        await node.find(TOPIC)


async def test_a_handler_that_would_wait_for_itself_is_told() -> None:
    refused: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    async with lu.lab.testnet(2, dht_only=True) as net:

        def kill(_: object) -> None:
            with pytest.raises(UsageError) as error:
                net.kill(1)
            loop.call_soon_threadsafe(refused.put_nowait, str(error.value))

        net.once("update", kill)
        net.link(0, 1, delay=0.1)
        async with asyncio.timeout(20):
            assert "do it in a cell" in await refused.get()


def held() -> tuple[set[str], int]:
    """The threads, and how many files and sockets are open."""
    return {thread.name for thread in threading.enumerate()}, len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what Linux lists")
@pytest.mark.parametrize("sockets", [False, True])
def test_nothing_is_left_of_a_network_also_after_an_error(
    sockets: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def use(fails: bool) -> None:
        with lu.lab.testnet(4, sockets=sockets) as net:
            net.kill(2)
            net.revive(2)
            net.link(0, 1, delay=0.5)
            if fails:
                raise KeyError("a cell that fails")

    use(False)  # what is made once and for all
    before = held()
    use(False)
    with pytest.raises(KeyError):
        use(True)
    assert held() == before
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import os, signal, sys, tempfile, threading
import linkup_nb as lu
from pathlib import Path

with lu.lab.testnet(2):
    pass
folder = Path(tempfile.gettempdir())
before = len(os.listdir("/proc/self/fd"))

def interrupt():
    while not list(folder.glob("linkup-lab-*/2/seed")):  # some are open by now
        pass
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    lu.lab.testnet(300)
except KeyboardInterrupt:
    print("interrupted", len(os.listdir("/proc/self/fd")) - before, len(list(folder.glob("linkup-lab-*"))))
print([thread.name for thread in threading.enumerate() if "linkup" in thread.name])
kept = lu.lab.testnet(2)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what Linux lists")
def test_nothing_is_left_of_a_network_whose_making_was_interrupted_nor_when_the_interpreter_ends(
    tmp_path: Path,
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=Path(lu.__file__).parents[1],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.stderr == ""
    assert run.stdout.split("\n") == ["interrupted 0 0", "[]", ""]
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal
import linkup_nb as lu

net = lu.lab.testnet(2)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_network_removes_what_a_killed_process_has_left_and_nothing_that_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    root = Path(lu.__file__).parents[1]
    subprocess.run(
        [sys.executable, "-c", KILLED], cwd=root, env=os.environ | {"TMPDIR": str(tmp_path)}, timeout=120, check=False
    )
    [left] = tmp_path.iterdir()
    with lu.lab.testnet(2):
        [used] = set(tmp_path.iterdir()) - {left}
        for folder in (left, used):
            os.utime(folder, (0, 0))  # long ago
        with lu.lab.testnet(2):
            assert not left.exists()
            assert (used / "1" / "seed").exists()
    assert list(tmp_path.iterdir()) == []
