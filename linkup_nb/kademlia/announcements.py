"""Signed announcements of the peers on a topic and their addresses, and the bounded store that a node keeps of them.

Times are unix seconds and always arguments.
"""

import random
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from typing import Self

from linkup_nb.connection.addresses import MAX_ADDRESSES, is_loopback
from linkup_nb.discovery.protocol import PROOF_SIZE
from linkup_nb.errors import DecodeError
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.keys import KEY_SIZE, SIGNATURE_SIZE, KeyPair, namespace, verify

Address = tuple[str, int]

ANNOUNCEMENT_TTL = 20 * 60  # seconds that a node keeps an announcement which nobody renews
MAX_CLOCK_SKEW = 60 * 60  # seconds by which the announcer's clock and ours may differ
MAX_ANNOUNCEMENT_BYTES = 192
MAX_ANNOUNCEMENTS = 4096  # kept by one node
MAX_PER_TARGET = 64  # kept for one target: as many as a swarm connects to
MAX_PER_SOURCE = 256  # kept by one node for one host, which may be a whole class behind one router
SWEEP_EVERY = 10.0  # seconds, at least, between two sweeps for want of room
TOKEN_SIZE = 8  # bytes
TOKEN_LIFETIME = 10 * 60  # seconds; a token is good for one to two of them

(_SIGNED,) = namespace("linkup_nb/kademlia/announcement", [0])


def source_of(address: Address) -> str:
    """What counts as one stranger: a host; on loopback, where every peer has the same host, a host and port."""
    host, port = address
    return f"{host}:{port}" if is_loopback(host) else host


def pack_addresses(addresses: Iterable[Address]) -> bytes:
    """Six bytes for each IPv4 address and port; raises `ValueError` for anything else."""
    return b"".join(map(_pack, addresses))


@lru_cache(4096)  # every answer names dozens of the same nodes
def _pack(address: Address) -> bytes:
    return bytes(Encoder().ipv4_address(*address))


def unpack_addresses(packed: bytes) -> tuple[Address, ...]:
    """The addresses in these bytes, whatever they are; raises `DecodeError` when the last one is cut short."""
    decoder = Decoder(packed)
    addresses = []
    while decoder.remaining:
        addresses.append(decoder.ipv4_address())
    return tuple(addresses)


@dataclass(frozen=True, slots=True)
class Announcement:
    """One peer's signed word that it is at `addresses`; with no addresses, that it has left.

    `proof` is a `membership_proof`, for peers that know the topic. `expires` is in unix milliseconds; of two
    announcements by one key the one that expires later is the newer.
    """

    public_key: bytes
    proof: bytes
    addresses: tuple[Address, ...]
    expires: int
    signature: bytes

    @classmethod
    def sign(cls, key_pair: KeyPair, target: bytes, proof: bytes, addresses: tuple[Address, ...], expires: int) -> Self:
        """Announce the owner of this key pair on a 32-byte target; raises `ValueError` for anything but IPv4."""
        signature = key_pair.sign(_signable(target, proof, addresses, expires))
        return cls(key_pair.public_key, proof, addresses, expires, signature)

    @classmethod
    def decode(cls, target: bytes, data: bytes, now: float) -> Self:
        """The announcement in these bytes; raises `DecodeError` if it is malformed, forged, or not of this time."""
        decoder = Decoder(data)
        public_key, proof = decoder.fixed(KEY_SIZE), decoder.fixed(PROOF_SIZE)
        expires, packed = decoder.uint(), decoder.buffer()
        signature = decoder.fixed(SIGNATURE_SIZE)
        decoder.end()
        addresses = unpack_addresses(packed)
        if len(addresses) > MAX_ADDRESSES:
            raise DecodeError(f"A peer announces at most {MAX_ADDRESSES} addresses, not {len(addresses)}.")
        for host, port in addresses:
            if not 0 < int(host.partition(".")[0]) < 224 or not port:  # 0.x.x.x, multicast and reserved are no host's
                raise DecodeError(f"{host}:{port} is not the address of a peer.")
        remaining = expires / 1000 - now
        if not -MAX_CLOCK_SKEW < remaining <= ANNOUNCEMENT_TTL + MAX_CLOCK_SKEW:
            raise DecodeError(f"An announcement expires in {remaining:.0f} seconds, not within the time to live.")
        if not verify(_signable(target, proof, addresses, expires), signature, public_key):
            raise DecodeError("An announcement is not signed by its announcer.")
        return cls(public_key, proof, addresses, expires, signature)

    def __bytes__(self) -> bytes:
        encoder = Encoder().fixed(self.public_key, KEY_SIZE).fixed(self.proof, PROOF_SIZE).uint(self.expires)
        return bytes(encoder.buffer(pack_addresses(self.addresses)).fixed(self.signature, SIGNATURE_SIZE))


def _signable(target: bytes, proof: bytes, addresses: tuple[Address, ...], expires: int) -> bytes:
    encoder = Encoder().raw(_SIGNED).fixed(target, KEY_SIZE).fixed(proof, PROOF_SIZE)
    return bytes(encoder.uint(expires).buffer(pack_addresses(addresses)))


class Tokens:
    """Short proofs that whoever shows one has received a datagram at its address, so that none is forged there."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def issue(self, address: Address, now: float) -> bytes:
        """The token to send to this address."""
        return self._token(address, int(now // TOKEN_LIFETIME))

    def accepts(self, token: bytes, address: Address, now: float) -> bool:
        """Whether this token was sent to this address not long ago."""
        period = int(now // TOKEN_LIFETIME)
        return any(compare_digest(token, self._token(address, then)) for then in (period, period - 1))

    def _token(self, address: Address, period: int) -> bytes:
        return blake2b(
            f"{period} {address[0]} {address[1]}".encode(), key=self._secret, digest_size=TOKEN_SIZE
        ).digest()


@dataclass(slots=True)
class _StoredAnnouncement:
    announcement: Announcement
    source: str
    until: float  # unix seconds

    @property
    def withdrawn(self) -> bool:
        return not self.announcement.addresses


class AnnouncementStore:
    """The announcements that a node keeps for others.

    When there is no room, the source that holds most must give up its latest, and only for a source that would still
    hold fewer. So whoever floods displaces itself alone, a source with one announcement is never displaced, and
    announcing early keeps its place against more from the same source. On a target withdrawals go before that; without
    need they stay until they expire, for else the announcement that one withdraws could be replayed.
    """

    def __init__(self) -> None:
        self._targets: dict[bytes, dict[bytes, _StoredAnnouncement]] = {}
        self._sources: dict[str, dict[tuple[bytes, bytes], None]] = {}  # targets and keys, in order of arrival
        self._count = 0
        self._swept_at = 0.0

    def __len__(self) -> int:
        return self._count

    def add(self, target: bytes, announcement: Announcement, source: str, now: float) -> bool:
        """Keep a verified announcement that came from `source`; `False` when there is no room, or a newer one here."""
        known = self._targets.get(target, {}).get(announcement.public_key)
        until = min(announcement.expires / 1000 + MAX_CLOCK_SKEW, now + ANNOUNCEMENT_TTL)
        if known and known.until > now:
            if announcement.expires > known.announcement.expires:
                # The source stays: else whoever relays a renewal would have it counted among its own.
                known.announcement, known.until = announcement, until
            return announcement.expires >= known.announcement.expires
        if known:
            self._drop(target, announcement.public_key)
        if not self._make_room(target, source, now):
            return False
        self._targets.setdefault(target, {})[announcement.public_key] = _StoredAnnouncement(announcement, source, until)
        self._sources.setdefault(source, {})[target, announcement.public_key] = None
        self._count += 1
        return True

    def get(self, target: bytes, now: float) -> list[Announcement]:
        """The announcements on a target, in random order, so that a reply that holds only some gives all a chance."""
        entries = self._targets.get(target, {}).values()
        present = [kept.announcement for kept in entries if kept.until > now and not kept.withdrawn]
        random.shuffle(present)
        return present

    def sweep(self, now: float) -> None:
        """Forget what has expired."""
        self._swept_at = now
        for target, entries in list(self._targets.items()):
            for key in [key for key, kept in entries.items() if kept.until <= now]:
                self._drop(target, key)

    def _make_room(self, target: bytes, source: str, now: float) -> bool:
        if self._full(target, source) and now - self._swept_at > SWEEP_EVERY:
            self.sweep(now)
        if len(self._sources.get(source, ())) >= MAX_PER_SOURCE:
            return False
        if len(self._targets.get(target, ())) >= MAX_PER_TARGET and not self._displace_on(target, source):
            return False
        return self._count < MAX_ANNOUNCEMENTS or self._displace_anywhere(source)

    def _full(self, target: bytes, source: str) -> bool:
        return (
            self._count >= MAX_ANNOUNCEMENTS
            or len(self._sources.get(source, ())) >= MAX_PER_SOURCE
            or len(self._targets.get(target, ())) >= MAX_PER_TARGET
        )

    def _displace_on(self, target: bytes, source: str) -> bool:
        entries = self._targets[target]
        if withdrawn := [key for key, kept in entries.items() if kept.withdrawn]:
            self._drop(target, withdrawn[-1])
            return True
        held = Counter(kept.source for kept in entries.values())
        largest, most = held.most_common(1)[0]
        if most <= held[source] + 1:
            return False
        self._drop(target, [key for key, kept in entries.items() if kept.source == largest][-1])
        return True

    def _displace_anywhere(self, source: str) -> bool:
        largest = max(self._sources.values(), key=len)
        if len(largest) <= len(self._sources.get(source, ())) + 1:
            return False
        self._drop(*next(reversed(largest)))
        return True

    def _drop(self, target: bytes, key: bytes) -> None:
        source = self._targets[target].pop(key).source
        del self._sources[source][target, key]
        self._count -= 1
        if not self._sources[source]:
            del self._sources[source]
        if not self._targets[target]:
            del self._targets[target]
