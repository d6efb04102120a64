"""A flow that is like CUBIC, as a competitor: RFC 9438 for its window, packets counted lost as in RFC 9002, 6.1.1.

It has the methods of an `Endpoint` that a `Wire` calls. Its packets are a number and zeros, an acknowledgement the
number alone.
"""

from linkup_nb.wire.udx.events import Address, Datagrams

SIZE = 1200  # bytes of a packet
C = 0.4  # packets a second cubed
BETA = 0.7
REORDERED = 3  # packets acknowledged after one that counts as lost then
TIMEOUT = 1.0  # seconds without any acknowledgement
FIRST_WINDOW = 10.0  # packets


class CubicSender:
    """Sends without end."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._next = 0
        self._in_flight: dict[int, float] = {}
        self._window = FIRST_WINDOW
        self._threshold = float("inf")
        self._before = 0.0  # the window when packets were last lost
        self._since = 0.0  # when that was
        self._recovered_at = -1  # the first packet that was sent after it
        self._rtt = 0.1
        self._heard = 0.0

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool:
        """An acknowledgement."""
        number = int.from_bytes(data[:8], "big")
        sent = self._in_flight.pop(number, None)
        self._heard = now
        if sent is not None:
            self._rtt += (now - sent - self._rtt) / 8
            self._grow(now)
        lost = [one for one in self._in_flight if one <= number - REORDERED]
        for one in lost:
            del self._in_flight[one]
        if lost and max(lost) > self._recovered_at:
            self._shrink(now)
        return True

    def _grow(self, now: float) -> None:
        if self._window < self._threshold:
            self._window += 1
            return
        k = (self._before * (1 - BETA) / C) ** (1 / 3)
        wanted = C * (now - self._since + self._rtt - k) ** 3 + self._before
        reno = self._before * BETA + 3 * (1 - BETA) / (1 + BETA) * (now - self._since) / self._rtt
        wanted = min(max(wanted, reno), 1.5 * self._window)
        self._window += max(0.0, wanted - self._window) / self._window

    def _shrink(self, now: float) -> None:
        self._before, self._since = self._window, now
        self._window = self._threshold = max(2.0, self._window * BETA)
        self._recovered_at = self._next - 1

    def datagrams_to_send(self, now: float) -> list[Datagrams]:
        """What the window has room for."""
        if self._in_flight and now - self._heard >= TIMEOUT:
            self._in_flight.clear()
            self._threshold, self._window, self._heard = max(2.0, self._window / 2), 2.0, now
            self._recovered_at = self._next - 1
        out = []
        while len(self._in_flight) < self._window:
            if not self._in_flight:
                self._heard = now
            self._in_flight[self._next] = now
            out.append(Datagrams(self._target, self._next.to_bytes(8, "big") + bytes(SIZE - 8), SIZE))
            self._next += 1
        return out

    def get_timer(self) -> float | None:
        """When nothing will have come for too long."""
        return self._heard + TIMEOUT if self._in_flight else None

    def next_event(self) -> None:
        """It has none."""


class CubicReceiver:
    """Acknowledges each packet at once."""

    def __init__(self) -> None:
        self.received = 0  # bytes
        self._due: list[Datagrams] = []

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool:
        """A packet."""
        self.received += len(data)
        self._due.append(Datagrams(address, data[:8], 8))
        return True

    def datagrams_to_send(self, now: float) -> list[Datagrams]:
        """The acknowledgements."""
        due, self._due = self._due, []
        return due

    def get_timer(self) -> float | None:
        """Only packets change anything."""
        return None

    def next_event(self) -> None:
        """It has none."""
