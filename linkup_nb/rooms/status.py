"""The status of a connection in one sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from linkup_nb.rooms.member import Member, MemberStatus

MAX_NAMED = 3  # people that a status names; the others are counted


class Level(StrEnum):
    """The severity of a status, for the colour beside its text."""

    OK = "ok"
    WAITING = "waiting"
    ALONE = "alone"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Status:
    """How many peers are connected, and one plain sentence about it."""

    connected: int
    text: str
    level: Level


CLOSED = Status(0, "Not connected: this node is closed.", Level.OFF)
NO_ROOM = Status(0, "No room yet. Create one, or join by its topic.", Level.ALONE)


def waiting(where: str, refusal: str | None) -> Status:
    """The status of a room that no member has let us into yet, or not at all."""
    if refusal:
        return Status(0, refusal, Level.ALONE)
    return Status(0, f"Waiting for a member to let you in to {where}.", Level.WAITING)


def describe(
    where: str, members: Sequence[Member], *, offline: bool, finding: str = "", share: str = "its topic"
) -> Status:
    """The status of a room, or of several and all their members. `offline`: only this machine can be reached.

    `share` is what others join by. `finding` is what the doctor found to be wrong; it is added while nobody is there.
    """
    best = {member.key: member for status in reversed(MemberStatus) for member in members if member.status is status}
    here, connecting, away = (_with(best.values(), status) for status in MemberStatus)
    only = " Only this machine: the network is off (LINKUP_OFFLINE)." if offline else ""
    why = f" {finding}" if finding else only
    if here:
        return Status(len(here), f"Connected to {_listed(here)}", Level.OK)
    if connecting:
        return Status(0, f"Connecting to {_listed(connecting)}…", Level.WAITING)
    if away:
        verb = "is" if len(away) == 1 else "are"
        return Status(0, f"Nobody else is in {where} now: {_listed(away)} {verb} away.{why}", Level.WAITING)
    if finding:
        return Status(0, f"Nobody else is in {where} yet.{why}", Level.WAITING)
    return Status(0, f"Nobody else is in {where} yet. Send someone {share}.{only}", Level.ALONE)


def _with(members: Iterable[Member], status: MemberStatus) -> list[str]:
    return [member.label for member in members if member.status is status]


def _listed(names: list[str]) -> str:
    shown = names if len(names) <= MAX_NAMED else [*names[: MAX_NAMED - 1], f"{len(names) - MAX_NAMED + 1} more"]
    *first, last = shown
    return f"{', '.join(first)} and {last}" if first else last
