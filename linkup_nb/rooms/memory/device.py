"""The key of this device in the rooms of a profile: a copied profile is another device, a moved one is not.

Two devices never write one feed, for that would fork it for ever.
"""

import os
import uuid
from pathlib import Path

import msgspec

from linkup_nb.errors import UsageError
from linkup_nb.rooms.files import write_private
from linkup_nb.wire.keys import KEY_SIZE, KeyPair, blake2b_256


class _Device(msgspec.Struct):
    seed: bytes
    machine: bytes
    path: str


def device_key(path: Path) -> KeyPair:
    """The key pair of this device, kept in the file `path`; a new one where the file was copied to.

    Raises `UsageError` for a file that is damaged.
    """
    machine, here = _machine(), str(path.resolve())
    known = _read(path)
    if known and known.machine == machine:
        if known.path == here:
            return KeyPair.from_seed(known.seed)
        elsewhere = _read(Path(known.path))
        if not (elsewhere and elsewhere.seed == known.seed):  # moved, not copied
            write_private(path, msgspec.json.encode(_Device(known.seed, machine, here)))
            return KeyPair.from_seed(known.seed)
    seed = os.urandom(KEY_SIZE)
    write_device(path, seed)
    return KeyPair.from_seed(seed)


def write_device(path: Path, seed: bytes) -> None:
    """Let the device whose key is kept in the file `path` have the key that is made from these 32 bytes."""
    write_private(path, msgspec.json.encode(_Device(seed, _machine(), str(path.resolve()))))


def _read(path: Path) -> _Device | None:
    try:
        device = msgspec.json.decode(path.read_bytes(), type=_Device)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}): delete it to take part as a new device.") from None
    if len(device.seed) != KEY_SIZE:
        raise UsageError(f"{path} is damaged: delete it to take part as a new device.")
    return device


def _machine() -> bytes:
    for file in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return blake2b_256(Path(file).read_bytes().strip())
        except OSError:
            continue
    return blake2b_256(uuid.getnode().to_bytes(8, "big"))
