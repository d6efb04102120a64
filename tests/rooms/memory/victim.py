"""A member in a process of its own, to be killed: `python -m tests.rooms.memory.victim FOLDER NAME SECRET PORT WRITES`.

Says in lines of JSON what it has: `{"port": …, "rows": …}` once it is open, `{"wrote": [tie, seq]}` for each message
that is acknowledged, `{"rows": …}` after each change of its index. Dials `PORT` if it is not 0.
"""

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from linkup_nb.rooms.memory.keys import RoomKeys
from tests.rooms.memory.members import TestMember, say


def tell(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def live(folder: Path, name: str, keys: RoomKeys, port: int, *, writes: bool) -> None:
    with ThreadPoolExecutor(1) as executor:
        member = TestMember(folder, name, executor)
        await member.open()
        session = await member.enter(keys)
        session.on("taken", lambda _: tell(rows=session.index.count()))
        tell(port=(await member.listen()).port, rows=session.index.count())
        if port:
            await member.dial(port)
        while writes:
            row = await say(session, "promised")
            tell(wrote=[row.tie, row.seq])
        await asyncio.Event().wait()


if __name__ == "__main__":
    folder, name, secret, port, writes = sys.argv[1:]
    asyncio.run(live(Path(folder), name, RoomKeys(bytes.fromhex(secret)), int(port), writes=writes == "writes"))
