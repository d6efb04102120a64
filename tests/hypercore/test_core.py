"""A core by itself: what its author does to it, and what he can read and prove afterwards."""

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.errors import InvalidProof, NodeClosed, NotAvailable, NotWritable, StoreError, UsageError
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.log import MAX_BLOCK
from linkup_nb.hypercore.proof import ProofRequest
from linkup_nb.hypercore.upload import Upload

SECRET = b"\x04" * 32


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    async with Corestore(tmp_path / "store", b"\x09" * 32) as store:
        yield store


async def test_blocks_come_back_as_they_were_appended(store: Corestore) -> None:
    core = await store.core(name="log")

    assert await core.append(b"a") == 1
    assert await core.append([b"bb", b"", b"dddd"]) == 4

    assert [await core.get(index) for index in (0, 1, 2, 3, -1)] == [b"a", b"bb", b"", b"dddd", b"dddd"]
    assert (len(core), core.byte_length, core.contiguous_length, core.fork) == (4, 7, 4, 0)
    assert [block async for block in core.read_stream(1, 3)] == [b"bb", b""]


async def test_appends_at_once_are_made_one_after_the_other(store: Corestore) -> None:
    core = await store.core(name="log")

    lengths = await asyncio.gather(*(core.append([b"%d" % index] * 2) for index in range(20)))

    assert sorted(lengths) == list(range(2, 42, 2))
    assert sorted([block async for block in core.read_stream()]) == sorted([b"%d" % i for i in range(20)] * 2)
    assert (await core.audit()).clean


async def test_appends_at_once_are_announced_together(store: Corestore) -> None:
    core = await store.core(name="log")
    announced: list[int] = []
    core.on("append", lambda: announced.append(core.length))

    lengths = await asyncio.gather(*(core.append([b"a", b"b"]) for _ in range(50)))

    assert (lengths, announced) == (list(range(2, 101, 2)), [100])
    assert (await core.audit()).clean


async def test_it_is_all_there_after_opening_again(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "store") as store:
        core = await store.core(name="log")
        await core.append([b"%d" % index for index in range(300)])
        await core.truncate(250)
        await core.append(b"new")
        key = core.key

    async with Corestore(tmp_path / "store") as store:
        core = await store.core(key=key)
        assert core.writable
        assert (core.length, core.fork, await core.get(250), await core.get(249)) == (251, 1, b"new", b"249")
        assert (await core.audit()).clean
        await core.append(b"more")
        assert (await core.audit()).clean


async def test_a_truncated_core_has_forgotten_the_rest(store: Corestore) -> None:
    core = await store.core(name="log")
    told: list[tuple[int, int]] = []
    core.on("truncate", lambda *details: told.append(details))
    await core.append([b"a", b"b", b"c", b"d", b"e"])

    await core.truncate(3)

    assert (core.length, core.fork, told) == (3, 1, [(3, 1)])
    with pytest.raises(NotAvailable):
        await core.get(3, timeout=0)
    await core.append([b"D"])
    assert await core.get(3) == b"D"
    assert (await core.audit()).clean


async def test_what_is_being_cut_off_is_not_lost(store: Corestore) -> None:
    core = await store.core(name="log")
    await core.append([b"%d" % index for index in range(10)])
    sent: list[msg.Message] = []
    upload = Upload(core.log, sent.append)

    cutting = asyncio.create_task(core.truncate(3))
    while not cutting.done():
        upload.request(msg.DataRequest(1, 0, ProofRequest(block=(8, 0))))
        upload.request(msg.DataRequest(2, 0, ProofRequest(block=(2, 0))))
        with contextlib.suppress(NotAvailable):
            assert await core.get(8, timeout=0) == b"8"
        assert await core.get(2) == b"2"
        await asyncio.sleep(0)

    assert isinstance(sent[0], msg.Data)
    assert sent[-1] == msg.NoData(2)
    assert (core.length, core.fork) == (3, 1)


@pytest.mark.parametrize(("length", "fork"), [(6, None), (-1, None), (2, 0)])
async def test_truncating_to_what_never_was_is_refused(store: Corestore, length: int, fork: int | None) -> None:
    core = await store.core(name="log")
    await core.append([b"x"] * 5)

    with pytest.raises(UsageError):
        await core.truncate(length, fork)

    assert (core.length, core.fork) == (5, 0)


async def test_snapshots_stay_as_they_were(store: Corestore) -> None:
    core = await store.core(name="log")
    await core.append([b"a", b"b", b"c"])

    async with await core.snapshot() as snapshot, await core.checkout(1) as past:
        await core.append(b"d")
        assert (snapshot.length, snapshot.byte_length, past.length, core.length) == (3, 3, 1, 4)
        assert await snapshot.get(-1) == b"c"
        with pytest.raises(UsageError, match="block 3"):
            await snapshot.get(3)
        with pytest.raises(UsageError, match="past"):
            await past.append(b"x")
        await core.truncate(1)
        assert await snapshot.get(0) == b"a"
        with pytest.raises(UsageError, match="cut off since"):
            await snapshot.get(1)
    with pytest.raises(UsageError, match="never had 9"):
        await core.checkout(9)


async def test_cleared_blocks_are_gone_and_their_neighbours_are_not(store: Corestore) -> None:
    core = await store.core(name="log")
    await core.append([b"%d" % index for index in range(10)])

    await core.clear(3, 6)

    assert [index for index in range(10) if not await core.has(index)] == [3, 4, 5]
    assert not await core.has(0, 10)
    assert await core.has(6, 10)
    assert core.contiguous_length == 3
    with pytest.raises(NotAvailable, match="No peer sent block 4"):
        await core.get(4, timeout=0.01)
    assert (await core.audit()).blocks == 7
    await core.append(b"10")
    assert await core.get(10) == b"10"


async def test_seeking_a_byte_finds_its_block(store: Corestore) -> None:
    core = await store.core(name="log", encryption_key=SECRET)
    await core.append([b"abc", b"", b"de", b"f"])

    assert [await core.seek(offset) for offset in range(7)] == [
        (0, 0),
        (0, 1),
        (0, 2),
        (2, 0),
        (2, 1),
        (3, 0),
        (4, 0),
    ]
    with pytest.raises(UsageError, match="byte 7"):
        await core.seek(7)


async def test_encrypted_blocks_are_not_on_disk_in_the_clear(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "store") as store:
        core = await store.core(name="log", encryption_key=SECRET)
        await core.append([b"attack at dawn", b""])
        assert [await core.get(0), await core.get(1)] == [b"attack at dawn", b""]
        assert core.byte_length == 14
        blind = await store.core(key=core.key)
        assert b"attack" not in await blind.get(0)

    assert all(b"attack" not in file.read_bytes() for file in (tmp_path / "store").iterdir())


async def test_a_proof_shows_a_block_to_anybody_with_the_key(store: Corestore, tmp_path: Path) -> None:
    core = await store.core(name="log")
    await core.append([b"%d" % index for index in range(9)])
    proof = (await core.proof(4)).encode()
    async with Corestore(tmp_path / "other") as elsewhere:
        copy = await elsewhere.core(key=core.key)

        assert await copy.verify(proof) == b"4"
        false = Evidence.decode(proof)
        assert false.proof.block
        lie = false._replace(proof=false.proof._replace(block=false.proof.block._replace(value=b"5")))
        with pytest.raises(InvalidProof):
            await copy.verify(lie)
        other = await elsewhere.core(name="another")
        with pytest.raises(InvalidProof, match="another core"):
            await other.verify(proof)


async def test_a_live_stream_gives_what_is_appended_later(store: Corestore) -> None:
    core = await store.core(name="log")
    await core.append([b"a", b"b"])
    seen: list[bytes] = []

    async def follow() -> None:
        async for block in core.read_stream(live=True):
            seen.append(block)
            if len(seen) == 2:
                await core.append(b"c")
            elif len(seen) == 3:
                return

    await asyncio.wait_for(follow(), 5)
    assert seen == [b"a", b"b", b"c"]


async def test_waiting_for_a_block_that_is_appended_later(store: Corestore) -> None:
    core = await store.core(name="log")
    waiting = asyncio.create_task(core.get(2, timeout=5))
    appended = asyncio.Event()
    core.on("append", appended.set)

    await core.append([b"a", b"b", b"c"])

    assert await waiting == b"c"
    assert appended.is_set()


async def test_only_the_author_can_append(store: Corestore) -> None:
    core = await store.core(key=b"k" * 32)

    assert not core.writable
    with pytest.raises(NotWritable, match="Only its author"):
        await core.append(b"x")


async def test_a_block_too_large_for_the_wire_is_refused(store: Corestore) -> None:
    core = await store.core(name="log")

    with pytest.raises(UsageError, match="at most 15728640 bytes"):
        await core.append([b"fits", bytes(MAX_BLOCK + 1)])
    assert core.length == 0


async def test_a_closed_core_says_so(store: Corestore) -> None:
    core = await store.core(name="log")
    other = await store.core(name="log")
    await core.close()

    with pytest.raises(NodeClosed):
        await core.append(b"x")
    await other.append(b"x")


async def test_an_audit_finds_a_damaged_block(store: Corestore) -> None:
    core = await store.core(name="log")
    await core.append([b"a", b"b", b"c"])
    log = core._log
    log.store.put_blocks(log.id, 1, [b"B"])
    await log.store.flush()

    audit = await core.audit()

    assert audit.faults == ("block 1 is not the one that was signed",)


async def test_a_full_disk_refuses_the_append_and_nothing_is_lost(store: Corestore) -> None:
    core = await store.core(name="log")
    await core.append(b"kept")
    writer = core._log.store._writer.connection
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StoreError, match="full"):
        await core.append(bytes(100_000))

    assert (core.length, (await core.audit()).clean) == (1, True)
    writer.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert await core.append(bytes(100_000)) == 2
    assert (await core.audit()).clean


async def test_a_full_disk_refuses_all_that_was_appended_at_once(store: Corestore) -> None:
    core = await store.core(name="log")
    await core.append(b"kept")
    writer = core._log.store._writer.connection
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")

    # The second is large enough for the writer's thread: the others wait behind it, and build on it.
    sizes = (10, 1_000_000, 10, 1_000_000)
    refused = [asyncio.create_task(core.append(bytes(size))) for size in sizes[:2]]
    await asyncio.sleep(0)
    refused += [asyncio.create_task(core.append(bytes(size))) for size in sizes[2:]]

    assert all(isinstance(error, StoreError) for error in await asyncio.gather(*refused, return_exceptions=True))
    assert (core.length, (await core.audit()).clean) == (1, True)
    writer.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert await core.append(b"second") == 2
    assert (await core.audit()).clean


operations = st.lists(
    st.tuples(st.just("append"), st.lists(st.binary(max_size=6), min_size=1, max_size=7))
    | st.tuples(st.just("truncate"), st.integers(0, 30))
    | st.tuples(st.just("clear"), st.integers(0, 30))
    | st.tuples(st.just("snapshot"), st.none())
    | st.tuples(st.just("checkout"), st.integers(0, 30))
    | st.tuples(st.just("reopen"), st.none()),
    max_size=16,
)


@given(operations, st.booleans())
@settings(max_examples=40)
def test_any_operations_equal_those_on_a_plain_list(all_operations: list[tuple[str, Any]], encrypted: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_compare(Path(folder), all_operations, SECRET if encrypted else None))


async def _compare(folder: Path, all_operations: list[tuple[str, Any]], secret: bytes | None) -> None:
    plain: list[bytes | None] = []
    sizes: list[int] = []  # a block that is cleared keeps its size
    views: list[_View] = []
    forks = 0
    store = Corestore(folder, b"\x09" * 32)
    await store.open()
    core = await store.core(name="log", encryption_key=secret)
    for name, argument in all_operations:
        if name == "append":
            await core.append(argument)
            plain += argument
            sizes += map(len, argument)
        elif name == "truncate" and argument <= len(plain):
            await core.truncate(argument)
            del plain[argument:], sizes[argument:]
            forks += 1
            views = [view._replace(common=min(view.common, argument)) for view in views]
        elif name == "clear" and argument < len(plain):
            await core.clear(argument)
            plain[argument] = None
        elif name == "snapshot" or (name == "checkout" and argument <= len(plain)):
            length = len(plain) if argument is None else argument
            past = await (core.snapshot() if argument is None else core.checkout(argument))
            views.append(_View(past, length, sum(sizes[:length]), forks, length))
        elif name == "reopen":
            await store.close()
            await store.open()
            core = await store.core(name="log", encryption_key=secret)
            views = []
        await _check(core, plain, forks)
        for view in views:
            await _check_view(view, plain)
    await store.close()


class _View(NamedTuple):
    """A view of the past, what it was, and how much of it has not been cut off since."""

    core: Core
    length: int
    byte_length: int
    fork: int
    common: int


async def _check_view(view: _View, plain: list[bytes | None]) -> None:
    core = view.core
    assert (core.length, core.fork, core.writable) == (view.length, view.fork, False)
    assert core.byte_length == view.byte_length
    for index in range(view.length):
        if index >= view.common:
            with pytest.raises(UsageError, match="cut off since"):
                await core.get(index)
        elif plain[index] is not None:
            assert await core.get(index) == plain[index]
        else:
            assert not await core.has(index)


async def _check(core: Core, plain: list[bytes | None], forks: int) -> None:
    assert (core.length, core.fork) == (len(plain), forks)
    held = [index for index, block in enumerate(plain) if block is not None]
    assert [index for index in range(len(plain)) if await core.has(index)] == held
    assert [await core.get(index) for index in held] == [plain[index] for index in held]
    audit = await core.audit()
    assert (audit.faults, audit.blocks) == ((), len(held))
