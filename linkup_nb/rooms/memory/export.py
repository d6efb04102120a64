"""A room in a file that anybody can check without the room, its members or a network: JSON lines.

The first line names the room; one for each feed gives its key, manifest, signed roots, and the key by which this feed,
and no other, is read; then comes one for each block in the order of the room, with those nodes of the feed's Merkle
tree that no line before has shown, as hypercore's replication sends them. Change one bit, and the line is named.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkup_nb.errors import InvalidProof, LinkupError
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.encryption import BlockCipher, block_key
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.merkle import MerkleNode, Peaks
from linkup_nb.hypercore.proof import BlockProof, Proof, verify
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.block import MalformedBlock
from linkup_nb.rooms.memory.hello import verify_hello
from linkup_nb.rooms.memory.keys import short_id
from linkup_nb.wire.keys import KEY_SIZE

FORMAT = 1
MAX_LINE = 2 * 1024 * 1024  # characters of a line: a block in base64 and its nodes


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What became of checking an export: how much of it is as its authors signed it, and the first line that is not.

    `bad_line` counts from 1, `reason` says what is wrong with it; `None` where all is well. What follows it was not
    looked at.
    """

    room: str
    feeds: int
    blocks: int
    bad_line: int | None = None
    reason: str | None = None

    def __bool__(self) -> bool:
        return self.bad_line is None

    def __repr__(self) -> str:
        if self.bad_line is not None:
            return f"<ExportReport of {self.room!r}: line {self.bad_line} is wrong: {self.reason}>"
        what = f"{self.blocks:,} blocks of {self.feeds} feeds"
        return f"<ExportReport of {self.room!r}: {what}, as their authors signed them>"


class FeedExport:
    """The lines of one feed; nodes that were shown once are not shown again."""

    def __init__(self, number: int, core: Core, encryption_key: bytes) -> None:
        self._number = number
        self._core = core
        self._encryption_key = encryption_key
        self._known: set[int] = set()

    async def head(self) -> dict[str, Any]:
        """The line that the others are checked against."""
        evidence = await self._core.proof(0)
        upgrade, peaks = evidence.proof.upgrade, evidence.check()
        assert upgrade is not None
        self._known = {node.index for node in peaks.roots}
        return {
            "feed": self._number,
            "key": self._core.key.hex(),
            "manifest": _text(evidence.manifest.encode()),
            "length": upgrade.length,
            "roots": _pack(peaks.roots),
            "signature": _text(upgrade.signature),
            "reading": _text(block_key(self._core.key, self._encryption_key)),
        }

    async def line(self, seq: int) -> dict[str, Any]:
        """The line of a block."""
        proof = (await self._core.proof(seq)).proof.block
        assert proof is not None
        nodes, at = [], 2 * seq
        for node in proof.nodes:
            if at in self._known:
                break
            nodes.append(node)
            self._known |= {at, node.index}
            at = flat.parent(at)
        return {"in": self._number, "seq": seq, "block": _text(proof.value), "nodes": _pack(nodes)}


def verify_export(path: Path | str) -> ExportReport:
    """Check an exported room, with nothing else at hand: signatures, hashes, hellos, order and validity of every block.

    Returns a report that is true if all is well and otherwise names the first line that is not. Raises `OSError` if
    the file cannot be read.
    """
    check = _Check()
    with Path(path).open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(_lines(file), 1):
            try:
                check.take(number, line)
            except (
                LinkupError,
                MalformedBlock,
                ValueError,
                KeyError,
                TypeError,
                ArithmeticError,
                RecursionError,
            ) as error:
                return check.report(number, str(error) or type(error).__name__)
    return check.report() if check.room is not None else check.report(1, "The file is empty.")


def _lines(file: Any) -> Iterator[str]:
    while line := file.readline(MAX_LINE):
        yield line


class _Feed:
    """A feed of which lines are checked."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.key = bytes.fromhex(row["key"])
        manifest = Manifest.decode(b64decode(row["manifest"]))
        if manifest.key != self.key:
            raise InvalidProof("The manifest is not that of this feed.")
        roots = _unpack(row["roots"])
        peaks = Peaks(roots)
        if peaks.length != row["length"]:
            raise InvalidProof("The roots are not those of this length.")
        manifest.verify(b64decode(row["signature"]), self.key, peaks.hash(), peaks.length, 0, peaks.roots)
        self.roots = roots
        self.length = peaks.length
        self.nodes = {node.index: node for node in roots}
        self.cipher = BlockCipher.of_block_key(b64decode(row["reading"]))
        self.seq = -1
        self.t = 0


class _Check:
    def __init__(self) -> None:
        self.room: str | None = None
        self._topic = b""
        self._feeds: dict[int, _Feed] = {}
        self._blocks = 0
        self._place = (0, b"")
        self._named: dict[str, int] = {}

    def take(self, number: int, line: str) -> None:
        row = json.loads(line)
        if number == 1:
            if row["export"] != FORMAT:
                raise ValueError(f"This is no export of a room in format {FORMAT}.")
            self.room, self._topic = str(row["room"]), bytes.fromhex(row["topic"])
        elif "feed" in row:
            self._feeds[row["feed"]] = _Feed(row)
        else:
            self._block(self._feeds[row["in"]], row["seq"], b64decode(row["block"]), _unpack(row["nodes"]))

    def _block(self, feed: _Feed, seq: int, stored: bytes, nodes: list[MerkleNode]) -> None:
        shown = verify(Proof(block=BlockProof(seq, stored, nodes)), feed.roots, feed.nodes.get, _refuse)
        feed.nodes.update((node.index, node) for node in shown.nodes)
        envelope = blocks.decode(feed.cipher.decrypt(seq, stored))
        if seq <= feed.seq or envelope.t <= feed.t:
            raise MalformedBlock("A block is not after the one before it in its feed.")
        if (envelope.t, feed.key) <= self._place:
            raise MalformedBlock("A block is not where the order of the room has it.")
        if seq == 0:
            body = envelope.body()[1]
            if not isinstance(body, blocks.HelloBody):
                raise MalformedBlock("A feed does not begin with the hello of a member.")
            verify_hello(body, self._topic, feed.key)
        elif feed.seq < 0:
            raise MalformedBlock("The hello of a feed is missing.")
        if seq < self._named.get(short_id(feed.key), 0):
            raise MalformedBlock("A block stands after one that names it.")
        for id, length in (envelope.heads or {}).items():
            self._named[id] = max(length, self._named.get(id, 0))
        feed.seq, feed.t = seq, envelope.t
        self._place = (envelope.t, feed.key)
        self._blocks += 1

    def report(self, line: int | None = None, reason: str | None = None) -> ExportReport:
        return ExportReport(self.room or "", len(self._feeds), self._blocks, line, reason)


def _refuse(*_: object) -> None:
    raise InvalidProof("A line cannot bring another signed head.")


def header(room: str, topic: bytes) -> dict[str, Any]:
    """The first line of an export."""
    return {"export": FORMAT, "room": room, "topic": topic.hex()}


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _pack(nodes: Sequence[MerkleNode]) -> list[tuple[int, int, str]]:
    return [(node.index, node.size, _text(node.hash)) for node in nodes]


def _unpack(rows: Any) -> list[MerkleNode]:
    nodes = [MerkleNode(int(index), int(size), b64decode(hash)) for index, size, hash in rows]
    if any(len(node.hash) != KEY_SIZE or node.index < 0 or node.size < 0 for node in nodes):
        raise InvalidProof("A node of the tree is malformed.")
    return nodes
