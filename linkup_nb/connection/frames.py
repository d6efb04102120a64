"""The messages in the frames of a connection, as far as their bytes show them: for the tap."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from linkup_nb.errors import PeerError, ProtocolError
from linkup_nb.wire.compact import Decoder
from linkup_nb.wire.protomux import MAX_CHANNELS, Control, split

MAX_PARTS = 32  # messages of one Protomux batch that are described; the rest is counted
MAX_TEXT = 160  # characters that describe one message

_HYPERCORE = "hypercore/alpha"
_CONTROLS = (Control.OPEN, Control.REJECT, Control.CLOSE)


@dataclass(frozen=True, slots=True)
class Part:
    """One message inside a frame.

    `channel` is the number that its sender gave to a Protomux channel, 0 for Protomux's own messages; `None` elsewhere.
    `protocol` is empty while a channel's is not known. `text` describes its fields, never what they hold.
    """

    protocol: str
    channel: int | None
    type: str
    size: int
    text: str = ""


class _Typed(msgspec.Struct):
    type: str


_read_type = msgspec.json.Decoder(_Typed).decode


class Interpreter:
    """Reads the messages of one end of a connection, in their order.

    `names` are the protocols of the channels that it has open already; `None` while nobody knows whether it has any.
    """

    def __init__(self, names: Mapping[int, str] | None) -> None:
        self._multiplexed = names is not None
        self._names = dict(names or {})

    def read(self, message: bytes) -> tuple[tuple[Part, ...], int]:
        """The first `MAX_PARTS` messages in this one, and how many more there are; none where nothing is known."""
        if not self._multiplexed and message[:1] == b"{":
            return _read_json(message), 0
        parts: list[Part] = []
        count = 0
        try:
            for number, frame in split(message):
                count += 1
                part = self._read_control(frame) if number == 0 else self._read_message(number, frame)
                if count <= MAX_PARTS:
                    parts.append(part)
        except PeerError as error:
            parts = [Part("protomux", None, "?", len(message), _cut(str(error)))]
            count = 1
        # Only a message that opens a channel shows that a connection is divided into channels at all.
        return (tuple(parts), count - len(parts)) if self._multiplexed else ((), 0)

    def _read_control(self, frame: bytes) -> Part:
        source = Decoder(frame)
        kind, number = source.uint(), source.uint()
        if kind not in _CONTROLS:
            raise ProtocolError(f"Protomux has no control message {kind} here.")
        text = f"channel {number}"
        if kind == Control.OPEN:
            protocol = source.string()
            if len(self._names) < MAX_CHANNELS:
                self._names[number] = protocol
            self._multiplexed = True
            text = f"channel {number}: {protocol}"
        return Part("protomux", 0, Control(kind).name.lower(), len(frame), _cut(text))

    def _read_message(self, number: int, frame: bytes) -> Part:
        protocol = self._names.get(number, "")
        source = Decoder(frame)
        kind = source.uint()
        name, text = str(kind), ""
        if protocol == _HYPERCORE:
            from linkup_nb.hypercore.messages import decode  # 20 ms that a panel need not pay which shows no frames

            try:
                message = decode(kind, source.raw())
            except PeerError as error:
                text = str(error)
            else:
                name, text = type(message).__name__, _describe(message)
        return Part(protocol, number, name, len(frame), _cut(text))


def _read_json(message: bytes) -> tuple[Part, ...]:
    try:
        return (Part("linkup", None, _cut(_read_type(message).type), len(message)),)
    except (ValueError, RecursionError):
        return ()


def _describe(message: Any) -> str:
    """The fields of a named tuple that are there: `block=(index=4, value=100 bytes)`."""
    fields = zip(message._fields, message, strict=True)
    return ", ".join(f"{name}={_value(value)}" for name, value in fields if value is not None and value is not False)


def _value(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list):
        return f"{len(value)} items"
    if isinstance(value, tuple):
        return f"({_describe(value) if hasattr(value, '_fields') else ', '.join(map(_value, value))})"
    return str(value) if isinstance(value, int | str) else type(value).__name__


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
