"""What the public internet does, in a time of its own: look-ups among 100,000 nodes, and UDX over slow and lossy paths.

Nothing here has a socket or waits: the machines of `wire/dht` and `wire/udx` are driven by events. `--size` is the
number of nodes, and makes all else short.
"""

from collections import Counter
from math import exp
from random import Random
from statistics import mean, quantiles

from linkup_nb.wire.dht.rpc import ID_SIZE, Address
from linkup_nb.wire.dht.table import K
from tests.soak.campaign import Round, Trial
from tests.soak.simulated.flows import Path, fairness, goodputs
from tests.soak.simulated.population import MEAN_SESSION, Population
from tests.soak.simulated.searching import misses, search

NODES = 100_000
SEARCHES = 300  # pairs of an announcement and a look-up, of each share of the dead
DEAD = (None, 0.25, 0.5)  # of the contacts in tables; `None` for as many as sessions make it
LATER = 600.0  # seconds from an announcement to the look-up
MIN_FOUND = 0.99  # of what was announced

RATE = 2.5e6  # bytes a second: 20 Mbit/s
LOSSES = (0.0, 0.01, 0.02, 0.05)
RTTS = (0.01, 0.05, 0.1, 0.3)  # seconds
WARM, SECONDS = 5.0, 20.0  # seconds of a flow's time
FLOWS = (2, 4, 8)  # of UDX at one bottleneck
QUEUES = (0.5, 1.0, 4.0)  # bandwidth-delay products, with a flow like CUBIC at the same bottleneck
USUAL_RTT = 0.05  # seconds
MIN_GOODPUT = 0.85  # of the rate, up to `HARD`
HARD = (0.02, 0.1)  # loss, and seconds of round trip
MIN_FAIRNESS = 0.8  # Jain's index
MIN_SHARE = 0.05  # of the rate, of either beside the other


def look_ups(this: Round) -> None:
    """Announce, wait, look up, each by another node."""
    little = this.size is not None
    for dead in DEAD[:1] if little else DEAD:
        population = Population(this.size or NODES, this.rolls, dead)
        load: Counter[Address] = Counter()
        seconds, hops, asked, missed, found = [], [], [], 0, 0
        searches = 10 if little else SEARCHES
        for _ in range(searches):
            target = this.rolls.randbytes(ID_SIZE)
            announced = search(population, target, this.rolls.randbytes(ID_SIZE), load)
            missed += misses(announced, population, target)
            keepers = {one for one in announced.closest if still_there(this.rolls)}
            looked = search(population, target, this.rolls.randbytes(ID_SIZE), load)
            found += bool(keepers.intersection(looked.answered))
            for one in (announced, looked):
                seconds.append(one.seconds)
                hops.append(one.hops)
                asked.append(len(one.answered))
        deciles = quantiles(seconds, n=10)
        this.note(
            f"{population.dead:.0%} of contacts dead",
            f"{found} of {searches} found, {mean(hops):.1f} hops, {mean(asked):.0f} answered,"
            f" {deciles[4]:.2f} s ({deciles[0]:.2f} to {deciles[8]:.2f}), {missed / searches:.2f} of the nearest {K}"
            f" missed, at most {max(load.values())} requests to one node in {2 * searches} searches",
        )
        assert found >= MIN_FOUND * searches, f"only {found} of {searches} were found"
        this.survived(found)


def still_there(rolls: Random) -> bool:
    """Whether a node that lived at an announcement lives `LATER`, the age of each unknown."""
    return rolls.random() < exp(-LATER / MEAN_SESSION)


def paths(this: Round) -> None:
    """How much of a bottleneck one flow gets, by loss and round trip."""
    little = this.size is not None
    for loss in LOSSES[:2] if little else LOSSES:
        row = []
        for rtt in RTTS[:2] if little else RTTS:
            (got,) = goodputs(Path(RATE, rtt, loss), 1, 0, seed=this.seed, warm=WARM, seconds=2 if little else SECONDS)
            row.append(f"{got:.2f} at {1000 * rtt:.0f} ms")
            assert got >= MIN_GOODPUT or loss > HARD[0] or rtt > HARD[1], f"{got:.2f} at {loss:.0%}, {rtt} s"
            this.survived()
        this.note(f"goodput at {loss:.0%} loss", ", ".join(row))


def bottlenecks(this: Round) -> None:
    """How flows share a bottleneck: with their like, and with one that is like CUBIC."""
    little = this.size is not None
    seconds = 4 if little else SECONDS
    for count in FLOWS[:1] if little else FLOWS:
        shares = goodputs(Path(RATE, USUAL_RTT), count, 0, seed=this.seed, warm=WARM, seconds=seconds)
        this.note(f"{count} flows", f"Jain's index {fairness(shares):.2f}, together {sum(shares):.2f}")
        assert little or fairness(shares) >= MIN_FAIRNESS, f"{count} flows share like {shares}"
        this.survived(count)
    for queue in QUEUES[:1] if little else QUEUES:
        path = Path(RATE, USUAL_RTT, queue=queue)
        ours, theirs = goodputs(path, 1, 1, seed=this.seed, warm=WARM, seconds=seconds)
        this.note(f"beside one like CUBIC, a queue of {queue:g}", f"{ours:.2f}, and {theirs:.2f}")
        assert little or min(ours, theirs) >= MIN_SHARE, f"one of them starves: {ours:.2f}, {theirs:.2f}"
        this.survived(2)


TRIALS = [Trial("look-ups", look_ups), Trial("paths", paths), Trial("bottlenecks", bottlenecks)]
