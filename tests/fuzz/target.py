"""What a fuzzer may do to one decoder, and what must hold whatever it does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from linkup_nb.errors import PeerError

MEMORY = 16 * 1024  # KiB that one input of a few KiB may make a process larger by

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """A decoder: `check` takes any bytes, and raises if the decoder is wrong; `seeds` are inputs for it.

    No input takes longer than `seconds` of processor time, nor more than `MEMORY`.
    """

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    seconds: float = 0.01


def same_again(decode: Callable[[bytes], T], encode: Callable[[T], bytes], data: bytes) -> None:
    """What decodes, encodes; and that decodes to the same."""
    try:
        value = decode(data)
    except PeerError:
        return
    assert decode(encode(value)) == value


def any_of(*checks: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """A check that lets the first byte choose one of these for the rest."""

    def check(data: bytes) -> None:
        if data:
            checks[data[0] % len(checks)](data[1:])

    return check


def chosen(number: int, seeds: Sequence[bytes]) -> list[bytes]:
    """Seeds for the check of this number in `any_of`."""
    return [bytes([number]) + seed for seed in seeds]


def pieces(data: bytes) -> Iterator[bytes]:
    """Several messages in one input: each is a byte of length, and so many bytes."""
    while data:
        size = data[0]
        yield data[1 : 1 + size]
        data = data[1 + size :]


def joined(messages: Sequence[bytes]) -> bytes:
    """The input of which `pieces` are these messages, as far as each has at most 255 bytes."""
    return b"".join(bytes([len(message)]) + message for message in messages if len(message) < 256)
