"""Limited invites against blind-pairing-core from npm: byte for byte the same, both ways."""

import json
import subprocess
from pathlib import Path

import pytest

from linkup_nb.wire.blind_pairing import PairingInvite, PairingRequest, PairingResponse, PairingStatus, invite_id
from linkup_nb.wire.keys import discovery_key

PEER = Path(__file__).with_name("pairing_peer.js")
SECRET, IDENTITY = b"r" * 32, bytes(range(32))
EXPIRES = 1_900_000_000
OURS = PairingInvite(b"s" * 32, discovery_key(SECRET), EXPIRES)


def javascript(step: str, *arguments: bytes) -> dict[str, str]:
    command = ["node", str(PEER), step, *[argument.hex() for argument in arguments]]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout))


def test_an_invite_and_its_request_are_the_same_bytes() -> None:
    theirs = javascript("make", SECRET, IDENTITY)
    ours = PairingInvite(bytes.fromhex(theirs["seed"]), discovery_key(SECRET), EXPIRES)
    assert bytes(ours).hex() == theirs["invite"]
    assert PairingInvite.decode(bytes.fromhex(theirs["invite"])) == ours
    assert ours.public_key.hex() == theirs["key"]
    assert invite_id(ours.public_key).hex() == theirs["id"]
    assert bytes(PairingRequest.make(ours, IDENTITY)).hex() == theirs["request"]


def test_our_member_lets_their_candidate_in() -> None:
    theirs = javascript("make", SECRET, IDENTITY)
    invite = PairingInvite.decode(bytes.fromhex(theirs["invite"]))
    request = PairingRequest.decode(bytes.fromhex(theirs["request"]))
    assert request.open(invite.public_key) == IDENTITY
    response = bytes(PairingResponse.confirm(invite.public_key, request.session, SECRET))
    assert javascript("enter", bytes(invite), IDENTITY, response)["key"] == SECRET.hex()


def test_their_member_lets_our_candidate_in() -> None:
    request = PairingRequest.make(OURS, IDENTITY)
    theirs = javascript("admit", bytes(request), OURS.public_key, SECRET)
    assert theirs["said"] == IDENTITY.hex()
    assert bytes(PairingResponse.confirm(OURS.public_key, request.session, SECRET)).hex() == theirs["response"]
    assert PairingResponse.decode(bytes.fromhex(theirs["response"])).open(OURS, request.session) == SECRET


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (PairingStatus.REJECTED, "PAIRING_REJECTED"),
        (PairingStatus.USED, "INVITE_USED"),
        (PairingStatus.EXPIRED, "INVITE_EXPIRED"),
    ],
)
def test_a_refusal_says_why_both_ways(status: PairingStatus, code: str) -> None:
    request = PairingRequest.make(OURS, IDENTITY)
    ours = bytes(PairingResponse.reject(OURS.public_key, request.session, status))
    theirs = javascript("deny", bytes(request), OURS.public_key, bytes([status]))["response"]
    assert ours.hex() == theirs
    assert PairingResponse.decode(ours).open(OURS, request.session) is status
    assert javascript("enter", bytes(OURS), IDENTITY, ours) == {"key": None, "code": code}
