"""Peers on one network meet by multicast DNS; here the network is loopback."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from linkup_nb.discovery import mdns
from linkup_nb.discovery.mdns import SERVICE, Mdns
from linkup_nb.discovery.protocol import FoundPeer, membership_proof
from linkup_nb.wire.keys import discovery_key
from tests.connection.links import PATIENCE, Seeker

TOPIC = os.urandom(32)  # multicast reaches every process here: another one of the tests looks for its own
TOPIC_KEY = discovery_key(TOPIC)


@asynccontextmanager
async def neighbour() -> AsyncIterator[AsyncZeroconf]:
    """Another program on the network."""
    zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"])
    await zeroconf.zeroconf.async_wait_for_start()
    yield zeroconf
    await zeroconf.async_close()


def claim(key: bytes, *hosts: str, port: int = 9, topic_key: bytes = TOPIC_KEY, **properties: bytes) -> ServiceInfo:
    """What a neighbour may announce, true or not."""
    return ServiceInfo(
        SERVICE,
        f"{TOPIC_KEY[:16].hex()}-{key[:15].hex()}.{SERVICE}",
        port=port,
        properties={"d": topic_key, "k": key, "p": membership_proof(TOPIC, key)} | properties,
        server=f"{key[:15].hex()}.local.",
        parsed_addresses=list(hosts or ("127.0.0.1",)),
    )


async def announce(zeroconf: AsyncZeroconf, service: ServiceInfo) -> None:
    await (await zeroconf.async_register_service(service, cooperating_responders=True))


async def test_two_find_each_other_and_hear_of_the_end() -> None:
    one, two = Seeker(Mdns(), 1), Seeker(Mdns(), 2)
    await one.join(TOPIC)
    await two.join(TOPIC)
    assert await one.finds(two.key) == FoundPeer(two.key, (("127.0.0.1", 1002),), "mdns")
    assert await two.finds(one.key) == FoundPeer(one.key, (("127.0.0.1", 1001),), "mdns")
    await one.discovery.leave(TOPIC)
    one.found.clear()
    await one.discovery.join(TOPIC, server=False, client=True, found=one.note)
    await one.finds(two.key)
    await one.discovery.close()
    await two.discovery.close()


async def test_a_topic_joined_later_finds_those_already_there() -> None:
    early, late = Seeker(Mdns(), 1), Seeker(Mdns(), 2)
    await early.join(TOPIC)
    await late.join(bytes(32))
    await early.discovery.join(bytes(32), server=True, client=False, found=early.note)
    await late.finds(early.key)
    late.found.clear()
    await late.discovery.join(TOPIC, server=False, client=True, found=late.note)
    await late.finds(early.key)
    await early.discovery.close()
    await late.discovery.close()


async def test_the_network_learns_no_topic_and_no_address_but_loopback() -> None:
    seeker, seen = Seeker(Mdns(), 1), asyncio.Queue[str]()

    def note(zeroconf: object, service_type: str, name: str, state_change: object) -> None:
        seen.put_nowait(name)

    async with neighbour() as zeroconf:
        browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[note])
        await seeker.join(TOPIC)
        name = ""
        async with asyncio.timeout(PATIENCE):
            while not name.startswith(TOPIC_KEY[:16].hex()):
                name = await seen.get()
        service = AsyncServiceInfo(SERVICE, name)
        await service.async_request(zeroconf.zeroconf, 3000)
        assert service.parsed_addresses() == ["127.0.0.1"]
        assert service.properties == {
            b"d": TOPIC_KEY,
            b"k": seeker.key,
            b"p": membership_proof(TOPIC, seeker.key),
        }
        assert TOPIC.hex()[:16] not in name
        await browser.async_cancel()
    await seeker.discovery.close()


async def test_what_neighbours_claim_is_checked() -> None:
    seeker, truthful = Seeker(Mdns(), 1), b"t" * 32
    await seeker.join(TOPIC)
    async with neighbour() as zeroconf:
        await asyncio.gather(
            announce(zeroconf, claim(b"a" * 32, topic_key=bytes(32))),
            announce(zeroconf, claim(b"b" * 32, topic_key=b"short")),
            announce(zeroconf, claim(b"c" * 31)),
            announce(zeroconf, claim(b"d" * 32, "192.0.2.1")),
            announce(zeroconf, claim(b"e" * 32, "0.0.0.0")),
            announce(zeroconf, claim(b"f" * 32, port=0)),
            announce(zeroconf, claim(b"g" * 32, k=b"")),
            announce(zeroconf, claim(b"h" * 32, p=b"")),
            announce(zeroconf, claim(b"i" * 32, p=membership_proof(TOPIC, truthful))),
            announce(zeroconf, claim(seeker.key, port=7)),
            announce(zeroconf, claim(truthful, *(f"127.0.0.{number}" for number in range(1, 30)))),
        )
        await seeker.finds(truthful)
        # Eleven neighbours at once take several datagrams: those with the rest of the addresses may come later.
        while len(seeker.found[-1].addresses) < 8:
            await seeker.next()
        assert max(len(peer.addresses) for peer in seeker.found) == 8
        assert {peer.public_key for peer in seeker.found} == {truthful}
    await seeker.discovery.close()


async def test_only_so_many_instances_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns, "MAX_INSTANCES", 3)
    monkeypatch.setattr(mdns, "REPORT_INTERVAL", 0.1)
    seeker = Seeker(Mdns(), 1)
    async with neighbour() as zeroconf:
        await asyncio.gather(*(announce(zeroconf, claim(bytes([number]) * 32)) for number in range(10, 16)))
        await seeker.join(TOPIC)
        for _ in range(12):
            await seeker.next()
        assert len({peer.public_key for peer in seeker.found}) <= 3
    await seeker.discovery.close()


async def test_instances_are_asked_for_a_few_at_a_time_and_none_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns, "MAX_QUESTIONS", 1)
    monkeypatch.setattr(mdns, "REPORT_INTERVAL", 0.1)
    seeker, keys = Seeker(Mdns(), 1), [bytes([number]) * 32 for number in range(10, 15)]
    async with neighbour() as zeroconf:
        await asyncio.gather(*(announce(zeroconf, claim(key)) for key in keys))
        await seeker.join(TOPIC)
        for key in keys:
            await seeker.finds(key)
    await seeker.discovery.close()


async def test_a_machine_without_multicast_works_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns, "REPORT_INTERVAL", 0.05)
    tried = asyncio.Event()

    def no_multicast(**_: object) -> None:
        tried.set()
        raise OSError(19, "No such device")

    seeker, other = Seeker(Mdns(), 1), Seeker(Mdns(), 2)
    with monkeypatch.context() as without:
        without.setattr("zeroconf.asyncio.AsyncZeroconf", no_multicast)
        await seeker.join(TOPIC)
        async with asyncio.timeout(PATIENCE):
            await tried.wait()
        assert seeker.discovery.describe() == ("Peers on the local network cannot be found: [Errno 19] No such device.")
    await other.join(TOPIC)
    await seeker.finds(other.key)
    await seeker.discovery.close()
    await other.discovery.close()


async def test_closing_while_it_starts_is_clean() -> None:
    seeker = Seeker(Mdns(), 1)
    await seeker.join(TOPIC)
    async with asyncio.timeout(PATIENCE):
        await seeker.discovery.close()


async def test_a_goodbye_takes_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    seeker, other = Seeker(Mdns(), 1), Seeker(Mdns(), 2)
    await seeker.join(TOPIC)
    await other.join(TOPIC)
    await seeker.finds(other.key)
    held: list[AsyncZeroconf] = []

    async def never(zeroconf: AsyncZeroconf) -> None:
        held.append(zeroconf)
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(mdns, "CLOSE_TIMEOUT", 0.05)
        patch.setattr(AsyncZeroconf, "async_close", never)
        await asyncio.wait_for(seeker.discovery.close(), PATIENCE)
    assert len(held) == 1
    await held[0].async_close()
    await other.discovery.close()
