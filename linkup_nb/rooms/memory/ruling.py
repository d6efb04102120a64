"""What the founder and the moderators of a room have come to, by its index: only what can count is read."""

from collections.abc import Callable, Collection

from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.block import Kind
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.invites import MAX_STATEMENTS
from linkup_nb.rooms.memory.keys import short_id
from linkup_nb.rooms.memory.moderation import (
    ACTIONS,
    ADMISSIONS,
    MAX_ACTIONS,
    ROLES,
    ModeratorAction,
    Ruling,
    judge,
)
from linkup_nb.rooms.memory.rows import BlockRow, FeedRow


def read_ruling(index: Index, by_tie: Callable[[int], FeedRow]) -> Ruling:
    """Judge all actions in an index anew; `by_tie` gives the feed of a row. On the thread that owns the index."""

    def action(row: BlockRow) -> ModeratorAction:
        feed = by_tie(row.tie)
        assert feed.identity is not None
        assert row.body is not None
        place = (row.t, row.tie, row.seq)
        return ModeratorAction(place, short_id(feed.key), feed.identity, blocks.decode(row.body).body()[1])

    def actions(
        identities: Collection[bytes], kinds: Collection[Kind], most: int = MAX_ACTIONS
    ) -> list[ModeratorAction]:
        return [action(row) for row in index.actions(identities, kinds, most)]

    founder = index.meta("founder")
    if founder is None:
        return Ruling()
    # Who has a role decides whose actions are looked at, and who was let in, whose word on that.
    first = judge(actions({founder}, ROLES), founder)
    roles, counting = first.authorities, actions(first.authorities, ACTIONS)
    if first.writers is None:
        return judge(counting, founder)
    counting += actions(roles, ADMISSIONS)
    return judge(counting, founder, lambda who: [] if who in roles else actions({who}, ADMISSIONS, MAX_STATEMENTS))
