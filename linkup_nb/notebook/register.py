"""What a notebook gives to the rest of the package: done when a public name is first used where IPython runs."""

from linkup_nb.notebook import cells, hub
from linkup_nb.notebook.reprs import display
from linkup_nb.surroundings import Surroundings, hand_in


def register() -> None:
    """Show our objects, their progress and their addresses as a notebook does; again and again does no harm."""
    display.register()
    cells.follow()
    hand_in(Surroundings(show=cells.show, bar=cells.bar, proxy=hub.proxy))
