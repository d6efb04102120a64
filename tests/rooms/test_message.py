from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from linkup_nb.rooms.message import AudioMessage, FileMessage, IconMessage, Message, TextMessage, UnknownMessage

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
COMMON: dict[str, Any] = {"name": "kestrel", "key": bytes(32), "topic": bytes(32), "timestamp": NOW, "received": NOW}


@pytest.mark.parametrize(
    ("message", "shown", "size"),
    [
        (TextMessage(**COMMON, text="hi ö"), "<TextMessage -1 from 'kestrel' (yyyy…yyyy): 'hi ö'>", 5),
        (
            FileMessage(**COMMON, file_name="a.csv", data=bytes(2000)),
            "<FileMessage -1 from 'kestrel' (yyyy…yyyy): 'a.csv', 2,000 bytes>",
            2000,
        ),
        (AudioMessage(**COMMON, data=bytes(9)), "<AudioMessage -1 from 'kestrel' (yyyy…yyyy): 9 bytes>", 9),
        (IconMessage(**COMMON, avatar=bytes(9)), "<IconMessage -1 from 'kestrel' (yyyy…yyyy): 9 bytes>", 9),
        (
            UnknownMessage(**COMMON, type="poll", fields={"a": 1}),
            "<UnknownMessage -1 from 'kestrel' (yyyy…yyyy): type 'poll', 1 fields>",
            2,
        ),
    ],
)
def test_a_message_is_one_line_without_its_data(message: Message, shown: str, size: int) -> None:
    assert repr(message) == shown
    assert message.size == size


def test_a_long_text_and_control_characters_cannot_redraw_the_terminal() -> None:
    message = TextMessage(**COMMON | {"name": "\x1b[2J\u202e"}, text="\x1b]0;x\x07" + "y" * 10_000)
    assert repr(message).isascii() or "…" in repr(message)
    assert "\x1b" not in repr(message)
    assert len(repr(message)) < 200


def test_a_message_does_not_change() -> None:
    message = TextMessage(**COMMON, text="hi")
    with pytest.raises(FrozenInstanceError):
        message.text = "ho"  # type: ignore[misc]
    assert replace(message, index=3).index == 3
