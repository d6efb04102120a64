"""Peers that request what they cannot have, or more than they read: refused, within bounds."""

import pytest

from linkup_nb.errors import PeerRefused
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.proof import ProofRequest
from linkup_nb.hypercore.storage import TOGETHER
from linkup_nb.hypercore.upload import MAX_AHEAD, MAX_BACKLOG, MAX_INVALID, Upload
from tests.hypercore.liar import HONEST, Victim, author, cut_off, little_harm, stop_reading
from tests.hypercore.vectors import KEY_PAIR, Log

LAST = 2**53 - 1  # what JavaScript can count to

REFUSED: dict[str, tuple[msg.DataRequest, msg.Refusal]] = {
    "a block that is not here": (msg.DataRequest(1, 0, ProofRequest(block=(4, 0))), msg.Refusal.NOT_AVAILABLE),
    "a block that never was": (msg.DataRequest(1, 0, ProofRequest(block=(LAST, 0))), msg.Refusal.NOT_AVAILABLE),
    "another fork": (msg.DataRequest(1, 9, ProofRequest(upgrade=(0, 3))), msg.Refusal.NOT_AVAILABLE),
    "too long a path": (msg.DataRequest(1, 0, ProofRequest(block=(3, LAST))), msg.Refusal.INVALID_REQUEST),
    "an upgrade too far": (msg.DataRequest(1, 0, ProofRequest(upgrade=(0, LAST))), msg.Refusal.INVALID_REQUEST),
    "an upgrade from nowhere": (msg.DataRequest(1, 0, ProofRequest(upgrade=(LAST, 1))), msg.Refusal.INVALID_REQUEST),
    "an upgrade by nothing": (msg.DataRequest(1, 0, ProofRequest(upgrade=(3, 0))), msg.Refusal.INVALID_REQUEST),
    "a node too far": (msg.DataRequest(1, 0, ProofRequest(hash=(LAST, 0))), msg.Refusal.INVALID_REQUEST),
    "a node that is not here": (msg.DataRequest(1, 0, ProofRequest(hash=(40, 0))), msg.Refusal.NOT_AVAILABLE),
    "a byte too far": (msg.DataRequest(1, 0, ProofRequest(hash=(6, 2), seek=(LAST, 0))), msg.Refusal.INVALID_REQUEST),
    "too much padding": (
        msg.DataRequest(1, 0, ProofRequest(hash=(6, 2), seek=(25, LAST))),
        msg.Refusal.INVALID_REQUEST,
    ),
    "a byte without a node": (msg.DataRequest(1, 0, ProofRequest(seek=(1, 0))), msg.Refusal.INVALID_REQUEST),
    "the id 2^53 - 1": (msg.DataRequest(LAST, 0, ProofRequest(block=(4, 0))), msg.Refusal.NOT_AVAILABLE),
}


@pytest.mark.parametrize(("request_", "reason"), REFUSED.values(), ids=REFUSED)
async def test_requests_for_what_cannot_be_had_are_refused(
    victim: Victim, request_: msg.DataRequest, reason: msg.Refusal
) -> None:
    liar, connection = await victim.meets(HONEST)
    await victim.core.get(3, timeout=5)

    liar.send(request_)

    assert await liar.hears(msg.NoData) == msg.NoData(request_.id, reason)
    assert not connection.closed


async def test_who_only_asks_the_impossible_is_cut_off(victim: Victim) -> None:
    liar, connection = await victim.meets(HONEST)
    await victim.core.get(3, timeout=5)

    for number in range(1, MAX_INVALID + 2):
        liar.send(msg.DataRequest(number, 0, ProofRequest(upgrade=(0, 2**40))))

    await cut_off(connection, PeerRefused, "over 64 requests that no log can answer")


async def test_who_asks_without_end_and_reads_nothing_is_cut_off(victim: Victim) -> None:
    await author(victim)
    liar, connection = await victim.meets(Log([]))
    await liar.hears(msg.Sync)
    stop_reading(liar)

    with little_harm():
        for number in range(1, 2 * MAX_BACKLOG):
            liar.send(msg.DataRequest(number, 0, ProofRequest(block=(number % 10, 0))))
        await cut_off(connection, PeerRefused, "over 4096 requests")


async def test_who_wants_to_be_told_without_end_and_reads_nothing_is_cut_off(victim: Victim) -> None:
    await author(victim)
    await victim.core._log.clear(3, 4)
    liar, connection = await victim.meets(Log([]))
    await liar.hears(msg.Sync)
    stop_reading(liar)

    with little_harm():
        for number in range(20):
            liar.send(msg.DataRequest(number, 0, ProofRequest(block=(0, 0))))
        for number in range(2 * MAX_BACKLOG):
            liar.send(msg.Want(0, 2 ** (5 + number % 17)))
            liar.send(msg.DataRequest(number + 100, 0, ProofRequest(block=(number % 10, 0))))
        await cut_off(connection, PeerRefused, "over 4096 requests")


async def test_who_asks_for_one_block_after_the_other_gets_each_as_it_is_then(victim: Victim) -> None:
    core = await victim.store.core(key_pair=KEY_PAIR)
    await core.append([b"%d" % index for index in range(30)])
    answers: list[msg.Message] = []
    upload = Upload(core.log, lambda message, _: answers.append(message))

    def ask(*indexes: int) -> list[bytes | None]:
        """What comes for these: blocks, or `None`."""
        answers.clear()
        for index in indexes:
            upload.request(msg.DataRequest(index + 1, core.fork, ProofRequest(block=(index, 0))))
        return [(isinstance(one, msg.Data) and one.proof.block and one.proof.block.value) or None for one in answers]

    assert ask(*range(20), 3, 29, 20, 21) == [b"%d" % index for index in (*range(20), 3, 29, 20, 21)]
    await core.clear(23)
    assert ask(22, 23, 24) == [b"22", None, b"24"]
    await core.truncate(25)
    await core.append([b"new"] * 3)
    assert ask(24, 25, 26, 27, 28) == [b"24", b"new", b"new", b"new", None]


async def test_little_is_kept_for_who_asks_for_one_block_after_the_other(victim: Victim) -> None:
    core = await victim.store.core(key_pair=KEY_PAIR)
    sizes = [MAX_AHEAD, MAX_AHEAD, MAX_AHEAD + 1, *[MAX_AHEAD] * 40]
    await core.append([bytes(size) for size in sizes])
    sent: list[msg.Message] = []
    upload = Upload(core.log, lambda message, _: sent.append(message))

    for index in range(len(sizes)):
        upload.request(msg.DataRequest(index + 1, 0, ProofRequest(block=(index, 0))))
        assert len(upload._ahead[1]) <= TOGETHER
        assert all(len(block) <= MAX_AHEAD for block in upload._ahead[1].values())

    assert upload._ahead[1]
    answers = [message.proof.block for message in sent if isinstance(message, msg.Data)]
    assert [len(block.value) for block in answers if block] == sizes
