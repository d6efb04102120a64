"""Why somebody is (not) connected."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from linkup_nb.discovery.check import Bootstrap, Check, Outcome, Report
from linkup_nb.discovery.local import Local
from linkup_nb.discovery.protocol import Discovery
from linkup_nb.errors import ProtocolError
from linkup_nb.kademlia.discovery import Kademlia
from linkup_nb.swarm import doctor
from linkup_nb.swarm.doctor import examine
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import short_key
from tests.connection.links import Member, Pointer

TOPIC = bytes(range(32))
PATIENCE = 10.0  # seconds

MakeSwarm = Callable[..., Swarm]


@pytest.fixture
async def make_swarm() -> AsyncIterator[MakeSwarm]:
    made: list[Swarm] = []

    def make(*discovery: Discovery) -> Swarm:
        made.append(Swarm(discovery=discovery))
        return made[-1]

    yield make
    for swarm in made:
        await swarm.close()


def named(report: Report, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def silent_port() -> int:
    """A UDP port where nobody answers, and that nobody else gets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


async def test_a_swarm_without_a_topic(make_swarm: MakeSwarm) -> None:
    report = await examine(make_swarm(Local()))
    assert named(report, "topics").outcome is Outcome.WARNING
    assert named(report, "topics").advice == "Create a room, or join one."
    assert named(report, "TCP in").outcome is Outcome.OFF
    assert named(report, "peers found").outcome is Outcome.WARNING
    assert named(report, "UDP out").outcome is Outcome.OFF


async def test_two_who_are_connected() -> None:
    async with Member(TOPIC) as one, Member(TOPIC) as other:
        one.finds(other)
        await one.until(lambda: one.swarm.connections)
        report = await examine(one.swarm)
    assert named(report, "TCP in").seen == f"We listen at 127.0.0.1:{one.address[1]}."
    assert named(report, "topics").seen == "1 topic joined: 00010203… (1 peer)."
    assert named(report, "peers found").seen == "1 peer, 1 by pointer."
    assert str(named(report, "peers dialled")) == "1 connected."
    assert named(report, "pointer").seen == "Looking where the test points."
    assert TOPIC.hex() not in str(report)


async def test_a_peer_that_cannot_be_reached_and_why() -> None:
    async with Member(TOPIC) as one:
        gone = Member(TOPIC)
        one.finds(gone, ("127.0.0.1", silent_port()))
        await one.until(lambda: one.info(gone).last_error)
        check = named(await examine(one.swarm), "peers dialled")
    assert (check.outcome, check.seen) == (Outcome.FAILED, "1 waiting to try again.")
    assert short_key(gone.key) in check.cause
    assert "127.0.0.1" in check.cause


async def test_offline_says_so(make_swarm: MakeSwarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKUP_OFFLINE", "1")
    swarm = make_swarm(Local())
    await (await swarm.join(TOPIC)).flushed()
    report = await examine(swarm)
    assert named(report, "network").outcome is Outcome.OFF
    assert "LINKUP_OFFLINE" in named(report, "network").seen
    assert named(report, "mdns").outcome is Outcome.OFF
    registry = named(report, "registry")
    assert (registry.outcome, "1 of them ours" in registry.seen) == (Outcome.OK, True)


async def test_a_registry_that_cannot_be_used(
    make_swarm: MakeSwarm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "linkup_nb").write_text("not a folder")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    check = named(await examine(make_swarm(Local(mdns=False))), "registry")
    assert check.outcome is Outcome.FAILED
    assert "Not a directory" in check.cause
    assert "XDG_RUNTIME_DIR" in check.advice


async def test_bootstrap_peers_that_reply_and_that_do_not(make_swarm: MakeSwarm) -> None:
    first = make_swarm(Kademlia(host="127.0.0.1"))
    await (await first.join(TOPIC)).flushed()
    (there,) = first.discovery
    assert isinstance(there, Kademlia)
    gone = ("127.0.0.1", silent_port())
    second = make_swarm(Kademlia([there.address, gone], host="127.0.0.1"))
    await (await second.join(TOPIC)).flushed()
    report = await examine(second)
    good = named(report, f"bootstrap 127.0.0.1:{there.address[1]}")
    bad = named(report, f"bootstrap 127.0.0.1:{gone[1]}")
    assert isinstance(good, Bootstrap)
    assert good.rtt is not None
    assert (bad.outcome, bad.cause) == (Outcome.WARNING, f"127.0.0.1:{gone[1]} does not reply.")
    assert str(named(report, "UDP out")) == "1 of 2 bootstrap nodes replied."
    assert named(report, "kademlia").outcome is Outcome.OK


async def test_udp_that_does_not_get_out(make_swarm: MakeSwarm, monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = make_swarm(Kademlia([("127.0.0.1", silent_port())], host="127.0.0.1"))
    await swarm.join(TOPIC)
    report = await examine(swarm)
    assert "A firewall" in named(report, "UDP out").cause
    assert report.worst is named(report, "UDP out")
    monkeypatch.setenv("BINDER_LAUNCH_HOST", "https://mybinder.org/")
    assert "UDP is closed there" in named(await examine(swarm), "UDP out").cause


@pytest.mark.parametrize("offline", ["0", "1"])
async def test_on_binder_it_says_who_can_be_met_there_and_who_cannot(
    make_swarm: MakeSwarm, monkeypatch: pytest.MonkeyPatch, offline: str
) -> None:
    monkeypatch.setenv("LINKUP_OFFLINE", offline)
    monkeypatch.setenv("BINDER_REPO_URL", "https://github.com/someone/something")
    network = (await examine(make_swarm(Pointer()))).checks[0]
    assert (network.name, network.outcome) == ("network", Outcome.WARNING)
    assert "meets the notebooks of its own server and its own lab, and nobody elsewhere" in network.seen
    assert "UDP is closed there" in network.cause


class Ill(Pointer):
    """A discovery whose examination ends as `result` says, or never."""

    def __init__(self, result: Exception | None) -> None:
        super().__init__()
        self._result = result

    async def examine(self) -> Sequence[Check]:
        if self._result:
            raise self._result
        await asyncio.Event().wait()
        return ()


async def test_one_that_never_ends_does_not_hold_up_the_others(
    make_swarm: MakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "EXAMINE_TIMEOUT", 0.05)
    swarm = make_swarm(Ill(None), Ill(ProtocolError("nonsense")), Local(mdns=False))
    report = await asyncio.wait_for(examine(swarm), PATIENCE)
    assert [check.seen for check in report.checks if check.name == "pointer"] == [
        "No result within 0.05 s.",
        "It could not be examined.",
    ]
    assert named(report, "registry").outcome is Outcome.OK


async def test_what_strangers_make_us_list_is_bounded() -> None:
    async with Member(TOPIC) as one:
        for number in range(200):
            one.pointer.point(TOPIC, bytes([number]) * 32, ("127.0.0.1", 1))
        await one.until(lambda: sum(bool(peer.last_error) for peer in one.swarm.peers) > 10)
        report = await examine(one.swarm)
    assert len(str(report)) < 5_000
    assert " more." in named(report, "peers dialled").cause
