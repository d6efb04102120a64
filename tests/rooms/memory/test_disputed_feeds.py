"""Feeds with two histories, by property: below where those part all members come to the same, whichever they have."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.keys import short_id
from linkup_nb.rooms.memory.moderation import judge
from linkup_nb.rooms.memory.rows import CONVERSATION
from tests.rooms.memory.test_moderation import ANN, ModeratedReader, ModeratedWorld, actions
from tests.rooms.memory.world import Author, Result, expected, feed_key

Feeds = dict[bytes, list[bytes]]


class DisputingReader(ModeratedReader):
    """A reader who hears at some time, point by point, from where on feeds are disputed."""

    points: list[tuple[bytes, int]]

    def between(self) -> None:
        while self.points and self.rng.random() < 0.3:
            self.arrivals.dispute(*self.points.pop(0))

    def hear_all(self) -> None:
        """What it has not heard until now."""
        for point in self.points:
            self.arrivals.dispute(*point)


def another_history(world: ModeratedWorld, author: Author) -> tuple[int, list[bytes]]:
    """Where an author's feed parts, and what another copy of them writes there: also far ahead, and lies."""
    rng = world.rng
    at = rng.randrange(min(2, len(author.blocks)), len(author.blocks) + 1)  # after what says who founded the room
    tops = [blocks.decode(raw).t for raw in author.blocks[:1]]
    copy = Author(author.number, rng.choice((0, 10**10)), author.blocks[:at], dict(author.known), {}, max(tops))
    for _ in range(rng.randrange(1, 12)):
        copy.top = max(copy.top, author.top if rng.random() < 0.5 else 0)
        copy.write(world._tick(), world._body(copy))
        if rng.random() < 0.3:
            copy.blocks.append(world._lie(copy))
    return at, copy.blocks


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_all_come_to_the_same_below_where_histories_part(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    rng = random.Random(seed)
    world = ModeratedWorld(rng, rng.randrange(2, 6), liars=0.7)
    world.talk(rng.randrange(10, 80))
    one: Feeds = {feed_key(author.number): author.blocks for author in world.authors}
    other, ends, points = dict(one), dict[bytes, int](), list[tuple[bytes, int]]()
    for author in rng.sample(world.authors, rng.randrange(1, 3)):
        key = feed_key(author.number)
        at, other[key] = another_history(world, author)
        shown = [rng.randrange(at + 1) for _ in range(rng.randrange(1, 4))]  # by pairs of heads of several lengths
        points += [(key, point) for point in shown]
        ends[key] = max(1, min(shown))
    rng.shuffle(points)
    results = []
    for number, feeds in enumerate((one, one, other, other)):
        reader = DisputingReader(tmp_path_factory.mktemp("disputes") / "room", feeds, random.Random(seed + number))
        reader.points = list(points)
        try:
            reader.read_all(tails=number % 2 > 0, restarts=0.2)
            reader.hear_all()
            reader.restart()
            ruling = judge(actions(feeds, ends), ANN)
            assert reader.arrivals.ruling == ruling
            cuts = {row.key: reader.arrivals.end_of(row) for row in reader.arrivals.feeds}
            results.append(result := reader.result())
            result.faults = {}
            assert result == cut_off(expected(feeds, ends), cuts)
            arrived = reader.index.count()
            assert len(reader.index.said(2**62)) == reader.index.number_of(arrived, CONVERSATION)
        finally:
            reader.close()
    assert all(result == results[0] for result in results)


def cut_off(result: Result, ends: dict[bytes, int | None]) -> Result:
    """What is below the ends of feeds."""
    order = [(key, seq) for key, seq in result.order if (end := ends[key]) is None or seq < end]
    ids = {f"{short_id(key)}/{seq}" for key, seq in order}
    links = [link for link in result.links if link[3] in ids]
    return Result(order, result.refused & set(order), {}, links, [one for one in result.notices if one in order])
