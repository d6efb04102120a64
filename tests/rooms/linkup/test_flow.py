import asyncio
import time

from linkup_nb.rooms.linkup.flow import BURST, BYTES_PER_MESSAGE, MESSAGES_PER_SECOND, MESSAGES_PER_TURN, Flow


async def test_a_burst_is_taken_at_once_and_what_follows_waits() -> None:
    flow = Flow()
    waited: list[bool] = []
    asyncio.get_running_loop().call_soon(waited.append, True)
    await flow.take(0, messages=BURST)
    assert not waited
    started = time.monotonic()
    await flow.take(0, messages=MESSAGES_PER_SECOND // 10)
    assert time.monotonic() - started >= 0.09


async def test_a_large_message_counts_as_several() -> None:
    flow = Flow()
    await flow.take(0, messages=BURST)
    started = time.monotonic()
    await flow.take(BYTES_PER_MESSAGE * MESSAGES_PER_SECOND // 10)
    assert time.monotonic() - started >= 0.09


async def test_others_get_their_turn_during_a_burst() -> None:
    flow = Flow()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(10 * MESSAGES_PER_TURN):
        await flow.take(0)
    task.cancel()
    assert turns == 10
