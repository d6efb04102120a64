"""Who is here, and who is typing: rules only; `now` is in seconds on a clock that never goes back.

Whoever is connected is here, and so is whoever a connected member names: that is hearsay, and is forgotten soon.
"""

from typing import NamedTuple

from linkup_nb.wire.rooms import PresenceState

PRESENCE_EVERY = 30.0  # seconds between two presences to one peer
PRESENCE_LIFE = 90.0  # seconds for which a presence is believed
TYPING_EVERY = 3.0  # seconds between two announcements that one is typing
TYPING_LIFE = 6  # seconds for which somebody is shown as typing


class _Named(NamedTuple):
    until: float
    ties: frozenset[int]


class Presences:
    """The devices that are connected, and the feeds of those who are named by them."""

    def __init__(self) -> None:
        self._connected: dict[bytes, PresenceState] = {}
        self._named: dict[bytes, _Named] = {}
        self._typing: dict[bytes, tuple[str, float]] = {}

    def connected(self, device: bytes) -> None:
        """A device has proven to know the room."""
        self._connected[device] = PresenceState.HERE

    def gone(self, device: bytes) -> None:
        """A device is connected no longer."""
        self._connected.pop(device, None)
        self._named.pop(device, None)
        self._typing.pop(device, None)

    def presence(self, device: bytes, state: PresenceState, ties: frozenset[int], now: float) -> None:
        """A connected device says where it is, and who is connected to it."""
        if device in self._connected:
            self._connected[device] = state
            self._named[device] = _Named(now + PRESENCE_LIFE, ties if state is not PresenceState.GONE else frozenset())

    def devices(self) -> frozenset[bytes]:
        """The devices that are here."""
        return frozenset(device for device, state in tuple(self._connected.items()) if state is PresenceState.HERE)

    def named(self, now: float) -> frozenset[int]:
        """The feeds of those whom somebody who is connected has named of late."""
        return frozenset().union(*(named.ties for named in tuple(self._named.values()) if named.until > now))

    def typing(self, device: bytes, channel: str, seconds: int, now: float) -> None:
        """Somebody is typing in a channel; for 0 seconds: no longer."""
        self._typing[device] = (channel, now + min(seconds, TYPING_LIFE))

    def stopped(self, device: bytes) -> bool:
        """Somebody has sent what they typed; whether they were typing."""
        return self._typing.pop(device, None) is not None

    def typists(self, now: float) -> dict[bytes, str]:
        """The devices on which somebody is typing, and the channel."""
        return {device: channel for device, (channel, until) in tuple(self._typing.items()) if until > now}
