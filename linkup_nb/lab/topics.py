"""Topics by name, as the lessons use them."""

from linkup_nb.errors import UsageError
from linkup_nb.wire.keys import KEY_SIZE, blake2b_256


def topic(name: str) -> bytes:
    """The 32-byte topic of a name: its BLAKE2b hash, so that "library" and "Library" have nothing in common."""
    if not isinstance(name, str) or not name:
        raise UsageError('A topic is made of a name: lu.lab.topic("library").')
    return blake2b_256(name.encode())


def as_topic(target: bytes | str) -> bytes:
    """A topic that is given as such, or by its name; raises `UsageError`."""
    if isinstance(target, str):
        return topic(target)
    if not isinstance(target, bytes) or len(target) != KEY_SIZE:
        raise UsageError(f'A topic is {KEY_SIZE} bytes, or a name as in lu.lab.topic("library").')
    return target
