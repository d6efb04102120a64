"""A bot in a process of its own, as its file stands in notebooks/bots, and people in theirs."""

import random
import signal
import time
from pathlib import Path

from tests.bot.process import bot_process
from tests.peer import PATIENCE, Peer

KILLS = 3  # with what is said after them no more than one person may say at once
BAR = "█" * 20


def test_a_bot_and_a_peer_talk_and_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with Peer(tmp_path / "a", "kestrel") as kestrel:
        invite = kestrel.do("found", name="games")
        with bot_process("dice", invite) as bot:
            kestrel.do("connected", count=1)
            kestrel.do("send", text="!roll 3d1")
            assert kestrel.receives_text("**3** = 1 + 1 + 1")["name"] == "dice"
            kestrel.do("send", text='!roll "unclosed')
            assert "Usage: `!roll [dice]`" in kestrel.receives(lambda message: True)["text"]
            bot.send_signal(signal.SIGTERM)
            assert bot.wait(PATIENCE) == 0


def test_a_bot_that_is_killed_at_any_moment_comes_back_with_its_room_and_its_votes(tmp_path: Path) -> None:
    rng = random.Random(1)
    with Peer(tmp_path / "a", "kestrel") as kestrel, Peer(tmp_path / "b", "otter") as otter:
        invite = kestrel.do("found", name="games")
        otter.do("join", topic=invite)
        with bot_process("dice", invite):
            kestrel.do("connected", count=2)
            kestrel.do("send", text='!poll "Lunch?" pizza soup')
            otter.do("reads", text="1. pizza 0")
            otter.do("send", text="!vote 1")
            otter.do("reads", text=f"1. pizza `{BAR}` 1")
        for number in range(KILLS):
            with bot_process("dice", ""):  # its room is in its profile
                kestrel.do("send", text=f"!vote {1 + number % 2}")
                time.sleep(rng.uniform(0, 2))  # the moment at which it is killed
        with bot_process("dice", ""):
            kestrel.do("send", text="!roll 2d1")
            kestrel.receives_text("**2** = 1 + 1")
            kestrel.do("send", text="!vote 2")
            kestrel.do("reads", text=f"1. pizza `{BAR}` 1\n2. soup `{BAR}` 1\n")
            said = otter.do("reads", text=f"2. soup `{BAR}` 1")
    assert sum(name == "dice" and "Lunch" in text for name, text in said) == 1
