"""The keys of a room: all of them follow from one secret, which is all that an invite has to carry."""

import os
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Self

from linkup_nb.wire.keys import blake2b_256, discovery_key, z32decode, z32encode
from linkup_nb.wire.rooms import CHECK, ENCRYPTION, FOUNDER, REFERRER

ID_LETTERS = 13  # of the z-base-32 of a key: 65 bits
NONCE_SIZE = 32  # bytes
REFERRERS = 16  # of one room, for a blind peer names no more than 32 logs under each


@dataclass(frozen=True)
class RoomKeys:
    """What follows from the 32-byte `secret` of a room."""

    secret: bytes = field(repr=False)

    @classmethod
    def found(cls, founder: bytes, nonce: bytes) -> Self:
        """The room that the owner of an identity key founds with this nonce, which it publishes in the room."""
        return cls(blake2b_256(FOUNDER + founder + nonce))

    @cached_property
    def topic(self) -> bytes:
        """Where members find each other; it opens nothing."""
        return discovery_key(self.secret)

    @cached_property
    def encryption_key(self) -> bytes:
        """Of all logs and drives of the room; hypercore derives a key for each log from it."""
        return blake2b_256(ENCRYPTION + self.secret)

    @cached_property
    def referrers(self) -> tuple[bytes, ...]:
        """Under which blind peers name the feeds of the room to who knows its secret."""
        return tuple(blake2b_256(REFERRER + self.secret + bytes([number])) for number in range(REFERRERS))

    def referrer_of(self, feed: bytes) -> bytes:
        """That of a feed, whoever lends it."""
        return self.referrers[feed[0] % REFERRERS]

    def founded_by(self, identity: bytes, nonce: bytes) -> bool:
        """Whether this identity founded the room, as the nonce shows that it published."""
        return RoomKeys.found(identity, nonce).secret == self.secret


def new_nonce() -> bytes:
    """The nonce of a room that is being founded."""
    return os.urandom(NONCE_SIZE)


def short_id(key: bytes) -> str:
    """How feeds, devices and identities are named inside of a room: the first `ID_LETTERS` letters of the key."""
    return z32encode(key)[:ID_LETTERS]


def tie_of(key: bytes) -> int:
    """How feeds are told apart and ordered in an index: the first 8 bytes of the key, as SQLite's signed integer."""
    return int.from_bytes(key[:8], "big") - 2**63


@lru_cache(maxsize=4096)
def tie_of_id(id: str) -> int:
    """`tie_of` the feed that is called so in the room."""
    return tie_of(z32decode(id + "yyy"))


def place_of(id: str) -> tuple[int, int]:
    """The tie of the feed and the number of the block that a message id names."""
    feed, _, seq = id.partition("/")
    return tie_of_id(feed), int(seq)


def check_letters(payload: bytes) -> str:
    """The four letters at the end of an invite by which a mistyped one is noticed."""
    return z32encode(blake2b_256(CHECK + payload))[:4]
