"""The requests of the Settings tab's page, and the answers, as `static/protocol.d.ts` declares them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from linkup_nb.notebook.bridge import Answer, Request

Text = Annotated[str, Meta(max_length=4096)]


class SpaceEntry(msgspec.Struct, frozen=True):
    """What takes the space of the profile, in bytes."""

    own: int
    rooms: int
    others: int


class NetworkEntry(msgspec.Struct, frozen=True):
    """A way of finding peers, and in one sentence what it does or what keeps it from it."""

    name: str
    text: str


class BlindPeerEntry(msgspec.Struct, frozen=True):
    """A blind peer by its key in z-base-32, and in one sentence where we stand with it; `ok` if that is well."""

    key: str
    ok: bool
    text: str


class SettingsRequest(Request, kw_only=True, frozen=True):
    """What the settings are."""


class BlindPeersRequest(Request, kw_only=True, frozen=True):
    """Where we stand with the blind peers: asked again and again, while what takes the space is counted once."""


class SetRequest(Request, kw_only=True, frozen=True):
    """Change some of them."""

    share_reads: bool | None = None
    share_typing: bool | None = None
    bootstrap: Text | None = None
    relay: Text | None = None
    blind_peers: Text | None = None


class ClearCopiesRequest(Request, kw_only=True, frozen=True):
    """Delete what is stored here of others' drives."""


class ExportProfileRequest(Request, kw_only=True, frozen=True):
    """The profile as one file."""


class Settings(Answer, kw_only=True):
    """What the settings are."""

    share_reads: bool
    share_typing: bool
    bootstrap: str
    relay: str
    in_use: list[NetworkEntry]
    blind_peers: str
    blind_peers_now: list[BlindPeerEntry]
    space: SpaceEntry | None
    limits: str


class BlindPeers(Answer, kw_only=True):
    """Where we stand with the blind peers."""

    blind_peers_now: list[BlindPeerEntry]


class Exported(Answer, kw_only=True):
    """A profile as the bytes of a zip file."""

    data: bytes
