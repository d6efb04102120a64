"""Who has what one has written, and who has read it: rules only, what comes and what is kept is passed in.

A device has what its Hypercore says that it has, and what a block of its own names. Lengths only ever grow. What a
device says of itself is its word: who lies about having or reading something deceives you about themselves alone.
"""

from collections.abc import Iterable, Mapping

from linkup_nb.rooms.memory.rows import FeedRow, Held


class Delivery:
    """How much of one's own feeds each device has, and has read. `me` is one's own identity."""

    def __init__(self, me: bytes, held: Iterable[Held] = ()) -> None:
        self._me = me
        self._held = {(one.device, one.tie): one for one in held}
        self._identities: dict[bytes, bytes] = {}
        self._own: set[int] = set()
        self._unsaved: set[tuple[bytes, int]] = set()

    def introduce(self, feed: FeedRow) -> None:
        """A feed whose hello is verified."""
        if feed.identity is not None and feed.device is not None:
            self._identities[feed.device] = feed.identity
            if feed.identity == self._me:
                self._own.add(feed.tie)

    def identity(self, device: bytes) -> bytes | None:
        """Whose device it is, if it has written a feed."""
        return self._identities.get(device)

    def is_own(self, tie: int) -> bool:
        """Whether it is a feed of one's own, from any device."""
        return tie in self._own

    def held(self, device: bytes, tie: int, length: int) -> tuple[int, int] | None:
        """A device has the first `length` blocks of a feed; the blocks for which that is new, `None` for none."""
        known = self._known(device, tie)
        if known is None or length <= known.length:
            return None
        self._keep(known._replace(length=length))
        return known.length, length

    def read(self, device: bytes, tie: int, length: int) -> tuple[int, int] | None:
        """Somebody has read the first `length` blocks of a feed on a device; the blocks for which that is new."""
        known = self._known(device, tie)
        if known is None or length <= known.read:
            return None
        self._keep(known._replace(length=max(known.length, length), read=length))
        return known.read, length

    def held_by(self, tie: int, seq: int) -> tuple[bytes, ...]:
        """The identities, other than one's own, of which a device has this block."""
        return self._those(held for held in tuple(self._held.values()) if held.tie == tie and held.length > seq)

    def read_by(self, tie: int, seq: int) -> tuple[bytes, ...]:
        """The identities, other than one's own, who have read this block."""
        return self._those(held for held in tuple(self._held.values()) if held.tie == tie and held.read > seq)

    def unsaved(self) -> list[Held]:
        """What is to be kept, since the last call."""
        unsaved, self._unsaved = self._unsaved, set()
        return [self._held[key] for key in unsaved]

    def _known(self, device: bytes, tie: int) -> Held | None:
        identity = self._identities.get(device)
        if tie not in self._own or identity in (None, self._me):
            return None
        return self._held.get((device, tie), Held(device, tie, 0, 0))

    def _keep(self, held: Held) -> None:
        self._held[held.device, held.tie] = held
        self._unsaved.add((held.device, held.tie))

    def _those(self, held: Iterable[Held]) -> tuple[bytes, ...]:
        found = {self._identities.get(one.device): None for one in held}
        return tuple(identity for identity in found if identity is not None)


def read_lengths(feeds: Iterable[FeedRow], first_unread: Mapping[int, int], me: bytes) -> dict[int, int]:
    """How much of each feed of others counts as read: all that is here without a gap, up to its first unread block."""
    return {
        feed.tie: min(feed.next, first_unread.get(feed.tie, feed.next))
        for feed in feeds
        if feed.identity not in (None, me)
    }
