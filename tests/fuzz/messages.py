"""What comes over connections, and what is read from files that others may have written."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from linkup_nb.connection.frames import Interpreter
from linkup_nb.errors import PeerError, UsageError
from linkup_nb.hypercore import messages as hypercore
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.proof import BlockProof, HashProof, Proof, ProofRequest, SeekProof, UpgradeProof
from linkup_nb.hyperdht.state import load_nodes
from linkup_nb.hyperdrive.bee import BeeEntry
from linkup_nb.hyperdrive.entry import Entry
from linkup_nb.hyperdrive.tree import Block
from linkup_nb.kademlia.discovery import parse_peer
from linkup_nb.rooms.linkup import messages as linkup_json
from linkup_nb.rooms.message import AudioMessage, FileMessage, IconMessage, TextMessage
from linkup_nb.rooms.profile import Profile, _read_config
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.noise import IK, NoiseHandshake
from linkup_nb.wire.protomux import Offered, Protomux
from linkup_nb.wire.secret_stream import SecretStream
from tests.fuzz.target import Target, any_of, chosen, joined, pieces, same_again
from tests.wire.ends import TRANSCRIPT, feed, handshakes, initiator, opened, responder

TOPIC = bytes(range(32))
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def _address(encoder: Encoder, value: tuple[str, int]) -> Encoder:
    return encoder.ipv4_address(*value)


COMPACT = Target(
    any_of(
        partial(same_again, lambda data: Decoder(data).uint(), lambda value: bytes(Encoder().uint(value))),
        partial(same_again, lambda data: Decoder(data).sint(), lambda value: bytes(Encoder().sint(value))),
        partial(same_again, lambda data: Decoder(data).boolean(), lambda value: bytes(Encoder().boolean(value))),
        partial(same_again, lambda data: Decoder(data).buffer(), lambda value: bytes(Encoder().buffer(value))),
        partial(same_again, lambda data: Decoder(data).optional_buffer(), lambda value: bytes(Encoder().buffer(value))),
        partial(same_again, lambda data: Decoder(data).string(), lambda value: bytes(Encoder().string(value))),
        partial(same_again, lambda data: Decoder(data).uint32array(), lambda v: bytes(Encoder().uint32array(v))),
        partial(
            same_again,
            lambda data: Decoder(data).array(Decoder.string),
            lambda value: bytes(Encoder().array(value, Encoder.string)),
        ),
        partial(
            same_again,
            lambda data: Decoder(data).array(Decoder.ipv4_address),
            lambda value: bytes(Encoder().array(value, _address)),
        ),
    ),
    [
        *chosen(0, [b"\x05", b"\xfd\x00\x01", b"\xfe\x00\x00\x01\x00", b"\xff\x00\x00\x00\x00\x01\x00\x00\x00"]),
        *chosen(1, [b"\x05"]),
        *chosen(2, [b"\x01"]),
        *chosen(3, [b"\x03abc"]),
        *chosen(4, [b"\x00"]),
        *chosen(5, ["\x04äö".encode()]),
        *chosen(6, [b"\x01\x00\x00\x00\x01"]),
        *chosen(7, [b"\x02\x01a\x01b"]),
        *chosen(8, [b"\x01\x7f\x00\x00\x01\x01\x02"]),
    ],
)


def _multiplexed(data: bytes) -> None:
    """A peer that opens, rejects, closes and sends; we take what it opens if its name is long, and answer."""
    mux = Protomux()
    channel = mux.open("ours")
    try:
        for message in pieces(data):
            mux.receive_data(message)
            for event in mux.events():
                if isinstance(event, Offered):
                    if len(event.protocol) % 2:
                        mux.open(event.protocol, event.id).send(1, b"hello")
                    else:
                        mux.reject(event)
            while mux.data_to_send() is not None:
                pass
    except PeerError:
        return
    assert channel.protocol == "ours"


def _theirs() -> list[bytes]:
    mux, messages = Protomux(), []
    ours, other = mux.open("ours"), mux.open("other", b"id", b"handshake")
    ours.send(0, b"early")
    other.send(3, b"message")
    while (message := mux.data_to_send()) is not None:
        messages.append(message)
    other.close()
    messages.append(mux.data_to_send() or b"")
    return messages


PROTOMUX = Target(_multiplexed, [joined(_theirs())])

FRAMES = Target(
    any_of(
        lambda data: _interpret(Interpreter(None), data),
        lambda data: _interpret(Interpreter({1: "hypercore/alpha"}), data),
    ),
    [
        *chosen(0, [joined(_theirs()), joined([b'{"type":"message"}'])]),
        *chosen(1, [joined([b"\x01\x00\x00\x00\x00\x00"])]),
    ],
)


def _interpret(interpreter: Interpreter, data: bytes) -> None:
    for message in pieces(data):
        interpreter.read(message)


NODE = MerkleNode(0, 5, b"h" * 32)
DATA = hypercore.Data(
    1,
    0,
    Proof(
        BlockProof(1, b"block", [NODE]),
        HashProof(2, [NODE]),
        SeekProof(3, [NODE]),
        UpgradeProof(0, 4, [NODE], [], b"signature"),
    ),
    Manifest.of(KeyPair.from_seed(bytes(32)).public_key),
)


_LOG_MESSAGES: list[hypercore.Message] = [
    hypercore.Sync(0, 4, 4),
    hypercore.DataRequest(1, 0, ProofRequest((1, 1), None, None, (0, 4)), True, 2),
    hypercore.Cancel(1),
    DATA,
    hypercore.NoData(1),
    hypercore.Want(0, 64, True),
    hypercore.Unwant(0, 64),
    hypercore.HaveBitfield(0, b"\xff" * 8),
    hypercore.Range(4, 2),
    hypercore.Extension("name", b"payload"),
]


def _seed(message: hypercore.Message) -> bytes:
    return bytes([hypercore.NUMBERS[type(message)]]) + message.encode()


def _log_message(kind: type[hypercore.Message] | type[hypercore.Handshake]) -> Callable[[bytes], None]:
    def decode(data: bytes) -> hypercore.Message | hypercore.Handshake:
        return kind.decode(data)

    return partial(same_again, decode, lambda message: message.encode())


HYPERCORE = Target(
    any_of(*(_log_message(kind) for kind in hypercore.TYPES), _log_message(hypercore.Handshake)),
    [
        *map(_seed, _LOG_MESSAGES),
        *chosen(len(hypercore.TYPES), [hypercore.Handshake(TOPIC).encode()]),
    ],
)


def _entry(data: bytes) -> None:
    key, _, value = data.partition(b"\n")
    try:
        Entry.decode(BeeEntry(5, key, value))
    except PeerError:
        return


def _block(data: bytes) -> None:
    try:
        block = Block.decode(1, data)
        assert block.key is not None
        block.levels()
    except PeerError:
        return


HYPERDRIVE = Target(
    any_of(_entry, _block),
    [
        *chosen(
            0,
            [
                b"files\0/a\n"
                b'{"executable":true,"linkname":null,"blob":{"blockOffset":1,"blockLength":1,"byteOffset":0,'
                b'"byteLength":5},"metadata":{"a":[1.5,null]}}',
            ],
        ),
        *chosen(1, [b"\x0a\x0a\x0a\x08\x0a\x02\x01\x02\x12\x02\x03\x04\x12\x01k\x1a\x01v"]),
    ],
)

OURS, THEIRS = KeyPair.from_seed(b"o" * 32), KeyPair.from_seed(b"t" * 32)


def _ik() -> tuple[NoiseHandshake, NoiseHandshake]:
    options: dict[str, Any] = {"pattern": IK, "prologue": b"prologue"}
    return (
        NoiseHandshake(True, OURS, KeyPair.from_seed(b"1" * 32), remote_public_key=THEIRS.public_key, **options),
        NoiseHandshake(False, THEIRS, KeyPair.from_seed(b"2" * 32), **options),
    )


def _shake(pair: Callable[[], tuple[NoiseHandshake, NoiseHandshake]], turn: int, data: bytes) -> None:
    """Let both ends talk for so many turns; whoever is next gets these bytes instead of the other's message."""
    one, other = pair()
    for _ in range(turn):
        other.receive(one.send())
        one, other = other, one
    one.send()
    try:
        other.receive(data)
    except PeerError:
        return


def _said(pair: Callable[[], tuple[NoiseHandshake, NoiseHandshake]], turn: int) -> bytes:
    one, other = pair()
    for _ in range(turn):
        other.receive(one.send())
        one, other = other, one
    return one.send()


_TURNS = ((handshakes, 0), (handshakes, 1), (handshakes, 2), (_ik, 0), (_ik, 1))

NOISE = Target(
    any_of(*(partial(_shake, pair, turn) for pair, turn in _TURNS)),
    [chosen(number, [_said(pair, turn)])[0] for number, (pair, turn) in enumerate(_TURNS)],
)


def _arrives(stream: SecretStream, data: bytes) -> None:
    try:
        feed(stream, data)
        stream.data_to_send()
        if stream.remote_public_key:
            stream.confirm()
    except (PeerError, UsageError):
        return


def _open_stream() -> SecretStream:
    return opened()[1]


def _sealed() -> bytes:
    one = opened()[0]
    return bytes(one.send(b"hello") + one.send(b"") + one.send(b"x" * 100))


SECRET_STREAM = Target(
    any_of(
        lambda data: _arrives(initiator(), data),
        lambda data: _arrives(responder(), data),
        lambda data: _arrives(_open_stream(), data),
    ),
    [
        *chosen(0, [b"".join(frame for sender, frame in TRANSCRIPT if sender == "responder")]),
        *chosen(1, [b"".join(frame for sender, frame in TRANSCRIPT if sender == "initiator")]),
        *chosen(2, [_sealed()]),
    ],
)


def _linkup(data: bytes) -> None:
    try:
        message = linkup_json.decode(data, key=TOPIC, received=NOON)
    except PeerError:
        return
    assert len(message.name) <= 64
    if isinstance(message, TextMessage | FileMessage | AudioMessage) or (
        isinstance(message, IconMessage) and message.topic
    ):
        try:
            encoded = linkup_json.encode(message)
        except UsageError:
            return  # cut as it is, with the note that says so, it is over the limit
        again = linkup_json.decode(encoded, key=TOPIC, received=NOON)
        assert type(again) is type(message)
        assert again.topic == message.topic
        for field in ("text", "data", "file_name", "avatar"):
            assert getattr(again, field, None) == getattr(message, field, None)


_ABOUT: dict[str, Any] = {"name": "kestrel", "key": TOPIC, "topic": TOPIC, "timestamp": NOON, "received": NOON}

LINKUP_JSON = Target(
    _linkup,
    [
        linkup_json.encode(TextMessage(**_ABOUT, text="hello")),
        linkup_json.encode(FileMessage(**_ABOUT, file_name="a.csv", data=b"1,2")),
        linkup_json.encode(AudioMessage(**_ABOUT, data=b"clip")),
        linkup_json.encode(IconMessage(**_ABOUT, avatar=b"picture")),
        b'{"type":"dance","topic":"' + TOPIC.hex().encode() + b'","steps":[1,{"a":null}],"name":"\\ud83d"}',
    ],
)

_FOLDER = Path(tempfile.mkdtemp(prefix="linkup-fuzz-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


def _config(data: bytes) -> None:
    path = _FOLDER / "config.json"
    path.write_bytes(data)
    profile = Profile(_FOLDER)
    try:
        profile._config = _read_config(path)
    except UsageError:
        return
    assert profile.name is None or profile.name
    assert all(len(topic) == 32 and name for topic, name in profile.rooms.items())
    profile.add_room(TOPIC, "lobby")
    assert profile.rooms[TOPIC] == "lobby" or len(profile.rooms) > 255
    for peer in profile.bootstrap:
        _bootstrap(peer)


def _bootstrap(text: str) -> None:
    try:
        parse_peer(text)
    except UsageError:
        return


def _nodes(data: bytes) -> None:
    path = _FOLDER / "dht.json"
    path.write_bytes(data)
    assert all(0 < port < 65536 for _, port in load_nodes(path, [("127.0.0.1", 1)]))


CONFIG = Target(
    any_of(_config, _nodes, lambda data: _bootstrap(data.decode(errors="replace"))),
    [
        *chosen(
            0,
            [
                b'{"userName":"kestrel","userAvatar":"","rooms":[{"topic":"'
                + TOPIC.hex().encode()
                + b'","alias":"lobby"}],"registeredUsers":{},"bootstrap":["127.0.0.1:8468"]}'
            ],
        ),
        *chosen(1, [b'{"bootstrap":[["127.0.0.1",1]],"nodes":[["127.0.0.1",5]]}']),
        *chosen(2, [b"127.0.0.1:8468, example.org:1"]),
    ],
)
