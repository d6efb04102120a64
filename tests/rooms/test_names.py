import pytest

from linkup_nb.errors import InvalidName
from linkup_nb.rooms.names import (
    MAX_FILE_NAME,
    MAX_NAME,
    check_name,
    clean,
    escape_markdown,
    file_name,
    look,
    stranger_name,
)
from linkup_nb.wire.keys import short_key

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  kestrel \n", "kestrel"),
        ("Zoe\u0308", "Zoë"),
        ("a\u202eb\x07c", "abc"),
        ("two  words", "two words"),
        ("👩\u200d🔬", "👩\u200d🔬"),
    ],
)
def test_a_name_is_kept_as_one_visible_line(typed: str, kept: str) -> None:
    assert check_name(typed) == kept


@pytest.mark.parametrize("typed", ["", "   ", "\u200b\u202e", "\u3164", "\u2800", "\x00"])
def test_a_name_needs_something_visible(typed: str) -> None:
    with pytest.raises(InvalidName, match="at least one visible character"):
        check_name(typed)


def test_a_name_has_at_most_64_characters() -> None:
    assert check_name("x" * MAX_NAME) == "x" * 64
    with pytest.raises(InvalidName, match="65 characters: shorten it to 64"):
        check_name("x" * 65)


def test_a_strangers_name_is_cut_and_never_empty() -> None:
    assert stranger_name("\u202eevil\n\x1b[2J", KEY) == "evil [2J"
    assert stranger_name("ﷺ" * 10_000_000, KEY) == "ﷺ" * MAX_NAME
    assert stranger_name("\u200b \u2067", KEY) == short_key(KEY)


@pytest.mark.parametrize(
    "other", ["kestrel", "Kestrel", "kes\u200dtrel", "kes\u034ftrel", "\uff4bestrel", "késtrel", "kest rel"]
)
def test_names_that_look_alike_have_one_look(other: str) -> None:
    assert look(other) == look("kestrel") != look("otter")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\windows\\calc.exe", "calc.exe"),
        ("photo\u202egnp.exe", "photognp.exe"),
        (".env", ".env"),
        ("a/.gitignore", ".gitignore"),
        ("two  spaces .txt ", "two  spaces .txt "),
        ("a\nb\t.txt", "a b .txt"),
        ("...", "..."),
        (" . ", "file"),
        ("", "file"),
        ("..", "file"),
        ("a/", "file"),
        ("x" * 300 + ".csv", "x" * (MAX_FILE_NAME - 4) + ".csv"),
        ("x" * 300, "x" * MAX_FILE_NAME),
    ],
)
def test_a_file_name_has_no_folders_and_no_tricks(sent: str, shown: str) -> None:
    assert file_name(sent) == shown


def test_markdown_reads_nothing_into_an_escaped_name() -> None:
    assert escape_markdown("*a* [b](http://c)\n# <i>") == (
        "&#42;a&#42; &#91;b&#93;&#40;http&#58;&#47;&#47;c&#41; &#35; &#60;i&#62;"
    )


def test_clean_removes_what_cannot_be_seen() -> None:
    assert clean("a\u2066b\u2069\ud800\U000e0041c") == "abc"
