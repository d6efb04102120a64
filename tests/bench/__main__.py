"""Every bench, one after the other, for about an hour: `python -m tests.bench`.

What both programs do is one table, in which ours is worst first; then comes what ours does alone.
"""

import asyncio

from tests.bench import bots, classroom, dht, idle, join, lab, panel, rooms, serve, store, swarm, transport, udx, window
from tests.bench.table import print_compared


def main() -> None:
    rows = [row for bench in (transport, swarm, dht, join, store, serve) for row in bench.rows()]
    print_compared("medians", sorted(rows, key=lambda row: row.ratio))
    for bench in (panel, window, bots, idle, classroom, lab, udx):
        bench.main()
    asyncio.run(rooms.main(rooms.MESSAGES))


if __name__ == "__main__":
    main()
