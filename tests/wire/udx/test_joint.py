"""Streams of two peers that are joined at a third, over a wire that loses and reorders."""

import os

import pytest

from linkup_nb.wire.udx import endpoint as udx
from linkup_nb.wire.udx.endpoint import Endpoint
from linkup_nb.wire.udx.joint import RELAYED, Joint, JointEnd
from linkup_nb.wire.udx.packet import DATA, DESTROY, HEARTBEAT, Packet, decode, encode
from linkup_nb.wire.udx.stream import Stream
from tests.wire.udx.wire import ONE, OTHER, Conditions, Wire, transfer

RELAY = ("10.0.0.3", 3)
STRANGER = ("10.0.0.4", 4)
ENDS = JointEnd(11, 1, lambda: ONE), JointEnd(12, 2, lambda: OTHER)


def joined() -> tuple[Endpoint, Joint]:
    endpoint = Endpoint()
    return endpoint, endpoint.join(*ENDS, 0.0)


def through_a_relay(wire: Wire) -> tuple[Stream, Stream, Endpoint, Joint]:
    one = wire.add(ONE).open_stream(1, wire.now)
    other = wire.add(OTHER).open_stream(2, wire.now)
    relay = wire.add(RELAY)
    joint = relay.join(*ENDS, wire.now)
    one.connect(11, RELAY, wire.now)
    other.connect(12, RELAY, wire.now)
    return one, other, relay, joint


@pytest.mark.parametrize("conditions", [Conditions(), Conditions(jitter=0.01, loss=0.02, duplicates=0.02)], ids=str)
def test_data_arrives_both_ways(conditions: Conditions) -> None:
    wire, data = Wire(conditions), os.urandom(300_000)
    one, other, _, joint = through_a_relay(wire)
    assert transfer(wire, one, other, data) == data
    assert transfer(wire, other, one, data) == data
    assert joint.carried > 2 * len(data)


def test_only_the_id_of_a_packet_changes() -> None:
    endpoint, joint = joined()
    packet = Packet(DATA, 11, 5, 6, 7, (), b"data")
    endpoint.receive_datagram(encode(packet, padding=9), ONE, 5.0)
    assert endpoint.get_timer() == 0.0
    (sent,) = endpoint.datagrams_to_send(5.0)
    assert (sent.address, sent.data) == (OTHER, encode(packet._replace(stream_id=2), padding=9))
    endpoint.receive_datagram(encode(packet._replace(stream_id=12)), OTHER, 6.0)
    (sent,) = endpoint.datagrams_to_send(6.0)
    assert (sent.address, decode(sent.data).stream_id) == (ONE, 1)
    assert joint.received_at == 6.0
    assert endpoint.datagrams_to_send(6.0) == []


def test_who_is_not_the_peer_has_nothing_sent_on() -> None:
    endpoint, joint = joined()
    for source in (STRANGER, OTHER):
        endpoint.receive_datagram(encode(Packet(HEARTBEAT, 11, 0, 0, 0)), source, 5.0)
    assert endpoint.datagrams_to_send(5.0) == []
    assert sum(endpoint.dropped.values()) == 2
    assert (joint.received_at, joint.carried) == (0.0, 0)


def test_a_joint_is_over_when_one_of_the_peers_has_destroyed_its_stream() -> None:
    endpoint, joint = joined()
    endpoint.receive_datagram(encode(Packet(DESTROY, 11, 0, 0, 0)), ONE, 5.0)
    assert joint.over
    assert len(endpoint.datagrams_to_send(5.0)) == 1


def test_after_parting_nothing_is_sent_on_and_the_ids_are_free() -> None:
    endpoint, joint = joined()
    assert endpoint.has(11)
    endpoint.part(joint)
    endpoint.receive_datagram(encode(Packet(HEARTBEAT, 11, 0, 0, 0)), ONE, 5.0)
    assert endpoint.datagrams_to_send(5.0) == []
    assert endpoint.dropped == {"no such stream": 1}
    assert not endpoint.has(11)


def test_so_many_bytes_a_second_are_sent_on() -> None:
    endpoint, joint = joined()
    packet = encode(Packet(DATA, 11, 0, 0, 0, (), bytes(1_000)))
    for _ in range(2_000):
        endpoint.receive_datagram(packet, ONE, 1.0)
        endpoint.datagrams_to_send(1.0)
    assert RELAYED.burst - len(packet) < joint.carried <= RELAYED.burst
    for _ in range(2_000):
        endpoint.receive_datagram(packet, ONE, 1.05)
        endpoint.datagrams_to_send(1.05)
    assert joint.carried <= RELAYED.burst + 0.05 * RELAYED.per_second


def test_only_so_many_packets_wait_to_be_sent_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udx, "MAX_FORWARDED", 3)
    endpoint, _ = joined()
    for _ in range(5):
        endpoint.receive_datagram(encode(Packet(HEARTBEAT, 11, 0, 0, 0)), ONE, 5.0)
    assert len(endpoint.datagrams_to_send(5.0)) == 3
    assert sum(endpoint.dropped.values()) == 2


def test_a_peer_that_moves_is_sent_on_to_where_it_is() -> None:
    wire, place = Wire(), [ONE]
    one = wire.add(ONE).open_stream(1, wire.now)
    other = wire.add(OTHER).open_stream(2, wire.now)
    relay = wire.add(RELAY)
    relay.join(JointEnd(11, 1, lambda: place[-1]), ENDS[1], wire.now)
    one.connect(11, RELAY, wire.now)
    other.connect(12, RELAY, wire.now)
    assert transfer(wire, other, one, bytes(10_000)) == bytes(10_000)
    place.append(("10.0.0.1", 77))
    wire.move(ONE, place[-1])
    assert transfer(wire, one, other, bytes(10_000)) == bytes(10_000)
