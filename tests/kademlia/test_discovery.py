"""Peers that meet in a private network, as a class with one bootstrap node would."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import pytest

from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.errors import UsageError
from linkup_nb.kademlia import discovery as kademlia
from linkup_nb.kademlia.announcements import Address
from linkup_nb.kademlia.discovery import Kademlia, parse_peer, run_bootstrap
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import KeyPair, discovery_key
from tests.kademlia.network import TIMEOUT, Stranger, stranger, watch_datagrams

TOPIC = b"the secret topic of our class ..."[:32]


@pytest.fixture(autouse=True)
async def nothing_fails_unseen(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
    yield
    assert failures == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@contextlib.asynccontextmanager
async def bootstrap_node(port: int = 0) -> AsyncIterator[Address]:
    """`linkup-nb bootstrap`, while the block runs."""
    listening: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
    node = asyncio.create_task(
        run_bootstrap("127.0.0.1", port, ready=lambda host, port: listening.set_result((host, port)))
    )
    try:
        yield await asyncio.wait_for(listening, TIMEOUT)
    finally:
        node.cancel()
        await asyncio.gather(node, return_exceptions=True)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reserved:
        reserved.bind(("127.0.0.1", 0))
        return int(reserved.getsockname()[1])


class Peer:
    """A discovery, and what it has found."""

    def __init__(self, name: str, bootstrap: list[Address]) -> None:
        self.key_pair = KeyPair.from_seed(name.encode().ljust(32))
        self.port = sum(name.encode())
        self.discovery = Kademlia(bootstrap)
        self.found: asyncio.Queue[FoundPeer] = asyncio.Queue()
        self.expected = FoundPeer(self.key_pair.public_key, (("127.0.0.1", self.port),), "kademlia")

    async def __aenter__(self) -> "Peer":
        await self.discovery.start(Announcer(self.key_pair, self.port, ("127.0.0.1",)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.discovery.close()

    async def join(self, *, server: bool = True, client: bool = True, topic: bytes = TOPIC) -> None:
        await self.discovery.join(topic, server=server, client=client, found=self.found.put_nowait)

    def all_found(self) -> set[bytes]:
        """The keys of those found until now."""
        keys = set()
        while not self.found.empty():
            keys.add(self.found.get_nowait().public_key)
        return keys


async def test_two_peers_meet_through_a_bootstrap_node() -> None:
    async with bootstrap_node() as address, Peer("anna", [address]) as anna, Peer("ben", [address]) as ben:
        await anna.join()
        await ben.join()
        assert await asyncio.wait_for(ben.found.get(), TIMEOUT) == anna.expected
        await anna.discovery.refresh(TOPIC)
        assert await asyncio.wait_for(anna.found.get(), TIMEOUT) == ben.expected


async def test_of_two_who_come_at_the_same_moment_at_least_one_finds_the_other() -> None:
    async with bootstrap_node() as address:
        for number in range(5):
            async with Peer("anna", [address]) as anna, Peer("ben", [address]) as ben:
                topic = bytes([number]) * 32
                await asyncio.gather(anna.join(topic=topic), ben.join(topic=topic))
                assert anna.all_found() | ben.all_found()


async def test_a_class_of_twenty_finds_everyone() -> None:
    async with bootstrap_node() as address, contextlib.AsyncExitStack() as stack:
        pupils = [await stack.enter_async_context(Peer(f"pupil {number}", [address])) for number in range(20)]
        await asyncio.gather(*(pupil.join() for pupil in pupils))
        newcomer = await stack.enter_async_context(Peer("newcomer", [address]))
        await newcomer.join()
        assert newcomer.all_found() == {pupil.key_pair.public_key for pupil in pupils}
        await asyncio.gather(*(pupil.discovery.close() for pupil in pupils))


async def test_two_peers_that_name_each_other_need_no_third() -> None:
    async with Peer("anna", []) as anna, Peer("ben", [anna.discovery.address]) as ben:
        await ben.join()
        await anna.join()
        assert anna.all_found() == {ben.key_pair.public_key}


async def test_who_only_looks_is_not_announced_and_who_only_announces_is_told_nothing() -> None:
    async with bootstrap_node() as address, Peer("anna", [address]) as anna, Peer("ben", [address]) as ben:
        await anna.join(client=False)
        await ben.join(server=False)
        await anna.discovery.refresh(TOPIC)
        assert ben.all_found() == {anna.key_pair.public_key}
        assert anna.all_found() == set()
        await ben.join(server=True, client=False)
        await anna.join(server=False)
        await ben.discovery.refresh(TOPIC)
        assert anna.all_found() == {ben.key_pair.public_key}
        assert ben.all_found() == set()


async def test_who_leaves_is_not_found_any_more_and_can_come_back() -> None:
    async with bootstrap_node() as address, Peer("anna", [address]) as anna, Peer("ben", [address]) as ben:
        await anna.join()
        await anna.discovery.leave(TOPIC)
        await ben.join()
        assert ben.all_found() == set()
        await anna.join()
        await ben.discovery.refresh(TOPIC)
        assert ben.all_found() == {anna.key_pair.public_key}


async def test_who_closes_is_not_found_any_more() -> None:
    async with bootstrap_node() as address, Peer("ben", [address]) as ben:
        async with Peer("anna", [address]) as anna:
            await anna.join()
        await ben.join()
        assert ben.all_found() == set()


async def test_leaving_while_a_join_is_under_way_leaves_nothing_behind() -> None:
    async with bootstrap_node() as address, Peer("anna", [address]) as anna, Peer("ben", [address]) as ben:
        for turns in range(0, 200, 10):
            joining = asyncio.create_task(anna.join())
            for _ in range(turns):
                await asyncio.sleep(0)
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)
            await anna.discovery.leave(TOPIC)
        await ben.join()
        assert ben.all_found() == set()


async def test_a_peer_on_many_topics_is_found_on_all_and_leaves_all() -> None:
    topics = [bytes([number]) * 32 for number in range(3 * kademlia.MAX_AT_ONCE)]
    async with bootstrap_node() as address, Peer("ben", [address]) as ben:
        async with Peer("anna", [address]) as anna:
            await asyncio.gather(*(anna.join(topic=topic) for topic in topics))
            for topic in topics:
                await ben.join(topic=topic, server=False)
            assert ben.found.qsize() >= len(topics)
        ben.all_found()
        await asyncio.gather(*(ben.discovery.refresh(topic) for topic in topics))
        assert ben.all_found() == set()


async def test_nobody_who_is_not_told_learns_the_topic() -> None:
    async with stranger() as eavesdropper, Peer("anna", [eavesdropper.address]) as anna:
        received: list[bytes] = []

        def answer(name: str, arguments: list[bytes], requester: Address) -> object:
            received.append(b"".join(arguments))
            return {"ping": [], "lookup": [b"token...", bytes(6), b"", []], "announce": [True]}[name]

        eavesdropper.reply_to_all(answer)
        await anna.join()
        assert any(discovery_key(TOPIC) in payload and anna.key_pair.public_key in payload for payload in received)
        assert not any(TOPIC in payload for payload in received)


async def test_who_does_not_know_the_topic_is_not_passed_on() -> None:
    async with (
        bootstrap_node() as bootstrap,
        Peer("anna", [bootstrap]) as anna,
        Peer("mallory", [bootstrap]) as mallory,
    ):
        await mallory.join()
        # The discovery key is all that other nodes see; this is what one of them could announce under it.
        (joined,) = mallory.discovery._topics
        joined.topic = joined.target
        joined.announce_at = 0.0
        await mallory.discovery.refresh(TOPIC)
        await anna.join()
        assert anna.all_found() == set()
        assert sum(
            count for reason, count in anna.discovery.counters.items() if "no proof of knowing the topic" in reason
        )


async def test_a_bootstrap_node_that_is_down_at_first_is_tried_until_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kademlia, "FIRST_RETRY", 0.1)
    monkeypatch.setattr(kademlia, "ENTER_TIMEOUT", 0.5)
    port = free_port()
    async with Peer("anna", [("127.0.0.1", port)]) as anna, Peer("ben", [("127.0.0.1", port)]) as ben:
        await asyncio.gather(anna.join(), ben.join())
        assert f"no reply yet from 127.0.0.1:{port}" in anna.discovery.describe()
        async with bootstrap_node(port):
            found = [asyncio.create_task(peer.found.get()) for peer in (anna, ben)]
            done, waiting = await asyncio.wait(found, timeout=TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            assert done
            assert "in reach" in anna.discovery.describe()


async def test_a_bootstrap_node_that_has_lost_everything_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia, "FIRST_RETRY", 0.1)
    port = free_port()
    async with Peer("anna", [("127.0.0.1", port)]) as anna:
        async with bootstrap_node(port):
            await anna.join()
        await anna.discovery.refresh(TOPIC)  # finds that nobody replies any more
        async with bootstrap_node(port), Peer("ben", [("127.0.0.1", port)]) as ben, asyncio.timeout(TIMEOUT):
            await ben.join()
            while not ben.all_found():
                await ben.discovery.refresh(TOPIC)


def keeping(keeper: Stranger) -> asyncio.Queue[bytes]:
    """Let a stranger be a node that takes announcements; they go into the queue."""
    announced: asyncio.Queue[bytes] = asyncio.Queue()

    def answer(name: str, arguments: list[bytes], requester: Address) -> object:
        if name == "announce":
            announced.put_nowait(arguments[2])
        return {"ping": [], "lookup": [b"token...", bytes(6), b"", []], "announce": [True]}[name]

    keeper.reply_to_all(answer)
    return announced


async def test_announcements_are_renewed_and_lookups_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(kademlia, "ANNOUNCE_EVERY", 0.05)
    async with stranger() as keeper, Peer("anna", [keeper.address]) as anna:
        announced = keeping(keeper)
        await anna.join()
        renewals = [await asyncio.wait_for(announced.get(), TIMEOUT) for _ in range(3)]
        assert len(set(renewals)) == 3


async def test_a_refresh_announces_anew_though_it_is_not_due() -> None:
    async with stranger() as keeper, Peer("anna", [keeper.address]) as anna:
        announced = keeping(keeper)
        await anna.join()
        await anna.discovery.refresh(TOPIC)
        assert announced.qsize() == 2


async def test_a_new_address_is_announced_at_the_next_lookup() -> None:
    async with bootstrap_node() as address, Peer("ben", [address]) as ben:
        announcer = Announcer(KeyPair.from_seed(b"a" * 32))
        discovery = Kademlia([address])
        await discovery.start(announcer)
        await discovery.join(TOPIC, server=True, client=True, found=lambda found: None)
        await ben.join()
        assert ben.all_found() == set()  # it does not listen yet, so there is nothing to announce
        announcer.port, announcer.hosts = 4001, ("127.0.0.1", "::1")
        await discovery.refresh(TOPIC)
        await ben.discovery.refresh(TOPIC)
        assert ben.found.get_nowait().addresses == (("127.0.0.1", 4001),)
        await discovery.close()


async def test_offline_it_listens_on_loopback_and_asks_nobody_else() -> None:
    with watch_datagrams() as hosts:
        async with Peer("anna", [("203.0.113.9", 9), ("bootstrap.invalid", 9)]) as anna:
            await anna.join()
            assert anna.discovery.address[0] == "127.0.0.1"
            assert anna.discovery.this_machine_only
            assert "LINKUP_OFFLINE=1 keeps this node from 203.0.113.9:9" in anna.discovery.describe()
    assert hosts == set()


async def test_a_bootstrap_peer_may_be_named() -> None:
    async with bootstrap_node() as (_, port), Peer("anna", [("localhost", port)]) as anna:
        await anna.join()
        assert "1 other node in reach" in anna.discovery.describe()


async def test_a_port_that_is_taken_is_said_in_words() -> None:
    async with bootstrap_node() as (host, port):
        with pytest.raises(UsageError, match=f"UDP port {port} of 127.0.0.1 cannot be had"):
            await run_bootstrap(host, port, ready=lambda host, port: None)
        second = Kademlia(host=host, port=port)
        with pytest.raises(UsageError):
            await second.start(Announcer(KeyPair.from_seed(bytes(32))))
        assert f"UDP port {port}" in second.describe()
        await second.close()


@pytest.mark.parametrize("host", ["::1", "203.0.113.9", "no such host"])
async def test_a_host_that_is_not_ours_is_said_in_words(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINKUP_OFFLINE")
    with pytest.raises(UsageError, match=f"of {host} cannot be had"):
        await run_bootstrap(host, 0, ready=lambda host, port: None)


async def test_closing_what_never_started_is_fine() -> None:
    await Kademlia([("127.0.0.1", 9)]).close()


def test_a_bootstrap_peer_is_written_host_and_port() -> None:
    assert parse_peer("192.168.1.5:8468") == ("192.168.1.5", 8468)
    assert parse_peer("b-c.example:65535") == ("b-c.example", 65535)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("192.168.1.5", "written host:port"),
        ("192.168.1.5:", "written host:port"),
        ("192.168.1.5:http", "written host:port"),
        ("host:٣", "written host:port"),
        (":8468", "IPv4 address or a host name"),
        ("[::1]:8468", "IPv4 address or a host name"),
        ("http://host:8468", "IPv4 address or a host name"),
        ("host:0", "1 to 65535, not 0"),
        ("host:65536", "1 to 65535, not 65536"),
    ],
)
def test_what_is_no_bootstrap_peer_is_said_in_words(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse_peer(text)


def test_a_discovery_takes_no_impossible_peer() -> None:
    with pytest.raises(UsageError, match="1 to 65535, not 0"):
        Kademlia([("127.0.0.1", 0)])


async def test_two_swarms_connect_through_the_network() -> None:
    async with bootstrap_node() as address:
        anna, ben = (Swarm(discovery=[Kademlia([address])]) for _ in range(2))
        connected: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        ben.on("connection", lambda connection, peer: connected.set_result(connection.remote_public_key))
        for swarm in (anna, ben):
            await (await swarm.join(TOPIC)).flushed()
        assert await asyncio.wait_for(connected, TIMEOUT) == anna.public_key
        await anna.close()
        await ben.close()
