"""Rooms full of authors with wrong clocks, partitions, and lies: the blocks of their feeds, and what they come to."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.arrivals import MAX_AHEAD, Arrival, Arrivals, tips
from linkup_nb.rooms.memory.block import EARLIEST, SAID, Body, Kind, MalformedBlock
from linkup_nb.rooms.memory.hello import sign_hello
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.keys import RoomKeys, short_id
from linkup_nb.rooms.memory.rows import BlockRow, State
from linkup_nb.wire.keys import KeyPair

START = 1_700_000_000_000_000
NOW = START + 10**12
OWN = 99  # the number of the author who reads
NOTICES = (Kind.ICON, Kind.TOPIC)


@cache
def pair(number: int, salt: str) -> KeyPair:
    return KeyPair.from_seed(f"{salt}{number}".encode().ljust(32, b"."))


NONCE = b"n" * 32
TOPIC = RoomKeys.found(pair(0, "identity").public_key, NONCE).topic


@cache
def hello(number: int) -> blocks.HelloBody:
    identity, device = pair(number, "identity"), pair(number, "device")
    return sign_hello(TOPIC, feed_key(number), b"d" * 32, identity=identity, device=device, name=f"author {number}")


def feed_key(number: int) -> bytes:
    return pair(number, "feed").public_key


def feed_id(number: int) -> str:
    return short_id(feed_key(number))


@dataclass
class Author:
    """One who writes a feed, and what they know of the others."""

    number: int
    offset: int
    blocks: list[bytes] = field(default_factory=list)
    known: dict[int, int] = field(default_factory=dict)
    tips: dict[int, int] = field(default_factory=dict)
    top: int = 0

    def write(self, now: int, body: Body) -> None:
        t = max(now + self.offset, self.top + 1)
        heads = {feed_id(other): length for other, length in self.tips.items()}
        self.blocks.append(blocks.encode(body, t=t, timestamp=(now + self.offset) // 1000, heads=heads))
        self.tips.clear()
        self.top = t


class World:
    """Authors who write, hear of each other late, and are cut off from each other; some of them lie."""

    def __init__(self, rng: random.Random, authors: int, *, liars: float = 0.0) -> None:
        self.rng, self.now = rng, START
        self.authors = [Author(n, rng.choice((0, 0, 0, rng.randrange(-(10**11), 9 * 10**10)))) for n in range(authors)]
        self.liars = {n for n in range(authors) if rng.random() < liars}
        for author in self.authors:
            author.write(self._tick(), hello(author.number))

    def _tick(self) -> int:
        self.now += self.rng.randrange(1, 3_000_000)
        return self.now

    def talk(self, count: int, group: list[int] | None = None) -> None:
        """So many of these say something, after they have perhaps heard of another one of them."""
        group = group or list(range(len(self.authors)))
        for _ in range(count):
            author = self.authors[self.rng.choice(group)]
            if self.rng.random() < 0.6:
                self.hear(author, self.authors[self.rng.choice(group)])
            if author.number in self.liars and self.rng.random() < 0.5:
                author.blocks.append(self._lie(author))
            else:
                author.write(self._tick(), self._body(author))

    def hear(self, author: Author, other: Author) -> None:
        """The author gets what the other one has."""
        for number, length in {**other.known, other.number: len(other.blocks)}.items():
            if number != author.number and length > author.known.get(number, 0):
                author.known[number] = author.tips[number] = length
                for raw in self.authors[number].blocks[:length]:
                    t = _t_of(raw)
                    if t is not None and t <= self.now + MAX_AHEAD:
                        author.top = max(author.top, t)

    def _body(self, author: Author) -> blocks.Body:
        rng = self.rng
        targets = [f"{feed_id(n)}/{rng.randrange(1, length)}" for n, length in author.known.items() if length > 1]
        if rng.random() < 0.1:
            return rng.choice([blocks.TopicBody(f"topic {self.now}"), blocks.IconBody(f"name {self.now}")])
        if not targets or rng.random() < 0.5:
            return blocks.MessageBody(f"{author.number} says {len(author.blocks)}")
        to = rng.choice(targets)
        return rng.choice(
            [blocks.ReactionBody(to, "👍", rng.random() < 0.3), blocks.EditBody(to, "x"), blocks.ReplyBody(to, "hm")]
        )

    def _lie(self, author: Author) -> bytes:
        rng = self.rng
        heads: Any = {feed_id(rng.randrange(9)): rng.choice((1, 3, 8, 2**31)) for _ in range(rng.randrange(3))}
        lies: list[dict[str, Any]] = [
            {"t": author.top - rng.randrange(10**9)},
            {"t": author.top + rng.randrange(10**6)},
            {"t": START + rng.randrange(10**8)},
            {"t": rng.choice((0, 1.5, "x", None, EARLIEST, 2**60))},
            {"t": author.top + 1, "heads": rng.choice(([], {"x": 1}, {feed_id(0): -1}))},
            {"t": author.top + 1, "message": 5},
            {"t": author.top + 1, "type": "unheard of"},
        ]
        fields: dict[str, Any] = {"type": "message", "message": "a lie", "heads": heads} | rng.choice(lies)
        raw = rng.choice(
            [json.dumps(fields).encode(), b"garbage"] if rng.random() < 0.2 else [json.dumps(fields).encode()]
        )
        t = _t_of(raw)
        author.top = max(author.top, t or 0)
        return raw


def _t_of(raw: bytes) -> int | None:
    try:
        return blocks.decode(raw).t
    except MalformedBlock:
        return None


@dataclass
class Result:
    """What a room comes to: the places in order, those refused among them, and what refers to what."""

    order: list[tuple[bytes, int]]
    refused: set[tuple[bytes, int]]
    faults: dict[bytes, int]
    links: list[tuple[object, ...]]
    notices: list[tuple[bytes, int]]
    """Icons and topics that count, the last one first."""


def expected(feeds: dict[bytes, list[bytes]], ends: Mapping[bytes, int] | None = None) -> Result:
    """By the rules, with everything at hand: no index, no order of arrival.

    `ends` are the points from which on feeds are disputed.
    """
    ends = ends or {}
    placed: dict[bytes, list[tuple[int, blocks.Envelope]]] = {}
    faults: dict[bytes, int] = {}
    for key, raws in feeds.items():
        tau, placed[key], faults[key] = 0, [], 0
        for seq, raw in enumerate(raws):
            try:
                envelope = blocks.decode(raw)
            except MalformedBlock:
                faults[key] += 1
                continue
            if envelope.t > tau:
                tau = envelope.t
                placed[key].append((seq, envelope))
            else:
                faults[key] += 1
    by_id = {short_id(key): key for key in feeds}
    refused = {
        (key, seq)
        for key, rows in placed.items()
        for seq, envelope in rows
        if envelope.heads is None
        or any(_contradicts(feeds, placed, by_id, ends, envelope.t, h) for h in envelope.heads.items())
    }
    placed = {key: [(seq, one) for seq, one in rows if seq < ends.get(key, 2**31)] for key, rows in placed.items()}
    refused = {(key, seq) for key, seq in refused if seq < ends.get(key, 2**31)}
    places = sorted((envelope.t, key, seq) for key, rows in placed.items() for seq, envelope in rows)
    links, notices = [], []
    for key, rows in placed.items():
        for seq, envelope in rows:
            kind, body = envelope.body()
            if (key, seq) in refused:
                continue
            if to := getattr(body, "to", None):
                links.append((to, int(kind), envelope.t, f"{short_id(key)}/{seq}"))
            if kind in NOTICES:
                notices.append((kind, envelope.t, key, seq))
    last = [(key, seq) for _, _, key, seq in sorted(notices, reverse=True)]
    return Result([(key, seq) for _, key, seq in places], refused, faults, sorted(links, key=str), last)


def _contradicts(
    feeds: dict[bytes, list[bytes]],
    placed: dict[bytes, list[tuple[int, blocks.Envelope]]],
    by_id: dict[str, bytes],
    ends: Mapping[bytes, int],
    t: int,
    head: tuple[str, int],
) -> bool:
    key = by_id.get(head[0])
    if key is None:
        return False
    length = min(head[1], ends.get(key, head[1]))
    return length <= len(feeds[key]) and max((one.t for seq, one in placed[key] if seq < length), default=0) >= t


class Reader:
    """A member who reads the feeds of a world in an order of its own, with restarts, the newest first or not."""

    def __init__(self, path: Path, feeds: dict[bytes, list[bytes]], rng: random.Random) -> None:
        self.path, self.feeds, self.rng = path, feeds, rng
        self.own_key = feed_key(OWN)
        self.own: list[bytes] = []
        self.open()

    def open(self) -> None:
        self.index = Index(self.path)
        self.arrivals = Arrivals(self.index, TOPIC, pair(0, "identity").public_key)

    def restart(self) -> None:
        self.index.close()
        self.open()

    def close(self) -> None:
        self.index.close()

    def write(self, body: Body) -> None:
        """Write to a feed of one's own: it is the last row, and stays above all that was there."""
        if not self.own:
            assert self.arrivals.follow(self.own_key)
        t, heads = (
            max(NOW - 10**12 // 2, self.arrivals.top + 1),
            tips(self.arrivals.feeds, self.own_key, self.arrivals.end_of),
        )
        self.own.append(blocks.encode(body, t=t, timestamp=t // 1000, heads=heads))
        arrival = Arrival(self.own_key, len(self.own) - 1, self.own[-1], NOW // 1000)
        [row] = self.arrivals.take([arrival], now=NOW, own=self.own_key).rows
        assert self.index.timeline()[-1] == row
        assert not row.state & State.REFUSED

    def ids(self) -> list[tuple[int, int, int]]:
        """All rows, in order."""
        return [(row.t, row.tie, row.seq) for row in self.index.timeline()]

    def read_all(self, *, tails: bool, restarts: float = 0.0, writes: float = 0.0) -> None:
        """Take every block, in batches, the feeds mixed at random, and perhaps write in between.

        Whatever comes, nothing that was there goes or moves.
        """
        rng = self.rng
        before = self.ids()
        for key in self.feeds:
            assert self.arrivals.follow(key)
        first, second = dict.fromkeys(self.feeds, 0), {}
        for key, raws in self.feeds.items():
            if tails and len(raws) > 2 and rng.random() < 0.7:
                second[key] = rng.randrange(1, len(raws))
        tail_start = dict(second)
        while True:
            batch = []
            for _ in range(rng.randrange(1, 9)):
                ranges = [(key, True) for key, at in second.items() if first[key] and at < len(self.feeds[key])]
                ranges += [(key, False) for key, at in first.items() if at < tail_start.get(key, len(self.feeds[key]))]
                if not ranges:
                    break
                key, tail = rng.choice(ranges)
                at = second if tail else first
                if tail or at[key] < tail_start.get(key, len(self.feeds[key])):
                    batch.append(Arrival(key, at[key], self.feeds[key][at[key]], NOW // 1000))
                    at[key] += 1
            if not batch:
                return
            self.between()
            self.arrivals.take(batch, now=NOW)
            if rng.random() < writes:
                self.write(blocks.MessageBody("mine") if self.own else hello(OWN))
            if rng.random() < restarts:
                after = self.ids()
                assert not set(before) - set(after)
                before = after
                self.restart()
                assert self.ids() == after

    def between(self) -> None:
        """What happens between two batches."""

    def result(self) -> Result:
        """What it has come to."""
        keys = {row.tie: row.key for row in self.arrivals.feeds}
        rows = [row for row in self.index.timeline() if not row.state & State.OUT_OF_ORDER]
        ids = {row.tie: short_id(row.key) for row in self.arrivals.feeds}
        links = [
            (f"{ids[tie]}/{seq}", link.kind, link.t, f"{ids[link.from_tie]}/{link.from_seq}")
            for tie, seq in self.index.read("SELECT DISTINCT tie, seq FROM link")
            for link in self.index.links(tie, seq)
        ]
        return Result(
            [(keys[row.tie], row.seq) for row in rows],
            {(keys[row.tie], row.seq) for row in rows if row.state & State.REFUSED},
            {row.key: row.faults for row in self.arrivals.feeds},
            sorted(links, key=str),
            [(keys[row.tie], row.seq) for kind in reversed(NOTICES) for row in self.index.latest(kind)],
        )


def said(rows: list[BlockRow]) -> list[BlockRow]:
    """Those of a timeline that are the conversation."""
    return [row for row in rows if Kind(row.kind) in SAID]
