"""Many schedules of the order of a room: `python -m tests.rooms.memory 10000 [first seed]`."""

import sys
import time

from tests.rooms.memory.schedules import check_schedule, folder

REPORT = 1000  # schedules between two lines of output


def main(schedules: int, first: int = 0) -> None:
    """Check so many schedules, half of them with liars; ends at the first that fails, with its seed."""
    start = time.monotonic()
    with folder() as path:
        for number in range(schedules):
            check_schedule(first + number // 2, path, liars=0.5 * (number % 2))
            if (number + 1) % REPORT == 0 or number + 1 == schedules:
                sys.stdout.write(f"{number + 1:,} schedules, {time.monotonic() - start:.0f} s\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["10000"]))
