import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError
from linkup_nb.wire.keys import KeyPair, blake2b_256, discovery_key, namespace, short_key, verify, z32decode, z32encode
from tests.vectors import load

VECTORS = load("crypto")


@pytest.mark.parametrize("case", VECTORS["keyPairs"].values(), ids=VECTORS["keyPairs"])
def test_key_pair_of_a_seed(case: dict[str, str]) -> None:
    pair = KeyPair.from_seed(bytes.fromhex(case["seed"]))
    assert pair.public_key.hex() == case["publicKey"]
    assert pair.secret_key.hex() == case["secretKey"]
    assert z32encode(pair.public_key) == case["z32"]
    assert z32decode(case["z32"]) == pair.public_key


def test_a_seed_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="A seed is 32 bytes, not 31"):
        KeyPair.from_seed(bytes(31))


def test_signature() -> None:
    case = VECTORS["sign"]
    pair = KeyPair.from_seed(bytes.fromhex(case["seed"]))
    assert pair.sign(bytes.fromhex(case["message"])).hex() == case["signature"]
    assert verify(bytes.fromhex(case["message"]), bytes.fromhex(case["signature"]), pair.public_key)


def test_only_what_was_signed_is_verified() -> None:
    pair, other = KeyPair.from_seed(bytes(32)), KeyPair.from_seed(b"\1" * 32)
    signature = pair.sign(b"message")
    assert len(signature) == 64
    assert verify(b"message", signature, pair.public_key)
    assert not verify(b"another", signature, pair.public_key)
    assert not verify(b"message", signature, other.public_key)
    assert not verify(b"message", signature[:-1], pair.public_key)
    assert not verify(b"message", signature, pair.public_key[:-1])
    assert not verify(b"message", bytes(64), bytes(32))


def test_a_repr_shows_no_secret() -> None:
    pair = KeyPair.from_seed(b"\7" * 32)
    assert repr(pair) == f"KeyPair({pair.public_key.hex()})"


@pytest.mark.parametrize("name", VECTORS["namespaces"])
def test_namespaces(name: str) -> None:
    expected = VECTORS["namespaces"][name]
    made = namespace(name, [int(number) for number in expected])
    assert [one.hex() for one in made] == list(expected.values())


def test_discovery_key() -> None:
    case = VECTORS["discoveryKey"]
    assert discovery_key(bytes.fromhex(case["key"])).hex() == case["discoveryKey"]


@pytest.mark.parametrize("case", VECTORS["leaf"], ids=lambda case: case["data"] or "empty")
def test_hash(case: dict[str, str]) -> None:
    data = bytes.fromhex(case["data"])
    assert blake2b_256(b"\0" + len(data).to_bytes(8, "little") + data).hex() == case["hash"]


def test_a_short_key_shows_both_ends() -> None:
    key = bytes(range(32))
    assert short_key(key) == f"{z32encode(key)[:4]}…{z32encode(key)[-4:]}"


@given(st.binary(max_size=80))
def test_z32_both_ways(data: bytes) -> None:
    text = z32encode(data)
    assert len(text) == -(-len(data) * 8 // 5)
    assert z32decode(text) == z32decode(text.upper()) == data


@pytest.mark.parametrize(("text", "sentence"), [("l", "has no 'l'"), ("y", "whole byte"), ("yb", "whole byte")])
def test_text_that_is_not_z32(text: str, sentence: str) -> None:
    with pytest.raises(DecodeError, match=sentence):
        z32decode(text)
