"""What a blind peer of ours holds, for whom, to whom it gives it; and what a stranger can make it hold or do."""

import os
from pathlib import Path

import pytest

from linkup_nb.blind import asker, keeper
from linkup_nb.blind.wakeup import WakeupChannel
from linkup_nb.errors import StoreError
from linkup_nb.wire import wakeup
from linkup_nb.wire.keys import discovery_key
from linkup_nb.wire.rate_limit import Rate
from tests.blind.asking import PATIENCE, Asking, keeper_in, until

REFERRER = bytes(range(32))
BLOCKS = [b"one", b"two", b"three"]


async def read(path: Path, blind: bytes, key: bytes) -> list[bytes]:
    """The blocks of a core, as somebody who is new reads them from a blind peer alone."""
    async with Asking(path, blind) as reader:
        core = await reader.store.core(key=key)
        return [await core.get(index, timeout=PATIENCE) for index in range(len(BLOCKS))]


def holds(blind: keeper.BlindKeeper, blocks: int) -> bool:
    return sum(holding.core.contiguous_length for holding in blind._holdings.values()) >= blocks


async def test_a_core_is_read_when_its_author_is_gone_and_after_a_restart(tmp_path: Path) -> None:
    async with keeper_in(tmp_path / "blind") as blind:
        async with Asking(tmp_path / "author", blind.public_key) as author:
            core = await author.write("log", *BLOCKS[:2])
            author.ask(core.key)
            await until(lambda: holds(blind, 2))
            await core.append(BLOCKS[2])  # what comes later is held as well
            await until(lambda: holds(blind, 3))
        assert await read(tmp_path / "reader", blind.public_key, core.key) == BLOCKS
        figures = blind.figures
    async with keeper_in(tmp_path / "blind") as blind:
        assert await read(tmp_path / "later", blind.public_key, core.key) == BLOCKS
        assert (blind.figures.cores, blind.figures.bytes) == (figures.cores, figures.bytes) == (1, 11)


async def test_cores_are_named_to_who_knows_their_referrer_and_to_nobody_else(tmp_path: Path) -> None:
    async with (
        keeper_in(tmp_path / "blind") as blind,
        Asking(tmp_path / "author", blind.public_key) as author,
        Asking(tmp_path / "reader", blind.public_key) as reader,
        Asking(tmp_path / "stranger", blind.public_key) as stranger,
    ):
        core = await author.write("log", *BLOCKS)
        author.ask(core.key, referrer=REFERRER)
        await until(lambda: holds(blind, 3))
        stranger.listen(os.urandom(32))
        guess = os.urandom(32)
        proof = wakeup.capability_proof(guess, bytes(64), initiator=True)
        channel = stranger.channels.open(
            wakeup.PROTOCOL, discovery_key(REFERRER), bytes(wakeup.Opening(proof)), Listener(stranger)
        )
        reader.listen(REFERRER)
        await until(lambda: reader.named.get(REFERRER) == [core.key])
        await until(lambda: channel.state.value == "closed")
        assert stranger.named == {}

        later = await author.write("another", b"block")
        author.ask(later.key, referrer=REFERRER)
        await until(lambda: later.key in reader.named[REFERRER])  # told as it comes


class Listener:
    """Notes what is named on a channel that was opened without knowing the referrer."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking

    def opened(self, handshake: bytes) -> None:
        """The blind peer has opened it too."""

    def received(self, type: int, payload: bytes) -> None:
        """Something is named."""
        self.asking.named.setdefault(b"", []).append(payload)

    def drained(self) -> None:
        """Nothing is sent."""

    def ended(self) -> None:
        """It is closed."""


async def test_a_referrer_that_comes_later_is_taken_over(tmp_path: Path) -> None:
    async with keeper_in(tmp_path / "blind") as blind, Asking(tmp_path / "author", blind.public_key) as author:
        core = await author.write("log", *BLOCKS)
        author.ask(core.key)
        await until(lambda: holds(blind, 3))
        author.ask(core.key, referrer=REFERRER)
        author.listen(REFERRER)
        await until(lambda: blind._kept.core(core.key).referrer == REFERRER)
    async with keeper_in(tmp_path / "blind") as blind, Asking(tmp_path / "reader", blind.public_key) as reader:
        reader.listen(REFERRER)
        await until(lambda: reader.named.get(REFERRER) == [core.key])


async def test_nobody_learns_from_it_of_a_core_that_they_do_not_know(tmp_path: Path) -> None:
    async with (
        keeper_in(tmp_path / "blind") as blind,
        Asking(tmp_path / "stranger", blind.public_key) as stranger,
        Asking(tmp_path / "author", blind.public_key) as author,
    ):
        offered: list[bytes] = []

        def note(id: bytes) -> bool:
            offered.append(id)
            return False

        stranger.channels.accept("hypercore/alpha", note)
        core = await author.write("log", *BLOCKS)
        author.ask(core.key)
        await until(lambda: holds(blind, 3))
        stranger.ask(os.urandom(32))  # and what comes after that would have come by then
        await until(lambda: blind.figures.cores == 2)
        await until(lambda: offered)
        assert discovery_key(core.key) not in offered


# What a stranger can make it hold or do


async def test_one_that_asks_for_too_many_cores_gets_no_more_and_others_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "MAX_CORES_AN_ASKER", 3)
    async with (
        keeper_in(tmp_path / "blind") as blind,
        Asking(tmp_path / "greedy", blind.public_key) as greedy,
        Asking(tmp_path / "other", blind.public_key) as other,
    ):
        greedy.ask(*[os.urandom(32) for _ in range(5)])
        await until(lambda: blind.figures.refused == {"too many logs for one": 1})
        await until(lambda: blind.figures.cores == 3)
        other.ask((await other.write("log", *BLOCKS)).key)
        await until(lambda: holds(blind, 3))
        assert greedy.reasons == []


async def test_it_holds_so_many_cores_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "MAX_CORES", 3)
    async with keeper_in(tmp_path / "blind") as blind, Asking(tmp_path / "greedy", blind.public_key) as greedy:
        greedy.ask(*[os.urandom(32) for _ in range(5)])
        await until(lambda: blind.figures.refused == {"too many logs": 1} and blind.figures.cores == 3)


@pytest.mark.parametrize(("name", "reason"), [("MAX_BYTES_AN_ASKER", "too large for one"), ("MAX_BYTES", "too large")])
async def test_it_fetches_nothing_of_what_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    monkeypatch.setattr(keeper, name, 1_000)
    async with keeper_in(tmp_path / "blind") as blind, Asking(tmp_path / "greedy", blind.public_key) as greedy:
        small = await greedy.write("small", bytes(600))
        greedy.ask(small.key)
        await until(lambda: holds(blind, 1))
        large = await greedy.write("large", bytes(600))
        greedy.ask(large.key)
        await until(lambda: blind.figures.refused == {reason: 1})
        assert blind.figures.bytes == 600
        assert {core.key for core, blocks in [(one, one.blocks) for one in await blind._store.usage()] if blocks} == {
            small.key
        }
        await small.append(bytes(600))  # nor more of what it has begun to hold
        await until(lambda: blind.figures.refused == {reason: 2})
        assert blind.figures.bytes == 600


async def test_one_that_asks_too_often_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(asker, "CORES", Rate(per_second=0.001, burst=10))
    async with keeper_in(tmp_path / "blind") as blind, Asking(tmp_path / "eager", blind.public_key) as eager:
        key = os.urandom(32)
        for _ in range(6):
            eager.ask(key)
        await until(lambda: eager.reasons)
        await until(lambda: "asks to hold over 10 logs at once" in caplog.text)


async def test_what_is_no_request_ends_the_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with keeper_in(tmp_path / "blind") as blind, Asking(tmp_path / "wrong", blind.public_key) as wrong:
        wrong.send(b"\x01short")
        await until(lambda: wrong.reasons)
        await until(lambda: "Expected 32 more bytes" in caplog.text)


async def test_one_is_told_of_so_many_referrers_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker, "MAX_WAKEUPS", 2)
    ended: list[WakeupChannel] = []
    async with keeper_in(tmp_path / "blind") as blind, Asking(tmp_path / "author", blind.public_key) as author:
        referrers = [os.urandom(32) for _ in range(3)]
        for referrer in referrers:
            author.ask(os.urandom(32), referrer=referrer)
        await until(lambda: blind.figures.cores == 3)
        async with Asking(tmp_path / "curious", blind.public_key) as curious:
            for referrer in referrers:
                WakeupChannel(curious.channels, referrer, ended=ended.append)
            await until(lambda: ended)
            assert [channel.capability for channel in ended] == referrers[2:]


async def test_the_last_cores_of_a_referrer_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "MAX_NAMED", 2)
    async with keeper_in(tmp_path / "blind") as blind, Asking(tmp_path / "author", blind.public_key) as author:
        keys = [os.urandom(32) for _ in range(3)]
        author.ask(*keys, referrer=REFERRER)
        await until(lambda: blind.figures.cores == 3)
        async with Asking(tmp_path / "reader", blind.public_key) as reader:
            reader.listen(REFERRER)
            await until(lambda: REFERRER in reader.named)
            assert reader.named[REFERRER] == [keys[2], keys[1]]


async def test_what_the_disk_refuses_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeper_in(tmp_path / "blind") as blind, Asking(tmp_path / "author", blind.public_key) as author:
        (tmp_path / "blind" / "kept.sqlite3").write_bytes(b"no database" * 100)
        author.ask(os.urandom(32))
        await until(lambda: blind.figures.refused == {"the disk refuses": 1})
        assert blind.figures.cores == 0
    with pytest.raises(StoreError, match="put back its copy"):
        async with keeper_in(tmp_path / "blind"):
            pass
