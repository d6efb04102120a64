"""Where one stream sends, and how much may go there before that address is known to be its peer's.

UDX authenticates nothing. Where a peer is comes from a handshake that others have relayed, and the peer may speak from
elsewhere: from the other of its two sockets (`hyperdht` announces from the one, and may send from the other), through
a NAT that shows us another port than it showed the relay, or after it has moved. So, as in RFC 9000:

- Section 9.3: a stream answers to where its peer speaks from. The first packet of all decides; later ones do if their
  numbers show that they are not old, which nobody can make them who knows only the stream's id.
- Sections 8.1 and 9.3.1: whoever makes us send somewhere must not get much more sent than they send, lest we flood a
  third party. An address that has not acknowledged anything that was sent to it since we began to send there is
  unproven, and little goes to it: three bytes for each byte that comes, as in QUIC. QUIC's packets are padded so that
  this suffices to go on with; UDX has acknowledgements of 20 bytes, so a few packets are free.
- Section 8.2: a path is validated by the echo of random bytes. UDX has none, and what comes nearest is such an
  acknowledgement. It has to come from that very address: one from elsewhere shows only that its sender can count, and
  a peer that names a third party's address in its handshake can.
- Section 9.3.2: if nothing comes back from an unproven address, we go back to where we sent before.
"""

from collections import deque
from math import inf

from linkup_nb.wire.udx.events import Address

UNPROVEN_BYTES = 3600  # that may go to unproven addresses at once: 3 packets, as in QUIC
AMPLIFICATION = 3  # bytes that may go to unproven addresses for each byte that has come
UNPROVEN_RATE = 120  # bytes a second that may go there besides, while packets come: else lost packets could end it all
QUIET = 0.5  # seconds of silence of an address after which it is left for one whose packets may be old
MAX_REMEMBERED = 4  # addresses of one peer that need no new proof when it speaks from them again


class Path:
    """The address of one stream's peer. Count what goes there with `spend`, and what comes with `earn`."""

    def __init__(self) -> None:
        self.address: Address | None = None
        self.proven = False
        self.received_at: float | None = None  # when the last packet came from this address
        self._since = 0.0  # when we began to send there
        self._before: Address | None = None
        self._remembered: deque[Address] = deque(maxlen=MAX_REMEMBERED)
        self._allowance: float = UNPROVEN_BYTES
        self._earned_at = 0.0

    def move(self, address: Address, now: float) -> bool:
        """Send there from now on; true if that is another host, of whose path nothing that was measured holds.

        RFC 9000, section 9.4: another port of the same host is a rebinding of its NAT, and the path stays what it was.
        """
        old = self.address
        self._before, self.address = old, address
        self._since = now
        self.proven = address in self._remembered
        self.received_at = now if self.proven else None
        return old is not None and old[0] != address[0]

    def go_back(self, now: float) -> bool:
        """Nothing comes back from an unproven address: try the one before, if there is one; true as for `move`."""
        return self._before is not None and self.move(self._before, now)

    def acknowledged(self, sent_at: float) -> None:
        """The address acknowledges a packet that was sent then."""
        if not self.proven and sent_at >= self._since:
            assert self.address is not None
            self.proven = True
            self._remembered.append(self.address)

    def earn(self, size: int, now: float) -> None:
        """So many bytes have come for this stream."""
        if self._allowance < UNPROVEN_BYTES:
            earned = AMPLIFICATION * size + UNPROVEN_RATE * (now - self._earned_at)
            self._allowance = min(self._allowance + earned, UNPROVEN_BYTES)
        self._earned_at = now

    @property
    def room(self) -> float:
        """How many bytes may go to the address now."""
        return inf if self.proven else self._allowance

    def may_send(self, size: int) -> bool:
        """Whether so many bytes may go to the address."""
        return self.proven or size <= self._allowance

    def spend(self, size: int) -> None:
        """So many bytes go to the address."""
        if not self.proven:
            self._allowance -= size
