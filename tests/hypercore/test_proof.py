"""Proofs: JavaScript's byte for byte; any true one holds; no false one does."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import InvalidProof, InvalidRequest
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.merkle import MerkleNode, Peaks
from linkup_nb.hypercore.messages import Data, DataRequest
from linkup_nb.hypercore.proof import (
    BlockProof,
    HashProof,
    Proof,
    ProofRequest,
    Verified,
    prove,
    prove_parts,
    verify,
    verify_parts,
)
from tests.hypercore.vectors import BLOCKS, HYPERCORE, Log, authenticate

LOG = Log(BLOCKS)


@pytest.mark.parametrize("known", HYPERCORE["proofs"], ids=lambda known: known["requestHex"])
def test_the_answer_to_each_request_is_javascripts(known: dict[str, Any]) -> None:
    request = DataRequest.decode(bytes.fromhex(known["requestHex"]))
    block = LOG.blocks[request.wanted.block[0]] if request.wanted.block else b""

    proof = prove(request.wanted, 8, LOG.find, block=block, signature=LOG.signature)

    assert Data(request.id, request.fork, proof).encode().hex() == known["dataHex"]


def test_the_proof_of_block_4_of_10_lists_the_siblings_up_to_its_root() -> None:
    log = Log([bytes([i]) for i in range(10)])

    proof = prove(ProofRequest(block=(4, 3)), 10, log.find, block=log.blocks[4])

    assert proof.block
    assert [node.index for node in proof.block.nodes] == [10, 13, 3]


@dataclass
class Reader:
    """Somebody with the head of a log at some length, and the nodes that its proof showed."""

    peaks: Peaks
    nodes: dict[int, MerkleNode]

    def find(self, index: int) -> MerkleNode | None:
        return self.nodes.get(index)

    def steps(self, index: int) -> int:
        """From node `index` up to the first one that is known."""
        steps = 0
        while index not in self.nodes:
            index, steps = flat.parent(index), steps + 1
        return steps


def reader_at(log: Log, length: int) -> Reader:
    reader = Reader(Peaks(), {})
    if length:
        proof = prove(ProofRequest(upgrade=(0, length)), len(log.blocks), log.find, signature=log.signature)
        shown = verify(proof, [], reader.find, authenticate)
        assert shown.peaks
        assert shown.peaks.roots == log.peaks.roots
        prefix = Log(log.blocks[:length]).peaks
        reader = Reader(prefix, {node.index: node for node in prefix.roots})
    return reader


logs = st.lists(st.binary(max_size=5), min_size=1, max_size=33).map(Log)


@given(logs, st.data())
def test_a_true_proof_of_anything_holds(log: Log, data: st.DataObject) -> None:
    length = len(log.blocks)
    start = data.draw(st.integers(0, length))
    reader = reader_at(log, start)
    upgrade = (start, data.draw(st.integers(1, length - start))) if start < length else None
    end = sum(upgrade) if upgrade else length
    index = data.draw(st.integers(0, end - 1))
    block = (index, reader.steps(2 * index) if index < start else 0)
    seek = (
        data.draw(st.none() | st.integers(0, sum(map(len, log.blocks[:end])))) if upgrade and index >= start else None
    )

    wanted = ProofRequest(block=block, upgrade=upgrade, seek=None if seek is None else (seek, 0))
    proof = prove(wanted, length, log.find, block=log.blocks[index], signature=log.signature)
    shown = verify(proof, reader.peaks.roots, reader.find, authenticate)

    assert {node.index: node for node in shown.nodes}.items() <= log.nodes.items()
    assert (shown.peaks.length if shown.peaks else None) == (length if upgrade else None)


@given(logs, st.data())
def test_a_proof_with_any_node_changed_does_not_hold(log: Log, data: st.DataObject) -> None:
    length = len(log.blocks)
    index = data.draw(st.integers(0, length - 1))
    proof = prove(
        ProofRequest(block=(index, 0), upgrade=(0, length)),
        length,
        log.find,
        block=log.blocks[index],
        signature=log.signature,
    )
    assert proof.block
    assert proof.upgrade
    lists = [list(proof.block.nodes), list(proof.upgrade.nodes)]
    places: list[tuple[int, int]] = [(i, j) for i, nodes in enumerate(lists) for j in range(len(nodes))]
    value, signature = proof.block.value, proof.upgrade.signature
    lie = data.draw(st.sampled_from([None, *places]))
    if lie is None and data.draw(st.booleans()):
        value += b"!"
    elif lie is None:
        signature = signature[:10] + bytes([signature[10] ^ 1]) + signature[11:]
    else:
        i, j = lie
        node = lists[i][j]
        lists[i][j] = data.draw(
            st.sampled_from(
                [node._replace(index=node.index + 2), node._replace(size=node.size + 1), node._replace(hash=bytes(32))]
            )
        )
    false = Proof(
        block=BlockProof(index, value, lists[0]),
        upgrade=proof.upgrade._replace(nodes=lists[1], signature=signature),
    )

    with pytest.raises(InvalidProof):
        verify(false, [], lambda _: None, authenticate)


def outcome(work: Callable[[], Any]) -> Any:
    """What is returned, or the kind and the text of the error."""
    try:
        return work()
    except (InvalidProof, InvalidRequest) as error:
        return type(error), str(error)


@given(logs, st.data())
def test_a_lone_block_is_proved_as_any_part_is(log: Log, data: st.DataObject) -> None:
    length = len(log.blocks)
    wanted = ProofRequest(block=(data.draw(st.integers(0, length + 2)), data.draw(st.integers(0, 8) | st.just(2**50))))
    lost = data.draw(st.sets(st.integers(0, 2 * length), max_size=3))
    block = data.draw(st.binary(max_size=5))

    def find(index: int) -> MerkleNode | None:
        return None if index in lost else log.find(index)

    shorter, longer = (outcome(partial(way, wanted, length, find, block=block)) for way in (prove, prove_parts))

    assert type(shorter) is type(longer)
    assert shorter == longer or shorter[0] is longer[0] is InvalidRequest  # which say it in other words


false_nodes = st.builds(MerkleNode, st.integers(0, 70), st.integers(0, 2**53 - 1), st.sampled_from([bytes(32)]))


@given(logs, st.data())
def test_a_lone_block_is_verified_as_any_part_is(log: Log, data: st.DataObject) -> None:
    length = len(log.blocks)
    index = data.draw(st.integers(0, length - 1))
    known = data.draw(st.lists(st.sampled_from(sorted(log.nodes.values())), max_size=4)) + log.peaks.roots
    nodes = {node.index: node for node in known}
    steps = Reader(log.peaks, nodes).steps(2 * index)
    proof = prove(ProofRequest(block=(index, steps)), length, log.find, block=log.blocks[index])
    assert proof.block
    number, value, path = proof.block
    path = list(path)
    for _ in range(data.draw(st.integers(0, 2))):  # a lie, perhaps two
        lie = data.draw(st.sampled_from(["number", "value", "less", "more", "order", "node", "field", "known"]))
        at = data.draw(st.integers(0, max(len(path) - 1, 0)))
        if lie == "number":
            number = data.draw(st.integers(0, length + 1) | st.just(2**53 - 1))
        elif lie == "value":
            value = data.draw(st.binary(max_size=5))
        elif lie == "less":
            path = path[:at]
        elif lie == "more":
            path.insert(at, data.draw(false_nodes | st.sampled_from(sorted(log.nodes.values()))))
        elif lie == "order":
            path.reverse()
        elif lie == "known":
            nodes[data.draw(st.sampled_from(sorted(nodes)))] = data.draw(false_nodes)
        elif path and lie == "node":
            path[at] = data.draw(false_nodes)
        elif path:
            node = path[at]
            changes: dict[str, Any] = {"index": node.index ^ 2, "size": node.size + 1, "hash": node.hash[::-1]}
            name = data.draw(st.sampled_from(sorted(changes)))
            path[at] = node._replace(**{name: changes[name]})
    claimed = Proof(block=BlockProof(number, value, path))

    quick, thorough = (outcome(partial(way, claimed, (), nodes.get, authenticate)) for way in (verify, verify_parts))

    assert quick == thorough
    if isinstance(quick, Verified) and nodes.items() <= log.nodes.items():
        assert value == log.blocks[number]
        assert {node.index: node for node in (*path, *quick.nodes)}.items() <= log.nodes.items()


@given(logs, st.data())
def test_a_seek_under_a_known_node_shows_where_the_byte_lies(log: Log, data: st.DataObject) -> None:
    root = data.draw(st.sampled_from(log.peaks.roots))
    first, last = flat.left_span(root.index) // 2, flat.right_span(root.index) // 2
    before = sum(map(len, log.blocks[:first]))
    index = data.draw(st.integers(first, last))
    offset = before + data.draw(st.integers(0, root.size))
    reader = reader_at(log, len(log.blocks))

    wanted = ProofRequest(hash=(2 * index, reader.steps(2 * index)), seek=(offset, 0))
    proof = prove(wanted, len(log.blocks), log.find)
    shown = verify(proof, reader.peaks.roots, reader.find, authenticate)

    nodes = {node.index: node for node in [*shown.nodes, *reader.nodes.values()]}
    assert nodes.items() <= log.nodes.items()
    assert proof.seek is None or proof.seek.nodes[0].index in nodes


@pytest.mark.parametrize(
    "wanted",
    [
        ProofRequest(block=(8, 0)),
        ProofRequest(block=(2**52, 0)),
        ProofRequest(block=(0, 4)),
        ProofRequest(block=(0, 2**52)),
        ProofRequest(hash=(15, 0)),
        ProofRequest(hash=(2**53 - 1, 3)),
        ProofRequest(upgrade=(0, 9)),
        ProofRequest(upgrade=(8, 0)),
        ProofRequest(upgrade=(2**52, 2**52)),
        ProofRequest(seek=(3, 0)),
        ProofRequest(hash=(1, 0), seek=(4, 0)),
        ProofRequest(seek=(2**52, 0), upgrade=(0, 8)),
        ProofRequest(block=(6, 0), upgrade=(0, 5)),
    ],
)
def test_what_a_log_of_8_blocks_cannot_show_is_refused(wanted: ProofRequest) -> None:
    with pytest.raises(InvalidRequest):
        prove(wanted, 8, LOG.find)


def test_a_path_that_ends_at_an_unknown_node_does_not_hold() -> None:
    proof = prove(ProofRequest(block=(4, 1)), 8, LOG.find, block=LOG.blocks[4])

    with pytest.raises(InvalidProof, match="ends at node 9"):
        verify(proof, LOG.peaks.roots, {7: LOG.nodes[7]}.get, authenticate)


def test_a_path_in_the_wrong_order_names_the_node_expected() -> None:
    proof = prove(ProofRequest(block=(4, 3)), 8, LOG.find, block=LOG.blocks[4])
    assert proof.block
    false = Proof(block=proof.block._replace(nodes=proof.block.nodes[::-1]))

    with pytest.raises(InvalidProof, match="Expected node 10, got node 3"):
        verify(false, LOG.peaks.roots, LOG.find, authenticate)


def test_an_upgrade_with_nodes_beyond_its_end_does_not_hold() -> None:
    proof = prove(ProofRequest(upgrade=(0, 5)), 8, LOG.find, signature=LOG.signature)
    assert proof.upgrade
    false = Proof(upgrade=proof.upgrade._replace(length=4))

    with pytest.raises(InvalidProof, match="beyond"):
        verify(false, [], LOG.find, authenticate)


def test_a_hash_proof_must_begin_with_the_node_it_is_about() -> None:
    with pytest.raises(InvalidProof, match="Expected node 9"):
        verify(Proof(hash=HashProof(9, [LOG.nodes[7]])), LOG.peaks.roots, LOG.find, authenticate)
