"""Flows of UDX, and such as are like CUBIC, from one host to another over one bottleneck."""

from dataclasses import dataclass

from linkup_nb.wire.udx.stream import HIGH_MARK, Stream
from tests.soak.simulated.cubic import CubicReceiver, CubicSender
from tests.wire.udx.wire import Conditions, Wire

SENDER, RECEIVER = "10.0.0.1", "10.0.0.2"
STEP = 0.02  # seconds of theirs after which readers read and writers write on
MIN_QUEUE = 30_000  # bytes
BLOCK = bytes(256 * 1024)


@dataclass(frozen=True)
class Path:
    """What is between them: bytes a second, seconds there and back, the queue in bandwidth-delay products."""

    rate: float
    rtt: float
    loss: float = 0.0
    queue: float = 1.0

    def wire(self, seed: int) -> Wire:
        """A wire like this, the same each way."""
        queue = max(MIN_QUEUE, int(self.queue * self.rate * self.rtt))
        return Wire(Conditions(delay=self.rtt / 2, loss=self.loss, rate=self.rate, queue=queue), seed)


def goodputs(path: Path, udx: int, cubic: int, *, seed: int, warm: float, seconds: float) -> list[float]:
    """The share of the rate that each flow's bytes take in so many seconds after warming up, those of UDX first."""
    wire = path.wire(seed)
    streams = [_udx(wire, 1 + number) for number in range(udx)]
    receivers = [_cubic(wire, 101 + number) for number in range(cubic)]
    got = [0] * udx
    before: list[int] = []
    end = wire.now + warm + seconds
    warm_at = wire.now + warm
    while wire.now < end:
        for number, (writer, reader) in enumerate(streams):
            while writer.buffered < HIGH_MARK:
                writer.write(BLOCK)
            got[number] += len(reader.read())
        if not before and wire.now >= warm_at:
            before = got + [one.received for one in receivers]
        for events in wire.events.values():
            events.clear()
        wire.run(seconds=STEP)
    after = got + [one.received for one in receivers]
    return [(last - first) / (path.rate * seconds) for first, last in zip(before, after, strict=True)]


def _udx(wire: Wire, port: int) -> tuple[Stream, Stream]:
    one, other = wire.add((SENDER, port)), wire.add((RECEIVER, port))
    writer, reader = one.open_stream(1, wire.now), other.open_stream(2, wire.now)
    writer.connect(2, (RECEIVER, port), wire.now)
    reader.connect(1, (SENDER, port), wire.now)
    return writer, reader


def _cubic(wire: Wire, port: int) -> CubicReceiver:
    receiver = CubicReceiver()
    wire.put((SENDER, port), CubicSender((RECEIVER, port)))
    wire.put((RECEIVER, port), receiver)
    return receiver


def fairness(shares: list[float]) -> float:
    """Jain's index: 1 if all have the same, 1/n if one has it all."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares)) if any(shares) else 0.0
