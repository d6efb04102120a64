"""Lesson 4: a few hashes and one signature bind each block to its author; who has the key can check them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.lab.lessons.checks import NUMBERS, Hint, Kind, NotRun, Said, check, first
from linkup_nb.lab.lessons.frame import Lesson, Prediction
from linkup_nb.lab.lessons.tampering import copy_changed
from linkup_nb.wire.keys import KEY_SIZE

BLOCK = 4  # the block that the lesson is about
_WITNESSES = {"get", "audit", "proof 4", "proof 5"}


def _are_names(answer: object) -> bool:
    return isinstance(answer, list | tuple | set | frozenset) and set(answer) <= _WITNESSES


class LogThatCannotLie(Lesson):
    """A store of your own, and another peer that has nothing of it."""

    number = 4
    title = "The log that cannot lie"
    predictions: ClassVar[Mapping[str, Prediction]] = {
        "siblings": Prediction(
            "Which nodes have to come with block 4, which is node 8, so that anybody can check it?",
            (
                ([9, 11, 7], "That is the path up: whoever verifies computes these. They lack what stands beside it."),
                ([10, 13], "These lead to node 11; half of the way. What covers blocks 0 to 3?"),
                ([10, 13, 3, 17], "The other root comes too, beside these three: all roots are signed together."),
            ),
        ),
        "notices": Prediction(
            'A thief writes "day X" over block 4 on the disk. Who notices: "get", "audit", "proof 4", "proof 5"?',
            (
                (["get"], "Reading trusts one's own disk: it gives what stands there."),
                (["get", "audit", "proof 4", "proof 5"], "Block 5 needs only the hash of block 4, which is unharmed."),
                (["audit", "proof 4", "proof 5"], "One tree is not all void: only what is hashed on the way is."),
            ),
        ),
        "old proof": Prediction(
            "Does the old proof of block 4 still verify, once day 10 is appended: True or False?",
            ((False, "The head of ten blocks was signed, and stays signed: a longer log does not undo it."),),
        ),
    }
    answers: ClassVar[Mapping[str, str]] = {
        "signature": "No root is sent: the verifier hashes its way up to one. A wrong block leads to another root, and"
        " the author has signed no tree with that."
    }

    def prepare(self) -> None:
        """A store whose keys repeat, and two peers."""
        self.net = self.network(2, seed=4)
        self.store = self.new_store("yours", bytes([4]) * KEY_SIZE)
        self._broken: Core | None = None
        self._copies = 0

    def tamper(self, core: Core, block: int, value: bytes, *, mend: bool = False) -> Core:
        """A copy of a log on the disk, in which a thief has written other bytes over a block; yours stays whole.

        With `mend` the thief has also put the hash there that these bytes have.
        """
        self._copies += 1
        folder = self.folder(f"copy {self._copies}")
        broken = self.run(self._open_copy(core, folder, block, value, mend=mend))
        if not mend and block == BLOCK:
            self._broken = broken
        return broken

    async def _open_copy(self, core: Core, folder: Path, block: int, value: bytes, *, mend: bool) -> Core:
        copy_changed(self.store.path, folder, core.key, block, value, mend=mend)
        store = Corestore(folder, primary_key=bytes(KEY_SIZE))
        await store.open()
        self.closes(lambda: self.run(store.close()))
        return await store.core(key=core.key)

    @check(
        "siblings",
        kind=NUMBERS,
        hints=(
            Hint(
                "path",
                "These are above block 4; a verifier computes them itself. Which does it lack?",
                "(await core.tree()).path(4)",
            ),
            Hint("blocks", "Block numbers: in the tree block i is node 2·i, and parents are odd.", "await core.tree()"),
            Hint(
                "no root", "Right so far: it ends at node 11. What covers blocks 0 to 3?", "(await core.tree()).path(4)"
            ),
            Hint(
                "from the top", "The right three, from the top; hashing starts at the leaf.", "proof.proof.block.nodes"
            ),
            Hint(
                "other root",
                "Those three and a root more: that one comes with the signature, for all roots are signed together.",
                "proof.proof.upgrade.nodes",
            ),
            Hint(
                "other",
                "Start at node 8 and climb: write down the other child each time.",
                "(await core.tree()).path(4)",
            ),
        ),
        solution="lesson.check('siblings', [node.index for node in (await core.proof(4)).proof.block.nodes])",
    )
    async def siblings(self, answer: Any) -> Said:
        """The nodes that prove block 4."""
        async with await self.store.core(name="diary") as core:
            if core.length <= BLOCK:
                raise NotRun("Your diary has no block 4 yet: run the cell that appends the days.")
            block = (await core.proof(BLOCK)).proof.block
            assert block
            wanted = [node.index for node in block.nodes]
            roots, length = list(flat.roots(core.length)), core.length
        given = list(answer)
        if given == wanted:
            return f"{len(wanted)} hashes prove one block of {length}; 16 would do for 100,000."
        path = [2 * BLOCK]
        while path[-1] not in roots:
            path.append(flat.parent(path[-1]))
        likely = {
            "path": given in (path, path[1:]),
            "blocks": given in ([BLOCK + 1], [BLOCK, BLOCK + 1], [5, 6, 7]),
            "no root": given == wanted[:-1],
            "from the top": given == wanted[::-1],
            "other root": set(given) == {*wanted, *(root for root in roots if root not in path)},
        }
        return self.hint("siblings", first(likely))

    @check(
        "notices",
        kind=Kind('a set of some of "get", "audit", "proof 4" and "proof 5"', _are_names),
        hints=(
            Hint("get", "`get` gives what the disk has: b'day X', without a word.", "await broken.get(4)"),
            Hint(
                "proof of 5",
                "Its sibling is the hash of block 4, and that one is unharmed.",
                "(await broken.tree()).path(5)",
            ),
            Hint(
                "only audit",
                "Ask for the proof of 4 again, and verify it.",
                "await broken.verify(await broken.proof(4))",
            ),
            Hint("only proof", "An audit hashes every block again. What does it say?", "await broken.audit()"),
            Hint("other", "Try each of the four on `broken`, and write down who complains.", "await broken.audit()"),
        ),
        solution="lesson.check('notices', {'audit', 'proof 4'})",
    )
    async def notices(self, answer: Any) -> Said:
        """Who notices that the thief was there: all four are asked."""
        if self._broken is None:
            raise NotRun('Nobody has tampered with block 4 yet: run lesson.tamper(core, 4, b"day X").')
        noticed = await _who_notices(self._broken, BLOCK)
        given = set(answer)
        if given == noticed:
            return "one's own disk is trusted when reading; what comes from a peer is checked before it is kept."
        likely = {
            "get": "get" in given,
            "proof of 5": "proof 5" in given,
            "only audit": given == {"audit"},
            "only proof": given == {"proof 4"},
        }
        return self.hint("notices", first(likely))


async def _who_notices(broken: Core, block: int) -> set[str]:
    noticed = {f"proof {number}" for number in (block, block + 1) if not await _verifies(broken, number)}
    if (await broken.audit()).faults:
        noticed.add("audit")
    return noticed


async def _verifies(core: Core, block: int) -> bool:
    try:
        await core.verify(await core.proof(block))
    except InvalidProof:
        return False
    return True
