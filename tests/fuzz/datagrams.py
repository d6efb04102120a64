"""What comes in datagrams."""

import socket
from functools import partial

from zeroconf.asyncio import AsyncServiceInfo

from linkup_nb.connection.addresses import may_dial
from linkup_nb.discovery.mdns import SERVICE, Mdns, _MdnsTopic
from linkup_nb.discovery.protocol import membership_proof
from linkup_nb.errors import PeerError
from linkup_nb.kademlia.announcements import Announcement
from linkup_nb.kademlia.rpc import Call, Pong, Reply, RpcEndpoint
from linkup_nb.wire.blind_relay import Pair, Unpair
from linkup_nb.wire.dht.connect import Firewall, HandshakePayload, HolepunchPayload, PeerHandshake, PeerHolepunch, Relay
from linkup_nb.wire.dht.records import (
    DhtAnnouncement,
    DhtCommand,
    MutableValue,
    PeerRecord,
    decode_least_seq,
    decode_records,
    encode_least_seq,
    encode_records,
)
from linkup_nb.wire.dht.rpc import Address, DhtReply, DhtRequest, Internal, decode, decode_delay, decode_port
from linkup_nb.wire.keys import KeyPair, discovery_key
from linkup_nb.wire.udx import packet as udx_packet
from linkup_nb.wire.udx.endpoint import Endpoint as UdxEndpoint
from linkup_nb.wire.udx.joint import JointEnd
from tests.fuzz.target import Target, any_of, chosen, joined, pieces, same_again

PEER = KeyPair.from_seed(bytes(32))
HERE: Address = ("127.0.0.1", 49737)
THERE: Address = ("203.0.113.5", 1)
TOPIC = bytes(range(32))
NOW = 1_700_000_000.0  # unix seconds
SECRET = b"s" * 32

RECORD = PeerRecord(PEER.public_key, (HERE, THERE))
ANNOUNCEMENT = DhtAnnouncement.sign(DhtCommand.ANNOUNCE, PEER, TOPIC, TOPIC, TOPIC, (HERE,))
VALUE = MutableValue.sign(PEER, 7, b"value")


def _numbers(data: bytes) -> None:
    for read in (decode_port, decode_delay, decode_least_seq):
        try:
            read(data)
        except PeerError:
            continue


def _announcement(data: bytes) -> None:
    same_again(DhtAnnouncement.decode, bytes, data)
    try:
        announcement = DhtAnnouncement.decode(data)
    except PeerError:
        return
    if announcement.valid(DhtCommand.ANNOUNCE, TOPIC, TOPIC, TOPIC):
        assert announcement.record


def _value(data: bytes) -> None:
    same_again(MutableValue.decode_put, MutableValue.encode_put, data)
    try:
        assert isinstance(MutableValue.decode_put(data).valid, bool)
    except PeerError:
        return


DHT_RPC = Target(
    any_of(partial(same_again, decode, bytes), _numbers),
    [
        *chosen(
            0,
            [
                bytes(DhtRequest(1, HERE, Internal.PING, True)),
                bytes(DhtRequest(2, THERE, DhtCommand.LOOKUP, False, TOPIC, TOPIC, TOPIC, b"value")),
                bytes(DhtReply(3, HERE, TOPIC, TOPIC, (HERE, THERE), 17, b"value")),
            ],
        ),
        *chosen(1, [b"\x01\x02\x03\x04"]),
    ],
)

RECORDS = Target(
    any_of(
        partial(same_again, PeerRecord.decode, bytes),
        partial(same_again, decode_records, encode_records),
        _announcement,
        _value,
        partial(same_again, lambda data: MutableValue.decode_reply(data, TOPIC), MutableValue.encode_reply),
        partial(same_again, decode_least_seq, encode_least_seq),
    ),
    [
        *chosen(0, [bytes(RECORD)]),
        *chosen(1, [encode_records([RECORD, RECORD])]),
        *chosen(2, [bytes(ANNOUNCEMENT), bytes(DhtAnnouncement(None, TOPIC, None, 5))]),
        *chosen(3, [VALUE.encode_put()]),
        *chosen(4, [VALUE.encode_reply()]),
        *chosen(5, [encode_least_seq(2**40)]),
    ],
)

PAYLOAD = HandshakePayload(
    firewall=Firewall.CONSISTENT,
    holepunch_id=3,
    relays=(Relay(HERE, THERE),),
    addresses4=(HERE,),
    addresses6=(("::1", 5),),
    udx_id=7,
    udx_seq=9,
    relay_through=(TOPIC, TOPIC),
    relay_addresses=(THERE,),
)
PUNCH = HolepunchPayload(Firewall.RANDOM, 1, 0, True, True, (HERE,), THERE, TOPIC, TOPIC)


def _sealed(data: bytes) -> None:
    try:
        HolepunchPayload.open(data, SECRET)
    except PeerError:
        return


HANDSHAKE_PAYLOADS = Target(
    any_of(
        partial(same_again, PeerHandshake.decode, bytes),
        partial(same_again, HandshakePayload.decode, bytes),
        partial(same_again, PeerHolepunch.decode, bytes),
        partial(same_again, HolepunchPayload.decode, bytes),
        _sealed,
        partial(same_again, Pair.decode, bytes),
        partial(same_again, Unpair.decode, bytes),
    ),
    [
        *chosen(0, [bytes(PeerHandshake(1, b"noise", HERE, THERE))]),
        *chosen(1, [bytes(PAYLOAD), bytes(HandshakePayload())]),
        *chosen(2, [bytes(PeerHolepunch(1, 2, b"payload", HERE))]),
        *chosen(3, [bytes(PUNCH)]),
        *chosen(4, [PUNCH.seal(SECRET, b"n" * 24)]),
        *chosen(5, [bytes(Pair(True, TOPIC, 300))]),
        *chosen(6, [bytes(Unpair(TOPIC))]),
    ],
)

PACKETS = [
    udx_packet.encode(udx_packet.Packet(udx_packet.DATA, 1, 65536, 0, 0, (), b"data")),
    udx_packet.encode(udx_packet.Packet(udx_packet.DATA | udx_packet.END, 1, 65536, 1, 0, (), b"last")),
    udx_packet.encode(udx_packet.Packet(udx_packet.SACK, 1, 65536, 0, 1, ((2, 4), (6, 7)))),
    udx_packet.encode(udx_packet.Packet(udx_packet.MESSAGE, 1, 65536, 0, 0, (), b"message")),
    udx_packet.encode(udx_packet.Packet(udx_packet.HEARTBEAT, 1, 65536, 0, 0), padding=40),
    udx_packet.encode(udx_packet.Packet(udx_packet.DESTROY, 1, 65536, 0, 0)),
    udx_packet.encode(udx_packet.Packet(udx_packet.DATA, 3, 65536, 0, 0, (), b"to send on")),
]


def _stream(data: bytes) -> None:
    """A stream that has sent something, to which the peer sends anything, in any time."""
    endpoint, now = UdxEndpoint(), 1.0
    endpoint.join(JointEnd(3, 1, lambda: THERE), JointEnd(4, 1, lambda: HERE), now)
    stream = endpoint.open_stream(1, now)
    stream.connect(2, THERE, now)
    stream.write(b"x" * 5000)
    for datagram in pieces(data):
        endpoint.datagrams_to_send(now)
        endpoint.receive_datagram(datagram, THERE, now)
        while endpoint.next_event():
            pass
        now += (len(datagram) % 8) / 4
    assert len(endpoint.streams) <= 1


UDX = Target(
    any_of(partial(same_again, udx_packet.decode, udx_packet.encode), _stream),
    [*chosen(0, PACKETS), *chosen(1, [joined(PACKETS)])],
)


def _answer(call: Call, address: Address, room: int) -> Reply:
    return Pong()


def _kademlia_datagram(data: bytes) -> None:
    endpoint = RpcEndpoint(_answer)
    endpoint.datagram_received(data, HERE)


KADEMLIA_ANNOUNCEMENT = bytes(Announcement.sign(PEER, TOPIC, b"p" * 16, (THERE,), round(NOW + 60) * 1000))

KADEMLIA = Target(
    any_of(
        _kademlia_datagram,
        partial(same_again, lambda data: Announcement.decode(TOPIC, data, NOW), bytes),
    ),
    [
        *chosen(
            0,
            [
                b"\x00" + b"i" * 20 + b"\x92\xa4ping\x90",
                b"\x00" + b"i" * 20 + b"\x92\xa6lookup\x91\xc4\x20" + TOPIC,
                b"\x00" + b"i" * 20 + b"\x92\xa8announce\x93\xc4\x20" + TOPIC + b"\xc4\x08tokentok\xc4\x01x",
                b"\x01" + b"i" * 20 + b"\x90",
            ],
        ),
        *chosen(1, [KADEMLIA_ANNOUNCEMENT]),
    ],
)


def _txt(fields: dict[bytes, bytes]) -> bytes:
    return b"".join(bytes([len(key) + 1 + len(value)]) + key + b"=" + value for key, value in fields.items())


def _service(data: bytes) -> None:
    """A TXT record, its port and its addresses, from somebody on the network."""
    joined_topic = _MdnsTopic(TOPIC, discovery_key(TOPIC), bytes(32), True, True, lambda peer: None)
    port, count, rest = int.from_bytes(data[:2], "big"), data[2] % 4 if len(data) > 2 else 0, data[3:]
    addresses = [rest[4 * index : 4 * index + 4].ljust(4, b"\0") for index in range(count)]
    name = f"x.{SERVICE}"
    service = AsyncServiceInfo(SERVICE, name, port=port, properties=rest[4 * count :], addresses=addresses)
    peer = Mdns()._peer(service, joined_topic)
    assert peer is None or (peer.addresses and all(may_dial(*address) for address in peer.addresses))


MDNS = Target(
    _service,
    [
        b"\x10\x00\x01"
        + socket.inet_aton("127.0.0.1")
        + _txt(
            {
                b"d": discovery_key(TOPIC),
                b"k": PEER.public_key,
                b"p": membership_proof(TOPIC, PEER.public_key),
            }
        )
    ],
)
