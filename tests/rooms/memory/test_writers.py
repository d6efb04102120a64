"""Rooms for admitted writers: the rules, that all agree on them, and what readers and writers can do on real nodes."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import linkup_nb as lu
from linkup_nb.rooms.memory import writers
from linkup_nb.rooms.memory.block import AdmitBody, Body, InviteMadeBody, InviteUsedBody, MessageBody, RoomBody
from linkup_nb.rooms.memory.invites import MAX_INVITES, MAX_STATEMENTS
from linkup_nb.rooms.memory.moderation import Ruling
from linkup_nb.rooms.memory.moderator import READ_ONLY
from linkup_nb.rooms.memory.rows import FeedRow
from linkup_nb.rooms.memory.waiting import WaitingRoom
from linkup_nb.wire.blind_pairing import invite_id
from linkup_nb.wire.keys import blake2b_256, z32encode
from tests.rooms.memory.test_moderation import (
    ANN,
    BOB,
    BOBS,
    CAT,
    DAN,
    ModeratedWorld,
    check_all_agree,
    remove,
    role,
    ruling,
)
from tests.rooms.memory.test_rooms import WAIT, joined, node, texts, until
from tests.rooms.memory.world import NONCE, Author, feed_id, feed_key, pair
from tests.rooms.nodes import until as node_until

ROOM = (0, RoomBody("physics", NONCE, "admitted"))


def key(number: int) -> bytes:
    """The public key of an invite."""
    return blake2b_256(number.to_bytes(4, "big"))


def invite(number: int = 0, uses: int | None = None, role: str = "writer", *, revoked: bool = False) -> InviteMadeBody:
    return InviteMadeBody(z32encode(invite_id(key(number))), z32encode(key(number)), None, uses, role, revoked)


def used(identity: bytes, number: int = 0) -> InviteUsedBody:
    return InviteUsedBody(z32encode(invite_id(key(number))), z32encode(identity))


def admit(identity: bytes, role: str = "writer") -> AdmitBody:
    return AdmitBody(z32encode(identity), role)


def writers_of(*actions: tuple[int, Body]) -> set[bytes]:
    found = ruling(ROOM, *actions).writers
    assert found is not None
    return set(found)


def test_what_the_founder_has_said_first_of_the_writers_holds() -> None:
    assert ruling((0, RoomBody("physics", NONCE))).writers is None
    assert ruling(ROOM).writers == frozenset()
    assert ruling((1, RoomBody("physics", NONCE, "admitted"))).writers is None
    assert ruling(ROOM, (0, RoomBody("physics", NONCE))).writers == frozenset()
    assert ruling((0, RoomBody("physics", NONCE)), ROOM).writers is None


def test_who_is_no_writer_is_cut_off_after_the_hello_and_who_is_admitted_is_whole() -> None:
    found = ruling(ROOM)
    assert (found.cut_of(BOBS), found.may_write(BOB), found.may_write(ANN)) == (1, False, True)
    assert found.cut_of(FeedRow(0, feed_key(0), ANN)) is None
    assert found.cut_of(FeedRow(0, feed_key(9))) is None  # nobody's yet
    assert ruling(ROOM, (0, admit(BOB))).cut_of(BOBS) is None
    removed = ruling(ROOM, (0, admit(BOB)), (0, remove(BOB, **{feed_id(1): 5})))
    assert (removed.cut_of(BOBS), removed.may_write(BOB)) == (5, False)
    assert Ruling().cut_of(BOBS) is None


def test_the_founder_and_the_moderators_admit_and_nobody_else() -> None:
    assert writers_of((0, admit(BOB))) == {BOB}
    assert writers_of((0, admit(BOB)), (1, admit(CAT))) == {BOB}
    assert writers_of((0, role(BOB)), (1, admit(CAT))) == {BOB, CAT}
    assert writers_of((0, role(BOB)), (0, role(BOB, on=False)), (1, admit(CAT))) == {BOB}
    assert writers_of((0, admit(BOB, "reader"))) == set()


def test_an_invite_of_the_founder_admits_whom_a_writer_has_let_in_by_it() -> None:
    assert writers_of((0, invite()), (0, used(BOB))) == {BOB}
    assert writers_of((0, invite()), (0, used(BOB)), (1, used(CAT)), (2, used(DAN))) == {BOB, CAT, DAN}
    assert writers_of((0, invite()), (1, used(CAT)), (0, used(BOB))) == {BOB}  # nobody had let Bob in
    assert writers_of((0, invite(role="reader")), (0, used(BOB))) == set()
    assert writers_of((0, used(BOB)), (0, invite())) == set()
    assert writers_of((0, admit(BOB)), (1, invite()), (1, used(CAT))) == {BOB}
    assert writers_of((0, role(BOB)), (1, invite()), (1, used(CAT))) == {BOB, CAT}
    assert writers_of((0, invite()), (0, used(BOB)), (0, remove(BOB)), (1, used(CAT))) == {BOB}


def test_an_invite_admits_as_many_as_it_is_for_and_none_after_its_end() -> None:
    assert writers_of((0, invite(uses=1)), (0, used(BOB)), (0, used(CAT))) == {BOB}
    assert writers_of((0, invite()), (0, used(BOB)), (0, invite(revoked=True)), (0, used(CAT))) == {BOB}
    assert writers_of((0, invite()), (0, admit(BOB)), (1, invite(revoked=True)), (0, used(CAT))) == {BOB, CAT}
    by_a_moderator = ((0, role(BOB)), (1, invite()), (0, role(BOB, on=False)))
    assert writers_of(*by_a_moderator, (1, invite(revoked=True)), (0, used(CAT))) == {BOB}
    assert writers_of((0, invite(0)), (0, InviteMadeBody(invite(1).id, invite(0).key)), (0, used(BOB, 1))) == set()


def test_what_one_can_say_of_invites_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [(0, invite(number)) for number in range(MAX_INVITES + 1)]
    assert writers_of(*many, (0, used(BOB, MAX_INVITES - 1)), (0, used(CAT, MAX_INVITES))) == {BOB}
    words = [(1, used(CAT, 7)) for _ in range(MAX_STATEMENTS)]
    assert writers_of((0, admit(BOB)), (0, invite()), *words, (1, used(DAN))) == {BOB}
    assert writers_of((0, admit(BOB)), (0, invite()), *words[1:], (1, used(DAN))) == {BOB, DAN}
    monkeypatch.setattr(writers, "MAX_ADMITTED", 2)
    assert writers_of((0, invite()), *[(0, used(who)) for who in (BOB, CAT, DAN)]) == {BOB, CAT}


class AdmittedWorld(ModeratedWorld):
    """A world of a room for admitted writers, in which everybody also makes invites, and lets others in by them."""

    writers = "admitted"

    def _body(self, author: Author) -> Body:
        rng = self.rng
        if rng.random() < 0.6:
            return super()._body(author)
        other = pair(rng.randrange(len(self.authors)), "identity").public_key
        choices: Sequence[Body] = (
            invite(rng.randrange(4), rng.choice((None, 1, 2)), rng.choice(("writer", "reader"))),
            invite(rng.randrange(4), revoked=True),
            used(other, rng.randrange(4)),
            used(other, rng.randrange(4)),
            admit(other, rng.choice(("writer", "reader"))),
            RoomBody("physics", NONCE, rng.choice(("all", "admitted"))),
        )
        return rng.choice(choices)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_everybody_agrees_who_may_write_in_whatever_order_the_blocks_come(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = random.Random(seed)
    world = AdmittedWorld(rng, rng.randrange(2, 7), liars=0.3)
    world.talk(rng.randrange(10, 80))
    assert check_all_agree(world, seed, tmp_path_factory.mktemp("writers")).writers is not None


async def test_a_reader_reads_is_told_why_they_cannot_write_and_writes_once_admitted(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann, node(tmp_path / "bob", "bob") as bob:
        hers = await ann.create_room("physics", writers="admitted")
        message = await hers.send("read this")
        his = await joined(bob, hers.invite)
        await until(his, lambda: texts(his) == ["read this"] and bool(his.read_only))
        assert his.read_only == READ_ONLY
        assert (hers.writers, his.writers, hers.read_only) == ((ann.public_key,), (ann.public_key,), None)
        for attempt in (
            his.send("hello"),
            his.send({"a": 1}),
            his.send_file(("notes.txt", b"notes")),
            his[0].reply("why?"),
            his[0].react("👍"),
            his.set_subject("mine"),
            his.create_channel("mine"),
            his.create_invite(role="reader"),
        ):
            with pytest.raises(lu.UsageError, match="whom its founder or a moderator has let in"):
                await attempt
        assert not [entry async for entry in his.drive.list()]
        await until(hers, lambda: [member.key for member in hers.peers] == [bob.public_key])
        await his._session.write([MessageBody("from a program that does not ask")])
        await hers.send("more")
        await until(his, lambda: texts(his) == ["read this", "more"])
        core = hers._session.feeds.core(his._session.feeds.own.key)  # type: ignore[union-attr]
        assert core is not None
        assert not await core.has(1)  # nothing but the hello is fetched
        assert (await hers.send("heads")).missing == ()

        await hers.admit(bob.public_key)
        await until(his, lambda: his.read_only is None)
        assert set(hers.writers or ()) == {ann.public_key, bob.public_key}
        await his.message(message.id).reply("yes")
        for room in (hers, his):
            await until(room, lambda room=room: "yes" in texts(room))  # type: ignore[misc]
            assert "from a program that does not ask" in texts(room)
        await hers.remove(bob.public_key)
        await until(his, lambda: his.read_only == "You were removed from this room: nobody would see this.")


async def test_invites_have_roles_and_only_writers_let_in_by_them(tmp_path: Path) -> None:
    async with node(tmp_path / "bob", "bob") as bob, node(tmp_path / "cat", "cat") as cat:
        async with node(tmp_path / "ann", "ann") as ann:
            hers = await ann.create_room("physics", writers="admitted")
            for_writers, for_readers = await hers.create_invite(), await hers.create_invite(role="reader")
            assert [invite.role for invite in hers.invites] == ["writer", "reader"]
            assert "to read only" in repr(for_readers)
            waiting = [await bob.join(for_writers.link or ""), await cat.join(for_readers.link or "")]
            his, cats = [await one.admitted(WAIT) for one in waiting if isinstance(one, WaitingRoom)]
            await his.send("here I am")
            await until(cats, lambda: texts(cats) == ["here I am"] and bool(cats.read_only))
            with pytest.raises(lu.UsageError, match="decide who writes here"):
                await his.create_invite()
            await until(his, lambda: len(his.invites) == len(cats.invites) == 2)
        async with node(tmp_path / "dan", "dan") as dan:
            waiting_dan = await dan.join(for_writers.link or "")
            assert isinstance(waiting_dan, WaitingRoom)
            dans = await waiting_dan.admitted(WAIT)
            await dans.send("let in by Bob")
            await until(cats, lambda: texts(cats)[-1] == "let in by Bob")
            assert set(cats.writers or ()) == {ann.public_key, bob.public_key, dan.public_key}
            assert cats.invites[0].used_by == {bob.public_key, dan.public_key}


async def test_a_reader_lets_nobody_in_who_then_waits_for_a_writer(tmp_path: Path) -> None:
    async with node(tmp_path / "cat", "cat") as cat:
        async with node(tmp_path / "ann", "ann") as ann:
            hers = await ann.create_room("physics", writers="admitted")
            word = (await hers.create_invite(role="reader")).link or ""
            cats = await joined(cat, hers.invite)
            await until(cats, lambda: len(cats.invites) == 1 and bool(cats.read_only))
        async with node(tmp_path / "dan", "dan") as dan:
            waiting = await dan.join(word)
            assert isinstance(waiting, WaitingRoom)
            await node_until(lambda: len(dan.swarm.connections) == 1, dan)
            async with node(tmp_path / "ann") as ann:
                dans = await waiting.admitted(WAIT)
                await until(dans, lambda: bool(dans.read_only))
                await until(cats, lambda: cats.invites[0].used_by == {dan.public_key})


async def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    async with node(tmp_path / "ann", "ann") as ann:
        with pytest.raises(lu.UsageError, match="The writers of a room are 'all' or 'admitted', not 'some'"):
            await ann.create_room("physics", writers="some")
        with pytest.raises(lu.UsageError, match="only a room with memory can be for admitted writers"):
            await ann.create_room("physics", writers="admitted", linkup=True)
        for_all = await ann.create_room("physics")
        assert for_all.writers is None
        with pytest.raises(lu.UsageError, match="Everybody in this room writes"):
            await for_all.create_invite(role="reader")
        with pytest.raises(lu.UsageError, match="The role of an invite is 'writer' or 'reader', not 'king'"):
            await for_all.create_invite(role="king")
