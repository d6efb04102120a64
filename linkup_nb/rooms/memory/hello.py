"""Block 0 of a feed: whose it is, on which device, and where its drive is, signed by the identity and by the device.

Neither can be claimed by another: both sign the topic, the feed's key, and each other.
"""

from typing import NamedTuple

from linkup_nb.rooms.memory.block import HelloBody, MalformedBlock
from linkup_nb.rooms.names import clean, stranger_name
from linkup_nb.wire.keys import KeyPair, verify, z32decode, z32encode
from linkup_nb.wire.rooms import HELLO


class Introduction(NamedTuple):
    """Whose a feed is: 32-byte keys, and the name in the form that is shown."""

    identity: bytes
    device: bytes
    drive: bytes
    name: str


def sign_hello(topic: bytes, feed: bytes, drive: bytes, *, identity: KeyPair, device: KeyPair, name: str) -> HelloBody:
    """The introduction of one's own feed in the room of this topic."""
    signed = _signed(topic, feed, drive, device.public_key, identity.public_key)
    return HelloBody(
        clean(name),
        z32encode(identity.public_key),
        z32encode(device.public_key),
        z32encode(drive),
        (identity.sign(signed), device.sign(signed)),
    )


def verify_hello(hello: HelloBody, topic: bytes, feed: bytes) -> Introduction:
    """What a feed says of itself. Raises `MalformedBlock` if its identity or its device did not sign it."""
    identity, device, drive = z32decode(hello.identity), z32decode(hello.device), z32decode(hello.drive)
    signed = _signed(topic, feed, drive, device, identity)
    for signature, key, whose in zip(hello.signatures, (identity, device), ("identity", "device"), strict=True):
        if not verify(signed, signature, key):
            raise MalformedBlock(f"The hello of a feed is not signed by the {whose} that it names.")
    return Introduction(identity, device, drive, stranger_name(hello.name, identity))


def _signed(topic: bytes, feed: bytes, drive: bytes, device: bytes, identity: bytes) -> bytes:
    return HELLO + topic + feed + drive + device + identity
