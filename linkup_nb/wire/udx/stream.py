"""One UDX stream: bytes in order both ways, unordered messages beside them, and how it begins and ends."""

from collections.abc import Callable
from enum import Enum
from math import inf

from linkup_nb.errors import UsageError
from linkup_nb.wire.udx.events import (
    Address,
    AddressSeen,
    Closing,
    Datagrams,
    DataReceived,
    EndDelivered,
    EndReceived,
    Event,
    MessageReceived,
    RoomToWrite,
    StreamClosed,
)
from linkup_nb.wire.udx.flight import Ranges, SentPacket
from linkup_nb.wire.udx.mtu import BASE_PAYLOAD
from linkup_nb.wire.udx.packet import (
    DATA,
    DESTROY,
    END,
    HEADER,
    HEADER_SIZE,
    HEARTBEAT,
    MAGIC,
    MESSAGE,
    NUMBERS,
    SACK,
    SACK_SIZE,
    Packet,
    encode,
    unwrap,
)
from linkup_nb.wire.udx.path import QUIET, Path
from linkup_nb.wire.udx.receiver import MAX_EARLY, RECEIVE_WINDOW, Receiver
from linkup_nb.wire.udx.sender import Sender

IDLE_TIMEOUT = 30.0  # seconds of silence after which the peer is gone
HEARTBEATS = 5  # sent to a silent peer before that
LINGER = 10.0  # seconds for which an ended stream still acknowledges, lest the peer wait for that in vain
MAX_MESSAGE = BASE_PAYLOAD  # bytes of an unordered message
MAX_QUEUED_MESSAGES = 64  # unordered messages that wait for `datagrams_to_send`; more are dropped
HIGH_MARK = 2 * 1024 * 1024  # bytes buffered, over which a writer should wait for RoomToWrite
LOW_MARK = HIGH_MARK // 2  # bytes
MAX_BATCH_BYTES = 65_000  # bytes of datagrams that one system call can send
MAX_BATCH = 64  # datagrams

NOW = 0.0  # a time that has passed


class StreamState(Enum):
    """How far a stream has come."""

    WAITING = "waiting"  # where the peer is is not known yet; it may find us
    CONNECTED = "connected"
    LINGERING = "lingering"  # over, but the peer may not have been notified
    CLOSED = "closed"


class Stream:
    """One end of a stream; made by `Endpoint.open_stream`.

    After each call, send what `Endpoint.datagrams_to_send` returns. A writer should pause while `buffered` is over
    `HIGH_MARK`, until RoomToWrite is fired. With an idle timeout, in seconds, a silent peer is sent heartbeats.
    """

    def __init__(
        self,
        local_id: int,
        emit: Callable[[Event], bool],
        count: Callable[[str], None],
        woken: Callable[["Stream"], None],
        now: float,
        idle_timeout: float | None,
    ) -> None:
        self.local_id = local_id
        self.remote_id = 0
        self.path = Path()
        self.state = StreamState.WAITING
        self.untouched = True  # nothing was sent or is about to be, and nothing has come
        self._woken = woken
        self.wake_at: float | None = None  # when `datagrams_to_send` may have something
        self.sender = Sender(local_id, self.path)
        self.receiver = Receiver()
        self._emit = emit
        self._data_received = DataReceived(local_id)
        self._count = count
        self._idle_timeout = idle_timeout
        self.received_at = now  # when the peer's last packet came
        self._heartbeats = 0
        self._linger_until = 0.0
        self._seen: Address | None = None
        self._messages: list[bytes] = []
        self._timer_at = NOW  # when time alone may change something, or before
        self._put_off_ack: tuple[Packet, float] | None = None
        self._ack_due = False
        self._heartbeat_due = False
        self._destroy_due = False
        self._advertised = RECEIVE_WINDOW
        self.over_high_mark = False  # from then on until RoomToWrite is fired
        self._end_delivered = False

    def __repr__(self) -> str:
        return f"Stream({self.local_id}, {self.state.value}, {self.remote})"

    @property
    def remote(self) -> Address | None:
        """Where this stream sends: the source of its peer's last packets, and until then the address of `connect`."""
        return self.path.address

    @property
    def buffered(self) -> int:
        """Bytes written that the peer has not acknowledged."""
        return self.sender.buffered

    @property
    def congestion(self) -> tuple[int, float | None]:
        """How many bytes may be in flight now, and the smoothed round trip in seconds, `None` before one is known."""
        return self.sender.congestion.window, self.sender.flight.srtt

    @property
    def minimum_rtt(self) -> float | None:
        """Seconds of the shortest round trip so far; `None` before the first."""
        return self.sender.flight.min_rtt

    def connect(self, remote_id: int, address: Address, now: float) -> None:
        """Name the stream of the peer that this one belongs to, and its address; data can be written before."""
        if not 0 <= remote_id < NUMBERS:
            raise UsageError(f"A stream's id has 32 bits, {remote_id} has more: pass the id that the peer has sent.")
        if self.state is not StreamState.WAITING:
            raise UsageError("A stream is connected once: where its peer goes, it follows by itself.")
        self.remote_id = remote_id
        self.path.move(address, now)
        self.path.received_at = now if address == self._seen else None
        self.state = StreamState.CONNECTED
        self.received_at = now
        self._wake()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue data for the peer; it must not be changed any more."""
        self._check_open()
        self.sender.write(data)
        if self.sender.buffered > HIGH_MARK:
            self.over_high_mark = True
        self._wake()

    def end(self) -> None:
        """Close our side after what was written; the peer can still write."""
        self._check_open()
        self.sender.end()
        self._wake()

    def show(self) -> None:
        """Let the peer see where we are, before there is data."""
        self._check_open()
        self._heartbeat_due = True
        self.untouched = False
        self._wake()

    def send_message(self, message: bytes) -> None:
        """Send up to `MAX_MESSAGE` bytes beside the stream, once; they may be lost on their way."""
        self._check_open()
        if len(message) > MAX_MESSAGE:
            raise UsageError(
                f"An unordered message has at most {MAX_MESSAGE} bytes, this one has {len(message)}: use write instead."
            )
        if len(self._messages) >= MAX_QUEUED_MESSAGES:
            self._count("message over the limit of those that wait")
            return
        self._messages.append(message)
        self._wake()

    def read(self, limit: int | None = None) -> bytes:
        """Data that has come and was not read, all of it or up to `limit` bytes; the peer may send that much more."""
        data = self.receiver.read(limit)
        if self.state is StreamState.CONNECTED and self.receiver.window - self._advertised >= RECEIVE_WINDOW // 4:
            self._ack_due = True
            self._wake()
        return data

    def destroy(self) -> None:
        """Close the stream at once, whatever has not arrived; a peer that may know of it is notified."""
        if self.state in (StreamState.WAITING, StreamState.CONNECTED):
            self._destroy_due = self.state is StreamState.CONNECTED and not self.untouched
            self._close(Closing.DESTROYED)

    def receive(self, packet: Packet, address: Address, now: float) -> None:
        """Take a packet that carries the id of this stream."""
        self.path.earn(HEADER_SIZE + len(packet.payload), now)
        if packet.kinds == 0 and address == self.path.address:
            self._put_off(packet, now)
        else:
            self._take_put_off()
            self._take(packet, address, now)

    def receive_run(self, batch: memoryview, size: int, address: Address, now: float) -> int:
        """See `Endpoint.receive_run`."""
        receiver, path = self.receiver, self.path
        if self.state is not StreamState.CONNECTED or address != path.address or not receiver.takes_run(len(batch)):
            return 0
        header = HEADER.unpack_from(batch)
        magic, kinds, offset, local_id, window, seq, ack = header
        if magic != MAGIC or kinds != DATA or offset or seq != receiver.ack % NUMBERS:
            return 0
        if self._put_off_ack is not None:
            self._take_put_off()
        if not self._take_ack(ack, (), window, address, now):
            return 0
        size = min(size, len(batch))
        payloads, start = [batch[HEADER_SIZE:size]], size
        while start + HEADER_SIZE < len(batch):
            seq = (seq + 1) % NUMBERS
            if HEADER.unpack_from(batch, start) != (MAGIC, DATA, 0, local_id, window, seq, ack):
                break
            payloads.append(batch[start + HEADER_SIZE : start + size])
            start += size
        if not receiver.readable:
            self._emit(self._data_received)
        receiver.receive_run(payloads)
        self._ack_due = True
        path.received_at = now
        path.earn(start, now)
        self._note_received(now)
        self._tell_progress()
        return min(start, len(batch))

    def _put_off(self, packet: Packet, now: float) -> None:
        """Keep an acknowledgement until something is to be sent: many come at a time, and the last one covers all."""
        before = self._put_off_ack
        if before is None or (packet.ack - before[0].ack) % NUMBERS < NUMBERS // 2:
            self._put_off_ack = packet, now
        self._wake()

    def _take_put_off(self) -> None:
        if self._put_off_ack is not None:
            (packet, then), self._put_off_ack = self._put_off_ack, None
            assert self.path.address is not None
            self._take(packet, self.path.address, then)

    def _take(self, packet: Packet, address: Address, now: float) -> None:
        kinds, _, window, seq, ack, sacks, payload = packet
        if self.state is StreamState.CLOSED:
            return
        if not self._take_ack(ack, sacks, window, address, now):
            self._count("acknowledges what was never sent")
            return
        self._follow(packet, address, now)
        self._note_received(now)
        if kinds & (DATA | END):
            self._ack_due = True
            if self.state is not StreamState.LINGERING:
                self._receive_data(seq, kinds, payload)
        if kinds & HEARTBEAT:
            self._ack_due = True
        if self.state is StreamState.LINGERING:
            return
        if kinds & MESSAGE and not self._emit(MessageReceived(self.local_id, payload)):
            self._count("message over the limit of those that wait")
        if kinds & DESTROY:
            self._receive_destroy(address)
            return
        self._tell_progress()
        if self.receiver.ended and self.sender.finished:
            self.state = StreamState.LINGERING
            self._linger_until = now + LINGER
            self._emit(StreamClosed(self.local_id, Closing.ENDED))

    def _take_ack(self, ack: int, sacks: Ranges, window: int, address: Address, now: float) -> bool:
        """Take what a packet acknowledges; false if that cannot be."""
        sender, path = self.sender, self.path
        if not sacks and window == sender.window and ack == sender.flight.unacked % NUMBERS:
            return True
        delivered = sender.flight.delivered
        if not sender.receive(ack, sacks, window, now):
            return False
        if not path.proven and address == path.address and sender.flight.delivered > delivered:
            path.acknowledged(sender.flight.newest_at)
        return True

    def _follow(self, packet: Packet, address: Address, now: float) -> None:
        """Answer to where the peer speaks from (RFC 9000, section 9.3); `wire/udx/path.py` has the limits."""
        path = self.path
        if path.address is None:
            if address != self._seen and self._emit(AddressSeen(self.local_id, address)):
                self._seen = address
        elif address == path.address:
            path.received_at = now
        elif path.received_at is None or (not packet.kinds & DESTROY and self._is_new(packet, now - path.received_at)):
            if path.move(address, now):
                self.sender.reset_path(now)
            self.sender.probe_path()
            path.received_at = now

    def _is_new(self, packet: Packet, quiet: float) -> bool:
        """Whether nothing that has come was sent after it, as far as its numbers can tell.

        What is sent again has an old number. If the address that we know has been quiet for long, that is no surprise.
        """
        ahead = unwrap(packet.seq, self.receiver.ack) - self.receiver.newest
        if packet.ack != self.sender.flight.unacked % NUMBERS:
            return False
        return 0 <= ahead <= MAX_EARLY or (quiet >= QUIET and -MAX_EARLY <= ahead < 0)

    def _note_received(self, now: float) -> None:
        self.received_at = now
        self._heartbeats = 0
        self.untouched = False
        self._wake()

    def _tell_progress(self) -> None:
        if self.over_high_mark and self.buffered < LOW_MARK:
            self.over_high_mark = False
            self._emit(RoomToWrite(self.local_id))
        if not self._end_delivered and self.sender.finished:
            self._end_delivered = True
            self._emit(EndDelivered(self.local_id))

    def datagrams_to_send(self, now: float) -> list[Datagrams]:
        """What is to go to the peer; call this again at `wake_at`."""
        if self._put_off_ack is not None:
            self._take_put_off()
        if now >= self._timer_at:
            self._handle_timers(now)
        out = self._datagrams_to_send(now)
        self._timer_at = inf if self.wake_at is None else self.wake_at
        return out

    def _datagrams_to_send(self, now: float) -> list[Datagrams]:
        out: list[Datagrams] = []
        self.wake_at = None
        if self.path.address is None:
            self.wake_at = self._idle_timer()
            return out
        if self._destroy_due:
            self._destroy_due = False
            self._add(out, encode(self._packet(DESTROY)))
        if self.state is StreamState.CONNECTED:
            if self._messages:
                self._add_messages(out)
            packets = self.sender.packets(now)
            if packets:
                self._add_packets(out, packets)
                self._ack_due = self._ack_due and self.receiver.early
            if self.sender.heartbeat_due or self._heartbeat_due:
                self.sender.heartbeat_due = self._heartbeat_due = False
                self._add(out, encode(self._packet(HEARTBEAT)))
            self.wake_at = _earlier(self.sender.timer, self._idle_timer())
        elif self.state is StreamState.LINGERING:
            self.wake_at = self._linger_until
        if self._ack_due and self.state is not StreamState.CLOSED:
            self._ack_due = False
            sacks = self.receiver.sacks()
            if not self.path.may_send(HEADER_SIZE + SACK_SIZE * len(sacks)):
                sacks = ()  # a bare acknowledgement is never longer than what it answers
            self._add(out, encode(self._packet(SACK if sacks else 0)._replace(sacks=sacks)))
        if out:
            self.untouched = False
            self._advertised = self.receiver.window
        return out

    def _wake(self) -> None:
        if self.wake_at != NOW:
            self.wake_at = NOW
            self._woken(self)

    def _check_open(self) -> None:
        if self.state in (StreamState.LINGERING, StreamState.CLOSED):
            raise UsageError("This stream is closed: open another one.")

    def _receive_data(self, seq: int, kinds: int, payload: bytes) -> None:
        receiver = self.receiver
        was_readable, had_ended = receiver.readable, receiver.ended
        if not receiver.receive(unwrap(seq, receiver.ack), kinds, payload):
            self._count("data beyond the window")
        if receiver.readable and not was_readable:
            self._emit(self._data_received)
        if receiver.ended and not had_ended:
            self._emit(EndReceived(self.local_id))

    def _receive_destroy(self, address: Address) -> None:
        if self.state is StreamState.CONNECTED and address != self.path.address:
            self._count("destroyed from an address that is not the peer's")
        else:
            self._close(Closing.RESET)

    def _close(self, closing: Closing) -> None:
        self.state = StreamState.CLOSED
        self._wake()
        self._emit(StreamClosed(self.local_id, closing))

    def _handle_timers(self, now: float) -> None:
        if self.state is StreamState.LINGERING:
            if now >= self._linger_until:
                self.state = StreamState.CLOSED
            return
        if self.state is StreamState.CONNECTED:
            if self.sender.handle_timer(now) and not self.path.proven and self.path.go_back(now):
                self.sender.reset_path(now)
            if self.sender.timed_out:
                self._close(Closing.TIMED_OUT)
                return
        timer = self._idle_timer()
        if self.state is StreamState.CLOSED or timer is None or now < timer:
            return
        if self.state is StreamState.WAITING or self.untouched or self._heartbeats == HEARTBEATS:
            self._close(Closing.IDLE)
        else:
            self._heartbeats += 1
            self._heartbeat_due = True

    def _idle_timer(self) -> float | None:
        """When to ask whether the peer is alive, and in the end to give it up."""
        if self._idle_timeout is None:
            return None
        if self.state is StreamState.WAITING or self.untouched:
            return self.received_at + self._idle_timeout
        return self.received_at + self._idle_timeout * (self._heartbeats + 1) / (HEARTBEATS + 1)

    def _packet(self, kinds: int, payload: bytes = b"") -> Packet:
        receiver = self.receiver
        seq = self.sender.flight.next_seq
        return Packet(kinds, self.remote_id, receiver.window, seq, receiver.ack, (), payload)

    def _add(self, out: list[Datagrams], datagram: bytes) -> None:
        assert self.path.address is not None
        self.path.spend(len(datagram))
        out.append(Datagrams(self.path.address, datagram, len(datagram)))

    def _add_messages(self, out: list[Datagrams]) -> None:
        for message in self._messages:
            if self.path.may_send(HEADER_SIZE + len(message)):
                self._add(out, encode(self._packet(MESSAGE, message)))
        self._messages.clear()

    def _add_packets(self, out: list[Datagrams], packets: list[SentPacket]) -> None:
        """Pack data, putting into one batch what one system call can send: datagrams of one size, but for the last."""
        assert self.path.address is not None
        remote = self.path.address
        remote_id, window, ack = self.remote_id, self.receiver.window, self.receiver.ack % NUMBERS
        parts: list[bytes | memoryview] = []
        segment_size = total = 0
        for sent in packets:
            size = sent.size
            header = HEADER.pack(MAGIC, sent.kinds, sent.padding, remote_id, window, sent.seq % NUMBERS, ack)
            if sent.padding:
                out.append(
                    Datagrams(remote, b"".join((header, bytes(sent.padding), sent.payload)), size, is_probe=True)
                )
                continue
            is_full = total + size > MAX_BATCH_BYTES or total + size > MAX_BATCH * segment_size
            if parts and (is_full or size > segment_size or total % segment_size):
                out.append(Datagrams(remote, b"".join(parts), segment_size))
                parts, total = [], 0
            if not parts:
                segment_size = size
            parts += (header, sent.payload)
            total += size
        if parts:
            out.append(Datagrams(remote, b"".join(parts), segment_size))


def _earlier(one: float | None, other: float | None) -> float | None:
    return other if one is None or (other is not None and other < one) else one
