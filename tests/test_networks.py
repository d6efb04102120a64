"""The networks of a node follow from the peers that are named."""

from pathlib import Path

import pytest

from linkup_nb.discovery.local import Local
from linkup_nb.discovery.protocol import Announcer
from linkup_nb.errors import UsageError
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.hyperdht.node import PUBLIC_BOOTSTRAP, DhtNode
from linkup_nb.kademlia.discovery import Kademlia
from linkup_nb.networks import discoveries, knock_on, peers_of_hyperdht
from linkup_nb.wire.keys import KeyPair

STATE = Path("nodes.json")


def kinds(named: str) -> list[type]:
    return [type(discovery) for discovery in discoveries(named, state=STATE)]


async def test_whoever_names_nobody_is_on_the_public_network_unless_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kinds(" ") == [Local]
    monkeypatch.setenv("LINKUP_OFFLINE", "0")
    _, public = discoveries("", state=STATE)
    assert repr(public) == f"HyperDHT({len(PUBLIC_BOOTSTRAP)} bootstrap nodes, 0 topics)"


async def test_whoever_names_peers_is_on_their_networks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKUP_OFFLINE", "0")
    assert kinds("192.168.1.5:8468") == [Local, Kademlia]
    assert kinds("hyperdht:192.168.1.5:49737") == [Local, HyperDHT]
    assert kinds("hyperdht:a:1, b:2\nc:3 hyperdht:d:4") == [Local, Kademlia, HyperDHT]
    _, kademlia, hyperdht = discoveries("hyperdht:a:1, b:2\nc:3 hyperdht:d:4", state=STATE)
    assert repr(kademlia).startswith("Kademlia([('b', 2), ('c', 3)]")
    assert repr(hyperdht) == "HyperDHT(2 bootstrap nodes, 0 topics)"


@pytest.mark.parametrize("named", ["hyperdht:", "hyperdht:host", "hyperdht:host:0", "hyperdht::1", "kademlia:host:1"])
async def test_what_is_no_peer_gets_a_sentence(named: str) -> None:
    with pytest.raises(UsageError, match="bootstrap peer"):
        discoveries(named, state=STATE)


def test_of_all_peers_that_are_named_those_of_hyperdht_are_known() -> None:
    assert peers_of_hyperdht("hyperdht:a:1, b:2\nc:3 hyperdht:d:4") == [("a", 1), ("d", 4)]
    assert peers_of_hyperdht("") == []


async def test_whoever_knocks_learns_who_replies_and_becomes_nobodys_contact() -> None:
    kademlia, hyperdht = Kademlia(), DhtNode((), port=0, ephemeral=False)
    await kademlia.start(Announcer(KeyPair.from_seed(bytes(32))))
    await hyperdht.open()
    try:
        ports = kademlia.address[1], hyperdht.address[1]
        # Both have time to look who that is, while the last one is waited for.
        found = await knock_on(f"127.0.0.1:{ports[0]} hyperdht:127.0.0.1:{ports[1]} 127.0.0.1:1 hyperdht:127.0.0.1:1")
        replied = {check.name for check in found if check.rtt is not None}
        assert replied == {f"bootstrap 127.0.0.1:{port}" for port in ports}
        assert len(found) == 4
        for node in (kademlia, hyperdht):
            view = node.view()
            assert view
            assert view.nodes == ()
    finally:
        await kademlia.close()
        await hyperdht.close()
