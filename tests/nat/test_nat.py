"""Two peers behind two routers, with nothing between them but nodes of the DHT."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def meet(*peers: str) -> list[str]:
    """What the client, then the server, said last; the internet is a namespace of its own, so it needs no root."""
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *as_root, "--net", sys.executable, "-m", "tests.nat.scenario", *peers]
    environment = {name: value for name, value in os.environ.items() if name != "LINKUP_OFFLINE"}
    environment["PATH"] += ":/usr/sbin:/sbin"  # where `ip` and `nft` are, and where only root looks for them
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "peers",
    [
        ("Python", "CONSISTENT", "Python", "CONSISTENT"),
        ("Python", "CONSISTENT", "Python", "RANDOM"),
        ("Python", "RANDOM", "Python", "CONSISTENT"),
        ("JavaScript", "CONSISTENT", "Python", "CONSISTENT"),
        ("Python", "CONSISTENT", "JavaScript", "CONSISTENT"),
        ("JavaScript", "CONSISTENT", "Python", "RANDOM"),
        ("Python", "CONSISTENT", "JavaScript", "RANDOM"),
    ],
    ids=" ".join,
)
def test_two_peers_connect_through_their_routers(peers: tuple[str, ...]) -> None:
    assert meet(*peers) == ["connected 20.0.0.11: through the wall", "connected 20.0.0.12: through the wall"]


def test_where_no_hole_can_be_punched_the_peer_is_told_why() -> None:
    (outcome,) = meet("Python", "RANDOM", "Python", "RANDOM")
    assert outcome.startswith("failed ")
    assert "no hole can be punched" in outcome


@pytest.mark.parametrize(
    "peers",
    [
        ("Python", "RANDOM", "Python", "RANDOM", "server"),
        ("Python", "RANDOM", "Python", "RANDOM", "client"),
        ("JavaScript", "RANDOM", "Python", "RANDOM", "server"),
        ("JavaScript", "RANDOM", "Python", "RANDOM", "client"),
        ("Python", "RANDOM", "JavaScript", "RANDOM", "server"),
        ("Python", "RANDOM", "JavaScript", "RANDOM", "client"),
    ],
    ids=" ".join,
)
def test_where_no_hole_can_be_punched_the_peers_connect_through_a_relay(peers: tuple[str, ...]) -> None:
    assert meet(*peers) == ["connected 20.0.0.9: through the wall"] * 2


def test_with_a_relay_holes_are_punched_all_the_same() -> None:
    peers = "Python", "CONSISTENT", "Python", "CONSISTENT", "client"
    assert meet(*peers) == ["connected 20.0.0.11: through the wall", "connected 20.0.0.12: through the wall"]
