"""What people and rooms are called: checked when it is ours, made harmless when it is a stranger's."""

import re
import unicodedata
from functools import lru_cache

from linkup_nb.errors import InvalidName
from linkup_nb.wire.keys import short_key

MAX_NAME = 64  # characters
MAX_FILE_NAME = 255  # characters, as file systems have it
MAX_EXTENSION = 8  # characters of a file name's end that are kept when it is cut, its dot among them

# Category Cf also holds what emoji sequences and Indic scripts are joined with; those two stay.
_JOINERS = "\u200c\u200d"
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLANK = {"\u115f", "\u1160", "\u2800", "\u3164", "\uffa0"}  # letters and symbols that paint nothing
_MARKDOWN = re.compile(r"[\\`*_{}\[\]()<>#+\-.!|~&:/@$]")


def clean(text: str) -> str:
    """`text` on one line, without control characters, bidi tricks and other characters that cannot be seen."""
    return " ".join(_visible(text).split())


def _visible(text: str) -> str:
    kept = (c for c in unicodedata.normalize("NFC", text) if c.isspace() or c in _JOINERS or not _hidden(c))
    return "".join(" " if c.isspace() else c for c in kept)


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN


@lru_cache(maxsize=1024)
def look(name: str) -> str:
    """What `name` looks like at a glance, without case and accents; names of one look need short keys beside them."""
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(c for c in decomposed if c not in _BLANK and unicodedata.category(c)[0] not in "CMZ").casefold()


def check_name(name: str) -> str:
    """The name as it is kept: in NFC, on one line, without invisible characters.

    Raises `InvalidName` if nothing visible is left, or if it is longer than `MAX_NAME` characters.
    """
    name = clean(name)
    if not look(name):
        raise InvalidName("A name needs at least one visible character: type one.")
    if len(name) > MAX_NAME:
        raise InvalidName(f"This name has {len(name)} characters: shorten it to {MAX_NAME}.")
    return name


def stranger_name(name: str, key: bytes) -> str:
    """A stranger's name, harmless and at most `MAX_NAME` characters; their short key if nothing of it can be seen."""
    # Cut before and after: normalising must not cost more than a name is worth, and may make it longer.
    name = clean(name[: 4 * MAX_NAME])[:MAX_NAME].strip()
    return name if look(name) else short_key(key)


def file_name(name: str) -> str:
    """A file's name as it was given, its dots and spaces too, without folders and invisible characters.

    It has at most `MAX_FILE_NAME` characters; "file" stands for an empty one and for a folder's own "." and "..".
    Whoever saves the file makes it safe for that system.
    """
    name = _visible(re.split(r"[\\/]", name[-4 * MAX_FILE_NAME :])[-1])
    if len(name) > MAX_FILE_NAME:
        stem, dot, extension = name.rpartition(".")
        end = dot + extension if stem and len(dot + extension) <= MAX_EXTENSION else ""
        name = name[: MAX_FILE_NAME - len(end)] + end
    return "file" if name.strip() in ("", ".", "..") else name


def escape_markdown(text: str) -> str:
    """`text` on one line, so that Markdown shows its characters and reads nothing into them."""
    return _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", clean(text))
