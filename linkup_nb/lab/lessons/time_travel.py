"""Lesson 6: a drive is a log of changes; each past state is readable for ever, while somebody keeps its bytes."""

from collections.abc import Mapping
from typing import Any, ClassVar

from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.lab.lessons.checks import Hint, Kind, Said, check, first, is_number
from linkup_nb.lab.lessons.frame import Lesson, Prediction
from linkup_nb.wire.keys import KEY_SIZE

NOTES, PRICES = "/notes.md", "/prices.csv"
CONTENTS = b"# Expedition\n"
FIRST, BAD, LAST = 3, 40, 66  # versions of the prices; with the second a price falls below zero


def price(version: int) -> str:
    """The price that this version has: it grows by one each time, until it breaks."""
    return f"{version - 3}" if version < BAD else f"-3.{version - BAD:02}"


async def is_bad(past: DriveView) -> bool:
    """Whether a price is below zero there."""
    return b"-3" in (await past.get(PRICES) or b"")


class TimeTravel(Lesson):
    """A drive of 67 versions, in the last of which a file was deleted."""

    number = 6
    title = "Time travel"
    predictions: ClassVar[Mapping[str, Prediction]] = {
        "deleted": Prediction(
            'After the deletion, `await drive[66].get("/notes.md")` is: "the bytes", "None" or "an error"?',
            (
                ("None", "It is None in the present. In version 66 nobody had deleted anything."),
                ("an error", "The past can be read like the present; it only cannot be changed."),
            ),
        ),
        "version": Prediction(
            "You put the old bytes back. Which version is the drive then: 66, 67 or 68?",
            (
                (66, "One does not go back: what happened in 67 stays in the history."),
                (67, "67 is there already, and is not rewritten: each change makes a version of its own."),
            ),
        ),
        "looks": Prediction(
            "How many versions are looked at to find the first bad one of 67?",
            (
                (67, "Nobody reads them all: each look halves what is left."),
                (33, "A look in the middle takes away half, and the next one half of that."),
                (66, "Nobody reads them all: each look halves what is left."),
            ),
        ),
    }
    answers: ClassVar[Mapping[str, str]] = {
        "kept": "Versions are kept by peers, not by magic: a drive's history is readable while somebody has its bytes."
    }

    def prepare(self) -> None:
        """A drive whose key repeats."""
        self.store = self.new_store("yours", bytes([6]) * KEY_SIZE)
        self.drive = self.run(self._make())

    async def _make(self) -> Drive:
        drive = await Drive.open(self.store)
        await drive.put(NOTES, CONTENTS)
        for version in range(FIRST, LAST + 1):
            await drive.put(PRICES, f"item,price\nrope,{price(version)}\n".encode())
        await drive.delete(NOTES)
        return drive

    @check(
        "restored",
        kind=None,
        hints=(
            Hint(
                "other path", "There is a new file, at another path: it was called /notes.md.", "await drive.history()"
            ),
            Hint(
                "still none",
                "Version 66 has it, the present does not: reading the past changes nothing.",
                "await drive.diff(66)",
            ),
            Hint(
                "other bytes",
                "It is there with other bytes: `get` gives bytes, put just those.",
                "await drive.compare('/notes.md', 66, drive.version)",
            ),
            Hint(
                "other",
                "Put what drive[66] has at /notes.md back to the same path.",
                "await drive[66].get('/notes.md')",
            ),
        ),
        solution='await drive.put("/notes.md", await drive[66].get("/notes.md"))\nlesson.check("restored")',
    )
    async def restored(self) -> Said:
        """The present has the file again, with the bytes of version 66."""
        now, then = await self.drive.get(NOTES), await self.drive.checkout(LAST).get(NOTES)
        if now == then:
            return "the deletion is still in the history, at version 67; restoring made a new version."
        others = [entry.path async for entry in self.drive.list() if entry.path not in (NOTES, PRICES)]
        likely = {"other path": now is None and bool(others), "still none": now is None, "other bytes": now is not None}
        return self.hint("restored", first(likely))

    @check(
        "broke",
        kind=Kind("the number of a version", lambda answer: answer is None or is_number(answer)),
        hints=(
            Hint(
                "last good",
                "That is the last good one. The first bad one is wanted.",
                "await drive.compare('/prices.csv', 39, 40)",
            ),
            Hint("present", "It is bad, but was the one before it good?", "await drive[66].get('/prices.csv')"),
            Hint(
                "none",
                "Your test does not hold at the present version; does it go on to hold, once it does?",
                "await bad(drive)",
            ),
            Hint("beyond", "There is no such version: they go from 1 to drive.version.", "drive.version"),
            Hint(
                "other",
                'Bisect with a test that is true from the first bad price on: b"-3" in its bytes.',
                "await drive.bisect(bad)",
            ),
        ),
        solution='lesson.check("broke", await drive.bisect(bad))',
    )
    async def broke(self, answer: Any) -> Said:
        """The version that broke the prices."""
        found = await self.drive.bisect(is_bad)
        if answer is not None and found is not None and int(answer) == found:
            return f"it took {len(found.looks)} looks; a million versions would need about 20."
        likely = {
            "none": answer is None,
            "last good": answer == BAD - 1,
            "beyond": answer is not None and not 1 <= answer <= self.drive.version,
            "present": answer is not None and answer > BAD,
        }
        return self.hint("broke", first(likely))
