"""The search for the largest datagram that a path carries, as RFC 8899 (DPLPMTUD) has it.

As in libudx, a full packet of data is lengthened by zeros between its header and its data, and when it is acknowledged
packets may hold that many bytes more. A probe that is lost counts as no sign of congestion: it is sent again unpadded.
"""

BASE_PAYLOAD = 1152  # bytes of data in a packet that any path is expected to carry: 1200 with the headers
MAX_PAYLOAD = 1452  # bytes, 1500 with the headers of IPv4, UDP and UDX
MAX_STEP = 240  # bytes by which one probe exceeds what is known to pass
MIN_STEP = 8  # bytes; below it the search is not worth its packets
PROBE_TRIES = 3  # losses of a probe after which a smaller step is tried


class MtuSearch:
    """How many bytes of data a packet may hold, and whether to probe for more."""

    def __init__(self) -> None:
        self.payload_size = BASE_PAYLOAD
        self._step = MAX_STEP
        self._losses = 0
        self._probing = False

    def begin_probe(self) -> int:
        """How much padding the next full packet gets, 0 for none; then `probe_ended` must follow once it is known."""
        step = min(self._step, MAX_PAYLOAD - self.payload_size)
        if self._probing or step < MIN_STEP:
            return 0
        self._probing = True
        return step

    def probe_ended(self, padding: int, delivered: bool) -> None:
        """A packet padded so has been acknowledged, or is lost."""
        self._probing = False
        if delivered:
            self.payload_size += padding
            self._losses = 0
            return
        self._losses += 1
        if self._losses == PROBE_TRIES:
            self._step = padding // 2
            self._losses = 0
