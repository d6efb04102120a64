"""Evidence that an author wrote two histories of one feed, which goes round in the room: each member checks it.

Of each feed every member keeps the two heads that agree on least, and passes them on: all come to the same point.
"""

from collections import defaultdict

from linkup_nb.errors import DecodeError, InvalidProof, ProtocolError
from linkup_nb.hypercore.evidence import Evidence, agreement, contradiction
from linkup_nb.loops import Tasks, Timers
from linkup_nb.rooms.memory.feeds import RoomFeeds
from linkup_nb.rooms.memory.peer import RoomPeer
from linkup_nb.rooms.memory.rows import FeedRow
from linkup_nb.wire import rooms as wire

CONFLICT_GAP = 1.1  # seconds between two conflicts to one peer, who takes one a second
MAX_WAITING = 8  # conflicts shown by one peer of feeds whose hello has not come; each is of 128 KiB at most


class Disputes:
    """What one member knows of the conflicts of a room's feeds, and has yet to tell these peers."""

    def __init__(self, feeds: RoomFeeds, peers: set[RoomPeer]) -> None:
        self._feeds = feeds
        self._peers = peers
        self._known: dict[bytes, wire.Conflict] = {}
        self._untold: defaultdict[RoomPeer, dict[bytes, None]] = defaultdict(dict)
        self._waiting: defaultdict[RoomPeer, dict[bytes, tuple[Evidence, Evidence]]] = defaultdict(dict)
        self._timers = Timers()
        self._tasks = Tasks()
        feeds.on("conflict", self._found)
        feeds.on("feed", self._introduced)

    async def close(self) -> None:
        """Tell nobody any more."""
        self._timers.close()
        await self._tasks.cancel()

    def proven(self, peer: RoomPeer) -> None:
        """A peer has proven to know the room: tell it what is known."""
        self._tell(peer, *self._known)

    def gone(self, peer: RoomPeer) -> None:
        """A peer has left."""
        self._untold.pop(peer, None)
        self._waiting.pop(peer, None)

    def received(self, peer: RoomPeer, message: wire.Conflict) -> None:
        """A peer shows two heads. Raises `ProtocolError` if they are not what their author signed, or agree."""
        try:
            one, other = Evidence.decode(message.one), Evidence.decode(message.other)
            contradiction(one, other)
        except (DecodeError, InvalidProof) as error:
            raise ProtocolError(f"The peer shows a conflict that is none: {error}") from error
        waiting = self._waiting[peer]
        if any(row.key == one.key for row in self._feeds.members):
            self._dispute(one, other)
        elif one.key in waiting or len(waiting) < MAX_WAITING:
            waiting[one.key] = (one, other)
        else:
            peer.dropped += 1

    def _introduced(self, feed: FeedRow) -> None:
        for waiting in self._waiting.values():
            if heads := waiting.pop(feed.key, None):
                self._dispute(*heads)
        self._found(feed.key)

    def _dispute(self, one: Evidence, other: Evidence) -> None:
        self._tasks.start(self._feeds.dispute(one.key, one, other), "taking evidence of a conflict")

    def _found(self, key: bytes) -> None:
        """A feed of a member has two histories: let the others know, if it can be shown to them."""
        core = self._feeds.core(key)
        conflict = core.conflict if core else None
        if not conflict or agreement(conflict) is None or all(row.key != key for row in self._feeds.members):
            return
        message = wire.Conflict(*(head.encode() for head in conflict))
        if max(len(message.one), len(message.other)) <= wire.MAX_EVIDENCE:
            self._known[key] = message
            for peer in self._peers:
                self._tell(peer, key)

    def _tell(self, peer: RoomPeer, *keys: bytes) -> None:
        """Tell a peer, one after the other, no faster than it listens."""
        self._untold[peer].update(dict.fromkeys(keys))
        self._timers.start("tell", 0.0, self._tell_next)

    def _tell_next(self) -> None:
        told = False
        for peer, keys in tuple(self._untold.items()):
            if keys:
                key = next(iter(keys))
                del keys[key]
                peer.send(self._known[key])
                told = True
        if told:
            self._timers.start("tell", CONFLICT_GAP, self._tell_next)
