from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

import linkup_nb as lu
from linkup_nb.rooms.memory.block import Body, InviteMadeBody, InviteUsedBody
from linkup_nb.rooms.memory.invites import (
    MAX_INVITES,
    MAX_STATEMENTS,
    MAX_USES,
    Invites,
    LimitedInvite,
    expiry,
    parse_duration,
)
from linkup_nb.wire.blind_pairing import PairingInvite, PairingStatus, invite_id
from linkup_nb.wire.keys import z32encode

ANN, BOB, CAT, DAN = (bytes([n]) * 32 for n in range(4))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = PairingInvite(b"s" * 32, b"t" * 32).public_key
ID = invite_id(KEY)


def made(key: bytes = KEY, **terms: object) -> InviteMadeBody:
    return InviteMadeBody(z32encode(invite_id(key)), z32encode(key), **terms)  # type: ignore[arg-type]


def used(by: bytes) -> InviteUsedBody:
    return InviteUsedBody(z32encode(ID), z32encode(by))


def invites(*blocks: tuple[bytes, Body]) -> Invites:
    found = Invites(lambda identity, place: identity == DAN)
    for seq, (author, body) in enumerate(blocks):
        found.take((seq, 0, seq), author, body)
    return found


def check(found: Invites, identity: bytes = CAT, now: float = 0.0) -> PairingStatus:
    return found.check(ID, identity, now=now)


def test_an_invite_without_limits_is_good_until_it_is_revoked() -> None:
    assert check(invites((ANN, made()))) is PairingStatus.CONFIRMED
    assert check(invites((ANN, made()), (ANN, made(revoked=True)))) is PairingStatus.REJECTED


def test_only_its_maker_and_moderators_revoke_it() -> None:
    assert check(invites((ANN, made()), (BOB, made(revoked=True)))) is PairingStatus.CONFIRMED
    assert check(invites((ANN, made()), (DAN, made(revoked=True)))) is PairingStatus.REJECTED


def test_it_expires_by_the_clock_of_who_is_asked() -> None:
    found = invites((ANN, made(expires=1000)))
    assert check(found, now=999.9) is PairingStatus.CONFIRMED
    assert check(found, now=1000) is PairingStatus.EXPIRED


def test_it_is_used_up_but_who_came_by_it_may_ask_again() -> None:
    found = invites((ANN, made(uses=2)), (ANN, used(BOB)), (BOB, used(BOB)))
    assert check(found) is PairingStatus.CONFIRMED
    found.take((9, 0, 9), BOB, used(DAN))
    assert check(found) is PairingStatus.USED
    assert check(found, BOB) is check(found, DAN) is PairingStatus.CONFIRMED


def test_what_is_said_of_it_may_come_in_any_order() -> None:
    blocks = [(ANN, made(uses=1)), (ANN, used(BOB)), (BOB, made(uses=9)), (CAT, made(revoked=True))]
    for order in permutations(enumerate(blocks)):
        found = Invites(lambda identity, place: False)
        for seq, (author, body) in order:
            found.take((seq, 0, seq), author, body)
        assert check(found) is PairingStatus.USED


def test_an_id_that_is_not_of_its_key_is_no_invite() -> None:
    found = invites((ANN, InviteMadeBody(z32encode(b"x" * 32), z32encode(KEY))))
    assert found.public_key(b"x" * 32) is None


def test_a_member_makes_the_others_remember_so_much() -> None:
    found = invites()
    for number in range(MAX_INVITES + 5):
        key = PairingInvite(number.to_bytes(32, "big"), b"t" * 32).public_key
        assert found.take((number, 0, number), ANN, made(key)) == (number < MAX_INVITES)
    assert found.made_by(ANN) == len(found.all(Origin())) == MAX_INVITES
    for number in range(MAX_STATEMENTS + 5):
        found.take((number, 0, number), BOB, InviteUsedBody(z32encode(number.to_bytes(32, "big")), z32encode(CAT)))
    assert len(found._used) == MAX_STATEMENTS
    for number in range(MAX_USES + 5):
        found.take((number, 0, number), CAT, used(number.to_bytes(32, "big")))
    assert len(found._used[ID]) == MAX_USES


class Origin:
    async def revoke(self, invite: LimitedInvite) -> None:
        raise AssertionError


def test_a_snapshot_says_what_is_left_and_never_the_word() -> None:
    [invite] = invites((ANN, made(uses=2, expires=4_000_000_000)), (ANN, used(BOB))).all(Origin())
    assert (invite.maker, invite.uses, invite.used_by, invite.open) == (ANN, 2, frozenset([BOB]), True)
    assert repr(invite) == "<LimitedInvite: 1 of 2 came in by it, until 2096-10-02 07:06 UTC>"
    with pytest.raises(lu.UsageError, match="make another one"):
        invite.qr()
    [ended] = invites((ANN, made()), (ANN, made(revoked=True))).all(Origin())
    assert repr(ended) == "<LimitedInvite: 0 came in by it, ended>"


def test_when_an_invite_ends() -> None:
    assert expiry(None, NOW) is None
    assert expiry(timedelta(days=2), NOW) == expiry(NOW + timedelta(days=2), NOW) == 1_767_398_400
    for wrong in (timedelta(0), NOW, timedelta(days=99 * 365), timedelta.max, datetime.max.replace(tzinfo=UTC)):
        with pytest.raises(lu.UsageError, match="ends in the future"):
            expiry(wrong, NOW)


def test_a_time_is_typed_with_its_unit() -> None:
    assert parse_duration("2d") == timedelta(days=2)
    assert (parse_duration("30M"), parse_duration("1 w")) == (timedelta(minutes=30), timedelta(weeks=1))
    for wrong in ("", "2", "d", "2 years", "-1d", "999999d"):
        with pytest.raises(lu.UsageError, match="a time like 30m"):
            parse_duration(wrong)
