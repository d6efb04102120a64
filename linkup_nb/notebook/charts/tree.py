"""The Merkle tree of a log: its nodes as the flat tree numbers them, each over what it hashes.

Nodes stand in the order of their numbers, so that no two edges cross; of a large log the gaps are left out.
"""

from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.tree import NodeState, Tree, TreeNode, tree_of_proof
from linkup_nb.notebook.charts.card import (
    BLUE,
    GREEN,
    ORANGE,
    PAPER,
    SHADE,
    VERMILION,
    WIDTH,
    Picture,
    Row,
    card,
    labels,
    legend,
    listed,
    points,
    rules,
)
from linkup_nb.notebook.charts.ids import count
from linkup_nb.wire.keys import short_key

MAX_LISTED = 24  # numbers in the words of a picture
_TOP = 14  # pixels around the outermost nodes
_LEVELS = 330  # pixels at most for all levels
_LEVEL, _STEP = 44, 30  # pixels between two levels, and between two nodes, at most
_INSIDE = 1000  # numbers from here on stand beside their nodes
_SIZE, _SMALL = 330, 110  # square pixels of a node with its number inside, and of one without

_STATES: dict[NodeState, tuple[str, str, str]] = {  # fill, glyph, meaning
    NodeState.HELD: (BLUE, "", "here"),
    NodeState.ABSENT: (PAPER, "", "not here"),
    NodeState.WANTED: (BLUE, "?", "wanted"),
    NodeState.SIBLING: (ORANGE, "+", "comes with it"),
    NodeState.ROOT: (ORANGE, "+", "comes with it"),
    NodeState.COMPUTED: (GREEN, "=", "computed"),
    NodeState.CHANGED: (VERMILION, "≠", "changed"),
}
_REST = (SHADE, "", "not needed")
_KINDS = {"block": "square", "hash": "circle", "root": "diamond"}


def tree(of: Tree) -> Picture:
    """The picture of a tree, or of the path of its wanted block."""
    return _draw(of, None)


def proof(evidence: Evidence) -> Picture | None:
    """The picture of a proof: what it holds, and what its verifier computes; `None` for one of no block."""
    found = tree_of_proof(evidence)
    block = evidence.proof.block
    if not found or not block:
        return None
    try:
        evidence.check()
    except InvalidProof:
        return _draw(found.path(block.index), "It is not genuine: its author did not sign this.")
    return _draw(found.path(block.index), "It is genuine: its author has signed the roots together.")


def _draw(of: Tree, verdict: str | None) -> Picture:
    marks = _marks(of)
    top = max([0, *(flat.depth(node.index) for node in of.nodes)])
    places = {row["node"]: row for row in marks}
    edges = [
        {"x": places[child]["x"], "y": places[child]["y"], "x2": row["x"], "y2": row["y"]}
        for row in marks
        if row["node"] & 1
        for child in flat.children(row["node"])
        if child in places
    ]
    layers = [rules(edges, width=1.2), points(marks, ("node", "kind", "state", "bytes", "hash", "over"))]
    foot = round(_TOP + _level(top) * top) + 36
    if _room_inside(of):
        white = [_label(row) for row in marks if row["fill"] == BLUE]
        layers.append(labels(white, align="center", colour=PAPER, size=10))
        layers.append(labels([_label(row) for row in marks if row["fill"] != BLUE], align="center", size=10))
    else:
        leaves = [row for row in marks if not row["node"] & 1]
        left, right = _beside([row for row in marks if row["node"] & 1])
        layers.append(labels([_label(row, dy=8) for row in leaves], align="right", angle=270, size=10))
        layers.append(labels([_label(row, dx=-9) for row in left], align="right", size=10))
        layers.append(labels([_label(row, dx=14 if row["glyph"] else 9) for row in right], size=10))
        foot += 6 * len(str(max([0, *places])))
    layers.append(labels([_glyph(row) for row in marks if row["glyph"]], align="center", bold=True, size=13))
    layers += [*legend(_kinds(marks), foot), *legend(_meanings(marks), foot + 22)]
    title = f"Merkle tree of {count(of.length, 'block')}"
    if of.wanted is not None:
        title = f"Proof of block {of.wanted:,} of {of.length:,}"
    whole = of.wanted is not None or of.end - of.start == of.length
    part = "" if whole else f"; {_shown(of)}"
    return card(foot + 30, title, f"log {short_key(of.key)}, fork {of.fork}{part}", layers, _lines(of, title, verdict))


def _shown(of: Tree) -> str:
    return f"blocks {of.start:,} to {of.end - 1:,}, and what leads to their root"


def _step(of: Tree) -> float:
    return min(_STEP, (WIDTH - 2 * _TOP) / max(1, len(of.nodes) - 1))


def _room_inside(of: Tree) -> bool:
    """Whether every number fits into its node."""
    return _step(of) >= 14 and all(node.index < _INSIDE for node in of.nodes)


def _marks(of: Tree) -> list[Row]:
    top = max([0, *(flat.depth(node.index) for node in of.nodes)])
    level = _level(top)
    size = _SIZE if _room_inside(of) else _SMALL
    return [
        {
            "node": node.index,
            "x": round(_TOP + place * _step(of), 1),
            "y": round(_TOP + level * (top - flat.depth(node.index)), 1),
            "state": str(node.state),
            "kind": _kind(of, node),
            "shape": _KINDS[_kind(of, node)],
            "size": 2 * size if node.index in of.roots else size,
            "bytes": None if node.size is None else f"{node.size:,}",
            "hash": node.hash.hex()[:8] if node.hash else None,
            "over": _blocks(node.index, of.length),
        }
        | dict(zip(("fill", "glyph", "meaning"), _look(of, node), strict=True))
        for place, node in enumerate(of.nodes)
    ]


def _level(top: int) -> float:
    return min(_LEVEL, _LEVELS / top) if top else 0


def _kind(of: Tree, node: TreeNode) -> str:
    return (
        "root"
        if node.index in of.roots
        else "block"
        if not node.index & 1 and (node.block or not node.hash)
        else "hash"
    )


def _look(of: Tree, node: TreeNode) -> tuple[str, str, str]:
    return _REST if of.wanted is not None and node.state is NodeState.HELD else _STATES[node.state]


def _blocks(index: int, length: int) -> str:
    first, last = flat.left_span(index) // 2, min(flat.right_span(index) // 2, length - 1)
    return f"block {first:,}" if first == last else f"blocks {first:,} to {last:,}"


def _label(row: Row, *, dx: float = 0, dy: float = 0) -> Row:
    return {"x": round(row["x"] + dx, 1), "y": round(row["y"] + dy, 1), "label": str(row["node"])}


def _glyph(row: Row) -> Row:
    far = 13 if row["size"] >= _SIZE else 7
    return {"x": row["x"] + far, "y": row["y"] - far + 2, "label": row["glyph"]}


def _beside(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Those with room for a number on their left, and others with room on their right."""
    left, right = [], []
    for y in sorted({row["y"] for row in rows}):
        level = [row for row in rows if row["y"] == y]
        taken = 0.0  # up to where there is something on this level
        for row, after in zip(level, [*[one["x"] for one in level[1:]], WIDTH], strict=True):
            wide = 6 * len(str(row["node"])) + 10
            end = row["x"] + 8
            if row["x"] - wide > taken:
                left.append(row)
            elif row["x"] + wide < after - 8:
                right.append(row)
                end = row["x"] + wide
            taken = end
    return left, right


def _kinds(marks: list[Row]) -> list[Row]:
    names = {"block": "leaf with its block", "hash": "only a hash", "root": "root"}
    used = {row["kind"] for row in marks}
    return [{"shape": _KINDS[kind], "fill": PAPER, "size": 90, "label": names[kind]} for kind in _KINDS if kind in used]


def _meanings(marks: list[Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for fill, glyph, meaning in (*_STATES.values(), _REST):
        if any(row["meaning"] == meaning for row in marks):
            label = f"{glyph} {meaning}" if glyph else meaning
            found.setdefault(meaning, {"shape": "circle", "fill": fill, "size": 90, "label": label})
    return list(found.values())


def _lines(of: Tree, title: str, verdict: str | None) -> list[str]:
    def those(*states: NodeState) -> list[int]:
        return [node.index for node in of.nodes if node.state in states]

    roots = f"{'root' if len(of.roots) == 1 else 'roots'} {listed(of.roots, MAX_LISTED)}"
    absent, changed = those(NodeState.ABSENT), those(NodeState.CHANGED)
    if of.wanted is None:
        lines = [f"{title}: {roots}, {count(of.depth + 1, 'level')}." if of.length else f"{title}: nothing is in it."]
        if of.end - of.start < of.length:
            lines.append(f"Shown are {len(of.nodes)} of its nodes: {_shown(of)}.")
        here = [node.index // 2 for node in of.nodes if node.block and of.start <= node.index // 2 < of.end]
        some = f": {listed(here, MAX_LISTED)}" if 0 < len(here) < of.end - of.start else ""
        lines.append(f"Of {count(of.end - of.start, 'block')} shown, {len(here)} are here{some}.")
    else:
        others = [root for root in of.roots if root not in (*of.computed, 2 * of.wanted)]
        beside = f", beside {'root' if len(others) == 1 else 'roots'} {listed(others, MAX_LISTED)}" if others else ""
        with_it = listed(of.siblings, MAX_LISTED) or "no sibling"
        lines = [f"{title}: leaf {2 * of.wanted} comes with {with_it}{beside}."]
        lines.append(f"Its verifier computes {listed(of.computed, MAX_LISTED) or 'nothing more'}.")
    if absent:
        lines.append(f"Not here: {listed(absent, MAX_LISTED)}.")
    if changed:
        lines.append(
            f"Changed: {listed(changed, MAX_LISTED)}. Hashing what is here gives other hashes than those that are kept."
        )
    return [*lines, *([verdict] if verdict else [])]
