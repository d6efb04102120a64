"""A UDX stream that waits for its peer, which may come from anywhere and to more than one socket."""

import asyncio
from collections.abc import Callable

from linkup_nb.connection.connection import Connection, adopt
from linkup_nb.connection.udx_socket import UdxSocket
from linkup_nb.connection.udx_transport import UdxTransport
from linkup_nb.errors import NotReachable
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.noise import NoiseHandshake
from linkup_nb.wire.udx.events import Address, AddressSeen, Event
from linkup_nb.wire.udx.stream import LINGER, Stream, StreamState

WAITING_TIMEOUT = 60.0  # seconds for the peer to come; connections notice sooner that a peer is silent

Way = tuple[UdxSocket, Address]
"""How to send to a peer: from one of our sockets, to one of its addresses."""


class PeerStream:
    """The stream whose `id` one peer gets; `found` is called with the way by which its first packet has come.

    Call `connect` once a way is known, or `give_up`, which makes no sound.
    """

    def __init__(self, node: DhtNode, found: Callable[[Way], object]) -> None:
        self._node = node
        self._found = found
        self._loop = asyncio.get_running_loop()
        self._transport: UdxTransport | None = None
        self.carrier: UdxSocket | None = None  # the socket by which it is connected
        self.relay: Way | None = None  # by which packets may come, without being the peer's own way
        stream = node.socket.open_stream(idle_timeout=WAITING_TIMEOUT)
        self.id = stream.local_id
        self._waiting: dict[UdxSocket, Stream] = {node.socket: stream}
        node.streams[self.id] = lambda event: self._on_event(node.socket, event)

    def open_socket(self, on_probe: Callable[[UdxSocket, Address], object]) -> UdxSocket:
        """Another socket, which may become the one of this stream; `on_probe` is called for datagrams of one byte.

        Raises `OSError`. Close it if it does not become that.
        """

        def on_datagram(data: bytes, address: Address) -> None:
            if len(data) == 1:
                on_probe(udx, address)

        udx = self._node.network.open_socket(
            self._node.address[0], 0, on_event=lambda event: self._on_event(udx, event), on_datagram=on_datagram
        )
        return udx

    def await_at(self, udx: UdxSocket) -> None:
        """Let the peer come to this socket too."""
        if self._transport is None and udx not in self._waiting:
            self._waiting[udx] = udx.open_stream(self.id, idle_timeout=WAITING_TIMEOUT)

    def connect(self, way: Way, remote_id: int, handshake: NoiseHandshake, *, show: bool = False) -> Connection:
        """The connection to the peer, whose stream has this id; with `show` it is sent an empty packet.

        Raises `NotReachable` if the peer has ended its stream meanwhile, as one does that we are connected with.
        """
        udx, address = way
        self.await_at(udx)
        if self._waiting[udx].state is not StreamState.WAITING:
            raise NotReachable("The peer has hung up; it may have a connection to us already.")
        stream, self.carrier = self._waiting.pop(udx), udx
        self.give_up()
        udx.connect_stream(stream, remote_id, address)
        if show:
            stream.show()
        self._transport = UdxTransport(udx, stream, lambda: self._lost(udx))
        return adopt(self._transport, handshake)

    def hang_up(self, address: Address, remote_id: int) -> None:
        """Wait no more, and end the stream at a peer that has connected its own with this id already."""
        udx = self._node.socket
        stream = self._waiting.get(udx)
        if stream is not None and stream.state is StreamState.WAITING:
            udx.connect_stream(stream, remote_id, address)
            stream.show()
        self.give_up()

    def give_up(self) -> None:
        """Wait no more; does nothing to the stream that is connected."""
        for udx, stream in self._waiting.items():
            stream.destroy()
            udx.transmit_soon()
        self._waiting.clear()

    def abort(self) -> None:
        """End it, connected or not, whatever was agreed."""
        self.give_up()
        if self._transport is not None:
            self._transport.abort()

    def _on_event(self, udx: UdxSocket, event: Event) -> None:
        if self._transport is not None:
            if udx is self.carrier:
                self._transport.on_event(event)
        elif isinstance(event, AddressSeen) and (udx, event.address) != self.relay:
            self._found((udx, event.address))

    def _lost(self, udx: UdxSocket) -> None:
        if udx is not self._node.socket:
            self._loop.call_later(LINGER, udx.close)
