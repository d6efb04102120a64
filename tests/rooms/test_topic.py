import pytest

from linkup_nb.errors import InvalidTopic
from linkup_nb.rooms.topic import parse_topic, short_topic

TOPIC = bytes(range(32))


def test_a_topic_is_64_hexadecimal_digits_or_32_bytes() -> None:
    assert parse_topic(f" {TOPIC.hex().upper()}\n") == parse_topic(TOPIC) == TOPIC


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", "0 characters"),
        ("ab", "2 characters"),
        ("g" * 64, "other characters"),
        ("٣" * 64, "other characters"),
        (b"ab", "not 2"),
    ],
)
def test_anything_else_gets_a_sentence_that_says_what_to_do(typed: str | bytes, found: str) -> None:
    with pytest.raises(InvalidTopic, match=f"{found}: copy the whole topic of the room"):
        parse_topic(typed)


def test_a_shortened_topic_does_not_let_anyone_join() -> None:
    assert short_topic(TOPIC) == "000102…"
