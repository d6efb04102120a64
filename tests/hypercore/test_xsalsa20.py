"""XSalsa20: libsodium's function and ours are the same."""

from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.hypercore.xsalsa20 import in_python, xsalsa20


@given(st.binary(max_size=200), st.binary(min_size=24, max_size=24), st.binary(min_size=32, max_size=32))
def test_both_ways_to_encrypt_are_one(data: bytes, nonce: bytes, key: bytes) -> None:
    encrypted = xsalsa20(data, nonce, key)

    assert encrypted == in_python(data, nonce, key)
    assert in_python(encrypted, nonce, key) == xsalsa20(encrypted, nonce, key) == data


def test_the_key_stream_is_that_of_its_author() -> None:
    # The example of NaCl's own tests: https://cr.yp.to/highspeed/naclcrypto-20090310.pdf, section 9.
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")

    assert xsalsa20(bytes(32), nonce, key).hex() == "eea6a7251c1e72916d11c2cb214d3c252539121d8e234e652d651fa4c8cff880"
