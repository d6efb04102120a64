"""A room's topic: the 32 bytes under which its members find each other."""

import re

from linkup_nb.errors import InvalidTopic

TOPIC_BYTES = 32
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def parse_topic(topic: str | bytes) -> bytes:
    """The 32 bytes of a topic that was typed as 64 hexadecimal digits, or given as bytes. Raises `InvalidTopic`."""
    if isinstance(topic, bytes):
        if len(topic) != TOPIC_BYTES:
            raise InvalidTopic(f"A topic is {TOPIC_BYTES} bytes, not {len(topic)}: copy the whole topic of the room.")
        return topic
    topic = topic.strip()
    if not _HEX.fullmatch(topic):
        found = "other characters" if len(topic) == 2 * TOPIC_BYTES else f"{len(topic)} characters"
        other = "or its invite, which begins with linkup:"
        raise InvalidTopic(
            f"A topic is 64 hexadecimal digits, and this has {found}: copy the whole topic of the room, {other}."
        )
    return bytes.fromhex(topic)


def short_topic(topic: bytes) -> str:
    """The topic's first digits: enough to tell rooms apart, not enough to join."""
    return f"{topic.hex()[:6]}…"
