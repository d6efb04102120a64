"""The requests of the Swarm tab's page."""

from typing import Annotated

from msgspec import Meta

from linkup_nb.notebook.bridge import Request

KeyText = Annotated[str, Meta(min_length=64, max_length=64)]


class SwarmOpenRequest(Request, kw_only=True, frozen=True):
    """The tab is being looked at in a view: keep it up to date."""


class SwarmCloseRequest(Request, kw_only=True, frozen=True):
    """It no longer is."""


class SwarmSelectRequest(Request, kw_only=True, frozen=True):
    """A peer was clicked, or a frame of the tap; neither takes the selection back."""

    peer: KeyText | None = None
    frame: int | None = None


class ExamineRequest(Request, kw_only=True, frozen=True):
    """Ask the doctor again."""


class TapRequest(Request, kw_only=True, frozen=True):
    """Watch the frames of the connection to a peer from now on, or those of none."""

    peer: KeyText | None = None


class TapClearRequest(Request, kw_only=True, frozen=True):
    """Forget the frames that were seen."""
