"""The requests that a node of the DHT sends: to find and announce peers, to store and get values."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from time import monotonic

from linkup_nb.errors import DecodeError, NotAvailable, UsageError
from linkup_nb.hyperdht.io import RETRIES, DhtAnswer
from linkup_nb.hyperdht.query import Query
from linkup_nb.loops import from_any_loop, iterated_from_any_loop
from linkup_nb.wire.dht.records import (
    DhtAnnouncement,
    DhtCommand,
    MutableValue,
    PeerRecord,
    check_value,
    decode_records,
    encode_least_seq,
)
from linkup_nb.wire.dht.rpc import Address, Failure
from linkup_nb.wire.dht.scope import may_follow
from linkup_nb.wire.dht.store import DhtStore
from linkup_nb.wire.keys import KeyPair, blake2b_256

MAX_FOUND = 256  # peers taken from one look-up
MAX_RELAYS = 3  # nodes that pass messages on to a peer


class DhtClient(ABC):
    """The requests of a client, on top of `send_request` to one node and `query` of the nearest ones."""

    store: DhtStore
    _loop: asyncio.AbstractEventLoop

    @property
    @abstractmethod
    def id(self) -> bytes | None:
        """Our own id, if we keep things for others."""

    @abstractmethod
    def send_request(
        self,
        to: Address,
        command: int,
        *,
        internal: bool = False,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        retries: int = RETRIES,
    ) -> "asyncio.Future[DhtAnswer | None]":
        """Send a request to one node; the future gets its answer, or `None` when none came in time."""

    @abstractmethod
    def query(
        self,
        command: int,
        target: bytes,
        value: bytes | None = None,
        *,
        internal: bool = False,
        k: int | None = None,
    ) -> Query:
        """Query the `k` nodes nearest to a target (`None`: as many as keep a record); see `Query`."""

    @iterated_from_any_loop
    async def lookup(self, topic: bytes, *, k: int | None = None) -> AsyncGenerator[PeerRecord, None]:
        """The peers announced on a 32-byte target, each record once, as the nodes report them; at most `MAX_FOUND`.

        The `k` nodes nearest to it are asked, and those on the way; `None` for as many as keep a record.
        Anybody can announce anything: that a peer holds the key of its record is shown only by a connection.
        """
        found = set(self.store.records(topic, monotonic())) if self.id else set()
        for record in list(found):
            yield record
        query = self.query(DhtCommand.LOOKUP, topic, k=k)
        async for answer in query:
            for record in _records(answer):
                relays = tuple(relay for relay in record.relays if may_follow(relay, answer.sender))
                record = replace(record, relays=relays)
                if record not in found:
                    found.add(record)
                    yield record
                    if len(found) >= MAX_FOUND:
                        query.close()
                        return

    @iterated_from_any_loop
    async def find_peer(self, public_key: bytes) -> AsyncGenerator[tuple[DhtAnswer, PeerRecord], None]:
        """The nodes that pass messages on to a peer (the senders of the answers), and its record."""
        async for answer in self.query(DhtCommand.FIND_PEER, blake2b_256(public_key)):
            record = _record(answer)
            if record is not None and record.public_key == public_key:
                yield answer, record

    @from_any_loop
    async def announce(
        self, topic: bytes, key_pair: KeyPair, relays: Iterable[Address] = (), *, k: int | None = None
    ) -> tuple[DhtAnswer, ...]:
        """Announce us at the `k` nodes nearest to a topic, with the `relays` that pass messages on to us.

        Returns the answers of those that keep it for 20 minutes, nearest first; announce again before.
        """
        record = PeerRecord(key_pair.public_key, tuple(relays))
        if self.id:
            self.store.announce(topic, record, ("127.0.0.1", 0), monotonic())
        closest = await self.query(DhtCommand.LOOKUP, topic, k=k).finished()
        return await self._commit(DhtCommand.ANNOUNCE, topic, key_pair, closest, record.relays)

    @from_any_loop
    async def announce_self(self, key_pair: KeyPair) -> tuple[DhtAnswer, ...]:
        """Have the nodes nearest to our own key pass messages on to us.

        Returns the answers of those that do: `sender` is such a relay, `reply.to` where it sees us. Ping them every few
        seconds, which keeps the way to us open.
        """
        target = blake2b_256(key_pair.public_key)
        closest = await self.query(DhtCommand.FIND_PEER, target).finished()
        return await self._commit(DhtCommand.ANNOUNCE, target, key_pair, closest[:MAX_RELAYS], ())

    @from_any_loop
    async def unannounce(self, topic: bytes, key_pair: KeyPair, nodes: Iterable[Address] | None = None) -> None:
        """Take an announcement back, at the nodes that keep it, or just at `nodes`.

        For an announcement by `announce_self`, the topic is the hash of the key.
        """
        self.store.unannounce(topic, key_pair.public_key)
        if nodes is None:
            holders = [
                answer
                async for answer in self.query(DhtCommand.LOOKUP, topic)
                if any(record.public_key == key_pair.public_key for record in _records(answer))
            ]
        else:
            requests = [self.send_request(node, DhtCommand.FIND_PEER, target=topic) for node in nodes]
            holders = [answer for answer in await asyncio.gather(*requests) if answer is not None]
        await self._commit(DhtCommand.UNANNOUNCE, topic, key_pair, holders, ())

    @from_any_loop
    async def mutable_put(self, key_pair: KeyPair, value: bytes, seq: int) -> int:
        """Store up to 1,000 bytes under our key, in place of a value with a smaller `seq`; returns how many keep it.

        Raises `UsageError` for a `seq` that is used up, `NotAvailable` when no node keeps it.
        """
        put = MutableValue.sign(key_pair, seq, value)
        query = self.query(DhtCommand.MUTABLE_GET, put.target, encode_least_seq(0))
        errors = await self._put(DhtCommand.MUTABLE_PUT, put.target, put.encode_put(), await query.finished())
        kept = errors.count(Failure.NONE)
        if not kept and (Failure.SEQ_TOO_LOW in errors or Failure.SEQ_REUSED in errors):
            raise UsageError(
                f"Another value is stored under this key with seq {seq} or a larger one; take a larger one."
            )
        return _check_kept(kept)

    @from_any_loop
    async def mutable_get(self, public_key: bytes, min_seq: int = 0) -> MutableValue | None:
        """The newest value under a key, if there is one with at least this `seq`."""
        newest = None
        async for answer in self.query(DhtCommand.MUTABLE_GET, blake2b_256(public_key), encode_least_seq(min_seq)):
            value = _mutable(answer, public_key)
            if value and value.seq >= min_seq and (newest is None or value.seq > newest.seq) and value.valid:
                newest = value
        return newest

    @from_any_loop
    async def immutable_put(self, value: bytes) -> bytes:
        """Store 1 to 1,000 bytes under their hash, which is returned; raises `NotAvailable` when no node keeps them."""
        check_value(value)
        target = blake2b_256(value)
        closest = await self.query(DhtCommand.IMMUTABLE_GET, target).finished()
        _check_kept((await self._put(DhtCommand.IMMUTABLE_PUT, target, value, closest)).count(Failure.NONE))
        return target

    @from_any_loop
    async def immutable_get(self, target: bytes) -> bytes | None:
        """The value with this hash, if a node has it."""
        query = self.query(DhtCommand.IMMUTABLE_GET, target)
        async for answer in query:
            value = answer.reply.value
            if value is not None and blake2b_256(value) == target:
                query.close()
                return value
        return None

    async def _commit(
        self,
        command: DhtCommand,
        topic: bytes,
        key_pair: KeyPair,
        nodes: Iterable[DhtAnswer],
        relays: tuple[Address, ...],
    ) -> tuple[DhtAnswer, ...]:
        done = []
        for node in nodes:
            token, id_ = node.reply.token, node.reply.id
            if token is not None and id_ is not None:
                signed = DhtAnnouncement.sign(command, key_pair, topic, id_, token, relays)
                done.append(self.send_request(node.sender, command, target=topic, value=bytes(signed), token=token))
        answers = await asyncio.gather(*done)
        return tuple(answer for answer in answers if answer is not None and answer.reply.error == Failure.NONE)

    async def _put(self, command: DhtCommand, target: bytes, value: bytes, nodes: Iterable[DhtAnswer]) -> list[int]:
        """The error in the reply of each node that has replied."""
        requests = [
            self.send_request(node.sender, command, target=target, value=value, token=node.reply.token)
            for node in nodes
        ]
        answers = await asyncio.gather(*requests)
        return [answer.reply.error for answer in answers if answer is not None]


def _records(answer: DhtAnswer) -> list[PeerRecord]:
    try:
        return decode_records(answer.reply.value) if answer.reply.value else []
    except DecodeError:
        return []


def _record(answer: DhtAnswer) -> PeerRecord | None:
    try:
        return PeerRecord.decode(answer.reply.value) if answer.reply.value else None
    except DecodeError:
        return None


def _mutable(answer: DhtAnswer, public_key: bytes) -> MutableValue | None:
    try:
        return MutableValue.decode_reply(answer.reply.value, public_key) if answer.reply.value else None
    except DecodeError:
        return None


def _check_kept(count: int) -> int:
    if not count:
        raise NotAvailable("No node of the network keeps the value; see whether any can be reached, and try again.")
    return count
