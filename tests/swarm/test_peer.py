"""What is known of a peer is put together fairly from all who found it."""

from linkup_nb.swarm.addresses import MAX_ADDRESSES
from linkup_nb.swarm.discovery import PeerStatus
from linkup_nb.swarm.peer import Peer


def test_no_source_crowds_out_another() -> None:
    peer = Peer(bytes(32))
    peer.found("mdns", tuple(("127.0.0.1", port) for port in range(1, 1 + MAX_ADDRESSES)))
    peer.found("registry", (("127.0.0.1", 99), ("127.0.0.1", 1)))
    assert peer.addresses[:4] == tuple(("127.0.0.1", port) for port in (1, 99, 2, 3))
    assert len(peer.addresses) == MAX_ADDRESSES
    assert peer.info().sources == {"mdns", "registry"}


def test_a_source_replaces_what_it_said_before() -> None:
    peer = Peer(bytes(32))
    assert peer.found("mdns", (("127.0.0.1", 1), ("127.0.0.1", 2)))
    assert not peer.found("mdns", (("127.0.0.1", 2),))
    assert peer.found("mdns", (("127.0.0.1", 3),))
    assert peer.addresses == (("127.0.0.1", 3),)


def test_a_peer_that_was_only_found_has_nothing_to_tell() -> None:
    info = Peer(bytes(32)).info()
    assert (info.status, info.address, info.since, info.rtt, info.initiator) == (
        PeerStatus.DISCOVERED,
        None,
        None,
        None,
        None,
    )
