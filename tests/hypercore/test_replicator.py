"""Copying a core: between honest peers, and from peers that lie."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.errors import (
    DecodeError,
    HandshakeError,
    InvalidProof,
    NotWritable,
    PeerError,
    PeerRefused,
    ProtocolError,
)
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore import replicator
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.merkle import Node
from linkup_nb.hypercore.peer import MAX_BACKLOG, MAX_INVALID, SEGMENT
from linkup_nb.hypercore.proof import BlockProof, Wanted, prove
from linkup_nb.hypercore.storage import MAX_LENGTH
from linkup_nb.swarm.connection import Connection, connect
from linkup_nb.swarm.server import Server, listen
from tests.hypercore.liar import Liar, Lie
from tests.hypercore.vectors import KEY, KEY_PAIR, Log

KILLS = 8  # processes killed in the middle of copying
HONEST = Log([b"block %d" % index for index in range(40)])


class Victim:
    """A store that takes connections, and the core that it copies."""

    def __init__(self, store: Corestore, core: Core, server: Server, connections: "asyncio.Queue[Connection]") -> None:
        self.store = store
        self.core = core
        self.server = server
        self.connections = connections

    async def meets(self, log: Log, lie: Lie = lambda data: data, **options: Any) -> tuple[Liar, Connection]:
        """A liar dials; what it is, and our end of the connection."""
        liar = Liar(await connect("127.0.0.1", self.server.port), log, lie, **options)
        return liar, await self.connections.get()


@pytest.fixture
async def victim(tmp_path: Path) -> AsyncIterator[Victim]:
    async with Corestore(tmp_path / "victim") as store:
        connections: asyncio.Queue[Connection] = asyncio.Queue()

        def take(connection: Connection) -> None:
            store.replicate(connection)
            connections.put_nowait(connection)

        server = await listen("127.0.0.1", 0, take)
        yield Victim(store, await store.core(key=KEY), server, connections)
        await server.close()


async def cut_off(connection: Connection, kind: type[PeerError], text: str) -> None:
    """The connection ends, with this as the reason."""
    await asyncio.wait_for(connection.wait_closed(), 5)
    assert isinstance(connection.close_reason, kind), connection.close_reason
    assert text in str(connection.close_reason)


async def test_an_honest_peer_is_copied_from(victim: Victim) -> None:
    _, connection = await victim.meets(HONEST)

    assert await victim.core.get(39, timeout=5) == b"block 39"
    await (await victim.core.download()).done(timeout=5)

    assert (await victim.core.audit()).clean
    assert not connection.closed


def _block(data: msg.Data, **changes: Any) -> msg.Data:
    if not data.proof.block:
        return data
    return data._replace(proof=data.proof._replace(block=data.proof.block._replace(**changes)))


def _upgrade(data: msg.Data, **changes: Any) -> msg.Data:
    if not data.proof.upgrade:
        return data
    return data._replace(proof=data.proof._replace(upgrade=data.proof.upgrade._replace(**changes)))


def _nodes(data: msg.Data) -> list[Node]:
    return [node._replace(hash=bytes(32)) for node in data.proof.block.nodes] if data.proof.block else []


def _manifest(data: msg.Data) -> msg.Data:
    return data._replace(manifest=Manifest.of(b"x" * 32) if data.manifest else None)


@pytest.mark.parametrize(
    ("lie", "text"),
    [
        (lambda data: _block(data, value=b"forged"), "does not have the hash"),
        (lambda data: _block(data, nodes=_nodes(data)), "does not have the hash"),
        (
            lambda data: _block(
                data, nodes=[*data.proof.block.nodes, Node(1, 1, bytes(32))] if data.proof.block else 0
            ),
            "path",
        ),
        (lambda data: _block(data, index=3), "asked for 7, got 3"),
        (lambda data: _block(data, index=2**53 - 1), "asked for 7, got 9007199254740991"),
        (lambda data: data._replace(fork=5), "fork 5"),
        (lambda data: _upgrade(data, start=2**53 - 1), "asked for an upgrade"),
        (lambda data: _upgrade(data, length=41), "asked for an upgrade"),
        (lambda data: _upgrade(data, nodes=[]), "ends at length 0"),
        (
            lambda data: _upgrade(data, nodes=[Node(31, 2**53 - 1, bytes(32)), Node(71, 1, bytes(32))]),
            "not its author's",
        ),
        (lambda data: _upgrade(data, signature=bytes(68)), "where 1 must sign"),
        (lambda data: _upgrade(data, signature=b"\x01\x00" + bytes(66)), "not its author's"),
        (_manifest, "not that of this log's key"),
        (lambda data: data._replace(request=data.request + 1000), "which was not made"),
    ],
)
async def test_a_false_answer_is_not_kept_and_its_peer_is_cut_off(victim: Victim, lie: Lie, text: str) -> None:
    _, connection = await victim.meets(HONEST, lie)
    asked = asyncio.create_task(victim.core.get(7, timeout=5))

    await cut_off(connection, PeerError, text)

    assert not await victim.core.has(7)
    _, honest = await victim.meets(HONEST)
    assert await asked == b"block 7"
    assert (await victim.core.audit()).clean
    assert not honest.closed


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        (msg.Sync(0, 2**53 - 1, 0), PeerRefused, "at most 2147483648 blocks, not 9007199254740991"),
        (msg.Range(0, 2**53 - 1), PeerRefused, "blocks up to"),
        (msg.Range(MAX_LENGTH, 1), PeerRefused, "blocks up to"),
        (msg.Range(2**53 - 1, 1, drop=True), PeerRefused, "blocks up to"),
        (msg.Bitfield(0, bytes(SEGMENT // 8 + 4)), PeerRefused, "at most 2097152 blocks"),
        (msg.Bitfield(MAX_LENGTH, bytes(4)), PeerRefused, "beyond"),
        (msg.Bitfield(7, bytes(4)), ProtocolError, "no multiple of 32"),
        (msg.Want(0, 2**22), ProtocolError, "power of two"),
        (msg.Want(32, 33), ProtocolError, "power of two"),
        (msg.Want(33, 32), ProtocolError, "power of two"),
        (msg.NoData(999), ProtocolError, "request 999"),
    ],
    ids=str,
)
async def test_an_impossible_message_cuts_its_peer_off(
    victim: Victim, message: msg.Message, kind: type[PeerError], text: str
) -> None:
    liar, connection = await victim.meets(HONEST)

    liar.send(message)

    await cut_off(connection, kind, text)


@pytest.mark.parametrize(("type", "payload", "kind"), [(77, b"", ProtocolError), (3, b"\x01", DecodeError)])
async def test_bytes_that_are_no_message_cut_their_peer_off(
    victim: Victim, type: int, payload: bytes, kind: type[PeerError]
) -> None:
    liar, connection = await victim.meets(HONEST)

    liar.send_raw(type, payload)

    await cut_off(connection, kind, "")


async def test_who_does_not_know_the_key_learns_nothing(victim: Victim) -> None:
    liar, connection = await victim.meets(HONEST, secret=b"guess" * 6 + b"..")

    await cut_off(connection, HandshakeError, "does not know the key")
    assert liar.heard == []


async def test_requests_for_what_is_not_here_are_refused(victim: Victim) -> None:
    liar, connection = await victim.meets(HONEST)
    await victim.core.get(3, timeout=5)

    liar.send(msg.Request(1, 0, Wanted(block=(4, 0))))
    assert await liar.hears(msg.NoData) == msg.NoData(1, msg.Refusal.NOT_AVAILABLE)
    liar.send(msg.Request(2, 9, Wanted(upgrade=(0, 3))))
    assert await liar.hears(msg.NoData) == msg.NoData(2, msg.Refusal.NOT_AVAILABLE)
    liar.send(msg.Request(3, 0, Wanted(upgrade=(0, 2**53 - 1))))
    assert await liar.hears(msg.NoData) == msg.NoData(3, msg.Refusal.INVALID_REQUEST)
    assert not connection.closed


async def test_who_only_asks_the_impossible_is_cut_off(victim: Victim) -> None:
    liar, connection = await victim.meets(HONEST)
    await victim.core.get(3, timeout=5)

    for number in range(1, MAX_INVALID + 2):
        liar.send(msg.Request(number, 0, Wanted(upgrade=(0, 2**40))))

    await cut_off(connection, PeerRefused, "over 64 requests that no log can answer")


async def test_who_asks_without_end_and_reads_nothing_is_cut_off(victim: Victim) -> None:
    author = await victim.store.core(key_pair=KEY_PAIR)
    await author.append([bytes(100_000)] * 10)
    liar, connection = await victim.meets(Log([]))
    await liar.hears(msg.Sync)
    reader = liar._channels.connection
    reader._transport.pause_reading()  # type: ignore[attr-defined]

    for number in range(1, 2 * MAX_BACKLOG):
        liar.send(msg.Request(number, 0, Wanted(block=(number % 10, 0))))

    await cut_off(connection, PeerRefused, "over 4096 requests")


async def test_a_peer_that_promises_and_does_not_send_is_replaced(
    victim: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicator, "ANSWER_TIMEOUT", 0.1)
    _, silent = await victim.meets(HONEST, lambda data: None if data.proof.block else data)
    asked = asyncio.create_task(victim.core.get(5, timeout=10))
    while not victim.core.length:
        await victim.core._log.changed()
    _, honest = await victim.meets(HONEST)

    assert await asked == b"block 5"
    assert not silent.closed
    assert not honest.closed


async def test_requests_are_spread_over_peers(victim: Victim) -> None:
    large = Log([b"%d" % index for index in range(2000)])
    liars = [(await victim.meets(large))[0] for _ in range(3)]
    await victim.core.get(1999, timeout=5)
    await (await victim.core.download()).done(timeout=20)

    answers = [sum(isinstance(heard, msg.Request) for heard in liar.heard) for liar in liars]
    assert min(answers) > 200


async def test_two_signed_histories_freeze_the_core_and_are_its_evidence(victim: Victim) -> None:
    conflicts: list[Any] = []
    victim.core.on("conflict", lambda *evidence: conflicts.append(evidence))
    await victim.meets(HONEST)
    await victim.core.get(39, timeout=5)
    other = Log([b"another %d" % index for index in range(50)])

    liar, _ = await victim.meets(other)
    evidence = await liar.hears(msg.Data)

    assert isinstance(evidence, msg.Data)
    assert evidence.request == 0
    [(ours, theirs)] = conflicts
    assert (ours.check().length, theirs.check().length) == (40, 50)
    assert victim.core.conflict == (ours, theirs)
    assert victim.core.length == 40
    folder = victim.store.path
    await victim.store.close()
    async with Corestore(folder) as store:
        assert (await store.core(key=KEY)).conflict == (ours, theirs)


async def test_an_author_whose_core_is_frozen_appends_no_more(victim: Victim) -> None:
    author = await victim.store.core(key_pair=KEY_PAIR)
    await author.append([b"one", b"two"])
    liar, _ = await victim.meets(Log([b"eins", b"zwei", b"drei"]))
    await liar.hears(msg.Sync)
    log = liar.log
    whole = prove(Wanted(upgrade=(0, 3)), 3, log.find, signature=log.signature)
    liar.send(msg.Data(0, 0, whole))
    await liar.hears(msg.Data)

    with pytest.raises(NotWritable, match="two histories"):
        await author.append(b"three")


async def test_what_was_not_asked_for_is_not_taken(victim: Victim) -> None:
    def more(data: msg.Data) -> msg.Data:
        if data.proof.hash or data.proof.block:
            return data
        return data._replace(proof=data.proof._replace(block=BlockProof(0, b"block 0", [])))

    _, connection = await victim.meets(HONEST, more)

    await cut_off(connection, InvalidProof, "asked for nothing, got 0")


READER = """
import asyncio, sys
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.swarm.connection import connect

async def main():
    async with Corestore(sys.argv[1]) as store:
        core = await store.core(key=sys.argv[3])
        core.on("download", lambda index: index % 100 == 0 and print(index, flush=True))
        store.replicate(await connect("127.0.0.1", int(sys.argv[2])))
        await core.update()
        await (await core.download()).done()
        print("done", flush=True)

asyncio.run(main())
"""


def _killed_reader(folder: Path, port: int, key: str, lines: int) -> bool:
    """Run the reader and kill it after some lines; whether it had everything."""
    command = [sys.executable, "-c", READER, str(folder), str(port), key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(lines)]
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.readlines()
    return "done\n" in said


async def test_a_killed_reader_keeps_what_is_true_and_goes_on(victim: Victim, tmp_path: Path) -> None:
    author = await victim.store.core(name="log")
    await author.append([b"%d" % index * 20 for index in range(3000)])
    rolls = random.Random(3)
    for _ in range(KILLS):
        lines = rolls.randrange(1, 6)
        port = victim.server.port
        finished = await asyncio.to_thread(_killed_reader, tmp_path / "copy", port, author.key.hex(), lines)
        async with Corestore(tmp_path / "copy") as store:
            copy = await store.core(key=author.key)
            audit = await copy.audit()
            assert audit.clean
            if finished:
                break
    async with Corestore(tmp_path / "copy") as store:
        copy = await store.core(key=author.key)
        store.replicate(await connect("127.0.0.1", victim.server.port))
        await copy.update(timeout=5)
        await (await copy.download()).done(timeout=10)
        assert [block async for block in copy.read_stream()] == [b"%d" % index * 20 for index in range(3000)]


async def test_blocks_appended_after_a_hole_are_told(victim: Victim) -> None:
    author = await victim.store.core(key_pair=KEY_PAIR)
    await author.append([b"a", b"b", b"c"])
    await author.clear(0)
    liar, _ = await victim.meets(Log([]))
    await liar.hears(msg.Sync)

    await author.append([b"d", b"e"])

    assert await liar.hears(msg.Range) == msg.Range(3, 2)


moves = st.lists(
    st.tuples(st.just("append"), st.integers(1, 12))
    | st.tuples(st.just("truncate"), st.integers(0, 20))
    | st.tuples(st.just("clear"), st.integers(0, 20))
    | st.tuples(st.just("wait"), st.just(0)),
    max_size=12,
)


@given(moves)
@settings(deadline=None, max_examples=25)
def test_a_reader_follows_whatever_the_author_does(all_moves: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_follow(Path(folder), all_moves))


async def _follow(folder: Path, all_moves: list[tuple[str, int]]) -> None:
    async with Corestore(folder / "a") as here, Corestore(folder / "b") as there:
        server = await listen("127.0.0.1", 0, here.replicate)
        author = await here.core(name="log")
        reader = await there.core(key=author.key)
        there.replicate(await connect("127.0.0.1", server.port))
        for number, (move, count) in enumerate([*all_moves, ("append", 1)]):
            if move == "append":
                await author.append([b"%d of %d" % (index, number) for index in range(count)])
            elif move == "truncate" and count <= author.length:
                await author.truncate(count)
            elif move == "clear" and count < author.length - 1:
                await author.clear(count)
            elif move == "wait" and author.length and await author.has(author.length - 1):
                async with asyncio.timeout(5):
                    while (reader.fork, reader.length) != (author.fork, author.length):
                        await reader._log.changed()
                await reader.get(-1, timeout=5)
        async with asyncio.timeout(5):
            while (reader.fork, reader.length) != (author.fork, author.length):
                await reader._log.changed()
        for index in range(author.length):
            if await author.has(index):
                assert await reader.get(index, timeout=5) == await author.get(index)
        assert (await reader.audit()).clean
        await server.close()
