"""What somebody types to find a message: words, `begin*`, and "phrases", all of which have to be there."""

import re
from typing import NamedTuple

MAX_QUERY = 256  # characters

_PART = re.compile(r'"([^"]*)"?|(\S+)')
# Scripts that write no spaces between words: FTS5 would take a whole sentence for one word.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


class WordQuery(NamedTuple):
    """A query of FTS5, empty where that would not find it, and the pattern of a LIKE that finds it everywhere."""

    words: str
    like: str


def parse_query(text: str) -> WordQuery:
    """What was typed, made harmless: nothing in it is an operator but `*` at the end of a word and the quotes."""
    text = text[:MAX_QUERY].strip()
    parts = []
    for phrase, word in _PART.findall(text):
        prefix = bool(word) and word.endswith("*")
        plain = (phrase or word.rstrip("*")).replace('"', " ").strip()
        if any(character.isalnum() for character in plain):
            parts.append(f'"{plain}"{"*" if prefix else ""}')
    like = re.sub(r"([%_\\])", r"\\\1", text.replace('"', "").rstrip("*"))
    return WordQuery("" if _UNSPACED.search(text) else " ".join(parts), f"%{like}%")
