import pytest

from linkup_nb.errors import DecryptionError
from linkup_nb.wire.seal import HEADER_SIZE, LENGTH_SIZE, SEAL_SIZE, Opener, Sealer, pointer
from tests.wire.ends import flip

KEY, HEADER = bytes(range(32)), bytes(HEADER_SIZE)


def open_frame(opener: Opener, frame: bytes) -> bytes:
    buffer = bytearray(frame)
    return opener.open(pointer(buffer) + LENGTH_SIZE, len(buffer) - LENGTH_SIZE)


def test_what_is_sealed_is_opened_in_order() -> None:
    sealer, opener = Sealer(KEY, HEADER), Opener(KEY, HEADER)
    messages = [b"", b"one", bytes(100_000), b"one"]
    frames = [bytes(sealer.seal(message)) for message in messages]
    assert [open_frame(opener, frame) for frame in frames] == messages
    assert frames[1] != frames[3]


def test_a_frame_begins_with_its_length() -> None:
    frame = Sealer(KEY, HEADER).seal(bytes(70_000))
    assert int.from_bytes(frame[:LENGTH_SIZE], "little") == len(frame) - LENGTH_SIZE == 70_000 + SEAL_SIZE


@pytest.mark.parametrize("bit", range(8 * LENGTH_SIZE, 8 * (LENGTH_SIZE + SEAL_SIZE + 2)))
def test_a_flipped_bit_is_noticed(bit: int) -> None:
    frame = flip(Sealer(KEY, HEADER).seal(b"hi"), bit)
    with pytest.raises(DecryptionError):
        open_frame(Opener(KEY, HEADER), frame)


def test_a_frame_opens_once_and_in_its_place() -> None:
    sealer = Sealer(KEY, HEADER)
    first, second = bytes(sealer.seal(b"first")), bytes(sealer.seal(b"second"))
    with pytest.raises(DecryptionError):
        open_frame(Opener(KEY, HEADER), second)
    opener = Opener(KEY, HEADER)
    open_frame(opener, first)
    with pytest.raises(DecryptionError):
        open_frame(opener, first)


def test_another_key_or_header_opens_nothing() -> None:
    frame = Sealer(KEY, HEADER).seal(b"secret")
    for opener in (Opener(bytes(32), HEADER), Opener(KEY, b"\1" * HEADER_SIZE)):
        with pytest.raises(DecryptionError):
            open_frame(opener, bytes(frame))
