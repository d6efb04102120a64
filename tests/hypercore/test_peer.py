"""Peers that lie in any field of any message: cut off, named, within bounds, and to nobody else's harm."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from linkup_nb import channels
from linkup_nb.connection import connection as connections
from linkup_nb.errors import (
    DecodeError,
    HandshakeError,
    InvalidProof,
    PeerError,
    PeerRefused,
    PeerTimeout,
    ProtocolError,
)
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.bitfield import PAGE
from linkup_nb.hypercore.manifest import MAX_SIGNERS, Manifest
from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.messages import MAX_PROOF_NODES
from linkup_nb.hypercore.peer import MAX_PAGES, MAX_REFUSALS
from linkup_nb.hypercore.proof import BlockProof, HashProof, Proof, ProofRequest, SeekProof, UpgradeProof
from linkup_nb.hypercore.storage import MAX_LENGTH
from linkup_nb.hypercore.upload import SEGMENT
from linkup_nb.wire.compact import Encoder
from tests.hypercore.liar import HONEST, Liar, Lie, Victim, author, cut_off, little_harm, stop_reading
from tests.hypercore.vectors import Log

LAST = 2**53 - 1  # what JavaScript can count to
NOTHING = bytes(32)


def _block(**changes: Any) -> Lie:
    """Change the block of an answer that has one."""

    def lie(data: msg.Data) -> msg.Data:
        block = data.proof.block
        return data._replace(proof=data.proof._replace(block=block._replace(**changes))) if block else data

    return lie


def _path(change: Callable[[list[MerkleNode]], list[MerkleNode]]) -> Lie:
    """Change the path of an answer that has a block."""

    def lie(data: msg.Data) -> msg.Data:
        block = data.proof.block
        return _block(nodes=change(list(block.nodes)))(data) or data if block else data  # type: ignore[return-value]

    return lie


def _upgrade(**changes: Any) -> Lie:
    """Change the upgrade of an answer that has one."""

    def lie(data: msg.Data) -> msg.Data:
        upgrade = data.proof.upgrade
        return data._replace(proof=data.proof._replace(upgrade=upgrade._replace(**changes))) if upgrade else data

    return lie


def _part(**parts: Any) -> Lie:
    """Put a part into, or leave one out of, an answer that has a block."""
    return lambda data: data._replace(proof=data.proof._replace(**parts)) if data.proof.block else data


def _manifest(data: msg.Data) -> msg.Data:
    return data._replace(manifest=Manifest.of(b"x" * 32) if data.manifest else None)


FALSE_ANSWERS: dict[str, tuple[Lie, str]] = {
    "request": (lambda data: data._replace(request=data.request + 1000), "which was not made"),
    "request, the last": (lambda data: data._replace(request=LAST), "which was not made"),
    "fork": (lambda data: data._replace(fork=5), "fork 5"),
    "fork, the last": (lambda data: data._replace(fork=LAST), f"fork {LAST}"),
    "block.index": (_block(index=3), "Requested 7, got 3"),
    "block.index, the last": (_block(index=LAST), f"Requested 7, got {LAST}"),
    "block.value": (_block(value=b"forged"), "does not have the hash"),
    "block.value, empty": (_block(value=b""), "does not have the hash"),
    "block.nodes, one more": (_path(lambda nodes: [*nodes, MerkleNode(1, 1, NOTHING)]), "path"),
    "block.nodes, one less": (_path(lambda nodes: nodes[:-1]), "path"),
    "block.nodes, order": (_path(lambda nodes: nodes[::-1]), "Expected node"),
    "block.nodes, index": (_path(lambda nodes: [n._replace(index=LAST) for n in nodes]), "Expected node"),
    "block.nodes, size": (_path(lambda nodes: [n._replace(size=LAST) for n in nodes]), "does not have the hash"),
    "block.nodes, hash": (_path(lambda nodes: [n._replace(hash=NOTHING) for n in nodes]), "does not have the hash"),
    "no block": (_part(block=None, hash=HashProof(14, [MerkleNode(14, 7, NOTHING)])), "got None"),
    "a hash too": (_part(hash=HashProof(4, [MerkleNode(4, 7, NOTHING)])), "Requested nothing, got 4"),
    "a seek too": (_part(seek=SeekProof(5, [MerkleNode(4, 7, NOTHING)])), "Requested nothing, got 5"),
    "an upgrade too": (_part(upgrade=UpgradeProof(0, 40, [], [], b"")), "Requested an upgrade by None"),
    "upgrade.start": (_upgrade(start=LAST), "Requested an upgrade"),
    "upgrade.length, longer than promised": (_upgrade(length=41), "Requested an upgrade"),
    "upgrade.length, the last": (_upgrade(length=LAST), "Requested an upgrade"),
    "upgrade.nodes, none": (_upgrade(nodes=[]), "ends at length 0"),
    "upgrade.nodes, order": (_upgrade(nodes=[HONEST.nodes[71], HONEST.nodes[31]]), "got node 71"),
    "upgrade.nodes, size": (
        _upgrade(nodes=[MerkleNode(31, LAST, NOTHING), MerkleNode(71, 1, NOTHING)]),
        f"at most {LAST} bytes",
    ),
    "upgrade.nodes, hash": (
        _upgrade(nodes=[MerkleNode(31, 9, NOTHING), MerkleNode(71, 1, NOTHING)]),
        "not its author's",
    ),
    "upgrade.additional": (_upgrade(additional=[MerkleNode(80, 1, NOTHING)]), "not its author's"),
    "upgrade.additional, a huge subtree": (_upgrade(additional=[MerkleNode(2**52, 1, NOTHING)]), "starts at block 40"),
    "upgrade.additional, too many": (
        _upgrade(additional=[MerkleNode(80, 1, NOTHING)] * (MAX_PROOF_NODES + 1)),
        "at most 128",
    ),
    "upgrade.signature, none": (_upgrade(signature=b""), "cannot be read"),
    "upgrade.signature, nobody's": (_upgrade(signature=bytes(68)), "where 1 must sign"),
    "upgrade.signature, another's": (_upgrade(signature=b"\x01\x00" + bytes(66)), "not its author's"),
    "upgrade.signature, a signer too many": (_upgrade(signature=b"\x01\x07" + bytes(66)), "signer 7 of 1"),
    "upgrade.signature, of another length": (_upgrade(signature=Log([b"x"]).signature), "not its author's"),
    "upgrade.signature, endless": (_upgrade(signature=b"\xff" + b"\xff" * 8), "cannot be read"),
    "manifest": (_manifest, "not that of this log's key"),
}


@pytest.mark.parametrize(("lie", "text"), FALSE_ANSWERS.values(), ids=FALSE_ANSWERS)
async def test_a_false_answer_is_not_kept_and_its_peer_is_cut_off(victim: Victim, lie: Lie, text: str) -> None:
    _, connection = await victim.meets(HONEST, lie)
    asked = asyncio.create_task(victim.core.get(7, timeout=5))

    await cut_off(connection, PeerError, text)

    assert not await victim.core.has(7)
    _, honest = await victim.meets(HONEST)
    assert await asked == b"block 7"
    assert (await victim.core.audit()).clean
    assert not honest.closed


FALSE_SEEKS: dict[str, tuple[Lie, str]] = {
    "bytes": (lambda data: _seek(data, bytes=4), "Requested 133, got 4"),
    "no nodes": (lambda data: _seek(data, nodes=[]), "without a node"),
    "hash": (lambda data: _seek(data, nodes=[MerkleNode(36, 8, NOTHING)]), "ends at node 36"),
    "no hash": (lambda data: data._replace(proof=data.proof._replace(hash=None)), "got None"),
    "another hash": (
        lambda data: (
            data._replace(proof=data.proof._replace(hash=HashProof(2, data.proof.hash.nodes)))
            if data.proof.hash
            else data
        ),
        "got 2",
    ),
}


def _seek(data: msg.Data, **changes: Any) -> msg.Data:
    seek = data.proof.seek
    return data._replace(proof=data.proof._replace(seek=seek._replace(**changes))) if seek else data


@pytest.mark.parametrize(("lie", "text"), FALSE_SEEKS.values(), ids=FALSE_SEEKS)
async def test_a_false_seek_leads_nowhere_and_its_peer_is_cut_off(victim: Victim, lie: Lie, text: str) -> None:
    _, connection = await victim.meets(HONEST, lambda data: lie(data) if data.proof.hash else data)
    await victim.core.update(timeout=5)
    sought = asyncio.create_task(victim.core.seek(133, timeout=5))

    await cut_off(connection, PeerError, text)

    await victim.meets(HONEST)
    assert await sought == (17, 7)


IMPOSSIBLE: dict[str, tuple[msg.Message, type[PeerError], str]] = {
    "sync.length": (msg.Sync(0, LAST, 0), PeerRefused, f"at most {MAX_LENGTH} blocks, not {LAST}"),
    "range.length": (msg.Range(0, LAST), PeerRefused, f"at most {MAX_LENGTH} blocks"),
    "range.start": (msg.Range(MAX_LENGTH, 1), PeerRefused, f"at most {MAX_LENGTH} blocks"),
    "range, dropped": (msg.Range(LAST, 1, drop=True), PeerRefused, f"at most {MAX_LENGTH} blocks"),
    "bitfield, long": (msg.HaveBitfield(0, bytes(SEGMENT // 8 + 4)), PeerRefused, "at most 2097152 blocks"),
    "bitfield, far": (msg.HaveBitfield(MAX_LENGTH, bytes(4)), PeerRefused, "beyond"),
    "bitfield, odd": (msg.HaveBitfield(7, bytes(4)), ProtocolError, "multiple of 32"),
    "want, long": (msg.Want(0, 2**22), ProtocolError, "power of two"),
    "want, all": (msg.Want(0, LAST), ProtocolError, "power of two"),
    "want, none": (msg.Want(0, 0), ProtocolError, "power of two"),
    "want, odd length": (msg.Want(32, 33), ProtocolError, "power of two"),
    "want, odd start": (msg.Want(33, 32), ProtocolError, "power of two"),
    "noData": (msg.NoData(999), ProtocolError, "request 999"),
    "noData, id 0": (msg.NoData(0), ProtocolError, "request 0"),
    "data, unasked": (msg.Data(5000, 0, Proof(block=BlockProof(0, b"x", []))), ProtocolError, "request 5000"),
    "data, a push": (msg.Data(0, 0, Proof(block=BlockProof(0, b"x", []))), ProtocolError, "to no request"),
}


@pytest.mark.parametrize(("message", "kind", "text"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
async def test_an_impossible_message_cuts_its_peer_off_and_nobody_else(
    victim: Victim, message: msg.Message, kind: type[PeerError], text: str
) -> None:
    liar, connection = await victim.meets(HONEST)
    _, honest = await victim.meets(HONEST)

    liar.send(message)

    await cut_off(connection, kind, text)
    assert await victim.core.get(9, timeout=5) == b"block 9"
    assert not honest.closed


def _data(flags: int) -> Encoder:
    return Encoder().uint(flags).uint(1).uint(0)


NO_MESSAGES: dict[str, tuple[int, bytes, type[PeerError], str]] = {
    "an unknown message": (77, b"", ProtocolError, "no message 77"),
    "the highest message": (2**32, b"", ProtocolError, f"no message {2**32}"),
    "half a message": (3, b"\x01", DecodeError, "Expected an integer"),
    "an integer too large": (0, bytes(Encoder().uint(4)) + b"\xff" * 9, DecodeError, f"at most {LAST}"),
    "a block longer than its message": (3, bytes(_data(1).uint(0).uint(LAST)), DecodeError, "more bytes"),
    "nodes without end": (3, bytes(_data(2).uint(0).uint(LAST)), DecodeError, "at most 128 nodes"),
    "signers without end": (3, bytes(_data(16).raw(b"\x01\x00\x00\x01").uint(LAST)), DecodeError, "at most"),
    "too many signers": (
        3,
        bytes(_data(16).raw(b"\x01\x00\x00\x01").uint(MAX_SIGNERS + 1).raw(bytes(65 * (MAX_SIGNERS + 1)))),
        DecodeError,
        f"at most {MAX_SIGNERS} signers",
    ),
    "another version of a manifest": (3, bytes(_data(16).uint(9)), DecodeError, "version 9"),
    "words longer than their message": (7, bytes(Encoder().uint(0).uint(2**32)), DecodeError, "more bytes"),
    "a name that is no text": (9, b"\x02\xff\xfe", DecodeError, "not UTF-8"),
}


@pytest.mark.parametrize(("type", "payload", "kind", "text"), NO_MESSAGES.values(), ids=NO_MESSAGES)
async def test_bytes_that_are_no_message_cut_their_peer_off(
    victim: Victim, type: int, payload: bytes, kind: type[PeerError], text: str
) -> None:
    liar, connection = await victim.meets(HONEST)

    liar.send_raw(type, payload)

    await cut_off(connection, kind, text)


async def test_who_does_not_know_the_key_learns_nothing(victim: Victim) -> None:
    liar, connection = await victim.meets(HONEST, secret=b"guess" * 6 + b"..")

    await cut_off(connection, HandshakeError, "does not know the key")
    assert liar.heard == []


async def test_who_makes_us_talk_and_reads_nothing_is_cut_off(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MAX_UNSENT_FRAMES", 1000)
    monkeypatch.setattr(connections, "CLOSE_TIMEOUT", 0.1)
    await author(victim)
    liar, connection = await victim.meets(Log([]))
    liar._channels._given_up = True  # it has no bounds itself
    await liar.hears(msg.Sync)
    stop_reading(liar)

    for number in range(500):
        liar.send(msg.DataRequest(number, 0, ProofRequest(block=(0, 0))))
    async with asyncio.timeout(15):
        while not connection.closed:  # the system's buffers take much of it
            for number in range(100):
                liar.send(msg.Sync(0, number % 2, 0))  # each is acknowledged
            await asyncio.sleep(0)

    await cut_off(connection, PeerTimeout, "does not read")


async def _beyond_bounds(liar: Liar) -> None:
    for page in range(MAX_PAGES + 1):
        liar.send(msg.Range(page * PAGE + 1, 1))


async def _all_alternate(liar: Liar) -> None:
    for segment in range((MAX_PAGES + 64) * PAGE // SEGMENT):
        liar.send(msg.HaveBitfield(segment * SEGMENT, b"\x55" * (SEGMENT // 8)))


async def _holes_at_the_beginning(liar: Liar) -> None:
    for _ in range(100):
        liar.send(msg.Range(0, MAX_LENGTH))
        liar.send(msg.Range(0, 1, drop=True))
        liar.send(msg.HaveBitfield(0, bytes(4)))


async def _everything_but_the_first(liar: Liar) -> None:
    liar.send(msg.Range(1, MAX_LENGTH - 1))


@pytest.mark.parametrize(
    ("floods", "cut"),
    [
        (_beyond_bounds, True),
        (_all_alternate, True),
        (_holes_at_the_beginning, False),
        (_everything_but_the_first, True),
    ],
)
async def test_what_a_peer_says_it_has_takes_little_memory(
    victim: Victim, floods: Callable[[Liar], Any], cut: bool
) -> None:
    victim.core._log.length = MAX_LENGTH  # as an author may sign that lies too
    liar, connection = await victim.meets(Log([]))
    await liar.hears(msg.Sync)
    [peer] = victim.core._replicator.peers

    await floods(liar)
    liar.send(msg.DataRequest(7, 7, ProofRequest(block=(0, 0))))
    if cut:
        await cut_off(connection, PeerRefused, "of a log")
    else:
        assert await liar.hears(msg.NoData) == msg.NoData(7)

    assert peer.blocks.pages <= MAX_PAGES + SEGMENT // PAGE


FLOODS: dict[str, Callable[[int], msg.Message]] = {
    "cancels of what was not asked": lambda number: msg.Cancel(LAST - number),
    "unknown extensions": lambda number: msg.Extension(f"extension {number}", bytes(50)),
    "unwants": lambda number: msg.Unwant(number, LAST),
    "syncs": lambda number: msg.Sync(number % 2, number, number),
    "ranges far beyond the head": lambda number: msg.Range(SEGMENT + 100 + 3 * number * PAGE % MAX_LENGTH, 1),
    "requests for what is not here": lambda number: msg.DataRequest(number, 0, ProofRequest(block=(number, 0))),
    "drops": lambda number: msg.Range(number, LAST // 2**23, drop=True),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_floods_cost_little_and_others_go_on(victim: Victim, flood: Callable[[int], msg.Message]) -> None:
    _, honest = await victim.meets(HONEST)
    await victim.core.get(3, timeout=5)
    liar, connection = await victim.meets(Log([]))
    await liar.hears(msg.Sync)
    liar.answering = False

    with little_harm():
        for start in range(0, 20_000, 2000):
            for number in range(start, start + 2000):
                liar.send(flood(number))
            liar.send(msg.DataRequest(start + 50_000, LAST, ProofRequest(block=(0, 0))))
            heard = await liar.hears(msg.NoData)
            while heard != msg.NoData(start + 50_000):
                heard = await liar.hears(msg.NoData)
            liar.heard.clear()
        assert await victim.core.get(21, timeout=5) == b"block 21"

    assert not connection.closed
    assert not honest.closed


async def test_who_refuses_all_it_promised_is_asked_no_more(victim: Victim) -> None:
    liar, connection = await victim.meets(
        HONEST, lambda data: msg.NoData(data.request, LAST) if data.proof.block else data
    )
    await victim.core.update(timeout=5)
    asked = asyncio.create_task(victim.core.get(7, timeout=20))
    [peer] = victim.core._replicator.peers

    for _ in range(MAX_REFUSALS):
        request = await liar.hears(msg.DataRequest)
        while not (isinstance(request, msg.DataRequest) and request.wanted.block):
            request = await liar.hears(msg.DataRequest)
        liar.send(msg.Range(7, 1))
    liar.send(msg.DataRequest(900, 9, ProofRequest(block=(7, 0))))
    await liar.hears(msg.NoData)

    assert (peer.pending, peer.refusals) == ({}, MAX_REFUSALS)
    assert not connection.closed
    await victim.meets(HONEST)
    assert await asked == b"block 7"


async def test_a_head_that_is_signed_and_huge_costs_nothing(victim: Victim) -> None:
    class Huge(Log):
        """One root over more blocks than anybody has."""

        def __init__(self) -> None:
            super().__init__([b"x"])
            self.peaks = type(self.peaks)([MerkleNode(MAX_LENGTH - 1, LAST, NOTHING)])
            self.nodes = {MAX_LENGTH - 1: self.peaks.roots[0]}
            self.signature = Log.sign(self.peaks)
            self.blocks = _Many()

    liar, connection = await victim.meets(Huge())

    with little_harm():
        await victim.core.update(timeout=5)
        assert (victim.core.length, victim.core.byte_length) == (MAX_LENGTH, LAST)
        download = await victim.core.download()
        assert (download.downloaded, download.total) == (0, MAX_LENGTH)
        download.cancel()

    assert not connection.closed
    assert liar.heard


class _Many(list[bytes]):
    """As long as a log can be."""

    def __len__(self) -> int:
        return MAX_LENGTH


async def test_what_was_not_asked_for_is_not_taken(victim: Victim) -> None:
    def more(data: msg.Data) -> msg.Data:
        if data.proof.hash or data.proof.block:
            return data
        return data._replace(proof=data.proof._replace(block=BlockProof(0, b"block 0", [])))

    _, connection = await victim.meets(HONEST, more)

    await cut_off(connection, InvalidProof, "Requested nothing, got 0")
