"""What Markdown means in a chat: rules for `markdown-it-py`, over those of CommonMark.

What people paste stays as it is: addresses whole, formulas, paths of Windows, the indentation of a line; and a year
begins no list.
"""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.rules_block import StateBlock, list_block
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

MAX_ADDRESS = 2_048  # characters of an address that becomes a link
MAX_TEX = 2_000  # characters of one formula; a longer one is text

_SCHEME = re.compile(r"(?<![^\W_])https?$", re.IGNORECASE)
_ADDRESS = re.compile(rf"https?://[^\s<>\"'`]{{1,{MAX_ADDRESS}}}", re.IGNORECASE)
_PAIRS = {")": "(", "]": "[", "}": "{"}
_LONG_NUMBER = re.compile(r" {0,3}\d{4,}[.)]")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_INDENT = re.compile(r"[ \t]*")
_FORMULAS = {"$$": "$$", r"\[": r"\]", r"\(": r"\)", "$": "$"}
_MARKS = "*_~`[]<|&$"  # a backslash before these is taken everywhere
_LINE_MARKS = "#>+-"  # before these, at the start of a line


def speak_chat(markdown: MarkdownIt) -> None:
    """Add the rules to a parser."""
    markdown.block.ruler.at("list", _list, {"alt": ["paragraph", "reference", "blockquote"]})
    markdown.block.ruler.before(
        "fence", "formula", _formula_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    markdown.core.ruler.after("block", "first_indent", _first_indent)
    markdown.inline.ruler.at("linkify", _bare_link)
    markdown.inline.ruler.at("newline", _newline)
    markdown.inline.ruler.at("escape", _escape)
    markdown.inline.ruler.before("escape", "formula", _formula)
    markdown.enable(["linkify"])
    markdown.add_render_rule("formula", _render_formula)


def keep_indents(text: str) -> str:
    """`text`, with no-break spaces at the start of its lines, which HTML keeps."""
    return "\n".join(_indent(line) + line.lstrip(" \t") for line in text.split("\n"))


def _indent(line: str) -> str:
    match = _INDENT.match(line)
    return "\u00a0" * len(match[0].expandtabs(4)) if match else ""


def _list(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """No list begins with a year."""
    line = state.src[state.bMarks[start] : state.eMarks[start]]
    return not _LONG_NUMBER.match(line) and list_block(state, start, end, silent)


def _first_indent(state: StateCore) -> None:
    """Keep the spaces before the first line of a paragraph; `_newline` keeps those before the others."""
    lines = state.src.split("\n")
    for token in state.tokens:
        if token.type == "inline" and token.level == 1 and token.map:
            indent = _indent(lines[token.map[0]])
            if lines[token.map[0]][len(indent) :].startswith(token.content[:1]):
                token.content = indent + token.content


def _newline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "\n":
        return False
    end = state.pos + 1
    while end < state.posMax and state.src[end] in " \t":
        end += 1
    if not silent:
        state.pending = state.pending.rstrip(" ")
        state.push("softbreak", "br", 0)
        state.pending += _indent(state.src[state.pos + 1 : end])
    state.pos = end
    return True


def _escape(state: StateInline, silent: bool) -> bool:
    """Take a backslash only where what follows would mean something without it."""
    source, pos = state.src, state.pos
    if source[pos] != "\\" or pos + 1 >= state.posMax:
        return False
    following = source[pos + 1]
    before = source[source.rfind("\n", 0, pos) + 1 : pos].strip()
    taken = (
        following in _MARKS
        or (following in _LINE_MARKS and not before)
        or (following in ".)" and before.isdigit())
        or source.startswith("![", pos + 1)
    )
    if taken:
        if not silent:
            token = state.push("text_special", "", 0)
            token.content, token.markup, token.info = following, "\\" + following, "escape"
        state.pos = pos + 2
    return taken


def _bare_link(state: StateInline, silent: bool) -> bool:
    """Make a link of an address, before anything in it is taken for emphasis."""
    source, pos = state.src, state.pos
    if silent or state.linkLevel > 0 or not source.startswith("://", pos):
        return False
    scheme = _SCHEME.search(state.pending)
    match = _ADDRESS.match(source, pos - len(scheme[0])) if scheme else None
    if not scheme or not match:
        return False
    before = source[match.start() - 1 : match.start()]
    address = _trimmed(match[0], "_" if before == "_" else "")
    href = state.md.normalizeLink(address)
    if address.endswith("//") or not state.md.validateLink(href):
        return False
    state.pending = state.pending[: -len(scheme[0])]
    state.push("link_open", "a", 1).attrs = {"href": href}
    state.push("text", "", 0).content = address
    state.push("link_close", "a", -1)
    state.pos = match.start() + len(address)
    return True


def _trimmed(address: str, mark: str) -> str:
    """An address without the punctuation of its sentence, and the brackets and emphasis around it."""
    while True:
        last = address[-1]
        alone = last in _PAIRS and address.count(last) > address.count(_PAIRS[last])
        if not alone and last not in ".,;:!?*~" + mark:
            return address
        address = address[:-1]


def _formula(state: StateInline, silent: bool) -> bool:
    found = _formula_at(state.src, state.pos)
    if found and not silent:
        state.push("formula", "span", 0).content = found
    state.pos += len(found)
    return bool(found)


def _formula_at(source: str, pos: int) -> str:
    """The formula that begins at `pos`, with its delimiters, or nothing.

    As in Pandoc's `tex_math_dollars`, a single dollar opens before no space and closes after none, nor before a digit:
    the prices in "from $5 to $10" are none.
    """
    opening = next((opening for opening in _FORMULAS if source.startswith(opening, pos)), None)
    if not opening:
        return ""
    closing = _FORMULAS[opening]
    start = pos + len(opening)
    end = source.find(closing, start, start + MAX_TEX + len(closing))
    while closing == "$" and end > start and source[end - 1] == "\\":
        end = source.find(closing, end + 1, start + MAX_TEX + 1)
    tex = source[start:end] if end > 0 else ""
    if not tex.strip() or _BLANK_LINE.search(tex):
        return ""
    if opening == "$" and (tex[0].isspace() or tex[-1].isspace() or source[end + 1 : end + 2].isdigit()):
        return ""
    return source[pos : end + len(closing)]


def _formula_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A formula on lines of its own, of which none is taken for a list or a heading."""
    begin = state.bMarks[start] + state.tShift[start]
    if not state.src.startswith(("$$", r"\["), begin) or state.sCount[start] - state.blkIndent > 3:
        return False
    found = _formula_at(state.src, begin)
    if not found:
        return False
    last = start + found.count("\n")
    if last >= end or state.src[begin + len(found) : state.eMarks[last]].strip():
        return False
    if not silent:
        state.line = last + 1
        state.push("paragraph_open", "p", 1)
        state.push("formula", "span", 0).content = state.getLines(start, last + 1, state.blkIndent, False).strip()
        state.push("paragraph_close", "p", -1)
    return True


def _render_formula(_: object, tokens: Sequence[Token], index: int, options: object, environment: object) -> str:
    return f'<span class="lu-math">{escapeHtml(tokens[index].content)}</span>'
