"""A bot in a process of its own, as its file stands in notebooks/bots, and a LinkUp peer on the real `hyperswarm`."""

import os
import time
from typing import Any

from tests.bot.process import bot_process
from tests.interop.hyperswarm import HOST, Peer, javascript, make_peer, make_testnet

GREETING = {"type": "icon", "username": "jay", "avatar": "", "timestamp": 1_777_896_000_250}


async def test_a_linkup_peer_talks_to_a_bot_also_after_it_was_killed() -> None:
    topic = os.urandom(32)

    async def says(jay: Peer, line: str, wanted: str) -> dict[str, Any]:
        """What the bot answers to a line."""
        about = {"name": "jay", "topic": topic.hex(), "timestamp": round(time.time() * 1000)}
        jay.order("write", message={"type": "message", "message": line, **about})
        answer = await jay.expect("received", lambda reported: wanted in reported["message"].get("message", ""))
        return dict(answer["message"])

    async with javascript() as process:
        ports = await make_testnet(process)
        jay = await make_peer(process, ports, greeting=GREETING)
        await jay.join(topic)
        for life in range(2):
            with bot_process("dice", topic.hex(), LINKUP_BOOTSTRAP=f"hyperdht:{HOST}:{ports[0]}"):
                # Its icon is the first that it says to whomever it meets.
                await jay.expect("received", lambda one: one["message"].get("username") == "dice", times=life + 1)
                if not life:
                    assert (await says(jay, "!roll 3d1", "**3**"))["message"] == "**3** = 1 + 1 + 1"
                    assert "Usage: `!vote option`" in (await says(jay, "!vote", "is missing"))["message"]
                    await says(jay, '!poll "Lunch?" pizza soup', "1. pizza 0")
                answer = await says(jay, f"!vote {life + 1}", f"{life + 1}. {('pizza', 'soup')[life]} `")
                assert (answer["name"], answer["topic"]) == ("dice", topic.hex())
                assert answer["message"].startswith("**Lunch?**")
