"""Text that a stranger wrote, made safe to show.

Markdown is CommonMark with GitHub's tables and strikethrough, as a chat has it (see `dialect`). Raw HTML stays text,
images become links, nothing is fetched. Formulas stay TeX within their delimiters, in a `span` of the class `lu-math`,
for the page to draw. What comes out has passed `nh3` with the tags and attributes named here, so it may be given to
`innerHTML`.
"""

import re
from collections.abc import Sequence
from functools import cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES

from linkup_nb.notebook.chat.dialect import keep_indents, speak_chat

MAX_SHOWN = 12_000  # characters of one message; the rest is named by a note, and is in the message object
MAX_LINES = 400  # lines of one message
MAX_HIGHLIGHT = 8_000  # characters of one code block; a longer one is shown in one colour
MAX_CODE_LINE = 200  # characters of a line of code, likewise: the lexers' regular expressions are worst on long lines
MAX_NESTING = 24  # quotes, lists and their items inside each other; a message with more is shown as it was typed
MAX_MARKS = 4  # accents stacked on one letter

# The lexers that a stranger may choose from: the slowest took 0.4 s for hostile text within these bounds. Of Pygments'
# 500 some take minutes (Java's took 2 s), and guessing the language would run them all.
_LEXERS = """
bash c c++ console cpp cs csharp css diff docker dockerfile go html ini javascript js json jsx julia kotlin latex lua
matlab perl php powershell py pycon pytb python r rb rs ruby rust scala sh shell sql swift tex toml ts tsx typescript
xml yaml yml zsh
"""
LANGUAGES = {name: name for name in _LEXERS.split()}
LANGUAGES |= dict.fromkeys(("py3", "python3", "ipython", "ipython3"), "python")

_TAGS = {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "span", "strong", "ul"}
_TAGS |= {"h1", "h2", "h3", "h4", "h5", "h6", "table", "tbody", "td", "th", "thead", "tr"}
_SCHEMES = {"http", "https", "mailto"}
_ALIGNMENTS = {"lu-left", "lu-center", "lu-right"}
_CLASSES = {
    "p": {"lu-cut"},
    "pre": {"lu-code"},
    "code": {f"language-{name}" for name in LANGUAGES},
    "span": {"lu-math", *(name for name in STANDARD_TYPES.values() if name)},
    "td": _ALIGNMENTS,
    "th": _ALIGNMENTS,
}

# Unicode's bidirectional controls, invisible characters, tags, controls other than tab and line feed (UAX 9, UTS 55).
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
# Emoji, Persian and Indic scripts need joiners; beside ASCII, or doubled, they only hide.
_JOINERS = re.compile("[\u200c\u200d]{2,}|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])")
_MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_MARKS = re.compile(f"({_MARK}{{{MAX_MARKS}}}){_MARK}+")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# One paragraph in which Markdown has nothing to do: no line ends, no marks, a start that opens no list or heading.
_PLAIN = re.compile(r"[^\W\d_][^\\`*_~\[\]<>&|$\n\t]*")


def clean(text: str) -> str:
    """Text without bidi controls, invisible and control characters, piled-up accents; line ends are `\\n`."""
    if text.isascii() and text.isprintable():
        return text
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    return text if text.isascii() else _MARKS.sub(r"\1", _JOINERS.sub("", text))


def plain(text: str) -> str | None:
    """The text itself, cleaned, when Markdown would make one unmarked paragraph of it; else `None`: `render` it."""
    if len(text) > MAX_SHOWN:
        return None
    text = clean(text).rstrip()
    return text if _PLAIN.fullmatch(text) and "://" not in text else None


def render(text: str) -> str:
    """Safe HTML for a stranger's Markdown; the classes are Pygments' short ones and our own `lu-…`."""
    shown, note = _cut(clean(text))
    tokens = _markdown().parse(shown)
    if not shown.strip() or any(token.level >= MAX_NESTING - 1 for token in tokens):
        return escape(text)
    # Cleaned again: an entity may have stood for what was taken out.
    html = clean(_markdown().renderer.render(tokens, _markdown().options, {})) + note
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        allowed_classes=_CLASSES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def escape(text: str) -> str:
    """HTML of the text as it was typed, line by line, for when Markdown would cost too much."""
    shown, note = _cut(clean(text))
    if not shown.strip():
        return '<p class="lu-cut">An empty message.</p>'
    return f"<p>{escapeHtml(keep_indents(shown)).replace(chr(10), '<br>')}</p>{note}"


def preformatted(text: str) -> str:
    """HTML of a text whose columns matter, as a terminal shows it."""
    shown, note = _cut(clean(text))
    return f"<pre>{escapeHtml(shown)}</pre>{note}"


def _cut(text: str) -> tuple[str, str]:
    shown = "\n".join(text[:MAX_SHOWN].split("\n", MAX_LINES)[:MAX_LINES])
    missing = len(text) - len(shown)
    return shown, f'<p class="lu-cut">… and {missing:,} more characters.</p>' if missing else ""


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt(
        "commonmark", {"html": False, "breaks": True, "maxNesting": MAX_NESTING, "highlight": _highlight}
    ).enable(["table", "strikethrough"])
    markdown.disable(["html_block", "html_inline", "reference"])
    markdown.validateLink = _link_allowed  # type: ignore[method-assign]
    speak_chat(markdown)
    markdown.add_render_rule("image", _image_as_link)
    markdown.add_render_rule("code_block", _code_block)
    for cell in ("th_open", "td_open"):
        markdown.add_render_rule(cell, _aligned_cell)
    return markdown


def _link_allowed(url: str) -> bool:
    scheme, colon, rest = url.partition(":")
    return bool(colon and rest) and scheme.lower() in _SCHEMES


def _image_as_link(_: object, tokens: Sequence[Token], index: int, options: object, environment: object) -> str:
    token = tokens[index]
    source = str(token.attrs["src"])
    return f'<a href="{escapeHtml(source)}">{escapeHtml(token.content or source)}</a>'


def _code_block(_: object, tokens: Sequence[Token], index: int, options: object, environment: object) -> str:
    return _highlight(tokens[index].content, "", "")


def _aligned_cell(_: object, tokens: Sequence[Token], index: int, options: object, environment: object) -> str:
    token = tokens[index]
    alignment = str(token.attrs.get("style", "text-align:left")).removeprefix("text-align:")
    return f'<{token.tag} class="lu-{alignment}">'


def _highlight(code: str, language: str, _: str) -> str:
    name = language.lower()
    if name not in LANGUAGES:
        return f'<pre class="lu-code"><code>{escapeHtml(code)}</code></pre>'
    small = len(code) <= MAX_HIGHLIGHT and max(map(len, code.split("\n"))) <= MAX_CODE_LINE
    body = highlight(code, _lexer(LANGUAGES[name]), _FORMATTER) if small else escapeHtml(code)
    return f'<pre class="lu-code"><code class="language-{name}">{body}</code></pre>'


@cache
def _lexer(name: str) -> Lexer:
    return get_lexer_by_name(name, stripnl=False)


_FORMATTER = HtmlFormatter(nowrap=True)
