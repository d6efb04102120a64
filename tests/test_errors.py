"""The tree of exceptions that `errors.py` draws is the one that it has."""

import inspect

from linkup_nb import errors


def drawn() -> dict[str, str]:
    """The parent of each class in the docstring; a level is four characters wide."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        before, branch, rest = line.partition("─ ")
        if line.startswith("LinkupError"):
            above = ["LinkupError"]
        elif branch:
            level = (len(before) - 2) // 4 + 1
            name = rest.split()[0]
            parents[name] = above[level - 1]
            above[level:] = [name]
    return parents


def test_the_tree_is_drawn_as_it_is() -> None:
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in classes if kind is not errors.LinkupError}

    assert drawn() == real


def test_yours_the_peers_and_the_machines_are_different_trees() -> None:
    trees = (errors.UsageError, errors.PeerError, errors.MachineError)

    assert [one for one in trees for other in trees if one is not other and issubclass(one, other)] == []
    assert not issubclass(errors.StoreError, ValueError)
