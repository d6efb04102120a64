"""Nodes of the DHT that run, on loopback, and what strangers ask them for."""

import asyncio
import atexit
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cache
from typing import Any

from nacl.bindings import crypto_secretbox

from linkup_nb.connection.connection import Connection
from linkup_nb.errors import LinkupError, PeerError
from linkup_nb.hyperdht import rounds as dht_rounds
from linkup_nb.hyperdht.dialer import DhtDialer
from linkup_nb.hyperdht.holepunch import Punchers
from linkup_nb.hyperdht.listener import DhtListener
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht import connect as dht_connect
from linkup_nb.wire.dht.connect import (
    NONCE_SIZE,
    Firewall,
    HandshakePayload,
    HolepunchPayload,
    Mode,
    PeerHolepunch,
    Relay,
    handshake_prologue,
    holepunch_secret,
)
from linkup_nb.wire.dht.nat import MIN_SAMPLES
from linkup_nb.wire.dht.records import DhtAnnouncement, DhtCommand, MutableValue, PeerRecord, encode_least_seq
from linkup_nb.wire.dht.rpc import Address, DhtReply, DhtRequest, Internal, decode
from linkup_nb.wire.keys import KeyPair, blake2b_256
from linkup_nb.wire.noise import IK, NoiseHandshake
from tests.fuzz.target import Target, any_of, chosen, joined, pieces

HOST = "127.0.0.1"
OURS, THEIRS = KeyPair.from_seed(b"o" * 32), KeyPair.from_seed(b"t" * 32)
TOPIC = bytes(range(32))
TARGET = blake2b_256(OURS.public_key)
MAX_STEPS = 8  # turns of the loop until we have asked for the next thing
SOMEWHERE: Address = (HOST, 1)


def _nobody(connection: Connection) -> None:
    """The connection ends by itself."""


class Nodes:
    """A node that keeps things for others, one that takes calls behind a firewall, and a stranger's socket."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: self._failed.append(str(context)))
        self._failed: list[str] = []
        log = logging.getLogger("linkup_nb")
        log.addFilter(self._is_fine)
        self.run(self._open())

    def _is_fine(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            self._failed.append(f"{record.getMessage()}: {record.exc_info}")
        return True

    async def _open(self) -> None:
        self._stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stranger.bind((HOST, 0))
        self.stranger: Address = self._stranger.getsockname()
        self.server = DhtNode((), host=HOST, port=0, ephemeral=False)
        self.called = DhtNode((), host=HOST, port=0, ephemeral=True)
        for node in (self.server, self.called):
            await node.open()
        for port in range(1, 1 + MIN_SAMPLES):
            self.called._nat.add((HOST, port), self.called.address)  # so that it knows what is before it
        dht_rounds.SECOND_LOOK = 0.0
        punchers = Punchers(self.called)
        self.listener = DhtListener(self.called, OURS, punchers, lambda key: None, _nobody)
        self.dialer = DhtDialer(self.called, OURS, punchers)
        await self.listener.open()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this, and what it has set off; raises AssertionError if anything failed, be it in a task or a callback."""
        self.loop.run_until_complete(work)
        self.loop.run_until_complete(asyncio.sleep(0))
        assert not self._failed, self._failed

    def close(self) -> None:
        """Give everything back."""
        self.loop.run_until_complete(self._close())
        self.loop.close()

    async def _close(self) -> None:
        await self.listener.close()
        await self.server.close()
        await self.called.close()
        self._stranger.close()

    async def send_request(self, node: DhtNode, data: bytes) -> None:
        try:
            packet = decode(data)
        except PeerError:
            return
        if isinstance(packet, DhtRequest):
            node._on_request(packet, self.stranger, len(data))  # the limits on how often would stop a fuzzer
        else:
            node._io.receive(data, self.stranger)

    async def call(self, payload: bytes) -> tuple[NoiseHandshake, int] | None:
        """A handshake whose payload is anything; returns it and the id of its hole punching, if it is answered."""
        handshake = NoiseHandshake(
            True,
            THEIRS,
            KeyPair.from_seed(os.urandom(32)),
            pattern=IK,
            prologue=handshake_prologue(),
            remote_public_key=OURS.public_key,
        )
        noise = handshake.send(payload)
        value = bytes(dht_connect.PeerHandshake(Mode.FROM_RELAY, noise, self.stranger))
        request = DhtRequest(1, self.called.address, DhtCommand.PEER_HANDSHAKE, target=TARGET, value=value)
        self.called._on_request(request, self.stranger, 1000)
        reply = self.listener._sessions[noise].reply
        if reply is None:
            return None
        answer = HandshakePayload.decode(handshake.receive(reply))
        return handshake, answer.holepunch_id or 0

    async def shake(self, payload: bytes) -> None:
        await self.call(payload[:1000])

    async def punch(self, payload: bytes) -> None:
        called = await self.call(bytes(HandshakePayload(Firewall.UNKNOWN, udx_id=1)))
        assert called
        handshake, session = called
        assert handshake.result
        sealed = _sealed(payload, holepunch_secret(handshake.result.hash))
        value = bytes(PeerHolepunch(Mode.FROM_RELAY, session, sealed, self.stranger))
        request = DhtRequest(1, self.called.address, DhtCommand.PEER_HOLEPUNCH, target=TARGET, value=value)
        self.called._on_request(request, self.stranger, 1000)

    async def answer(self, data: bytes) -> None:
        """We call somebody who answers all that we ask with these pieces: a handshake, then hole punching."""
        dial = asyncio.ensure_future(self.dialer.dial(THEIRS.public_key, [self.stranger]))
        answers = pieces(data)
        secret = b""
        while not dial.done():
            for _ in range(MAX_STEPS):
                await asyncio.sleep(0)
            pending = [pending for pending in self.called._io._pending.values() if pending.to == self.stranger]
            piece = next(answers, None)
            if not pending or piece is None:
                break
            request = decode(pending[0].datagram)
            assert isinstance(request, DhtRequest)
            value = b""
            if not request.internal and request.command == DhtCommand.PEER_HANDSHAKE:
                value, secret = _shaken(request.value or b"", piece)
            elif not request.internal and request.command == DhtCommand.PEER_HOLEPUNCH:
                value = bytes(PeerHolepunch(Mode.REPLY, 0, _sealed(piece, secret), self.stranger))
            self.called._io.receive(bytes(DhtReply(request.tid, self.called.address, value=value)), self.stranger)
        dial.cancel()
        with suppress(asyncio.CancelledError, LinkupError):
            await (await dial).close()


def _shaken(value: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """The answer to a handshake with anything in it, and the secret that both have then."""
    ephemeral = KeyPair.from_seed(os.urandom(32))
    handshake = NoiseHandshake(False, THEIRS, ephemeral, pattern=IK, prologue=handshake_prologue())
    handshake.receive(dht_connect.PeerHandshake.decode(value).noise)
    noise = handshake.send(payload)
    assert handshake.result
    secret = holepunch_secret(handshake.result.hash)
    return bytes(dht_connect.PeerHandshake(Mode.REPLY, noise, SOMEWHERE if len(payload) % 4 else None)), secret


def _sealed(payload: bytes, secret: bytes) -> bytes:
    nonce = bytes(NONCE_SIZE)
    return nonce + crypto_secretbox(payload, nonce, secret)


@cache
def nodes() -> Nodes:
    """Made for the first input, and closed when the process ends."""
    made = Nodes()
    atexit.register(made.close)
    return made


def _does(work: Callable[[Nodes, bytes], Coroutine[Any, Any, None]]) -> Callable[[bytes], None]:
    return lambda data: nodes().run(work(nodes(), data))


def _request(command: int, value: bytes | None, *, internal: bool = False, target: bytes | None = TOPIC) -> bytes:
    return bytes(DhtRequest(1, SOMEWHERE, command, internal, None, None, target, value))


VALUE = MutableValue.sign(THEIRS, 1, b"value")

DHT_NODE = Target(
    any_of(
        _does(lambda these, data: these.send_request(these.server, data)),
        _does(lambda these, data: these.send_request(these.called, data)),
        _does(lambda these, data: these.shake(data)),
        _does(lambda these, data: these.punch(data)),
        _does(lambda these, data: these.answer(data)),
    ),
    [
        *chosen(
            0,
            [
                *(_request(command, b"\x01\x02\x03\x04", internal=True) for command in Internal),
                _request(DhtCommand.FIND_PEER, None),
                _request(DhtCommand.LOOKUP, None),
                _request(
                    DhtCommand.ANNOUNCE, bytes(DhtAnnouncement(PeerRecord(THEIRS.public_key), signature=b"s" * 64))
                ),
                _request(
                    DhtCommand.UNANNOUNCE, bytes(DhtAnnouncement(PeerRecord(THEIRS.public_key), signature=b"s" * 64))
                ),
                _request(DhtCommand.MUTABLE_PUT, VALUE.encode_put(), target=VALUE.target),
                _request(DhtCommand.MUTABLE_GET, encode_least_seq(0), target=VALUE.target),
                _request(DhtCommand.IMMUTABLE_PUT, b"value", target=blake2b_256(b"value")),
                _request(DhtCommand.IMMUTABLE_GET, None),
                _request(DhtCommand.PEER_HANDSHAKE, bytes(dht_connect.PeerHandshake(0, b"noise", None, SOMEWHERE))),
                _request(DhtCommand.PEER_HOLEPUNCH, bytes(PeerHolepunch(0, 1, b"payload", SOMEWHERE))),
                bytes(DhtReply(1, SOMEWHERE, TOPIC, TOPIC, (SOMEWHERE,))),
            ],
        ),
        *chosen(1, [_request(DhtCommand.PEER_HANDSHAKE, bytes(dht_connect.PeerHandshake(2, b"noise")), target=TARGET)]),
        *chosen(
            2,
            [
                bytes(HandshakePayload(Firewall.OPEN, udx_id=1, addresses4=(SOMEWHERE,))),
                bytes(HandshakePayload(Firewall.RANDOM, holepunch_id=1, udx_id=1, relay_addresses=(SOMEWHERE,))),
            ],
        ),
        *chosen(
            3,
            [
                bytes(HolepunchPayload(Firewall.UNKNOWN, 0)),
                bytes(HolepunchPayload(Firewall.CONSISTENT, 1, 0, True, True, (SOMEWHERE,), SOMEWHERE, TOPIC, TOPIC)),
                bytes(HolepunchPayload(Firewall.RANDOM, 1, 0, False, True, (SOMEWHERE,))),
            ],
        ),
        *chosen(
            4,
            [
                joined(
                    [
                        bytes(HandshakePayload(holepunch_id=1, relays=(Relay(SOMEWHERE, SOMEWHERE),), udx_id=1)),
                        bytes(HolepunchPayload(Firewall.CONSISTENT, 0, addresses=(SOMEWHERE,), token=TOPIC)),
                        bytes(HolepunchPayload(Firewall.CONSISTENT, 1, punching=True, addresses=(SOMEWHERE,))),
                    ]
                ),
                joined([bytes(HandshakePayload(Firewall.OPEN, udx_id=1, addresses4=(SOMEWHERE,)))]),
            ],
        ),
    ],
)
