"""Which addresses are ours, and which of a stranger's are dialled."""

import asyncio
from ipaddress import ip_address

import pytest

from linkup_nb.connection.addresses import MAX_ADDRESSES, lan_addresses, may_dial, offline, resolve

NEVER = ["example.org", "localhost", "", "0.0.0.0", "::", "224.0.0.251", "ff02::1", "255.255.255.255", "fe80::1%lo"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.0.1", "::1"])
def test_loopback_is_dialled_offline_too(host: str) -> None:
    assert offline()
    assert may_dial(host, 1)


@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.1", "fd00::1", "fe80::1"])
def test_other_addresses_are_dialled_online_only(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not may_dial(host, 1)
    monkeypatch.setenv("LINKUP_OFFLINE", "0")
    assert may_dial(host, 1)


@pytest.mark.parametrize("host", NEVER)
def test_what_is_no_unicast_address_is_never_dialled(host: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINKUP_OFFLINE")
    assert not may_dial(host, 1)


@pytest.mark.parametrize("port", [0, -1, 65536, "80", None, 1.5])
def test_a_port_must_be_one(port: object) -> None:
    assert not may_dial("127.0.0.1", port)


def test_our_own_addresses_are_told_only_online_and_without_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lan_addresses() == ()
    monkeypatch.delenv("LINKUP_OFFLINE")
    assert len(lan_addresses()) <= MAX_ADDRESSES
    assert not any(ip_address(address).is_loopback for address in lan_addresses())


async def test_a_host_is_looked_up_only_where_packets_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await resolve("127.0.0.1", 4) == [("127.0.0.1", 4)]
    assert await resolve("localhost", 4) == [("127.0.0.1", 4)]
    lookups: list[object] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lambda *question, **_: lookups.append(question))
    assert await resolve("example.org", 4) == []
    assert lookups == []
