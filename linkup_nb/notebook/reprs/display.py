"""Which of our types IPython shows as HTML."""

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
    "discovery.view": ("NetworkView", "QueryView"),
    "hyperdht.view": ("DhtView",),
    "discovery.protocol": ("PeerInfo",),
    "swarm.swarm": ("Swarm",),
    "connection.tap": ("Frame", "Tap"),
}


def register() -> None:
    """Teach IPython to show our objects; does nothing outside of it."""
    here = shell()
    if here and here.display_formatter:
        drawers = here.display_formatter.formatters["text/html"]
        for kind, draw in DRAWERS.items():
            drawers.for_type(kind, draw)
        drawers.for_type(tuple, _swarming)
        for draw, modules in ((_stored, _STORED), (_swarming, _SWARMING)):
            for module, names in modules.items():
                for name in names:
                    drawers.for_type_by_name(f"linkup_nb.{module}", name, draw)


def _stored(thing: object) -> str:
    from linkup_nb.notebook.reprs import store

    return store.draw(thing)


def _swarming(thing: object) -> str | None:
    from linkup_nb.notebook.reprs import swarm

    return swarm.draw(thing)
