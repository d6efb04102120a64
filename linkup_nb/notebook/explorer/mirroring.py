"""What a mirror did or would do, in one sentence."""

from collections import Counter

from linkup_nb.hyperdrive.mirror import Action, Steps
from linkup_nb.notebook.chat.markup import clean

MAX_SKIPPED = 3  # paths that were left alone and are named
MAX_PATH = 80  # characters of one

_WORDS = {Action.ADD: ("add", "added"), Action.CHANGE: ("change", "changed"), Action.REMOVE: ("remove", "removed")}


def mirrored(steps: Steps, where: str, *, dry: bool) -> str:
    """So many files added, changed and removed, and what was left alone."""
    counts = Counter(step.action for step in steps)
    parts = [f"{words[not dry]} {counts[action]:,}" for action, words in _WORDS.items() if counts[action]]
    if not parts:
        sentence = f"{clean(where)} is the same already."
    else:
        size = sum(step.size for step in steps if step.action is not Action.REMOVE)
        files = f"{', '.join(parts)} {'file' if len(steps) == 1 else 'files'} in {clean(where)}: {size:,} bytes."
        sentence = f"It would {files}" if dry else files[0].upper() + files[1:]
    for skipped in steps.skipped[:MAX_SKIPPED]:
        sentence += f" Left alone: {clean(skipped.path)[:MAX_PATH]} ({clean(skipped.reason)[:MAX_PATH]})."
    more = len(steps.skipped) - MAX_SKIPPED
    return sentence + (f" And {more:,} more." if more > 0 else "")
