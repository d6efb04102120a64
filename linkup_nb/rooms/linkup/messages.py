"""The JSON objects that LinkUp peers send, one a message: written exactly as LinkUp writes them, read leniently.

The format is what the LinkUp desktop app gives to `connection.write(JSON.stringify(...))`: `type`, the sender's name,
`topic` (64 hex digits), `timestamp` (milliseconds since 1970), and `message`, or `fileName` and `file`, or `audio`, or
`avatar` (base64).
"""

import contextlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

import msgspec

from linkup_nb.errors import DecodeError, FileTooLarge, InvalidTopic, UsageError
from linkup_nb.rooms.avatar import from_base64
from linkup_nb.rooms.message import (
    AudioMessage,
    FileMessage,
    IconMessage,
    LinkUpFileMessage,
    Message,
    TextMessage,
    UnknownMessage,
)
from linkup_nb.rooms.names import clean, file_name, stranger_name
from linkup_nb.rooms.topic import parse_topic

MAX_FILE = 10 * 1_048_576  # bytes of a file or a clip, before base64
MAX_TEXT = 65_536  # bytes of a text in UTF-8; a stranger's longer one is cut
MAX_FOREIGN_AVATAR = 2 * 1_048_576  # bytes of an image that a peer sends as its avatar: LinkUp does not scale them
MAX_TYPE = 32  # characters of a type that we do not know
MAX_UNKNOWN = 8_192  # bytes of a message of such a type
MAX_PATH = 1_024  # characters of the path of a file in a drive
MAX_ENVELOPE = 65_536  # bytes around a file: names, topic, braces
MAX_MESSAGE_BYTES = -(-MAX_FILE // 3) * 4 + MAX_ENVELOPE  # bytes of one message; a longer one is not looked into
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # LinkUp is younger than any clock that shows less
MAX_AHEAD = timedelta(days=1)  # of our clock; a message from later than that is stamped with its arrival

_KEY = re.compile(r"[ybndrfg8ejkmcpqxot1uwisza345h769]{52}")  # z-base-32 of 32 bytes
_CUT = f"\n\n… (cut at {MAX_TEXT // 1024} KiB)"
_ABSENT = msgspec.Raw()
_NULL = msgspec.Raw(b"null")
_MALFORMED = (ValueError, RecursionError)  # all that msgspec raises for bytes of any kind


class _Text(msgspec.Struct, tag_field="type", tag="message"):
    name: str
    message: str
    topic: str
    timestamp: int


class _File(msgspec.Struct, tag_field="type", tag="file", rename="camel"):
    name: str
    file_name: str
    file: bytes
    topic: str
    timestamp: int
    drive: str | msgspec.UnsetType = msgspec.UNSET  # LinkUp ignores this and what follows
    path: str | msgspec.UnsetType = msgspec.UNSET
    version: int | msgspec.UnsetType = msgspec.UNSET


class _Audio(msgspec.Struct, tag_field="type", tag="audio"):
    name: str
    audio: bytes
    topic: str
    timestamp: int


class _Icon(msgspec.Struct, tag_field="type", tag="icon"):
    name: str
    username: str  # where LinkUp looks for the name in this type
    avatar: bytes
    topic: str
    timestamp: int


class _Incoming(msgspec.Struct, rename="camel"):
    # Raw fields are views: what a stranger nests in them is checked for syntax and skipped, never built.
    type: msgspec.Raw = _ABSENT
    name: msgspec.Raw = _ABSENT
    username: msgspec.Raw = _ABSENT
    topic: msgspec.Raw = _ABSENT
    timestamp: msgspec.Raw = _ABSENT
    message: msgspec.Raw = _ABSENT
    file_name: msgspec.Raw = _ABSENT
    file: msgspec.Raw = _ABSENT
    audio: msgspec.Raw = _ABSENT
    avatar: msgspec.Raw = _ABSENT
    drive: msgspec.Raw = _ABSENT
    path: msgspec.Raw = _ABSENT
    version: msgspec.Raw = _ABSENT


class _Envelope(NamedTuple):
    name: str
    key: bytes
    topic: bytes
    timestamp: datetime
    received: datetime


_encode = msgspec.json.Encoder().encode
_decode_message = msgspec.json.Decoder(_Incoming).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_number = msgspec.json.Decoder(float).decode
_decode_version = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=1, lt=2**53)]).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_plain: Callable[[msgspec.Raw], Any] = msgspec.json.Decoder(str | int | float | bool | None).decode


def encode(message: Message) -> bytes:
    """The bytes of one of our messages. Raises `UsageError` or `FileTooLarge` for what no LinkUp message can hold."""
    topic = message.topic.hex()
    timestamp = round(message.timestamp.timestamp() * 1000)
    match message:
        case TextMessage(text=text):
            if message.size > MAX_TEXT:
                raise UsageError(f"This text has {message.size:,} bytes, over {MAX_TEXT:,}: send it as a file.")
            return _encode(_Text(message.name, text, topic, timestamp))
        case FileMessage(file_name=file_name, data=data):
            check_size(len(data), "file")
            file = _File(message.name, file_name, data, topic, timestamp)
            if isinstance(message, LinkUpFileMessage):
                file.drive, file.path, file.version = message.drive, message.path, message.version
            return _encode(file)
        case AudioMessage(data=data):
            check_size(len(data), "recording")
            return _encode(_Audio(message.name, data, topic, timestamp))
        case IconMessage(avatar=avatar):
            return _encode(_Icon(message.name, message.name, avatar, topic, timestamp))
    raise UsageError(f"LinkUp has no message for a {type(message).__name__}: send a text, a file or a recording.")


def check_size(size: int, noun: str) -> None:
    """Raises `FileTooLarge` if that many bytes do not fit in one message."""
    if size > MAX_FILE:
        limit = f"{MAX_FILE // 1_048_576} MiB"
        raise FileTooLarge(f"This {noun} has {size / 1_048_576:.1f} MiB, over {limit}: send a smaller one.")


def decode(data: bytes, *, key: bytes, received: datetime) -> Message:
    """The message that the peer with the public `key` sent, in bytes that arrived at `received` (UTC).

    The topic of an icon that names none is empty. Names are harmless lines of bounded length; a text is as it came, cut
    at `MAX_TEXT` bytes. Raises `DecodeError` for anything that is not a LinkUp message.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise DecodeError(f"The message has {len(data):,} bytes, over {MAX_MESSAGE_BYTES:,}.")
    fields, data = _read_fields(data)
    kind = _text(fields.type)
    if not kind:
        raise DecodeError("The message has no type.")
    name = stranger_name(_text(fields.name) or _text(fields.username) or "", key)
    topic = b"" if kind == "icon" and fields.topic in (_ABSENT, _NULL) else _topic(fields.topic)
    envelope = _Envelope(name, key, topic, _time(fields.timestamp, received), received)
    read = _READERS.get(kind)
    return read(fields, envelope) if read else _read_unknown(kind, data, envelope)


def _read_fields(data: bytes) -> tuple[_Incoming, bytes]:
    """The fields, and the bytes that they were read from."""
    try:
        return _decode_message(data), data
    except _MALFORMED as error:
        if len(data) <= MAX_ENVELOPE and b"\\u" in data:
            with contextlib.suppress(ValueError, RecursionError):
                whole = _without_half_characters(data)
                return _decode_message(whole), whole
        raise DecodeError(f"The message is not LinkUp's: {_sentence(error)}") from None


def _without_half_characters(data: bytes) -> bytes:
    # JavaScript may cut a string inside an emoji, and escapes the half that is left, which no UTF-8 can hold.
    return json.dumps(json.loads(data), ensure_ascii=False).encode(errors="replace")


def _read_text(fields: _Incoming, envelope: _Envelope) -> Message:
    text = _text(fields.message)
    if text is None:
        raise DecodeError("The message has no text.")
    raw = text.encode()
    if len(raw) > MAX_TEXT:
        text = raw[:MAX_TEXT].decode(errors="ignore") + _CUT
    return TextMessage(**envelope._asdict(), text=text)


def _read_file(fields: _Incoming, envelope: _Envelope) -> Message:
    data = _base64(fields.file, "file", MAX_FILE)
    file = {**envelope._asdict(), "file_name": file_name(_text(fields.file_name) or ""), "data": data}
    drive, path, version = _text(fields.drive), _text(fields.path), _version(fields.version)
    if drive and _KEY.fullmatch(drive) and path and len(path) <= MAX_PATH and path == clean(path) and version:
        return LinkUpFileMessage(**file, drive=drive, path=path, version=version)
    return FileMessage(**file)


def _read_audio(fields: _Incoming, envelope: _Envelope) -> Message:
    return AudioMessage(**envelope._asdict(), data=_base64(fields.audio, "audio", MAX_FILE))


def _read_icon(fields: _Incoming, envelope: _Envelope) -> Message:
    return IconMessage(**envelope._asdict(), avatar=_base64(fields.avatar, "avatar", MAX_FOREIGN_AVATAR))


_READERS = {"message": _read_text, "file": _read_file, "audio": _read_audio, "icon": _read_icon}


def _read_unknown(kind: str, data: bytes, envelope: _Envelope) -> Message:
    if len(data) > MAX_UNKNOWN:
        raise DecodeError(f"The message is of an unknown type and has {len(data):,} bytes, over {MAX_UNKNOWN:,}.")
    try:
        named = _decode_fields(data)
    except _MALFORMED as error:
        raise DecodeError(f"The message is not LinkUp's: {_sentence(error)}") from None
    fields = {clean(name): _plain(raw) for name, raw in named.items() if name != "type"}
    return UnknownMessage(**envelope._asdict(), type=clean(kind[:MAX_TYPE]) or "?", fields=fields)


def _text(raw: msgspec.Raw) -> str | None:
    try:
        return _decode_text(raw)
    except ValueError:
        return None


def _version(raw: msgspec.Raw) -> int:
    try:
        version: int = _decode_version(raw)
    except ValueError:
        return 0
    return version


def _topic(raw: msgspec.Raw) -> bytes:
    try:
        return parse_topic(_text(raw) or "")
    except InvalidTopic:
        raise DecodeError("The topic of the message is not 64 hexadecimal digits.") from None


def _time(raw: msgspec.Raw, received: datetime) -> datetime:
    try:
        time = datetime.fromtimestamp(_decode_number(raw) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return received
    return time if EARLIEST <= time <= received + MAX_AHEAD else received


def _base64(raw: msgspec.Raw, noun: str, limit: int) -> bytes:
    text = _text(raw)
    if text is None:
        raise DecodeError(f"The message of type {noun} has no data.")
    try:
        data = from_base64(text)
    except ValueError as error:
        raise DecodeError(f"The data of the {noun} is not base64: {_sentence(error)}") from None
    if len(data) > limit:
        raise DecodeError(f"The {noun} has {len(data):,} bytes, over {limit:,}.")
    return data


def _plain(raw: msgspec.Raw) -> str | int | float | bool | None:
    try:
        value: str | int | float | bool | None = _decode_plain(raw)
    except ValueError:
        return bytes(raw).decode(errors="replace")
    return value


def _sentence(error: Exception) -> str:
    return f"{str(error).rstrip('.')}."
