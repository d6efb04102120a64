"""Encrypted blocks, as JavaScript stores them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import InvalidProof, UsageError
from linkup_nb.hypercore.encryption import PADDING, BlockCipher
from tests.hypercore.vectors import load

KNOWN = load("encryption")
CIPHER = BlockCipher(bytes.fromhex(KNOWN["coreKey"]), bytes.fromhex(KNOWN["encryptionKey"]))


def test_the_stored_block_is_javascripts() -> None:
    plain, stored = bytes.fromhex(KNOWN["plain"]), bytes.fromhex(KNOWN["stored"])

    assert CIPHER.encrypt(KNOWN["index"], KNOWN["fork"], plain) == stored
    assert CIPHER.decrypt(KNOWN["index"], stored) == plain


@given(st.integers(0, 2**40), st.integers(0, 2**20), st.binary(max_size=100))
def test_what_was_encrypted_can_be_read(index: int, fork: int, block: bytes) -> None:
    stored = CIPHER.encrypt(index, fork, block)

    assert len(stored) == len(block) + PADDING
    assert CIPHER.decrypt(index, stored) == block


def test_the_same_block_is_stored_differently_at_each_place_and_fork() -> None:
    assert len({CIPHER.encrypt(index, fork, b"same") for index in range(3) for fork in range(3)}) == 9


def test_a_block_too_short_to_be_encrypted_is_the_peers_fault() -> None:
    with pytest.raises(InvalidProof, match="Block 4 has 7 bytes"):
        CIPHER.decrypt(4, b"1234567")


def test_a_key_of_the_wrong_size_is_yours() -> None:
    with pytest.raises(UsageError, match="32 bytes, not 5"):
        BlockCipher(bytes(32), b"short")
