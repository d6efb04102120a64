"""The bitfield, against a plain set."""

from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.hypercore.bitfield import PAGE, Bitfield

SPAN = 2 * PAGE
places = st.integers(0, SPAN) | st.integers(-40, 40).map(lambda near: PAGE + near)
lengths = st.integers(0, 70) | st.just(PAGE)
changes = st.lists(st.tuples(st.sampled_from(["set", "clear", "truncate", "words"]), places, lengths), max_size=12)


def _apply(field: Bitfield, plain: set[int], change: tuple[str, int, int]) -> None:
    kind, start, length = change
    if kind == "set":
        field.set(start, length)
        plain |= set(range(start, start + length))
    elif kind == "clear":
        field.clear(start, length)
        plain -= set(range(start, start + length))
    elif kind == "truncate":
        field.truncate(start)
        plain -= {index for index in plain if index >= start}
    else:
        start -= start % 32
        field.set_words(start, b"\x05\x00\x00\x80" * 3)
        plain -= set(range(start, start + 96))
        plain |= {start + 32 * word + bit for word in range(3) for bit in (0, 2, 31)}


def _check(field: Bitfield, plain: set[int]) -> None:
    end = max(plain, default=0) + 40
    assert [index for index in range(end) if not field.has(index)] == [i for i in range(end) if i not in plain]
    assert list(field.missing(0, end)) == [index for index in range(end) if index not in plain]
    assert field.contiguous == next(index for index in range(end) if index not in plain)
    length = end + 32 - end % 32
    bits = int.from_bytes(field.words(0, length), "little")
    assert [index for index in range(length) if bits >> index & 1] == sorted(plain)


@given(changes)
@settings(max_examples=20)
def test_any_changes_equal_those_of_a_set(all_changes: list[tuple[str, int, int]]) -> None:
    field, plain = Bitfield(), set[int]()
    for change in all_changes:
        _apply(field, plain, change)
    _check(field, plain)


@given(st.sets(st.integers(0, 2 * PAGE), max_size=30), changes)
@settings(max_examples=20)
def test_changes_on_top_of_what_is_loaded(stored: set[int], all_changes: list[tuple[str, int, int]]) -> None:
    contiguous = next(index for index in range(len(stored) + 1) if index not in stored)
    plain = set(stored)
    field = Bitfield(contiguous, lambda start, end: [index for index in stored if start <= index < end])
    for change in all_changes:
        if change[0] != "truncate":
            _apply(field, plain, change)
    _check(field, plain)


def test_a_beginning_of_any_length_takes_no_memory() -> None:
    field = Bitfield()
    field.set(0, 2**31)

    assert field.contiguous == 2**31
    assert not field._pages
