"""Two ends of a secret stream and the wire between them, with the keys of the vectors."""

from typing import Any

from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.noise import NoiseHandshake
from linkup_nb.wire.secret_stream import SecretStream
from tests.vectors import load

XX = load("noise")["xx"]
TRANSCRIPT = [(line["from"], bytes.fromhex(line["frame"])) for line in load("noise")["secretStream"]["transcript"]]
ID_FRAMES = {sender: frame for sender, frame in TRANSCRIPT if len(frame) == 3 + 56}


def key_pair(name: str) -> KeyPair:
    return KeyPair.from_seed(bytes.fromhex(XX[name]))


INITIATOR = key_pair("initiatorStaticSeed")
RESPONDER = key_pair("responderStaticSeed")


def handshakes() -> tuple[NoiseHandshake, NoiseHandshake]:
    return (
        NoiseHandshake(True, INITIATOR, key_pair("initiatorEphemeralSeed")),
        NoiseHandshake(False, RESPONDER, key_pair("responderEphemeralSeed")),
    )


def initiator(**options: Any) -> SecretStream:
    return SecretStream(handshakes()[0], ID_FRAMES["initiator"][-24:], **options)


def responder(**options: Any) -> SecretStream:
    return SecretStream(handshakes()[1], ID_FRAMES["responder"][-24:], **options)


def feed(stream: SecretStream, data: bytes | bytearray) -> list[bytes]:
    """Let bytes arrive at a stream, as a transport would; returns the messages that they complete."""
    messages = []
    while data:
        room = stream.receive_buffer()
        size = min(len(room), len(data))
        room[:size] = data[:size]
        data = data[size:]
        messages += stream.receive(size)
    return messages


def shake_hands(one: SecretStream, other: SecretStream) -> None:
    """Bring two ends to where both are established, as far as they can come without `confirm`."""
    feed(other, one.data_to_send())
    feed(one, other.data_to_send())


def opened(**options: Any) -> tuple[SecretStream, SecretStream]:
    """An initiator and a responder that are open; the options are the responder's."""
    one, other = initiator(), responder(**options)
    shake_hands(one, other)
    one.confirm()
    feed(other, one.data_to_send())
    other.confirm()
    feed(one, other.data_to_send())
    return one, other


def flip(data: bytes | bytearray, bit: int) -> bytes:
    """The same bytes with one bit changed."""
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
