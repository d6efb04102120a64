"""Whose word for which address is taken."""

import pytest

from linkup_nb.wire.dht.scope import Scope, may_follow, scope


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", Scope.MACHINE),
        ("127.8.9.10", Scope.MACHINE),
        ("192.168.1.5", Scope.SITE),
        ("10.0.0.1", Scope.SITE),
        ("169.254.3.4", Scope.SITE),
        ("100.64.0.1", Scope.SITE),
        ("8.8.8.8", Scope.WORLD),
        ("0.0.0.0", Scope.NOWHERE),
        ("224.0.0.251", Scope.NOWHERE),
        ("255.255.255.255", Scope.NOWHERE),
        ("node1.hyperdht.org", Scope.NOWHERE),
        ("::1", Scope.NOWHERE),
        ("", Scope.NOWHERE),
    ],
)
def test_every_host_has_its_scope(host: str, expected: Scope) -> None:
    assert scope(host) is expected


@pytest.mark.parametrize(
    ("named", "by", "follow"),
    [
        ("8.8.8.8", "9.9.9.9", True),
        ("192.168.1.5", "9.9.9.9", False),
        ("127.0.0.1", "9.9.9.9", False),
        ("192.168.1.5", "192.168.1.6", True),
        ("8.8.8.8", "192.168.1.6", True),
        ("127.0.0.1", "192.168.1.6", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("8.8.8.8", "127.0.0.1", True),
        ("224.0.0.1", "127.0.0.1", False),
    ],
)
def test_who_is_far_away_names_nobody_who_is_near(named: str, by: str, follow: bool) -> None:
    assert may_follow((named, 5000), (by, 1)) is follow


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_not_followed(port: int) -> None:
    assert not may_follow(("8.8.8.8", port), ("8.8.4.4", 1))
