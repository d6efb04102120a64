"""Machines without input and output, to which strangers say anything in any order; what else of strangers is read."""

import struct

from linkup_nb.errors import DecodeError, InvalidImage, InvalidRequest, InvalidTopic, PeerError, UsageError
from linkup_nb.hypercore import flat
from linkup_nb.hypercore import messages as hypercore
from linkup_nb.hypercore.corestore import parse_key
from linkup_nb.hypercore.evidence import Evidence, agreement, contradiction
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.merkle import MerkleNode, Peaks
from linkup_nb.hypercore.proof import Proof, ProofRequest, prove, verify
from linkup_nb.hyperdrive.place import Address
from linkup_nb.notebook.chat import markup
from linkup_nb.rooms.avatar import generated_avatar, scale_avatar
from linkup_nb.rooms.frames import read_frame
from linkup_nb.rooms.topic import parse_topic
from linkup_nb.wire import blind_pairing
from linkup_nb.wire.dht.records import MutableValue, PeerRecord
from linkup_nb.wire.dht.search import MAX_QUERIED, QueriedNode, Search
from linkup_nb.wire.dht.store import MAX_PER_TARGET, DhtStore
from linkup_nb.wire.keys import KeyPair, blake2b_256
from tests.fuzz.target import Target, any_of, chosen, joined, pieces, same_again

AUTHOR = KeyPair.from_seed(b"a" * 32)
MANIFEST = Manifest.of(AUTHOR.public_key)
LENGTH = 9
KNOWN = 5  # blocks of which the reader knows the tree


class _Tree:
    """A signed log of so many blocks."""

    def __init__(self, length: int) -> None:
        self.blocks = [b"block %d" % index for index in range(length)]
        self.peaks = Peaks()
        self.nodes: dict[int, MerkleNode] = {}
        self.peaks.append(self.blocks)
        self.nodes = {node.index: node for node in self.peaks.added}
        self.signature = MANIFEST.sign(AUTHOR, MANIFEST.key, self.peaks.hash(), length, 0)

    def prove(self, wanted: ProofRequest) -> Proof:
        block = self.blocks[wanted.block[0]] if wanted.block else b""
        return prove(wanted, len(self.blocks), self.nodes.get, block=block, signature=self.signature)


WHOLE, PART = _Tree(LENGTH), _Tree(KNOWN)


def _authentic(peaks: Peaks, signature: bytes) -> None:
    MANIFEST.verify(signature, MANIFEST.key, peaks.hash(), peaks.length, 0, peaks.roots)


def _proof(data: bytes) -> None:
    """What is believed is what the author wrote."""
    try:
        message = hypercore.Data.decode(data)
        shown = verify(message.proof, PART.peaks.roots, PART.nodes.get, _authentic)
    except PeerError:
        return
    block = message.proof.block
    if block and block.index < LENGTH and shown.nodes:
        assert block.value == WHOLE.blocks[block.index]


def _request(data: bytes) -> None:
    """What is proven can be verified."""
    try:
        message = hypercore.DataRequest.decode(data)
        wanted = message.wanted
        if wanted.block and wanted.block[0] >= LENGTH:
            return
        proof = WHOLE.prove(wanted)
        verify(proof, PART.peaks.roots, PART.nodes.get, _authentic)
    except (PeerError, InvalidRequest):
        return


def _evidence(data: bytes) -> None:
    for one in pieces(data):
        same_again(Evidence.decode, Evidence.encode, one)
    heads: list[Evidence] = []
    try:
        heads = [Evidence.decode(each) for each in pieces(data)]
        for head in heads:
            head.check()
    except PeerError:
        return
    for first in heads[:3]:
        for second in heads[:3]:
            if agreement((first, second)) is not None:
                assert 0 <= contradiction(first, second) <= flat.right_span(2**40)


_WANTED = (
    ProofRequest(block=(7, 0), upgrade=(KNOWN, LENGTH - KNOWN)),
    ProofRequest(block=(2, 1)),
    ProofRequest(hash=(3, 1)),
    ProofRequest(seek=(20, 0), upgrade=(KNOWN, LENGTH - KNOWN)),
    ProofRequest(upgrade=(0, LENGTH)),
)
_HEADS = [Evidence(MANIFEST.key, 0, MANIFEST, tree.prove(ProofRequest(upgrade=(0, KNOWN)))) for tree in (WHOLE, PART)]

PROOFS = Target(
    any_of(_proof, _request, _evidence),
    [
        *chosen(0, [hypercore.Data(1, 0, WHOLE.prove(wanted), MANIFEST).encode() for wanted in _WANTED]),
        *chosen(1, [hypercore.DataRequest(1, 0, wanted, True, 0).encode() for wanted in _WANTED]),
        *chosen(2, [joined([head.encode() for head in _HEADS])]),
    ],
)

INVITE = blind_pairing.PairingInvite(b"k" * 32, b"d" * 32)
REQUEST = blind_pairing.PairingRequest.make(INVITE, b"user data")


def _pairing_request(data: bytes) -> None:
    same_again(blind_pairing.PairingRequest.decode, bytes, data)
    try:
        blind_pairing.PairingRequest.decode(data).open(INVITE.public_key)
    except PeerError:
        return


def _pairing_response(data: bytes) -> None:
    same_again(blind_pairing.PairingResponse.decode, bytes, data)
    try:
        blind_pairing.PairingResponse.decode(data).open(INVITE, b"s" * 32)
    except PeerError:
        return


PAIRING = Target(
    any_of(_pairing_request, _pairing_response),
    [
        *chosen(0, [bytes(REQUEST)]),
        *chosen(1, [bytes(blind_pairing.PairingResponse.confirm(INVITE.public_key, b"s" * 32, b"S" * 32))]),
    ],
)


def _node(number: int) -> tuple[str, int]:
    return f"10.0.{number >> 8 & 255}.{number & 255}", 1 + number % 65535


def _search(data: bytes) -> None:
    """Nodes that name any others, reply late, twice as many as asked or never."""
    target = int.from_bytes(blake2b_256(data[:4]))
    search = Search[bytes](lambda address: target ^ int.from_bytes(blake2b_256(repr(address).encode())), 0.0)
    search.add([_node(number) for number in range(3)])
    awaited: list[QueriedNode[bytes]] = []
    now = 0.0
    for piece in pieces(data):
        awaited += search.next_queried(now)
        code = piece[0] if piece else 0
        now += code / 100
        if code % 4 == 0:
            search.tick(now)
        elif awaited:
            queried = awaited.pop(code % len(awaited))
            if code % 4 == 1:
                search.failed(queried)
            else:
                names = [
                    _node(number) for (number,) in struct.iter_unpack(">H", piece[1 : 1 + 2 * ((len(piece) - 1) // 2)])
                ]
                search.replied(queried, piece, code / 255, names, near=code % 4 == 2)
    assert len(search.queried) <= MAX_QUERIED
    assert len(search.closest) <= 20
    for number in range(2 * MAX_QUERIED + 1):
        if search.over:
            break
        assert number < 2 * MAX_QUERIED, "the search does not end"
        awaited += search.next_queried(now)
        now += 2.0
        search.tick(now)
        for queried in awaited:
            search.failed(queried)
        awaited = search.next_queried(now)


DHT_SEARCH = Target(
    _search,
    [
        joined(
            [
                bytes([2 + 4 * number]) + struct.pack(">20H", *range(20 * number, 20 * number + 20))
                for number in range(5)
            ]
        )
    ],
)


def _store(data: bytes) -> None:
    """Strangers announce, renew, withdraw and put without end."""
    store, now = DhtStore(), 0.0
    keys = [bytes([number]) * 32 for number in range(4)]
    for piece in pieces(data):
        code, what = (piece[0], piece[1:]) if piece else (0, b"")
        sender = _node(code % 8)
        target, key = keys[code % 4], blake2b_256(what[:1])
        record = PeerRecord(key, (sender,))
        kind = code // 4 % 8
        now += len(what)
        if kind < 3:
            store.announce(target, record, sender, now, refresh=what[1:33].ljust(32, b"\0") if kind else None)
        elif kind == 3:
            store.refresh(what[:32], sender, now)
        elif kind == 4:
            store.unannounce(target, key)
        elif kind == 5:
            store.bump(target, len(what), sender[0], 1000 * code, now)
        elif kind == 6:
            store.mutable.put(target, MutableValue(b"k" * 32, len(what), what, b"s" * 64), sender[0], now)
        else:
            store.sweep(now)
        assert len(store.records(target, now)) <= MAX_PER_TARGET
    store.sweep(now + 10**6)
    assert not any(store.counts.values())


DHT_STORE = Target(_store, [joined([bytes([code]) + b"%03d" % code for code in range(64)])])


def _text(data: bytes) -> None:
    """A text of a stranger: its HTML has no tag, attribute or scheme that runs anything."""
    text = data.decode(errors="replace")
    for html in (markup.render(text), markup.escape(text), markup.preformatted(text)):
        lower = html.lower()
        for bad in (
            "<script",
            "<img",
            "<svg",
            "<iframe",
            "<style",
            "javascript:href",
            'href="javascript',
            'href="data',
        ):
            assert bad not in lower, html


MARKUP = Target(
    _text,
    [
        b"*one* **two** ~~three~~ `four` [five](http://a.example 'six')",
        b"```python\nprint('x')\n```\n| a | b |\n|---|:-:|\n| 1 | 2 |\n> quote\n> > more\n1. one\n2. two\n- x\n  - y\n",
        "![x](http://a.example/x.png) <b>x</b> &lt; https://a.example $x^2$ \u202ex\u202c\u0301\u0301".encode(),
    ],
    seconds=0.1,  # Markdown of 4 KiB, three times
)


def _link(data: bytes) -> None:
    text = data.decode(errors="replace")
    for read in (parse_key, parse_topic, Address.parse):
        try:
            read(text)
        except (UsageError, InvalidTopic):
            continue


LINKS = Target(_link, [b"linkup://" + b"y" * 52 + b"/a/b.txt", b"hyper://" + b"0" * 64 + b"+5/x", b"z" * 64])


def _table(data: bytes) -> None:
    for name in ("x.csv", "x.parquet"):
        try:
            read_frame(name, data, {})
        except DecodeError:
            continue


TABLES = Target(_table, [b"a,b\n1,2\n3,4\n", b"PAR1\x15\x04\x15\x10PAR1"], seconds=1.0)


def _picture(data: bytes) -> None:
    try:
        scale_avatar(data, max_pixels=1_000_000)
    except InvalidImage:
        return


PICTURES = Target(_picture, [generated_avatar("otter", b"k" * 32), b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"], seconds=1.0)
