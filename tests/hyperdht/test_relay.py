"""A node that relays, as `linkup-nb relay` runs it."""

import asyncio
import os

import pytest

from linkup_nb.hyperdht.relay import run_relay
from linkup_nb.wire.keys import KeyPair
from tests.hyperdht.network import HOST, PATIENCE, network
from tests.hyperdht.peers import Peer


async def test_it_is_found_by_its_key_and_goes_when_it_is_cancelled() -> None:
    async with network(4) as net:
        running: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        key_pair = KeyPair.from_seed(os.urandom(32))
        relay = asyncio.ensure_future(run_relay(key_pair, [net[0].address], HOST, 0, ready=running.set_result))
        async with asyncio.timeout(PATIENCE):
            assert await running == key_pair.public_key
            connection = await Peer(net[1]).dialer.dial(key_pair.public_key)
            connection.confirm()
            await connection.opened()
            relay.cancel()
            with pytest.raises(asyncio.CancelledError):
                await relay
            await connection.wait_closed()
        assert [found async for found in net[1].find_peer(key_pair.public_key)] == []
