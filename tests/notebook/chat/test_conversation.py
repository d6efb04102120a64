import asyncio
from pathlib import Path

from linkup_nb import Node, TextMessage
from linkup_nb.notebook.chat.conversation import _until_kept


async def test_a_message_of_the_page_is_not_taken_for_another_with_the_same_text(tmp_path: Path) -> None:
    async with Node(tmp_path, discovery=[]) as node:
        room = await node.create_room("lobby", linkup=True)
        turn = asyncio.Event()

        async def send_later() -> TextMessage:
            await turn.wait()
            return await room.send("yes")

        sending = asyncio.ensure_future(_until_kept(room, send_later()))
        await room.send("yes")
        assert not sending.done()
        turn.set()
        await sending
        assert len(room) == 2
