"""A LinkUp room's topic: 32 bytes that whoever knows them can join."""

import re

from linkup_nb.errors import InvalidTopic

TOPIC_BYTES = 32
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def parse_topic(topic: str | bytes) -> bytes:
    """The 32 bytes of a topic that was typed as 64 hexadecimal digits, or given as bytes. Raises `InvalidTopic`."""
    if isinstance(topic, bytes):
        if len(topic) != TOPIC_BYTES:
            raise InvalidTopic(f"A topic is {TOPIC_BYTES} bytes, and these are {len(topic)}: copy the whole topic of the room.")
        return topic
    topic = topic.strip()
    if not _HEX.fullmatch(topic):
        found = f"and this has {len(topic)} characters" if len(topic) != 2 * TOPIC_BYTES else "and this has other characters"
        raise InvalidTopic(f"A topic is 64 hexadecimal digits (0-9, a-f), {found}: copy the whole topic of the room.")
    return bytes.fromhex(topic)


def short_topic(topic: bytes) -> str:
    """The topic's first digits: enough to tell rooms apart, not enough to join."""
    return f"{topic.hex()[:6]}…"
