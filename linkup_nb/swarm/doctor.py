"""Why am I (not) connected? Looks at everything between us and a peer."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from linkup_nb.connection.addresses import lan_addresses, offline
from linkup_nb.discovery.check import Bootstrap, Check, Examinable, Outcome, Report, count, sentence
from linkup_nb.discovery.protocol import Discovery, PeerInfo, PeerStatus
from linkup_nb.errors import LinkupError
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import short_key

EXAMINE_TIMEOUT = 6.0  # seconds for all checks together
MAX_NAMED = 3  # topics, or peers that cannot be reached, that are named

# The first two are set by BinderHub's own spawner (binderhub/binderspawner_mixin.py), the third by Kubernetes for the
# service `binder` of its namespace.
_BINDER = ("BINDER_LAUNCH_HOST", "BINDER_REPO_URL", "BINDER_SERVICE_HOST")
# jupyterhub/mybinder.org-deploy, mybinder/templates/netpol.yaml: no ingress; egress for DNS, and TCP to listed ports.
_ON_BINDER = (
    "This kernel runs on Binder: it meets the notebooks of its own server and its own lab, and nobody elsewhere."
)
_BINDER_IS_CLOSED = "Binder lets out nothing but TCP to a few ports, and nothing in: UDP is closed there."
_OWN_MACHINE = "Run the notebook on your own machine to meet people elsewhere."


async def examine(swarm: Swarm) -> Report:
    """Look at everything at once; takes at most `EXAMINE_TIMEOUT` seconds and raises nothing because of a peer."""
    looks = [asyncio.ensure_future(_look(discovery)) for discovery in swarm.discovery]
    found = _forgiving([check for checks in await asyncio.gather(*looks) for check in checks])
    network = await asyncio.to_thread(_network)
    return Report((network, _listening(swarm), _udp(found), *found, _topics(swarm), *_peers(swarm.peers)))


def on_binder() -> bool:
    """Whether this kernel runs on a BinderHub such as mybinder.org."""
    return any(name in os.environ for name in _BINDER)


async def _look(discovery: Discovery) -> Sequence[Check]:
    if not isinstance(discovery, Examinable):
        return (Check(discovery.name, Outcome.OK, discovery.describe()),)
    try:
        async with asyncio.timeout(EXAMINE_TIMEOUT):
            return await discovery.examine()
    except TimeoutError:
        return (Check(discovery.name, Outcome.WARNING, f"No result within {EXAMINE_TIMEOUT:g} s."),)
    except (OSError, LinkupError) as error:
        return (Check(discovery.name, Outcome.FAILED, "It could not be examined.", sentence(error)),)


def _forgiving(found: list[Check]) -> list[Check]:
    """A bootstrap node that fails is no more than a warning while another one replies."""
    if not any(isinstance(check, Bootstrap) and check.rtt is not None for check in found):
        return found
    return [
        replace(check, outcome=Outcome.WARNING)
        if isinstance(check, Bootstrap) and check.outcome is Outcome.FAILED
        else check
        for check in found
    ]


def _network() -> Check:
    if on_binder():
        return Check("network", Outcome.WARNING, _ON_BINDER, _BINDER_IS_CLOSED, _OWN_MACHINE)
    if offline():
        advice = "To meet people elsewhere, unset it and restart the kernel."
        return Check("network", Outcome.OFF, "LINKUP_OFFLINE keeps every packet on this machine.", advice=advice)
    addresses = lan_addresses()
    if not addresses:
        seen = "This machine has no network address but its own loopback."
        return Check("network", Outcome.FAILED, seen, "No network is connected.", "Connect to one.")
    return Check("network", Outcome.OK, f"This machine is {', '.join(addresses)}.")


def _listening(swarm: Swarm) -> Check:
    if not swarm.addresses:
        return Check("TCP in", Outcome.OFF, "We do not listen: no topic has been joined to be found on.")
    where = ", ".join(f"{host}:{port}" for host, port in swarm.addresses)
    return Check("TCP in", Outcome.OK, f"We listen at {where}.")


def _udp(found: Sequence[Check]) -> Check:
    knocks = [check for check in found if isinstance(check, Bootstrap) and check.outcome is not Outcome.OFF]
    replies = sum(check.rtt is not None for check in knocks)
    if not knocks:
        return Check("UDP out", Outcome.OFF, "No request was sent over UDP.")
    if replies:
        return Check("UDP out", Outcome.OK, f"{replies} of {count(len(knocks), 'bootstrap node')} replied.")
    seen = "No bootstrap node replied."
    if on_binder():
        return Check("UDP out", Outcome.FAILED, seen, _BINDER_IS_CLOSED, _OWN_MACHINE)
    cause = "A firewall keeps UDP in, or all of these nodes are down."
    return Check("UDP out", Outcome.FAILED, seen, cause, "Try another network or a VPN, or name other nodes.")


def _topics(swarm: Swarm) -> Check:
    topics = swarm.topics
    if not topics:
        return Check("topics", Outcome.WARNING, "No topic has been joined.", advice="Create a room, or join one.")
    named = [f"{topic.topic.hex()[:8]}… ({count(len(topic.peers), 'peer')})" for topic in topics[:MAX_NAMED]]
    return Check("topics", Outcome.OK, f"{count(len(topics), 'topic')} joined: {_listed(named, len(topics))}.")


def _peers(peers: Sequence[PeerInfo]) -> tuple[Check, ...]:
    if not peers:
        return (
            Check(
                "peers found",
                Outcome.WARNING,
                "Nobody else has been found.",
                "Nobody else is on these topics now, or not where we can look.",
                "Make sure that the others have joined the very same topic.",
            ),
        )
    sources = Counter(source for peer in peers for source in peer.sources)
    by_source = "".join(f", {number} by {source}" for source, number in sorted(sources.items()))
    return Check("peers found", Outcome.OK, f"{count(len(peers), 'peer')}{by_source}."), _dialled(peers)


def _dialled(peers: Sequence[PeerInfo]) -> Check:
    stages = Counter(peer.status for peer in peers)
    seen = f"{', '.join(f'{stages[status]} {status.value}' for status in PeerStatus if stages[status])}."
    lost = [peer for peer in peers if peer.status in (PeerStatus.WAITING, PeerStatus.FAILED) and peer.last_error]
    if not lost:
        return Check("peers dialled", Outcome.OK, seen)
    reasons = [f"{short_key(peer.public_key)} ({peer.last_error})" for peer in lost[:MAX_NAMED]]
    cause = f"Could not be reached: {_listed(reasons, len(lost))}."
    advice = "They are dialled again; if they are gone, they will soon be forgotten."
    outcome = Outcome.WARNING if stages[PeerStatus.CONNECTED] else Outcome.FAILED
    return Check("peers dialled", outcome, seen, cause, advice)


def _listed(named: Sequence[str], total: int) -> str:
    more = f" and {total - len(named)} more" if total > len(named) else ""
    return ", ".join(named) + more
