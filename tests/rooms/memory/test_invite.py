import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import InvalidInvite
from linkup_nb.rooms.memory.invite import MAX_BLIND, MAX_VIA, Invite, parse_invite
from linkup_nb.rooms.memory.keys import RoomKeys, check_letters
from linkup_nb.wire.blind_pairing import PairingInvite
from linkup_nb.wire.keys import z32encode

SECRET = bytes(range(32))
OPEN = Invite(RoomKeys(SECRET))
LIMITED = Invite(PairingInvite(b"s" * 32, RoomKeys(SECRET).topic))
EXPIRING = Invite(PairingInvite(b"s" * 32, RoomKeys(SECRET).topic, 1_900_000_000))
KINDS = pytest.mark.parametrize(("invite", "length"), [(OPEN, 63), (LIMITED, 117), (EXPIRING, 123)])


@KINDS
def test_an_invite_is_one_word_that_can_be_pasted(invite: Invite, length: int) -> None:
    link = invite.link()
    assert len(link) == length
    assert re.fullmatch(r"linkup:[a-z0-9]+", link)
    assert parse_invite(f"  {link[:20]}\n {link[20:].upper()} ") == invite


@KINDS
def test_any_letter_that_is_wrong_or_missing_is_noticed(invite: Invite, length: int) -> None:
    link = invite.link()
    for at in range(7, length):
        other = "y" if link[at] != "y" else "b"
        for damaged in (
            link[:at] + other + link[at + 1 :],
            link[:at] + link[at + 1 :],
            link[:at] + "l" + link[at + 1 :],
        ):
            with pytest.raises(InvalidInvite, match=r"a letter .*: copy the whole invite again\.$") as caught:
                parse_invite(damaged)
            assert link[7:20] not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ab" * 32, "This is the topic of a LinkUp room"),
        ("hello", "An invite begins with 'linkup:'"),
        ("", "An invite begins with 'linkup:'"),
        ("linkup:", "a letter is wrong or missing"),
        ("linkup:" + "y" * 2000, "at most 1024 characters"),
    ],
)
def test_what_is_no_invite_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInvite, match=sentence):
        parse_invite(text)


def test_an_invite_of_a_later_version() -> None:
    later = Invite(PairingInvite(b"s" * 32, b"t" * 32))
    raw = bytearray(bytes(PairingInvite(b"s" * 32, b"t" * 32)))
    raw[0] = 2
    assert parse_invite(later.link()) == later
    with pytest.raises(InvalidInvite, match="update"):
        parse_invite("linkup:" + z32encode(bytes(raw)) + check_letters(bytes(raw)))


def test_the_name_and_the_ways_in_travel_with_it() -> None:
    invite = Invite(RoomKeys(SECRET), "Fête & more #1", ("10.0.0.1:8468", "hyperdht:example.org:49737"))
    assert parse_invite(invite.link()) == invite


def test_the_blind_peers_of_the_room_travel_with_it() -> None:
    keys = tuple(bytes([number]) * 32 for number in range(MAX_BLIND + 1))
    invite = Invite(RoomKeys(SECRET), "lab", ("10.0.0.1:8468",), keys)
    assert parse_invite(invite.link()) == replace(invite, blind=keys[:MAX_BLIND])
    wrong = "&blind=" + "y" * 51 + "&blind=" + "l" * 52 + "&blind="
    assert parse_invite(OPEN.link() + "?" + wrong + f"&blind={z32encode(keys[1])}").blind == (keys[1],)


def test_only_so_many_ways_in_and_only_harmless_ones() -> None:
    link = (
        OPEN.link() + "?" + "&".join(f"via=10.0.0.{n}:1" for n in range(9)) + "&via=javascript:alert(1)&name=%E2%80%AE"
    )
    invite = parse_invite(link)
    assert invite.via == tuple(f"10.0.0.{n}:1" for n in range(MAX_VIA))
    assert invite.name is None


@KINDS
def test_no_repr_shows_any_of_it(invite: Invite, length: int) -> None:
    shown = repr(invite) + str(invite) + repr(invite.credential) + f"{[invite]}"
    secrets = (invite.link()[7:], SECRET.hex(), repr(SECRET)[2:-1], repr(b"s" * 32)[2:-1])
    assert not any(secret[at : at + 20] in shown for secret in secrets for at in range(len(secret) - 19))


@given(st.text(max_size=200).filter(lambda text: "?" not in text))
def test_any_other_text_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(InvalidInvite, match=r"^[^.]*\.$"):
        parse_invite(f"linkup:{text}")
