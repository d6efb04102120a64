"""Copying a core: between honest peers, and from peers that lie."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import Server, listen
from linkup_nb.errors import (
    InvalidProof,
    NotAvailable,
    NotWritable,
    ProtocolError,
    UsageError,
)
from linkup_nb.hypercore import flat, peer, scheduler
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.proof import Proof, ProofRequest, UpgradeProof, prove
from tests.hypercore.javascript import at_rest
from tests.hypercore.liar import HONEST, Victim, cut_off
from tests.hypercore.vectors import KEY, KEY_PAIR, Log


async def test_an_honest_peer_is_copied_from(victim: Victim) -> None:
    _, connection = await victim.meets(HONEST)

    assert await victim.core.get(39, timeout=5) == b"block 39"
    await (await victim.core.download()).done(timeout=5)

    assert (await victim.core.audit()).clean
    assert not connection.closed


async def test_a_peer_that_promises_and_does_not_send_is_replaced(
    victim: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "ANSWER_TIMEOUT", 0.1)
    _, silent = await victim.meets(HONEST, lambda data: None if data.proof.block else data)
    asked = asyncio.create_task(victim.core.get(5, timeout=10))
    while not victim.core.length:
        await victim.core._log.changed()
    _, honest = await victim.meets(HONEST)

    assert await asked == b"block 5"
    assert not silent.closed
    assert not honest.closed


async def test_a_block_of_a_download_that_was_false_comes_from_another_peer(victim: Victim) -> None:
    asked: list[int] = []

    def lie(data: msg.Data) -> msg.Data:
        block = data.proof.block
        if not block or asked:
            return data
        asked.append(block.index)
        return data._replace(proof=data.proof._replace(block=block._replace(value=b"false")))

    connections = [(await victim.meets(HONEST, lie))[1] for _ in range(2)]
    await victim.core.update(timeout=5)

    await (await victim.core.download()).done(timeout=5)

    assert asked
    assert (await victim.core.audit()).clean
    assert sorted(connection.closed for connection in connections) == [False, True]


async def test_a_get_that_is_given_up_is_cancelled(victim: Victim) -> None:
    liar, connection = await victim.meets(HONEST, lambda data: None if data.proof.block else data)

    with pytest.raises(NotAvailable):
        await victim.core.get(7, timeout=0.2)

    cancelled = await liar.hears(msg.Cancel)
    asked = [heard for heard in liar.heard if isinstance(heard, msg.DataRequest) and heard.wanted.block]
    assert [msg.Cancel(request.id) for request in asked] == [cancelled]
    liar.lie = lambda data: data
    liar.send(msg.NoData(asked[0].id))  # it was on its way
    assert await victim.core.get(7, timeout=5) == b"block 7"
    assert not connection.closed


async def test_a_download_that_is_given_up_is_cancelled_and_what_others_want_is_not(victim: Victim) -> None:
    liar, _ = await victim.meets(HONEST, lambda data: None if data.proof.block else data)
    await victim.core.update(timeout=5)
    download = await victim.core.download(0, 3)
    other = await victim.core.download(2, 4)

    download.cancel()

    cancelled = {(await liar.hears(msg.Cancel)), (await liar.hears(msg.Cancel))}
    blocks = {r.id: r.wanted.block[0] for r in liar.heard if isinstance(r, msg.DataRequest) and r.wanted.block}
    assert {blocks[cancel.request] for cancel in cancelled if isinstance(cancel, msg.Cancel)} == {0, 1}
    other.cancel()


async def test_answers_to_cancelled_requests_are_expected_for_so_long(
    victim: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "MAX_ABANDONED", 2)
    liar, connection = await victim.meets(HONEST, lambda data: None if data.proof.block else data)
    numbers = []
    for index in range(4):
        with pytest.raises(NotAvailable):
            await victim.core.get(index, timeout=0.1)
        cancel = await liar.hears(msg.Cancel)
        assert isinstance(cancel, msg.Cancel)
        numbers.append(cancel.request)

    liar.send(msg.NoData(numbers[3]))
    liar.send(msg.NoData(numbers[0]))

    await cut_off(connection, ProtocolError, f"request {numbers[0]}")


async def test_what_a_peer_cancels_is_not_sent(victim: Victim) -> None:
    author = await victim.store.core(key_pair=KEY_PAIR)
    await author.append([bytes(100_000)] * 10)
    liar, _ = await victim.meets(Log([]))
    await liar.hears(msg.Range)
    transport = liar._channels.connection._transport  # type: ignore[attr-defined]
    transport.pause_reading()

    for number in range(1, 400):
        liar.send(msg.DataRequest(number, 0, ProofRequest(block=(number % 10, 0))))
    for number in range(1, 400):
        liar.send(msg.Cancel(number))
    liar.send(msg.DataRequest(500, 0, ProofRequest(block=(0, 0))))
    await asyncio.sleep(0)
    transport.resume_reading()

    answers: list[int] = []
    while not answers or answers[-1] != 500:
        answer = await liar.hears(msg.Data)
        assert isinstance(answer, msg.Data)
        answers.append(answer.request)
    assert len(answers) < 300


async def test_a_byte_is_found_by_one_request(victim: Victim) -> None:
    large = Log([b"%d" % index * 7 for index in range(3000)])
    liar, _ = await victim.meets(large)
    await victim.core.update(timeout=5)
    sizes = [len(block) for block in large.blocks]

    for index in (0, 1, 2047, 2048, 2500, 2999):
        assert await victim.core.seek(sum(sizes[:index]) + 3, timeout=5) == (index, 3)

    seeks = [heard for heard in liar.heard if isinstance(heard, msg.DataRequest) and heard.wanted.seek]
    assert len(seeks) <= 6
    assert sum(isinstance(heard, msg.DataRequest) and bool(heard.wanted.hash) for heard in liar.heard) == len(seeks)


async def test_a_byte_of_the_past_is_found_though_its_tree_is_not_here(victim: Victim) -> None:
    large = Log([b"%d" % index * 7 for index in range(3000)])
    _, connection = await victim.meets(large)
    await victim.core.update(timeout=5)
    sizes = [len(block) for block in large.blocks]

    async with await victim.core.checkout(1001) as past:
        with pytest.raises(NotAvailable, match="to compute its size"):
            await asyncio.to_thread(getattr, past, "byte_length")
        assert await past.seek(sum(sizes[:1000]) + 1, timeout=5) == (1000, 1)
        assert await asyncio.to_thread(getattr, past, "byte_length") == sum(sizes[:1001])
        assert await past.seek(past.byte_length) == (1001, 0)
        with pytest.raises(UsageError, match="byte"):
            await past.seek(sum(sizes))

    assert not connection.closed


async def test_a_core_that_nobody_uses_is_put_away_and_opened_again_on_demand(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a") as here, Corestore(tmp_path / "b") as there:
        author, reader, server = await _copied(here, there, 100)
        key = author.key
        await author.close()
        assert await reader.get(5, timeout=5) == b"5"
        assert list(here._open_logs) == [key]

        await reader.close()
        await at_rest(here, there)

        async with await there.core(key=key) as again:
            await again.clear(0, 100)
            assert await again.get(50, timeout=5) == b"50"
        await at_rest(here, there)
        async with await here.core(key=key) as author, await there.core(key=key) as again:
            assert author.writable
            await author.append(b"100")
            assert await again.get(100, timeout=5) == b"100"
        await server.close()


async def test_requests_are_spread_over_peers(victim: Victim) -> None:
    large = Log([b"%d" % index for index in range(2000)])
    liars = [(await victim.meets(large))[0] for _ in range(3)]
    await victim.core.get(1999, timeout=5)
    await (await victim.core.download()).done(timeout=20)

    answers = [sum(isinstance(heard, msg.DataRequest) for heard in liar.heard) for liar in liars]
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


async def test_two_histories_of_one_author_freeze_both_who_have_one(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a", bytes(32)) as here, Corestore(tmp_path / "b", bytes(32)) as there:
        server = await listen("127.0.0.1", 0, here.replicate)
        cores = [await store.core(name="log") for store in (here, there)]
        conflicts: asyncio.Queue[Any] = asyncio.Queue()
        for number, core in enumerate(cores):
            core.on("conflict", lambda *_: conflicts.put_nowait(None))
            await core.append([b"%d of %d" % (index, number) for index in range(3 + number)])
        there.replicate(await connect("127.0.0.1", server.port))

        for _ in cores:
            await asyncio.wait_for(conflicts.get(), 5)

        assert [core.conflict is not None for core in cores] == [True, True]
        await server.close()


async def test_an_author_whose_store_was_put_back_gets_his_own_blocks_from_peers(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a", bytes(32)) as here, Corestore(tmp_path / "b") as there:
        author, reader, server = await _copied(here, there, 10)
        key = author.key
        await server.close()
    async with Corestore(tmp_path / "restored", bytes(32)) as here, Corestore(tmp_path / "b") as there:
        server = await listen("127.0.0.1", 0, here.replicate)
        author, reader = await here.core(name="log"), await there.core(key=key)
        assert (author.key, author.writable) == (key, True)
        there.replicate(await connect("127.0.0.1", server.port))
        await _follows(reader, author)

        assert await author.get(9, timeout=5) == b"9"
        await author.append(b"10")

        assert await reader.get(10, timeout=5) == b"10"
        assert (author.fork, reader.conflict, author.conflict) == (0, None, None)
        await server.close()


@pytest.mark.parametrize("turns", range(6))
async def test_an_author_who_cuts_a_core_while_peers_send_him_its_blocks_keeps_it_whole(
    victim: Victim, tmp_path: Path, turns: int
) -> None:
    core = await victim.store.core(key_pair=KEY_PAIR)
    await victim.meets(HONEST)
    await core.wait_for_length(40, timeout=5)
    log, cut = core.log, None

    def send(index: int) -> None:
        node, steps = 2 * index, 0
        while log.find(node) is None:
            node, steps = flat.parent(node), steps + 1
        log.accept(prove(ProofRequest(block=(index, steps)), 40, HONEST.find, block=HONEST.blocks[index]))

    for index in range(20):
        for number in (index, 32 + index % 8):
            if log.fork == 0:
                send(number)
        if index == turns:
            cut = asyncio.create_task(core.truncate(32))
        await asyncio.sleep(0)
    assert cut
    await cut
    await victim.store.close()

    async with Corestore(tmp_path / "victim") as store:
        core = await store.core(key_pair=KEY_PAIR)
        assert (core.length, core.fork) == (32, 1)
        assert (await core.audit()).clean
        held = [index for index in range(32) if await core.has(index)]
        assert held == list(range(len(held)))
        assert len(held) >= turns
        assert core.log.store.held(core.log.id, 32, 40) == []


async def test_an_author_whose_core_is_frozen_appends_no_more(victim: Victim) -> None:
    author = await victim.store.core(key_pair=KEY_PAIR)
    await author.append([b"one", b"two"])
    liar, _ = await victim.meets(Log([b"eins", b"zwei", b"drei"]))
    await liar.hears(msg.Sync)
    log = liar.log
    whole = prove(ProofRequest(upgrade=(0, 3)), 3, log.find, signature=log.signature)
    liar.send(msg.Data(0, 0, whole))
    await liar.hears(msg.Data)

    with pytest.raises(NotWritable, match="two histories"):
        await author.append(b"three")


async def _copied(here: Corestore, there: Corestore, blocks: int) -> tuple[Core, Core, Server]:
    """A core with some blocks, and a whole copy of it over a connection."""
    server = await listen("127.0.0.1", 0, here.replicate)
    author = await here.core(name="log")
    await author.append([b"%d" % index for index in range(blocks)])
    reader = await there.core(key=author.key)
    there.replicate(await connect("127.0.0.1", server.port))
    assert await reader.update(timeout=5)
    await (await reader.download()).done(timeout=10)
    return author, reader, server


async def _follows(author: Core, reader: Core) -> None:
    async with asyncio.timeout(5):
        while (reader.fork, reader.length) != (author.fork, author.length):
            await reader._log.changed()


@pytest.mark.parametrize(
    ("blocks", "cut", "more"),
    [(1024, 1023, 1), (1024, 1, 1023), (1000, 999, 1), (1000, 700, 5), (300, 299, 2000), (8, 8, 8), (5, 0, 7)],
)
async def test_blocks_from_before_a_cut_are_not_fetched_again(tmp_path: Path, blocks: int, cut: int, more: int) -> None:
    async with Corestore(tmp_path / "a") as here, Corestore(tmp_path / "b") as there:
        author, reader, server = await _copied(here, there, blocks)
        told: list[tuple[int, int]] = []
        reader.on("truncate", lambda *details: told.append(details))

        await author.truncate(cut)
        await author.append([b"new %d" % index for index in range(more)])
        await _follows(author, reader)

        assert told[-1][1] == 1
        assert min(length for length, _ in told) == cut
        assert await reader.has(0, cut)
        await (await reader.download()).done(timeout=10)
        assert [block async for block in reader.read_stream()] == [block async for block in author.read_stream()]
        assert (await reader.audit()).clean
        await server.close()


async def test_a_copy_is_emptied_when_its_author_empties_the_core(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a") as here, Corestore(tmp_path / "b") as there:
        author, reader, server = await _copied(here, there, 10)

        await author.truncate(0)
        await _follows(author, reader)

        assert (reader.fork, reader.length, reader.contiguous_length) == (1, 0, 0)
        assert not await reader.update(timeout=5)
        await author.append(b"again")
        assert await reader.get(0, timeout=5) == b"again"
        assert (await reader.audit()).clean
        await server.close()


async def test_who_only_says_that_a_core_was_emptied_is_not_believed(victim: Victim) -> None:
    liar, connection = await victim.meets(HONEST)
    await victim.core.get(39, timeout=5)

    liar.answering = False
    liar.send(msg.Sync(7, 0, 40))
    request = await liar.hears(msg.DataRequest)
    while not (isinstance(request, msg.DataRequest) and request.fork == 7):
        request = await liar.hears(msg.DataRequest)
    liar.send(msg.Data(request.id, 7, Proof(upgrade=UpgradeProof(0, 0, [], [], HONEST.signature))))

    await cut_off(connection, InvalidProof, "not its author's")
    assert (victim.core.length, victim.core.fork) == (40, 0)


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
@settings(max_examples=25)
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


async def test_an_author_sees_how_much_of_a_core_each_peer_has(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a") as here, Corestore(tmp_path / "b") as there:
        author, reader, server = await _copied(here, there, 10)
        grown: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue()
        author.on("held", lambda key, length: grown.put_nowait((key, length)))

        await author.append([b"one", b"two"])
        await reader.wait_for_length(12, timeout=5)
        await (await reader.download()).done(timeout=5)
        async with asyncio.timeout(5):
            while (last := await grown.get())[1] < 12:
                pass

        assert author.held == {last[0]: 12}
        await server.close()
