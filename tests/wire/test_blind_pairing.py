import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError
from linkup_nb.wire.blind_pairing import (
    MAX_USER_DATA,
    PairingInvite,
    PairingRequest,
    PairingResponse,
    PairingStatus,
    invite_id,
)
from linkup_nb.wire.keys import discovery_key

SECRET = b"s" * 32
INVITE = PairingInvite(b"i" * 32, discovery_key(SECRET), 1_900_000_000)
KEY = INVITE.public_key


def test_a_candidate_gets_the_secret_of_the_topic() -> None:
    request = PairingRequest.decode(bytes(PairingRequest.make(INVITE, b"me")))
    assert request.invite_id == invite_id(KEY)
    assert request.open(KEY) == b"me"
    response = PairingResponse.decode(bytes(PairingResponse.confirm(KEY, request.session, SECRET)))
    assert response.open(INVITE, request.session) == SECRET


def test_a_refusal_gives_nothing() -> None:
    request = PairingRequest.make(INVITE, b"me")
    for status in (PairingStatus.REJECTED, PairingStatus.USED, PairingStatus.EXPIRED):
        response = PairingResponse.reject(KEY, request.session, status)
        assert PairingResponse.decode(bytes(response)).open(INVITE, request.session) is status


def test_a_refusal_for_a_reason_of_a_later_version_is_a_refusal() -> None:
    request = PairingRequest.make(INVITE, b"me")
    response = PairingResponse._make(KEY, request.session, b"\x09")
    assert response.open(INVITE, request.session) is PairingStatus.REJECTED


def test_a_member_that_gives_another_secret_is_found_out() -> None:
    request = PairingRequest.make(INVITE, b"me")
    response = PairingResponse.confirm(KEY, request.session, b"x" * 32)
    with pytest.raises(DecodeError, match="another room"):
        response.open(INVITE, request.session)


def test_a_response_answers_its_request_only() -> None:
    mine, other = PairingRequest.make(INVITE, b"me"), PairingRequest.make(INVITE, b"you")
    response = PairingResponse.confirm(KEY, other.session, SECRET)
    with pytest.raises(DecodeError, match="another request"):
        response.open(INVITE, mine.session)


def test_who_does_not_hold_the_invite_opens_nothing() -> None:
    request = PairingRequest.make(INVITE, b"me")
    stranger = PairingInvite(b"x" * 32, INVITE.topic)
    with pytest.raises(DecodeError, match="cannot be opened"):
        request.open(stranger.public_key)
    with pytest.raises(DecodeError, match="cannot be opened"):
        PairingResponse.confirm(KEY, request.session, SECRET).open(stranger, request.session)


@pytest.mark.parametrize("expires", [None, 0, 1, 2**32 - 1])
def test_when_an_invite_ends_is_kept(expires: int | None) -> None:
    invite = PairingInvite(b"s" * 32, INVITE.topic, expires)
    assert PairingInvite.decode(bytes(invite)) == invite


@pytest.mark.parametrize("size", [0, 1, 15, 16])
def test_what_is_too_short_to_be_sealed_cannot_be_opened(size: int) -> None:
    request = PairingRequest.make(INVITE, b"me")
    with pytest.raises(DecodeError, match="cannot be opened"):
        PairingRequest(request.invite_id, request.session, bytes(size)).open(KEY)


def test_so_much_a_candidate_may_say() -> None:
    assert PairingRequest.make(INVITE, bytes(MAX_USER_DATA)).open(KEY) == bytes(MAX_USER_DATA)
    with pytest.raises(DecodeError):
        PairingRequest.make(INVITE, bytes(MAX_USER_DATA + 1)).open(KEY)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    for kind in (PairingInvite, PairingRequest, PairingResponse):
        try:
            decoded = kind.decode(data)
        except DecodeError:
            continue
        assert kind.decode(bytes(decoded)) == decoded
