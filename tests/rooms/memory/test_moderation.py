"""Who may do what: the rules one by one, and that all who have the same blocks come to the same, in whatever order."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.arrivals import Arrival
from linkup_nb.rooms.memory.block import AdmitBody, Body, HideBody, RemoveBody, RoleBody
from linkup_nb.rooms.memory.keys import short_id
from linkup_nb.rooms.memory.moderation import ModeratorAction, Ruling, judge
from linkup_nb.rooms.memory.rows import CONVERSATION, FeedRow
from linkup_nb.wire.keys import z32encode
from tests.rooms.memory.world import NONCE, NOW, Author, Reader, World, expected, feed_id, feed_key, pair

ANN, BOB, CAT, DAN = (pair(number, "identity").public_key for number in range(4))
ROWS = "SELECT t, tie, seq FROM"
BOBS = FeedRow(0, feed_key(1), BOB)
COUNTING = (RoleBody, RemoveBody, AdmitBody, HideBody, blocks.RoomBody, blocks.InviteMadeBody, blocks.InviteUsedBody)


def role(member: bytes, on: bool = True) -> RoleBody:
    return RoleBody(z32encode(member), "moderator" if on else "")


def remove(member: bytes, **cut: int) -> RemoveBody:
    return RemoveBody(z32encode(member), cut)


def ruling(*actions: tuple[int, Body], founder: bytes | None = ANN) -> Ruling:
    """What these come to, by authors 0 to 3, each the next block of their feed and the next in order."""
    lengths: dict[int, int] = {}
    judged = []
    for t, (author, body) in enumerate(actions):
        seq = lengths[author] = lengths.get(author, 0) + 1
        judged.append(ModeratorAction((t, author, seq), feed_id(author), pair(author, "identity").public_key, body))
    return judge(judged, founder)


def test_only_the_founder_appoints() -> None:
    assert ruling((0, role(BOB))).moderators == (BOB,)
    assert ruling((1, role(CAT))).moderators == ()
    assert ruling((0, role(BOB)), (1, role(CAT))).moderators == (BOB,)
    assert ruling((0, role(BOB)), (0, role(BOB, on=False))).moderators == ()
    assert ruling((0, role(BOB)), founder=None) == Ruling()


def test_an_action_counts_if_its_author_had_the_role_at_its_place() -> None:
    before = ruling((1, remove(CAT)), (0, role(BOB)))
    during = ruling((0, role(BOB)), (1, remove(CAT)), (0, role(BOB, on=False)))
    after = ruling((0, role(BOB)), (0, role(BOB, on=False)), (1, remove(CAT)))
    assert [set(found.removed) for found in (before, during, after)] == [set(), {CAT}, set()]
    assert during.may_moderate(BOB, (1, 0, 0))
    assert not during.may_moderate(BOB, (3, 0, 0))
    assert not during.may_moderate(BOB)


def test_nobody_acts_on_the_founder_and_a_moderator_not_on_another() -> None:
    appointed = ((0, role(BOB)), (0, role(CAT)))
    assert not ruling(*appointed, (1, remove(ANN)), (1, remove(CAT)), (2, remove(BOB))).removed
    assert not ruling(*appointed, (1, HideBody(member=z32encode(CAT)))).hidden_members
    found = ruling(*appointed, (0, remove(BOB)))
    assert set(found.removed) == {BOB}
    assert (found.outranks(ANN, CAT), found.outranks(CAT, DAN)) == (True, True)
    assert (found.outranks(CAT, BOB), found.outranks(DAN, CAT), found.outranks(CAT, ANN)) == (False, False, False)


def test_the_least_cut_counts_until_one_is_let_in_again() -> None:
    cuts = [{feed_id(1): 7}, {feed_id(1): 5}, {feed_id(1): 9}]
    removals = [(0, RemoveBody(z32encode(BOB), cut)) for cut in cuts]
    assert ruling(*removals).cut_of(BOBS) == 5
    assert ruling((0, remove(BOB))).cut_of(BOBS) == 1  # the hello stands
    assert ruling(*removals, (0, AdmitBody(z32encode(BOB)))).cut_of(BOBS) is None
    assert ruling(*removals, (0, role(BOB))).cut_of(BOBS) is None
    assert ruling(*removals, (2, AdmitBody(z32encode(BOB)))).cut_of(BOBS) == 5
    assert ruling(*removals).cut_of(FeedRow(1, feed_key(2), CAT)) is None


def test_what_a_moderator_does_above_the_cut_counts_for_nothing() -> None:
    below = ruling((0, role(BOB)), (1, remove(CAT)), (0, remove(BOB, **{feed_id(1): 2})), (1, remove(DAN)))
    assert set(below.removed) == {BOB, CAT}


def test_hiding_is_undone_by_showing() -> None:
    hide = HideBody(to="a" * 13 + "/3", reason="spam")
    assert ruling((0, hide)).hidden_messages == {"a" * 13 + "/3": "spam"}
    assert not ruling((0, hide), (0, HideBody(to="a" * 13 + "/3", hide=False))).hidden_messages
    assert ruling((0, HideBody(member=z32encode(BOB)))).hidden_members == {BOB: ""}
    assert not ruling((1, hide), (1, HideBody(member=z32encode(CAT)))).hidden_messages


class ModeratedWorld(World):
    """A world whose author 0 has founded the room; everybody tries to moderate it, with a role or without."""

    writers = "all"

    def __init__(self, rng: random.Random, authors: int, *, liars: float) -> None:
        super().__init__(rng, authors, liars=liars)
        self.liars.discard(0)
        self.authors[0].write(self._tick(), blocks.RoomBody("physics", NONCE, self.writers))

    def _body(self, author: Author) -> Body:
        rng = self.rng
        if rng.random() < 0.6:
            return super()._body(author)
        other = rng.randrange(len(self.authors))
        key = pair(other, "identity").public_key
        cut = {feed_id(other): rng.choice((author.known.get(other, 1), rng.randrange(1, 9)))}
        to = f"{feed_id(other)}/{rng.randrange(1, 5)}"
        choices: Sequence[Body] = (
            role(key, on=rng.random() < 0.8),
            RemoveBody(z32encode(key), cut),
            RemoveBody(z32encode(key), {}),
            AdmitBody(z32encode(key)),
            HideBody(to=to, hide=rng.random() < 0.8),
            HideBody(member=z32encode(key), hide=rng.random() < 0.8),
        )
        return rng.choice(choices)


class ModeratedReader(Reader):
    """A reader whose rows may go, and come back."""

    def ids(self) -> list[tuple[int, int, int]]:
        """All rows, those that are withdrawn too."""
        return [
            (row[0], row[1], row[2])
            for row in self.index.read(f"{ROWS} message UNION {ROWS} withdrawn ORDER BY t, tie")
        ]


def actions(feeds: dict[bytes, list[bytes]], ends: Mapping[bytes, int] | None = None) -> list[ModeratorAction]:
    """Every action that has a place and is not refused, in order, whoever wrote it; see `expected`."""
    result, found = expected(feeds, ends), []
    identities = {feed_key(number): pair(number, "identity").public_key for number in range(len(feeds))}
    for key, seq in result.order:
        envelope = blocks.decode(feeds[key][seq])
        _, body = envelope.body()
        if (key, seq) not in result.refused and isinstance(body, COUNTING):
            place = (envelope.t, int.from_bytes(key[:8], "big") - 2**63, seq)
            found.append(ModeratorAction(place, short_id(key), identities[key], body))
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_everybody_comes_to_the_same_in_whatever_order_the_blocks_come(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = random.Random(seed)
    world = ModeratedWorld(rng, rng.randrange(2, 6), liars=0.3)
    world.talk(rng.randrange(10, 80))
    check_all_agree(world, seed, tmp_path_factory.mktemp("moderation"))


def check_all_agree(world: ModeratedWorld, seed: int, folder: Path) -> Ruling:
    """That three who read a world in different orders come to what the rules say; what that is."""
    feeds = {feed_key(author.number): author.blocks for author in world.authors}
    whole = expected(feeds)
    wanted = judge(actions(feeds), ANN)
    rows = {key: FeedRow(0, key, pair(number, "identity").public_key) for number, key in enumerate(feeds)}
    cuts = {key: wanted.cut_of(row) for key, row in rows.items()}
    shown = [(key, seq) for key, seq in whole.order if (cut := cuts[key]) is None or seq < cut]
    ids = {f"{short_id(key)}/{seq}" for key, seq in shown}
    for number in range(3):
        reader = ModeratedReader(folder / f"{number}.sqlite3", feeds, random.Random(seed + number))
        try:
            reader.read_all(tails=number > 0, restarts=0.2 * number)
            assert reader.arrivals.ruling == wanted
            result = reader.result()
            assert result.order == shown
            assert result.refused == whole.refused & set(shown)
            assert result.faults == whole.faults
            assert result.links == [link for link in whole.links if link[3] in ids]
            assert result.notices == [notice for notice in whole.notices if notice in shown]
            said = reader.index.said(2**62)
            arrived = reader.index.count()
            assert len(said) == reader.index.number_of(arrived, CONVERSATION)
        finally:
            reader.close()
    return wanted


def test_what_comes_back_is_found_in_its_place_and_by_its_words(tmp_path: Path) -> None:
    world = World(random.Random(1), 2)
    ann, bob = world.authors
    ann.write(world._tick(), blocks.RoomBody("physics", NONCE))
    for text in ("the owl", "the heron", "the kite"):
        bob.write(world._tick(), blocks.MessageBody(text))
    ann.write(world._tick(), RemoveBody(z32encode(BOB), {feed_id(1): 2}))
    ann.write(world._tick(), AdmitBody(z32encode(BOB)))
    feeds = {feed_key(author.number): author.blocks for author in world.authors}
    reader = Reader(tmp_path / "room.sqlite3", feeds, random.Random(1))
    reader.index.make_searchable()
    index = reader.index

    def take(number: int, *seqs: int) -> bool:
        blocks = world.authors[number].blocks
        return [
            reader.arrivals.take([Arrival(feed_key(number), seq, blocks[seq], NOW)], now=NOW).ruled for seq in seqs
        ][-1]

    def found(word: str) -> list[str | None]:
        return [row.text for row in index.search(word, "%none%")]

    assert all(map(reader.arrivals.follow, feeds))
    take(0, 0, 1)
    take(1, 0, 1, 2, 3)
    assert take(0, 2)
    assert [row.text for row in index.said(9)] == ["the owl"]
    assert (found("heron"), found("owl")) == ([], ["the owl"])
    reader.restart()
    index = reader.index
    assert [row.text for row in index.said(9)] == ["the owl"]
    take(0, 3)
    assert [row.text for row in index.said(9)] == ["the owl", "the heron", "the kite"]
    assert found("heron") == ["the heron"]
    reader.close()
