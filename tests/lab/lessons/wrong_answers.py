"""Answers that learners give, in order, and the hint that each gets; "right" is the answer that is."""

from typing import NamedTuple


class Given(NamedTuple):
    """What a learner does: the source of a cell whose value is a verdict, and the name of the hint."""

    source: str
    hint: str


def checks(name: str, *answers: tuple[str, str]) -> list[Given]:
    """Answers to one check, as they stand in `lesson.check(name, …)`."""
    return [Given(f"lesson.check({name!r}, {answer})", hint) for answer, hint in answers]


BEFORE: dict[int, list[Given]] = {
    1: checks("ann", ("lesson.room.peers[0]", "not run")),
    2: [*checks("keepers", ("[3, 6, 2]", "not run")), Given("lesson.check('alone')", "not run")],
    3: checks("first", ("117", "not run")),
    4: checks("notices", ("{'audit'}", "not run")),
    7: [Given("lesson.check('same')", "not run"), *checks("concurrent", ("[]", "not run"))],
    8: [Given("lesson.check('eclipse')", "not run")],
}
"""What is asked before any other cell than the first has run."""

AFTER: dict[int, list[Given]] = {
    1: [
        *checks(
            "forged",
            ("1", "name"),
            ("3", "unknown"),
            ("[0, 1, 2, 3, 4]", "list"),
            ("5", "range"),
            (
                "next(n for n, m in enumerate(lesson.messages) if n % 2 == 0 and verify(m.text, m.signature, m.key))",
                "other",
            ),
            ("[verify(m.text, m.signature, m.key) for m in lesson.messages].index(False)", "right"),
        ),
        *checks(
            "ann",
            ("net[2].public_key", "impostor"),
            ("'Ann'", "text"),
            ("core.discovery_key", "discovery"),
            ("b'Ann'", "length"),
            ("ann", "other"),
            ("next(m for m in lesson.room.peers if m.key == lesson.address_book['Ann'])", "right"),
        ),
    ],
    2: [
        *checks(
            "keepers",
            ("[0]", "door"),
            ("[1]", "itself"),
            ("list(range(10))", "all"),
            ("[n for n in lesson.keepers() if n != 1][:2]", "some"),
            ("[4, 5]", "other"),
            ("[n for n in lesson.keepers() if n != 1]", "right"),
        ),
        Given("lesson.check('alone')", "same names"),
        Given("await net.add(names=[4]).swarm.join(lu.lab.topic('Library')); lesson.check('alone')", "other topic"),
        Given("net.add(names=[4]); lesson.check('alone')", "no topic"),
        Given(
            "net.revive(0); await net.add(names=[0]).swarm.join(topic); lesson.settle(); lesson.check('alone')",
            "old door",
        ),
        Given("net.kill(0); lesson.check('alone')", "right"),
    ],
    3: [
        *checks(
            "near",
            ("[204, 211, 200]", "difference"),
            ("[204, 134, 143]", "bits"),
            ("[204, 200, 188]", "oneself"),
            ("[193, 200, 204]", "order"),
            ("[204, 200]", "how many"),
            ("[1, 2, 3]", "other"),
            ("[204, 200, 193]", "right"),
        ),
        *checks(
            "first",
            ("33", "unknown"),
            ("165", "to you"),
            ("115", "same part"),
            ("2", "nobody"),
            ("188", "you"),
            ("156", "other"),
            ("117", "right"),
        ),
        *checks("k", ("3", "gone"), ("1", "fewer"), ("5", "more"), ("0", "bounds"), ("4", "right")),
    ],
    4: [
        *checks(
            "siblings",
            ("[9, 11, 7]", "path"),
            ("[8, 9, 11, 7]", "path"),
            ("[5]", "blocks"),
            ("[5, 6, 7]", "blocks"),
            ("[10, 13]", "no root"),
            ("[3, 13, 10]", "from the top"),
            ("[10, 13, 3, 17]", "other root"),
            ("[1, 2]", "other"),
            ("[10, 13, 3]", "right"),
        ),
        *checks(
            "notices",
            ("{'get', 'audit'}", "get"),
            ("['audit', 'proof 4', 'proof 5']", "proof of 5"),
            ("{'audit'}", "only audit"),
            ("{'proof 4'}", "only proof"),
            ("set()", "other"),
            ("{'audit', 'proof 4'}", "right"),
        ),
    ],
    5: [
        Given("fresh = await lesson.fresh(); lesson.check('exactly', fresh)", "none"),
        Given("await fresh.get(7, timeout=60); lesson.check('exactly', fresh)", "some"),
        Given("await fresh.get(50, timeout=60); lesson.check('exactly', fresh)", "other"),
        Given("[await fresh.get(i, timeout=60) for i in range(9)]; lesson.check('exactly', fresh)", "before"),
        Given("await (await fresh.download()).done(progress=False); lesson.check('exactly', fresh)", "all"),
        Given("lesson.check('exactly', lesson.author)", "author"),
        Given(
            "fresh = await lesson.fresh(); [await fresh.get(i, timeout=60) for i in (7, 42, 99)];"
            " lesson.check('exactly', fresh)",
            "right",
        ),
        *checks(
            "request",
            ("(tap, next(f.number for f in tap.frames if f.direction == 'received' and f.size > 4000))", "data"),
            ("lesson.asked_for(tap, 8)", "another"),
            ("(tap, 10**9)", "missing"),
            ("lesson.asked_for(tap, 7)", "right"),
        ),
    ],
    6: [
        Given("await drive.delete('/notes.md'); lesson.check('restored')", "still none"),
        Given("await drive.put('/old notes.md', notes); lesson.check('restored')", "other path"),
        Given("await drive.put('/notes.md', b'# Exped'); lesson.check('restored')", "other bytes"),
        Given("await drive.put('/notes.md', notes); lesson.check('restored')", "right"),
        *checks(
            "broke",
            ("39", "last good"),
            ("67", "present"),
            ("None", "none"),
            ("0", "beyond"),
            ("10", "other"),
            ("await drive.bisect(bad)", "right"),
        ),
    ],
    7: [
        Given("net.partition({0}, {1, 2}); lesson.check('same')", "cut"),
        Given("net.heal(); lesson.settle(); lesson.check('same')", "right"),
        *checks(
            "concurrent",
            ("[('not me', 'I will')]", "seen"),
            ("[('who brings cake?', 'not me')]", "question"),
            ("[]", "none"),
            ("[('I will, then', 'not me')]", "missing"),
            ("[('Ann', 'Bob')]", "texts"),
            ("[('I will, then', 'not me'), ('I will', 'I will, then')]", "right"),
        ),
    ],
    8: [
        *checks("two stories", ("(p, p)", "same twice"), ("(p, q)", "right")),
        Given("r = await y.proof(1); lesson.check('two stories', (p, r))", "growth"),
        Given("b = await lesson.book.proof(1); lesson.check('two stories', (p, b))", "two logs"),
        Given("lesson.check('two stories', (p, p._replace(fork=1)))", "forged"),
        Given(
            "await lesson.book.truncate(1); c = await lesson.book.proof(0); lesson.check('two stories', (b, c))", "fork"
        ),
        Given("[net.kill(n) for n in (32, 33, 34)]; lesson.check('eclipse')", "killed"),
        Given("[net.revive(n) for n in (32, 33, 34)]; lesson.check('eclipse')", "too few"),
        Given("await net[18].announce(topic, lesson.mine, k=8); lesson.check('eclipse')", "right"),
    ],
}
"""What is asked when all cells up to the checks have run."""

ALONE: dict[int, list[Given]] = {
    7: [Given("await lesson.rooms[0].send('who brings cake?'); lesson.settle(); lesson.check('same')", "fewer")],
    8: [Given("lesson.net.sybils(3, near='class'); lesson.check('eclipse')", "nobody told")],
}
"""What is done right after the first cell."""
