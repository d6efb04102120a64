"""Who may write in a room whose founder made it with `writers="admitted"`: a function of the blocks in their order.

The founder and the moderators decide: by `admit`, or by an invite of theirs with the role of a writer. Whoever has come
by such an invite is named by `used` in the feed of a writer who has let them in; the first ones count, as many as the
invite is for, and none after it was revoked. The clock is asked by who lets somebody in, not here.
"""

from collections import Counter
from dataclasses import dataclass, field

from linkup_nb.rooms.memory.block import InviteMadeBody, InviteUsedBody
from linkup_nb.rooms.memory.invites import MAX_INVITES, MAX_STATEMENTS, MAX_USES
from linkup_nb.wire.blind_pairing import invite_id
from linkup_nb.wire.keys import z32decode

ALL, ADMITTED = "all", "admitted"  # what a founder may say of a room
WRITER, READER = "writer", "reader"  # the roles of invites
MAX_ADMITTED = 10_000  # identities that come in by invites and count; a room has far fewer feeds


@dataclass(slots=True)
class _Invite:
    maker: bytes
    uses: int
    used: set[bytes] = field(default_factory=set)
    revoked: bool = False


class Writers:
    """Takes what decides who may write, in the order of the room, from those only who had the right to say it."""

    def __init__(self) -> None:
        self.admitted: set[bytes] = set()
        """The identities that may write besides the founder, if the room asks for that."""
        self._said: str | None = None
        self._invites: dict[str, _Invite] = {}
        self._made: Counter[bytes] = Counter()
        self._statements: Counter[bytes] = Counter()

    @property
    def limited(self) -> bool:
        """Whether only those who were admitted may write: as the founder has said first."""
        return self._said == ADMITTED

    def found(self, writers: str) -> None:
        """The founder says who may write."""
        if self._said is None:
            self._said = writers

    def made(self, maker: bytes, body: InviteMadeBody) -> None:
        """The founder or a moderator has made an invite."""
        if body.role != WRITER or body.id in self._invites or self._made[maker] >= MAX_INVITES:
            return
        if z32decode(body.id) == invite_id(z32decode(body.key)):
            self._made[maker] += 1
            self._invites[body.id] = _Invite(maker, min(body.uses or MAX_USES, MAX_USES))

    def revoked(self, author: bytes, body: InviteMadeBody, *, moderates: bool) -> None:
        """Somebody ends an invite: its maker, or one who `moderates`."""
        invite = self._invites.get(body.id)
        if invite and (moderates or author == invite.maker):
            invite.revoked = True

    def used(self, author: bytes, body: InviteUsedBody) -> bytes | None:
        """A writer has let somebody in by an invite; the identity if it may write now, and did not before."""
        self._statements[author] += 1
        invite, identity = self._invites.get(body.id), z32decode(body.identity)
        if not invite or invite.revoked or self._statements[author] > MAX_STATEMENTS:
            return None
        if len(invite.used) >= invite.uses or len(self.admitted) >= MAX_ADMITTED:
            return None
        invite.used.add(identity)
        if identity in self.admitted:
            return None
        self.admitted.add(identity)
        return identity
