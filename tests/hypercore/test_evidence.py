"""Heads that contradict each other: what they show to who has neither history, and what is no evidence."""

import asyncio
from pathlib import Path

import pytest

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.evidence import Evidence, contradiction
from linkup_nb.hypercore.proof import Proof, ProofRequest
from tests.hypercore.histories import forked, head, resized
from tests.hypercore.liar import HONEST, Victim, cut_off
from tests.hypercore.vectors import KEY, Log

WAIT = 10.0


@pytest.mark.parametrize(
    ("at", "length", "agreed"), [(38, 39, 38), (37, 39, 36), (33, 39, 32), (33, 33 + 1, 32), (20, 40, 0), (0, 1, 0)]
)
def test_two_heads_agree_up_to_the_first_root_that_differs(at: int, length: int, agreed: int) -> None:
    assert contradiction(head(HONEST, length), head(forked(40, at), length)) == agreed


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (head(HONEST, 39), head(HONEST, 39), "do not contradict"),
        (head(HONEST, 40), head(forked(38, 38), 38), "of one length"),
        (head(HONEST, 39), resized(head(HONEST, 39)), "do not contradict"),
        (head(HONEST, 39), head(forked(40, 20), 39)._replace(fork=1), "not its author's"),
        (head(HONEST, 39), head(forked(40, 20), 39)._replace(key=bytes(32)), "not that of this key"),
        (head(HONEST, 39), head(HONEST, 39)._replace(proof=Proof()), "growth from nothing"),
    ],
)
def test_heads_that_contradict_nothing_are_no_evidence(one: Evidence, other: Evidence, reason: str) -> None:
    with pytest.raises(InvalidProof, match=reason):
        contradiction(one, other)


async def test_a_peer_that_forges_sizes_freezes_nothing(victim: Victim) -> None:
    await victim.meets(HONEST)
    await (await victim.core.download(0, 40)).done(timeout=WAIT)
    await victim.core.get(39, timeout=WAIT)
    liar, _ = await victim.meets(HONEST)
    await liar.hears(msg.Sync)

    liar.send(msg.Data(0, 0, resized(head(HONEST, 38)).proof))
    liar.send(msg.DataRequest(1, 0, ProofRequest(block=(3, 0))))
    await liar.hears(msg.Data)

    assert victim.core.conflict is None


async def test_who_is_shown_a_conflict_freezes_and_keeps_the_one_that_agrees_on_least(victim: Victim) -> None:
    folder = victim.store.path
    await victim.meets(HONEST)
    await victim.core.get(39, timeout=WAIT)

    with pytest.raises(InvalidProof):
        await victim.core.dispute(head(HONEST, 39), head(HONEST, 39))
    assert victim.core.conflict is None
    for at in (38, 33, 38):
        await victim.core.dispute(head(HONEST, 39), head(forked(40, at), 39))

    assert victim.core.conflict == (head(HONEST, 39), head(forked(40, 33), 39))
    await victim.store.close()
    async with Corestore(folder) as store:
        assert (await store.core(key=KEY)).conflict == (head(HONEST, 39), head(forked(40, 33), 39))


async def test_where_ends_are_not_cut_off_a_frozen_core_is_given_to_others_up_to_where_histories_part(
    tmp_path: Path,
) -> None:
    async with Corestore(tmp_path / "a", bytes(32)) as here, Corestore(tmp_path / "b", bytes(32)) as there:
        histories = [await store.core(name="log", forks=False) for store in (here, there)]
        for number, core in enumerate(histories):
            await core.append([b"same %d" % index for index in range(32)])
            await core.append([b"%d of %d" % (index, number) for index in range(3 + number)])
        server = await listen("127.0.0.1", 0, here.replicate)
        frozen: asyncio.Queue[None] = asyncio.Queue()
        for core in histories:
            core.on("conflict", lambda *_: frozen.put_nowait(None))
        there.replicate(await connect("127.0.0.1", server.port))
        for _ in histories:
            await asyncio.wait_for(frozen.get(), WAIT)
        shown = histories[0].conflict
        assert shown
        assert contradiction(*shown) == 32

        async with Corestore(tmp_path / "c") as late:
            copy = await late.core(key=histories[0].key, forks=False)
            await copy.dispute(*shown)
            late.replicate(await connect("127.0.0.1", server.port))
            assert await copy.get(31, timeout=WAIT) == b"same 31"
            await (await copy.download(0, 32)).done(timeout=WAIT)
        await server.close()


@pytest.mark.parametrize("honest", [True, False])
async def test_that_an_author_cut_a_core_is_said_only_by_who_can_show_it(victim: Victim, honest: bool) -> None:
    core = await victim.store.core(key=KEY, forks=False)
    shown: asyncio.Queue[Evidence] = asyncio.Queue()
    core.on("fork", shown.put_nowait)
    cut = Log(HONEST.blocks[:20], fork=1 if honest else 0)
    liar, connection = await victim.meets(HONEST)
    await core.get(39, timeout=WAIT)
    liar.log = cut

    liar.send(msg.Sync(1, 20, 0, has_manifest=True))

    if honest:
        evidence = await asyncio.wait_for(shown.get(), WAIT)
        assert (evidence.fork, evidence.check().length) == (1, 20)
        assert not connection.closed
    else:
        await cut_off(connection, InvalidProof, "not its author's")
        assert shown.empty()
    assert (core.length, core.fork) == (40, 0)
