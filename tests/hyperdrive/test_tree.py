"""Blocks of a bee as bytes; what trees do is tested with the bees that they are of."""

from hypothesis import example, given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError
from linkup_nb.hyperdrive.protobuf import field, fields
from linkup_nb.hyperdrive.tree import Block

parts = st.builds(field, st.sampled_from([1, 2, 3, 4, 30]), st.binary(max_size=6) | st.sampled_from([bytes(200)]))
usual = st.tuples(*(st.builds(field, st.just(number), st.binary(max_size=300)) for number in (1, 2, 3)))
cut = st.builds(lambda data, end: data[:end], usual.map(b"".join), st.integers(0, 400))


@given(usual.map(b"".join) | st.lists(parts, max_size=5).map(b"".join) | cut | st.binary(max_size=30))
@example(field(1, b"") + field(2, bytes(2**14 - 1)) + field(3, bytes(2**14)))
@example(b"\x0a\x80\x80\x00\x12\x01k\x1a\x00")  # a length in more bytes than it needs
@example(field(1, b"i") + field(2, b"k"))
@example(field(1, b"i") + field(2, b"k") + field(3, b"v") + field(3, b"w"))
@example(field(1, b"i") + field(2, b"k") + b"\x1a\x05v")
def test_a_block_has_what_its_fields_say(data: bytes) -> None:
    try:
        found = dict(fields(data))  # of a field that comes twice, the last counts
        expected = Block(7, found[2], found.get(3), found.get(1, b""))
    except (DecodeError, KeyError):
        expected = None

    try:
        assert Block.decode(7, data) == expected
    except DecodeError:
        assert expected is None
