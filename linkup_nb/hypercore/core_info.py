"""What a core was at one moment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CoreInfo:
    """A core at one moment; sizes are bytes."""

    key: bytes
    discovery_key: bytes
    length: int
    byte_length: int
    contiguous_length: int
    fork: int
    writable: bool
    encrypted: bool
    peers: int
