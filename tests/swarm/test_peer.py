"""What is known of a peer is put together fairly from all who found it."""

from linkup_nb.connection.addresses import MAX_ADDRESSES
from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import FoundPeer, PeerStatus
from linkup_nb.swarm.peer import SwarmPeer

KEY = bytes(32)


async def never() -> Connection:
    raise OSError("there is no way")


def test_no_source_crowds_out_another() -> None:
    peer = SwarmPeer(KEY)
    peer.found(FoundPeer(KEY, tuple(("127.0.0.1", port) for port in range(1, 1 + MAX_ADDRESSES)), "mdns"))
    peer.found(FoundPeer(KEY, (("127.0.0.1", 99), ("127.0.0.1", 1)), "registry"))
    assert peer.addresses[:4] == tuple(("127.0.0.1", port) for port in (1, 99, 2, 3))
    assert len(peer.addresses) == MAX_ADDRESSES
    assert peer.info().sources == {"mdns", "registry"}


def test_a_source_replaces_what_it_said_before() -> None:
    peer = SwarmPeer(KEY)
    assert peer.found(FoundPeer(KEY, (("127.0.0.1", 1), ("127.0.0.1", 2)), "mdns"))
    assert not peer.found(FoundPeer(KEY, (("127.0.0.1", 2),), "mdns"))
    assert peer.found(FoundPeer(KEY, (("127.0.0.1", 3),), "mdns"))
    assert peer.addresses == (("127.0.0.1", 3),)


def test_a_first_way_besides_its_addresses_is_news_and_the_latest_one_counts() -> None:
    async def again() -> Connection:
        return await never()

    peer = SwarmPeer(KEY)
    assert peer.found(FoundPeer(KEY, (), "hyperdht", never))
    assert not peer.found(FoundPeer(KEY, (), "hyperdht", again))
    assert peer.reaches == (again,)


def test_a_peer_that_was_only_found_has_nothing_to_tell() -> None:
    info = SwarmPeer(KEY).info()
    assert (info.status, info.transport, info.address, info.since, info.rtt, info.initiator) == (
        PeerStatus.DISCOVERED,
        None,
        None,
        None,
        None,
        None,
    )
