"""Invites: one word that lets somebody into a room. An open one carries the secret itself, a limited one can end.

`linkup:`, the payload and four check letters in z-base-32, then perhaps `?name=…&via=host:port&blind=key`. The payload
of an open invite is the room's secret, that of a limited one the bytes of the npm package `blind-pairing-core`; they
differ in length.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from linkup_nb.errors import DecodeError, InvalidInvite, InvalidName
from linkup_nb.rooms.memory.keys import RoomKeys, check_letters
from linkup_nb.rooms.names import check_name
from linkup_nb.wire.blind_pairing import PairingInvite
from linkup_nb.wire.keys import KEY_SIZE, z32decode, z32encode

SCHEME = "linkup:"
MAX_VIA = 4  # bootstrap peers that an invite names
MAX_BLIND = 2  # blind peers that an invite names
MAX_INVITE = 1024  # characters of an invite with all that it names

_CHECK_LETTERS = 4
_OPEN, _LIMITED, _EXPIRING = 52, 106, 112  # letters of the payload
_VIA = re.compile(r"(hyperdht:)?[\w.\-\[\]:]{1,253}:\d{1,5}", re.ASCII)
_HEX_TOPIC = re.compile(r"[0-9a-fA-F]{64}")
_COPY = "copy the whole invite again"


@dataclass(frozen=True, slots=True, repr=False)
class Invite:
    """A way into a room, with what its sender calls it and the bootstrap peers by which its people find each other.

    `credential` is the room's secret, which lets everybody in for as long as the room has it, or a pairing invite, by
    which a member admits them. `name` is `None` if the invite does not say; `via` are "host:port" or
    "hyperdht:host:port", at most `MAX_VIA`; `blind` are the keys of blind peers that hold the room while its people are
    away, at most `MAX_BLIND`.
    """

    credential: RoomKeys | PairingInvite
    name: str | None = None
    via: tuple[str, ...] = ()
    blind: tuple[bytes, ...] = ()

    @property
    def topic(self) -> bytes:
        """The topic of the room: 32 bytes."""
        return self.credential.topic

    def link(self) -> str:
        """The word to give to somebody; whoever reads it can come in."""
        payload = self.credential.secret if isinstance(self.credential, RoomKeys) else bytes(self.credential)
        word = SCHEME + z32encode(payload) + check_letters(payload)
        query = [("name", self.name)] if self.name else []
        query += [("via", peer) for peer in self.via[:MAX_VIA]]
        query += [("blind", z32encode(key)) for key in self.blind[:MAX_BLIND]]
        return word + ("?" + "&".join(f"{key}={quote(value, safe=':')}" for key, value in query) if query else "")

    def __repr__(self) -> str:
        # Neither the word nor a part of it: reprs end in notebooks, logs and screenshots.
        return f"<Invite{f' to {self.name!r}' if self.name else ''}>"


def is_invite(text: str) -> bool:
    """Whether somebody meant this to be an invite."""
    return text.strip().lower().startswith(SCHEME)


def parse_invite(text: str) -> Invite:
    """The invite that somebody pasted. Raises `InvalidInvite`, which says what is wrong and repeats nothing of it."""
    text = "".join(text.split())
    if _HEX_TOPIC.fullmatch(text):
        raise InvalidInvite("This is the topic of a LinkUp room, not an invite: join it as a LinkUp room.")
    if not text.lower().startswith(SCHEME):
        raise InvalidInvite(f"An invite begins with {SCHEME!r}, and this does not: {_COPY}.")
    if len(text) > MAX_INVITE:
        raise InvalidInvite(f"An invite has at most {MAX_INVITE} characters, and this has {len(text):,}: {_COPY}.")
    word, _, query = text[len(SCHEME) :].partition("?")
    ways = _read_query(query)
    payload = _read_word(word)
    if len(payload) == KEY_SIZE:
        return Invite(RoomKeys(payload), *ways)
    try:
        return Invite(PairingInvite.decode(payload), *ways)
    except DecodeError:
        raise InvalidInvite("This invite was made by a newer version of linkup_nb: update to join by it.") from None


def _read_word(word: str) -> bytes:
    letters = len(word) - _CHECK_LETTERS
    try:
        payload = z32decode(word[:letters]) if letters in (_OPEN, _LIMITED, _EXPIRING) else b""
    except DecodeError:
        raise InvalidInvite(f"This invite has a letter that no invite has: {_COPY}.") from None
    if not payload or check_letters(payload) != word[letters:].lower():
        raise InvalidInvite(f"In this invite a letter is wrong or missing: {_COPY}.")
    return payload


def _read_query(query: str) -> tuple[str | None, tuple[str, ...], tuple[bytes, ...]]:
    """What is said beside the word; what is malformed there is left out, for the word alone opens the room."""
    name: str | None = None
    via: list[str] = []
    blind: list[bytes] = []
    for key, value in parse_qsl(query)[: 4 * (MAX_VIA + MAX_BLIND)]:
        if key == "name" and name is None:
            try:
                name = check_name(value)
            except InvalidName:
                continue
        elif key == "via" and len(via) < MAX_VIA and _VIA.fullmatch(value):
            via.append(value)
        elif key == "blind" and len(blind) < MAX_BLIND and len(value) == _OPEN:
            with suppress(DecodeError):
                blind.append(z32decode(value))
    return name, tuple(via), tuple(blind)
