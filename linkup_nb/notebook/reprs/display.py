"""Which of our types IPython shows as HTML or as a picture.

JupyterLab takes HTML where a value gives both, so a value has one or the other: what a picture shows of its facts is in
its words, and its parts (`query.hops`, `tap.frames`, `history[:20]`) are tables.
"""

from typing import Any

from linkup_nb.notebook.cells import shell
from linkup_nb.notebook.reprs.chat import DRAWERS

# Drawn by `reprs.store` and `reprs.swarm`, which are imported with the first of them: a chat alone does without.
_STORED = {
    "hypercore.core": ("Core",),
    "hypercore.core_info": ("CoreInfo",),
    "hypercore.corestore": ("Corestore",),
    "hypercore.download": ("Download",),
    "hyperdrive.comparison": ("Comparison",),
    "hyperdrive.entry": ("Entry",),
    "hyperdrive.history": ("Change", "Changes", "Event"),
    "hyperdrive.serve": ("DriveServer",),
    "hyperdrive.view": ("DriveInfo", "DriveView"),
}
_SWARMING = {
    "discovery.check": ("Report",),
    "connection.connection": ("Connection",),
    "discovery.view": ("NetworkView",),
    "hyperdht.view": ("DhtView",),
    "discovery.protocol": ("PeerInfo",),
    "swarm.swarm": ("Swarm",),
    "connection.tap": ("Frame", "Tap"),
}
# Drawn by `reprs.pictures`.
_PICTURED = {
    "connection.tap": ("Tap",),
    "discovery.view": ("QueryView", "TableView"),
    "hypercore.evidence": ("Evidence",),
    "hypercore.tree": ("Tree",),
    "hyperdrive.history": ("Bisection", "Changes"),
    "rooms.memory.timeline": ("Timeline",),
}


def register() -> None:
    """Teach IPython to show our objects; does nothing outside of it."""
    here = shell()
    if here and here.display_formatter:
        drawers = here.display_formatter.formatters["text/html"]
        for kind, draw in DRAWERS.items():
            drawers.for_type(kind, draw)
        drawers.for_type(tuple, _tuple)
        for draw, modules in ((_stored, _STORED), (_swarming, _SWARMING)):
            for module, names in modules.items():
                for name in names:
                    drawers.for_type_by_name(f"linkup_nb.{module}", name, draw)
        for module, names in _PICTURED.items():
            for name in names:
                here.display_formatter.mimebundle_formatter.for_type_by_name(f"linkup_nb.{module}", name, _pictured)
                here.display_formatter.formatters["text/plain"].for_type_by_name(f"linkup_nb.{module}", name, _worded)


def _tuple(things: tuple[object, ...]) -> str | None:
    of_drive = bool(things) and type(things[0]).__module__ == "linkup_nb.hyperdrive.history"
    return _stored(things) if of_drive else _swarming(things)


def _stored(thing: object) -> str | None:
    from linkup_nb.notebook.reprs import store

    return store.draw(thing)


def _pictured(thing: object) -> tuple[dict[str, Any], dict[str, Any]] | None:
    from linkup_nb.notebook.reprs import pictures

    drawn = pictures.picture(thing)
    return drawn.bundle() if drawn else None


def _worded(thing: object, printer: Any, cycle: bool) -> None:
    """The words of a picture as the value of a cell; within another value its plain repr."""
    from linkup_nb.notebook.reprs import pictures

    drawn = pictures.picture(thing) if len(printer.stack) == 1 else None
    printer.text(drawn.text if drawn else repr(thing))


def _swarming(thing: object) -> str | None:
    from linkup_nb.notebook.reprs import swarm

    return swarm.draw(thing)
