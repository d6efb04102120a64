"""Rooms with memory: what members send each other, blocks of feeds, invites, and exported rooms."""

import tempfile
from pathlib import Path

from linkup_nb.errors import InvalidInvite
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.block import MAX_HEADS, Kind, MalformedBlock
from linkup_nb.rooms.memory.export import verify_export
from linkup_nb.rooms.memory.invite import Invite, parse_invite
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.wire import blind_pairing, blind_peer, wakeup
from linkup_nb.wire import rooms as wire
from tests.fuzz.target import Target, any_of, chosen, same_again

KEY, TAG = b"k" * 32, b"t" * 8
_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))

MESSAGES: list[wire.Message] = [
    wire.FeedKeys((KEY, b"l" * 32)),
    wire.Presence(wire.PresenceState.HERE, (TAG,)),
    wire.Typing("general", 6),
    wire.Read(((TAG, 12),)),
    wire.Conflict(b"one", b"other"),
    wire.SkeletonRequest(1, TAG, 300),
    wire.Skeleton(1, ((255, 4096, KEY),)),
    wire.RunRequest(2, TAG, 256),
    wire.Run(2, (b"block", b"")),
]


def _message(data: bytes) -> None:
    """A message of a member: the first byte is its number."""
    if data:
        same_again(lambda payload: wire.decode(data[0], payload), _encoded, data[1:])


def _encoded(message: wire.Message | None) -> bytes:
    return bytes(message) if message else b""


def _opening(data: bytes) -> None:
    same_again(wire.Opening.decode, bytes, data)


ROOM_MESSAGES = Target(
    any_of(_message, _opening),
    [
        *chosen(0, [bytes([message.type]) + bytes(message) for message in MESSAGES]),
        *chosen(1, [bytes(wire.Opening(KEY, 1_700_000_000_000, wire.SHARES_READ_MARKS))]),
    ],
)


def _pairing(data: bytes) -> None:
    same_again(blind_pairing.PairingInvite.decode, bytes, data)


def _hold_cores(data: bytes) -> None:
    same_again(blind_peer.HoldCores.decode, bytes, data)


def _named(data: bytes) -> None:
    same_again(wakeup.Announce.decode, bytes, data)


def _wakeup(data: bytes) -> None:
    same_again(wakeup.Opening.decode, bytes, data)


_CORE = wakeup.NamedCore(KEY, 300)
BLIND_PEER = Target(
    any_of(_hold_cores, _named, _wakeup),
    [
        *chosen(0, [bytes(blind_peer.HoldCores((_CORE,), KEY, 1, True)), bytes(blind_peer.HoldCores((_CORE, _CORE)))]),
        *chosen(1, [bytes(wakeup.Announce((_CORE,)))]),
        *chosen(2, [bytes(wakeup.Opening(KEY))]),
    ],
)

BLIND_PAIRING = Target(_pairing, [bytes(blind_pairing.PairingInvite(KEY, b"d" * 32))])


def _block(data: bytes) -> None:
    """Bytes of any kind are an envelope or malformed; what is a body is written again as the same."""
    try:
        envelope = blocks.decode(data)
    except MalformedBlock:
        return
    assert blocks.EARLIEST < envelope.t < blocks.LATEST
    assert envelope.heads is None or len(envelope.heads) <= MAX_HEADS
    kind, body = envelope.body()
    assert (body is None) == (kind is Kind.UNKNOWN)
    if body is not None:
        again = blocks.encode(body, t=envelope.t, timestamp=envelope.timestamp, channel=envelope.channel)
        assert blocks.decode(again).body() == (kind, body)
    else:
        blocks.unknown_fields(envelope)


_T = blocks.EARLIEST + 1
BLOCK = Target(
    _block,
    [
        blocks.encode(body, t=_T, timestamp=_T // 1000, heads={"y" * 13: 3}, channel="random")
        for body in (
            blocks.MessageBody("hello", ["y" * 13]),
            blocks.ReplyBody("y" * 13 + "/3", "hm"),
            blocks.FileBody("a.txt", "/files/a.txt", 3, 4),
            blocks.ReactionBody("y" * 13 + "/3", "👍"),
            blocks.RoomBody("physics", KEY),
            blocks.RemoveBody("y" * 52, {"y" * 13: 3}),
        )
    ],
)


def _invite(data: bytes) -> None:
    """An invite that is read is written as one that is read as the same."""
    try:
        invite = parse_invite(data.decode(errors="replace"))
    except InvalidInvite:
        return
    assert parse_invite(invite.link()) == invite


INVITE = Target(_invite, [Invite(RoomKeys(KEY), "physics", ("host:1",)).link().encode()])


def _export(data: bytes) -> None:
    """A file of any bytes gives a report."""
    path = _FOLDER / "room.jsonl"
    path.write_bytes(data)
    report = verify_export(path)
    assert report or report.reason


EXPORT = Target(
    _export,
    [
        b'{"export":1,"room":"physics","topic":"' + KEY.hex().encode() + b'"}\n',
        b'{"export":1,"room":"physics","topic":""}\n{"feed":0,"key":"00","manifest":"","length":1,"roots":[[0,1,""]],'
        b'"signature":"","reading":""}\n{"in":0,"seq":0,"block":"","nodes":[]}\n',
    ],
)
