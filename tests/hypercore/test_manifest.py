"""Manifests: JavaScript's bytes, keys and signatures."""

from dataclasses import replace
from typing import Any

import pytest

from linkup_nb.errors import DecodeError, InvalidProof
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.manifest import MAX_LINKED, MAX_SIGNERS, Manifest, Prologue, Signer, verify_bare
from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.multisig import MAX_PATCH_NODES
from linkup_nb.wire.compact import Encoder
from linkup_nb.wire.keys import KeyPair, discovery_key, namespace
from tests.hypercore.vectors import BLOCKS, HYPERCORE, KEY, KEY_PAIR, MANIFEST, Log, load

KEYS = [KeyPair.from_seed(bytes([i]) * 32) for i in range(1, 4)]


@pytest.mark.parametrize("known", load("manifest").values(), ids=load("manifest"))
def test_every_kind_of_manifest_is_read_and_written_as_javascript_does(known: dict[str, Any]) -> None:
    manifest = Manifest.decode(bytes.fromhex(known["encoded"]))

    assert manifest.encode().hex() == known["encoded"]
    assert manifest.key.hex() == known["key"]
    if known["contentKey"]:
        content = manifest.for_blobs(manifest.key)
        assert (content.encode().hex(), content.key.hex()) == (known["contentManifest"], known["contentKey"])


def test_a_key_pair_gives_javascripts_key() -> None:
    assert MANIFEST.encode().hex() == HYPERCORE["manifest"]
    assert (KEY.hex(), discovery_key(KEY).hex()) == (HYPERCORE["key"], HYPERCORE["discoveryKey"])


@pytest.mark.parametrize("known", HYPERCORE["lengths"], ids=lambda known: str(known["length"]))
def test_each_head_is_signed_as_javascript_signs_it(known: dict[str, Any]) -> None:
    log = Log(BLOCKS[: known["length"]])

    assert MANIFEST.signable(KEY, log.peaks.hash(), known["length"], 0).hex() == known["signable"]
    assert log.signature.hex() == known["signature"]
    MANIFEST.verify(log.signature, KEY, log.peaks.hash(), known["length"], 0)


@pytest.mark.parametrize(("length", "fork"), [(7, 0), (8, 1)])
def test_a_signature_holds_for_one_length_and_fork_only(length: int, fork: int) -> None:
    log = Log(BLOCKS)

    with pytest.raises(InvalidProof, match="not its author's"):
        MANIFEST.verify(log.signature, KEY, log.peaks.hash(), length, fork)


def _signatures(manifest: Manifest, signers: list[int]) -> bytes:
    out = Encoder().uint(len(signers))
    for signer in signers:
        out.uint(signer).raw(KEYS[signer].sign(manifest.signable(manifest.key, bytes(32), 5, 0, signer))).uint(0)
    return bytes(out.uint(0))


def test_two_of_three_must_be_two_different_ones() -> None:
    manifest = Manifest(tuple(Signer(pair.public_key) for pair in KEYS), quorum=2)

    manifest.verify(_signatures(manifest, [2, 0]), manifest.key, bytes(32), 5, 0)
    for too_few in ([1], [1, 1]):
        with pytest.raises(InvalidProof, match="where 2 must sign"):
            manifest.verify(_signatures(manifest, too_few), manifest.key, bytes(32), 5, 0)


def test_a_first_version_manifest_is_signed_bare() -> None:
    manifest = Manifest((Signer(KEY_PAIR.public_key),), version=0)
    signature = manifest.sign(KEY_PAIR, manifest.key, bytes(32), 1, 0)

    assert len(signature) == 64
    manifest.verify(signature, manifest.key, bytes(32), 1, 0)


def test_a_first_version_manifest_with_another_quorum_has_another_key() -> None:
    single = Manifest((Signer(KEY_PAIR.public_key),), version=0)
    other = Manifest((Signer(KEY_PAIR.public_key),), quorum=2, version=0)

    assert single.key != other.key
    assert Manifest.decode(other.encode()) == other


def test_a_prologue_stands_for_a_signature_at_its_length_only() -> None:
    manifest = Manifest((), quorum=0, prologue=Prologue(bytes(32), 4))

    manifest.verify(b"", manifest.key, bytes(32), 4, 0)
    for length, tree_hash in ((3, bytes(32)), (4, b"x" * 32), (5, bytes(32))):
        with pytest.raises(InvalidProof):
            manifest.verify(b"", manifest.key, tree_hash, length, 0)


@pytest.mark.parametrize("signature", [b"", b"\xff", bytes(64), b"\x01\x05" + bytes(64) + b"\x00\x00"])
def test_nonsense_is_not_a_signature(signature: bytes) -> None:
    with pytest.raises(InvalidProof):
        MANIFEST.verify(signature, KEY, bytes(32), 1, 0)


def _patched(manifest: Manifest, signed: list[tuple[int, int, list[MerkleNode]]], first: bool = False) -> bytes:
    """Signatures of signers over the first so many of `BLOCKS`, with the nodes of their patches over the first 5."""
    out = Encoder().uint(len(signed))
    for signer, length, patch in signed:
        signable = manifest.signable(manifest.key, Log(BLOCKS[:length]).peaks.hash(), length, 0, signer)
        if first:
            out.uint(length > 5).uint(signer).raw(KEYS[signer].sign(signable))
            if length > 5:
                out.uint(5).uint(length - 5).array(list(range(len(patch))), Encoder.uint)
        else:
            out.uint(signer).raw(KEYS[signer].sign(signable)).uint(length - 5)
    nodes = {node.index: node for _, _, patch in signed for node in patch}
    return bytes(out.array(list(nodes.values()), lambda to, node: to.uint(node.index).uint(node.size).raw(node.hash)))


@pytest.mark.parametrize("version", [0, 1])
def test_a_signer_of_a_longer_tree_signs_what_it_grew_out_of(version: int) -> None:
    manifest = Manifest(tuple(Signer(pair.public_key) for pair in KEYS), quorum=2, version=version, allow_patch=True)
    log, tree = Log(BLOCKS), Log(BLOCKS[:5]).peaks
    patch = [log.nodes[index] for index in flat.extension(5, 8)]
    signature = _patched(manifest, [(2, 5, []), (1, 8, patch)], version == 0)

    manifest.verify(signature, manifest.key, tree.hash(), 5, 0, tree.roots)

    false = [node._replace(hash=bytes(32)) for node in patch]
    for wrong, text in ((false, "not its author's"), (patch[:1], "without node")):
        with pytest.raises(InvalidProof, match=text):
            manifest.verify(
                _patched(manifest, [(2, 5, []), (1, 8, wrong)], version == 0),
                manifest.key,
                tree.hash(),
                5,
                0,
                tree.roots,
            )
    strict = replace(manifest, allow_patch=False)
    with pytest.raises(InvalidProof, match="does not allow"):
        strict.verify(
            _patched(strict, [(1, 8, patch), (2, 5, [])], version == 0), strict.key, tree.hash(), 5, 0, tree.roots
        )


def test_patches_are_bounded() -> None:
    manifest = Manifest(tuple(Signer(pair.public_key) for pair in KEYS), quorum=1, allow_patch=True)
    signature = _patched(manifest, [(0, 8, [MerkleNode(index, 1, bytes(32)) for index in range(MAX_PATCH_NODES + 1)])])

    with pytest.raises(InvalidProof, match=f"at most {MAX_PATCH_NODES} nodes"):
        manifest.verify(signature, manifest.key, bytes(32), 5, 0)


def test_a_log_without_a_manifest_is_signed_by_its_key() -> None:
    log = Log(BLOCKS)
    signed = namespace("hypercore", [0])[0] + log.peaks.hash() + (8).to_bytes(8, "little") + bytes(8)

    verify_bare(KEY_PAIR.sign(signed), KEY_PAIR.public_key, log.peaks.hash(), 8, 0)

    for signature in (KEY_PAIR.sign(signed + b"x"), b"", log.signature):
        with pytest.raises(InvalidProof, match="without the manifest"):
            verify_bare(signature, KEY_PAIR.public_key, log.peaks.hash(), 8, 0)


@pytest.mark.parametrize("data", [b"", b"\x04\x00", b"\x01\x00\x01", b"\x00\x00\x03", MANIFEST.encode()[:-1]])
def test_what_is_no_manifest_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Manifest.decode(data)


def test_manifests_are_bounded() -> None:
    crowd = Manifest((Signer(bytes(32)),) * (MAX_SIGNERS + 1))
    linked = Manifest((Signer(bytes(32)),), version=2, linked=(bytes(32),) * (MAX_LINKED + 1))

    for too_long in (crowd, linked):
        with pytest.raises(DecodeError, match="at most 255"):
            Manifest.decode(too_long.encode())
