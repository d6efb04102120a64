"""Our connections against the real `@hyperswarm/secret-stream`, each as initiator and as responder."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from types import NoneType
from typing import Any

import pytest

from linkup_nb.connection import connection as limits
from linkup_nb.connection.connection import Connection, connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import ConnectionClosed, DecryptionError, HandshakeError, LinkupError, PeerError
from tests.wire.ends import flip

HOST = "127.0.0.1"
PATIENCE = 20.0  # seconds until a test that still waits has failed
SIZES = [1, 2, 1000, 65_519, 65_536, 1_000_000, 16_777_198]


class JavaScriptPeer:
    """The process of `secret_stream_peer.js`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def command(self, **command: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def expect(self, event: str) -> Any:
        """The contents of its next line, which has to be of this event."""
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        reported = json.loads(line)
        assert list(reported) == [event], reported
        return reported[event]

    async def ends(self) -> None:
        """Wait until its stream is closed, whatever else it reports before."""
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE):
            while "close" not in json.loads(await self._process.stdout.readline()):
                pass


@asynccontextmanager
async def javascript(*arguments: object) -> AsyncIterator[JavaScriptPeer]:
    script = Path(__file__).with_name("secret_stream_peer.js")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("node", script, *map(str, arguments), stdin=pipe, stdout=pipe)
    try:
        yield JavaScriptPeer(process)
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()


class Damage:
    """A relay to a port that flips one bit of what passes in one direction."""

    def __init__(self, port: int, direction: str, bit: int) -> None:
        self._port = port
        self._bits = {direction: bit}

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._relay, HOST, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _relay(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, forth = await asyncio.open_connection(HOST, self._port)
        await asyncio.gather(
            self._carry(near, forth, self._bits.get("there")), self._carry(far, back, self._bits.get("back"))
        )

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, bit: int | None) -> None:
        passed = 0
        try:
            while data := await source.read(65536):
                if bit is not None and 8 * passed <= bit < 8 * (passed + len(data)):
                    data = flip(data, bit - 8 * passed)
                passed += len(data)
                target.write(data)
        except ConnectionResetError:
            pass
        target.close()


@asynccontextmanager
async def meeting(role: str) -> AsyncIterator[tuple[Connection, JavaScriptPeer, Any]]:
    """Our end in this role, the other one in JavaScript, and what it reports when it is open."""
    if role == "initiator":
        async with javascript("listen") as peer:
            ours = await connect(HOST, await peer.expect("listening"))
            yield ours, peer, await peer.expect("open")
            await ours.close()
    else:
        came: asyncio.Queue[Connection] = asyncio.Queue()
        server = await listen(HOST, 0, came.put_nowait)
        async with javascript("connect", server.port) as peer:
            ours = await came.get()
            yield ours, peer, await peer.expect("open")
            await ours.close()
        await server.close()


both_roles = pytest.mark.parametrize("role", ["initiator", "responder"])


@both_roles
async def test_both_know_the_same_of_each_other(role: str) -> None:
    async with meeting(role) as (ours, _, theirs):
        assert theirs == {
            "publicKey": ours.remote_public_key.hex(),
            "remotePublicKey": ours.public_key.hex(),
            "handshakeHash": ours.handshake_hash.hex(),
        }
        assert ours.initiator is (role == "initiator")


@both_roles
async def test_messages_of_every_size_pass_both_ways(role: str) -> None:
    async with meeting(role) as (ours, peer, _):
        for size in SIZES:
            message = bytes([size % 251]) * size
            await ours.write(message)
            assert await peer.expect("message") == {"size": size, "hash": sha256(message).hexdigest()}
            peer.command(send={"size": size, "fill": size % 251})
            assert await ours.read() == message


@both_roles
async def test_empty_messages_are_keep_alives(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEEP_ALIVE", 0.02)
    monkeypatch.setattr(limits, "PEER_TIMEOUT", 0.2)
    async with meeting(role) as (ours, peer, _):
        peer.command(keepAlive=20)
        # What was sent so far is the handshake; every keep-alive has 20 bytes.
        while min(ours.bytes_sent, ours.bytes_received) < 161 + 10 * 20:
            await until_later(ours)
        peer.command(send={"size": 1, "fill": 7})
        assert await ours.read() == b"\7"
        await ours.write(b"text")
        assert await peer.expect("message") == {"size": 4, "hash": sha256(b"text").hexdigest()}


@both_roles
async def test_an_idle_peer_that_sends_no_keep_alives_is_not_cut(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEEP_ALIVE", 0.02)
    monkeypatch.setattr(limits, "PEER_TIMEOUT", 0.06)
    async with meeting(role) as (ours, peer, _):
        received = ours.bytes_received
        while ours.bytes_sent < 161 + 20 * 20:
            await until_later(ours)
        assert ours.bytes_received == received
        peer.command(send={"size": 3, "fill": 1})
        assert await ours.read() == b"\1\1\1"


async def until_later(ours: Connection) -> None:
    """Let a moment pass in which our end stays open."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ours.wait_closed(), 0.05)


@both_roles
async def test_an_end_is_an_ordinary_end(role: str) -> None:
    async with meeting(role) as (ours, peer, _):
        peer.command(send={"size": 5, "fill": 0}, end=True)
        assert [message async for message in ours] == [bytes(5)]
        assert ours.close_reason is None
        assert await peer.expect("close")
    async with meeting(role) as (ours, peer, _):
        await ours.write(b"last")
        await ours.close()
        assert (await peer.expect("message"))["size"] == 4
        assert await peer.expect("close")


@both_roles
async def test_a_write_waits_for_a_peer_that_pauses(role: str) -> None:
    async with meeting(role) as (ours, peer, _):
        peer.command(pause=True)
        message = bytes(1_000_000)
        writing = [asyncio.ensure_future(ours.write(message)) for _ in range(40)]
        await asyncio.wait(writing, timeout=1.0)
        assert sum(not write.done() for write in writing) > 10
        peer.command(resume=True)
        for _ in writing:
            assert (await peer.expect("message"))["size"] == len(message)
        await asyncio.gather(*writing)


# A byte of what each role sends, counted from its first one.
PLACES = {
    "initiator": {"length": 0, "key": 10, "identity": 50, "stream": 110, "header": 150, "data": 170},
    "responder": {"length": 1, "key": 10, "identity": 50, "stream": 110, "header": 150, "data": 170},
}
damaged_places = pytest.mark.parametrize("place", PLACES["initiator"])


async def chatter(ours: Connection, peer: JavaScriptPeer) -> Exception | None:
    """Why the connection ends, with a message on its way in each direction."""
    peer.command(send={"size": 10, "fill": 0})
    with contextlib.suppress(ConnectionClosed):
        await ours.write(bytes(10))
    await ours.wait_closed()
    return ours.close_reason


async def dial_damaged(direction: str, place: int) -> Exception | None:
    """The error that we get when we dial a JavaScript peer and one bit is flipped on its way."""
    async with javascript("listen") as peer, Damage(await peer.expect("listening"), direction, 8 * place) as port:
        try:
            return await chatter(await connect(HOST, port), peer)
        except LinkupError as error:
            return error


async def answer_damaged(direction: str, place: int) -> Exception | None:
    """The error that we get when a JavaScript peer dials us and one bit is flipped on its way, once we know its key."""
    came: asyncio.Queue[Connection] = asyncio.Queue()
    server = await listen(HOST, 0, came.put_nowait)
    async with Damage(server.port, direction, 8 * place) as port, javascript("connect", port) as peer:
        arrival = asyncio.ensure_future(came.get())
        end = asyncio.ensure_future(peer.ends())
        await asyncio.wait([arrival, end], return_when=asyncio.FIRST_COMPLETED)
        reason = await chatter(arrival.result(), peer) if arrival.done() else None
        arrival.cancel()
        await end
    await server.close()
    return reason


@damaged_places
async def test_a_flipped_bit_of_a_javascript_responder_has_a_name(place: str) -> None:
    reason = await dial_damaged("back", PLACES["responder"][place])
    assert isinstance(reason, DecryptionError if place in ("header", "data") else HandshakeError)


@damaged_places
async def test_a_flipped_bit_of_a_javascript_initiator_has_a_name(place: str) -> None:
    reason = await answer_damaged("there", PLACES["initiator"][place])
    assert isinstance(reason, DecryptionError if place in ("header", "data") else NoneType)


@damaged_places
async def test_a_javascript_responder_hangs_up_on_a_flipped_bit_of_ours(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_TIMEOUT", 1.0)  # a length that grew only makes the peer wait for more
    reason = await dial_damaged("there", PLACES["initiator"][place])
    assert isinstance(reason, PeerError | NoneType)


@damaged_places
async def test_a_javascript_initiator_hangs_up_on_a_flipped_bit_of_ours(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_TIMEOUT", 1.0)  # a length that grew only makes the peer wait for more
    reason = await answer_damaged("back", PLACES["responder"][place])
    assert isinstance(reason, PeerError | NoneType)
