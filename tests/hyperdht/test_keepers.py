"""Announcements are renewed when the nodes that keep them die, long before they expire."""

import asyncio
import os
from time import monotonic

import pytest

from linkup_nb.discovery.protocol import Announcer
from linkup_nb.hyperdht import io as dht_io
from linkup_nb.hyperdht import keepers as dht_keepers
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.wire.keys import KeyPair
from tests.hyperdht.network import HOST, network, until

TOPIC = os.urandom(32)


async def test_a_topic_is_announced_anew_when_its_keepers_die(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_keepers, "LOOK_EVERY", 0.02)
    for timeout in ("FIRST_TIMEOUT", "TIMEOUT"):
        monkeypatch.setattr(dht_io, timeout, 0.05)
    key_pair = KeyPair.from_seed(os.urandom(32))
    async with network(12) as nodes:
        ours = HyperDHT([nodes[0].address], host=HOST, port=0)
        await ours.start(Announcer(key_pair))
        await ours.join(TOPIC, server=True, client=False, found=lambda peer: None)
        assert ours.announced == {TOPIC: 12}
        nodes[0].store.unannounce(TOPIC, key_pair.public_key)
        await asyncio.gather(*(node.close() for node in nodes[1:]))
        await until(lambda: ours.announced == {TOPIC: 1})
        assert nodes[0].store.records(TOPIC, monotonic())[0].public_key == key_pair.public_key
        await ours.close()
