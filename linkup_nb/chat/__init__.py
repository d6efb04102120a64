"""Rooms, and who talks in them. Called, it opens the panel: `import linkup_nb as lu; lu.chat()`."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linkup_nb.notebook.panel import Panel


class _Chat(ModuleType):
    # Importing this package binds it to `linkup_nb.chat`, the very name users call: so the package itself answers.
    def __call__(self, profile: str = "default", *, sidecar: bool = False) -> "Panel":
        """Start the node of `profile` and return its panel; called again, the same node and a fresh view."""
        from linkup_nb.notebook import runtime

        return runtime.chat(profile, sidecar=sidecar)


sys.modules[__name__].__class__ = _Chat
