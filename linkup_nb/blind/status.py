"""Where we stand with a blind peer."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from linkup_nb.discovery.check import Check, Outcome, count
from linkup_nb.errors import UsageError
from linkup_nb.hypercore.corestore import parse_key
from linkup_nb.wire.keys import short_key, z32encode

MAX_BLIND_PEERS = 8  # that hold the cores of one node, each of which is a connection


class BlindPeerState(Enum):
    """What a blind peer does for us."""

    IDLE = "not needed"
    AWAY = "away"
    REFUSES = "refuses"
    FETCHING = "fetching"
    SHORT = "holds too little"
    HOLDS = "holds everything"


_ADVICE = {
    BlindPeerState.AWAY: "It is called again; if it is gone for good, name another.",
    BlindPeerState.REFUSES: "Name one that is, by the key that `linkup-nb seed --blind` or a blind-peer prints.",
    BlindPeerState.SHORT: "Ask who runs it about its limits, or name another.",
}


@dataclass(frozen=True, slots=True)
class BlindPeer:
    """A blind peer at one moment; `text` is that in one sentence.

    As it says, it has `blocks_held` of the `blocks` that it was given, and all blocks of `cores_held` of the `cores`.
    """

    key: bytes
    state: BlindPeerState
    text: str
    cores: int = 0
    cores_held: int = 0
    blocks: int = 0
    blocks_held: int = 0

    @property
    def id(self) -> str:
        """Its key in z-base-32."""
        return z32encode(self.key)

    def check(self) -> Check:
        """What the doctor says of it."""
        advice = _ADVICE.get(self.state, "")
        outcome = Outcome.WARNING if advice else Outcome.OFF if self.state is BlindPeerState.IDLE else Outcome.OK
        return Check(f"blind peer {short_key(self.key)}", outcome, self.text, advice=advice)

    def __repr__(self) -> str:
        return f"<BlindPeer {short_key(self.key)}: {self.text}>"


def held_in_words(cores: int, cores_held: int, blocks: int, blocks_held: int) -> str:
    """How much of what it was given a blind peer holds, as a sentence."""
    if not cores:
        return "It is connected, and there is nothing to hold yet."
    if cores == cores_held:
        return f"It holds all of the {count(cores, 'log')} that it was given ({count(blocks, 'block')})."
    whole = f"{cores_held:,} of the {count(cores, 'log')} that it was given"
    return f"It holds {whole}, and {blocks_held:,} of {count(blocks, 'block')}."


def blind_peer_keys(given: Iterable[bytes | str | BlindPeer]) -> tuple[bytes, ...]:
    """The keys of blind peers as somebody gives them, each once. Raises `UsageError` for what is none, or too many."""
    if isinstance(given, bytes | str):
        raise UsageError("Blind peers are given as a list of their keys, also if it is one: node.blind_peers = [key].")
    keys = []
    for one in given:
        try:
            key = one.key if isinstance(one, BlindPeer) else one
            keys.append(parse_key(key.strip() if isinstance(key, str) else key))
        except UsageError:
            raise UsageError(
                f"{str(one)[:70]!r} is no key of a blind peer: that is 32 bytes, 64 hexadecimal digits, or 52 letters"
                " and digits; `linkup-nb seed --blind` prints its own."
            ) from None
    if len(set(keys)) > MAX_BLIND_PEERS:
        raise UsageError(f"A node has at most {MAX_BLIND_PEERS} blind peers, not {len(set(keys))}.")
    return tuple(dict.fromkeys(keys))
