import html
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.notebook.chat import dialect, markup

BARE = "blockquote br em h1 h2 h3 h4 h5 h6 hr li s strong table tbody thead tr ul"
ALLOWED = {
    "a": {"href", "title", "target", "rel"},
    "ol": {"start"},
    **{tag: {"class"} for tag in ("p", "pre", "code", "span", "td", "th")},
    **{tag: set() for tag in BARE.split()},
}
LINK = 'target="_blank" rel="noopener noreferrer nofollow"'
NBSP = "\u00a0"
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def link(address: str, before: str = "", after: str = "") -> str:
    return f'<p>{before}<a href="{address}" {LINK}>{address}</a>{after}</p>\n'


class Inspector(HTMLParser):
    """Fails on anything that a message may not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= ALLOWED[tag]
        values = dict(attrs)
        if tag == "a":
            assert re.match(r"(?i)(https?|mailto):", values.get("href") or "http:")
            assert values["target"] == "_blank"
            assert values["rel"] == "noopener noreferrer nofollow"

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def inspect(rendered: str) -> str:
    inspector = Inspector()
    inspector.feed(rendered)
    inspector.close()
    return inspector.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**bold** *it* ~~gone~~ `a<b`", "<p><strong>bold</strong> <em>it</em> <s>gone</s> <code>a&lt;b</code></p>\n"),
        ("one\ntwo", "<p>one<br>\ntwo</p>\n"),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        ("[x](https://a.b)", f'<p><a href="https://a.b" {LINK}>x</a></p>\n'),
        ("see https://a.b/c_d_e.", f'<p>see <a href="https://a.b/c_d_e" {LINK}>https://a.b/c_d_e</a>.</p>\n'),
        ("<me@a.b>", f'<p><a href="mailto:me@a.b" {LINK}>me@a.b</a></p>\n'),
        ("![a cat](https://a.b/c.png)", f'<p><a href="https://a.b/c.png" {LINK}>a cat</a></p>\n'),
        ("![](https://a.b/c.png)", f'<p><a href="https://a.b/c.png" {LINK}>https://a.b/c.png</a></p>\n'),
        ("<b onclick=x>hi</b>", "<p>&lt;b onclick=x&gt;hi&lt;/b&gt;</p>\n"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>\n"),
        ("[x](data:text/html,hi)", "<p>[x](data:text/html,hi)</p>\n"),
        ("[x](//a.b)", "<p>[x](//a.b)</p>\n"),
        ("```\na < b\n```", '<pre class="lu-code"><code>a &lt; b\n</code></pre>\n'),
        ("```nonsense\na\n```", '<pre class="lu-code"><code>a\n</code></pre>\n'),
        ('```"><script>\na\n```', '<pre class="lu-code"><code>a\n</code></pre>\n'),
        (
            "```python\nx = 1\n```",
            '<pre class="lu-code"><code class="language-python"><span class="n">x</span> <span class="o">=</span>'
            ' <span class="mi">1</span>\n</code></pre>\n',
        ),
        (
            "|a|b|\n|:-|-:|\n|1|2|",
            '<table>\n<thead>\n<tr>\n<th class="lu-left">a</th>\n<th class="lu-right">b</th>\n</tr>\n</thead>\n'
            '<tbody>\n<tr>\n<td class="lu-left">1</td>\n<td class="lu-right">2</td>\n</tr>\n</tbody>\n</table>\n',
        ),
        # Addresses are whole, and nothing in them is emphasis.
        ("https://a.b/pkg/__init__.py", link("https://a.b/pkg/__init__.py")),
        ("(see https://a.b/Set_(mathematics).)", link("https://a.b/Set_(mathematics)", "(see ", ".)")),
        ("https://a.b/p/vhIPYQjX8_", link("https://a.b/p/vhIPYQjX8_")),
        ("HTTPS://a.b/C", link("HTTPS://a.b/C")),
        ("[see https://a.b]", link("https://a.b", "[see ", "]")),
        ("_https://a.b/c_", link("https://a.b/c", "<em>", "</em>")),
        ("**https://a.b/__x__**", link("https://a.b/__x__", "<strong>", "</strong>")),
        ("[https://a.b](https://c.d)", f'<p><a href="https://c.d" {LINK}>https://a.b</a></p>\n'),
        # What people paste stays as it is.
        ("for i in a:\n    print(i)\n\tx", f"<p>for i in a:<br>\n{4 * NBSP}print(i)<br>\n{4 * NBSP}x</p>\n"),
        ("  a\n b", f"<p>{2 * NBSP}a<br>\n{NBSP}b</p>\n"),
        ("2024. What a year", "<p>2024. What a year</p>\n"),
        ("so\n2024) what", "<p>so<br>\n2024) what</p>\n"),
        (r"\\server\share", r"<p>\\server\share</p>" + "\n"),
        ("C:\\a.b\\(c)\\\nd", "<p>C:\\a.b\\(c)\\<br>\nd</p>\n"),
        (r"\*a\* \_b\_ \[c](http:d) \`e\`", "<p>*a* _b_ [c](http:d) `e`</p>\n"),
        ("\\# a\n1\\. b\n\\- c", "<p># a<br>\n1. b<br>\n- c</p>\n"),
        # Formulas are TeX, with their delimiters.
        ("so $x_1 * y_2 * z$!", '<p>so <span class="lu-math">$x_1 * y_2 * z$</span>!</p>\n'),
        (r"\(a<b\)", r'<p><span class="lu-math">\(a&lt;b\)</span></p>' + "\n"),
        ("a $$x$$ b", '<p>a <span class="lu-math">$$x$$</span> b</p>\n'),
        ("a\n$$\nx\n- y\n$$\nb", '<p>a</p>\n<p>\n<span class="lu-math">$$\nx\n- y\n$$</span></p>\n<p>b</p>\n'),
        ("\\[\n= x\n\\]", '<p>\n<span class="lu-math">\\[\n= x\n\\]</span></p>\n'),
        (r"$a \$ b$", r'<p><span class="lu-math">$a \$ b$</span></p>' + "\n"),
        ("from $5 to $10, $ x $ \\$a$", "<p>from $5 to $10, $ x $ $a$</p>\n"),
        ("`$x$`", "<p><code>$x$</code></p>\n"),
        ("$a\n\nb$", "<p>$a</p>\n<p>b$</p>\n"),
        ("\u200b\u2060 \n", '<p class="lu-cut">An empty message.</p>'),
    ],
)
def test_markdown_becomes_safe_html(text: str, expected: str) -> None:
    rendered = markup.render(text)
    # Pygments marks blanks in some versions; what they look like is the same.
    rendered = rendered.replace("&nbsp;", NBSP)
    assert re.sub(r'<span class="w">( *)</span>', r"\1", rendered) == expected
    inspect(rendered)


@pytest.mark.parametrize("language", ["python", "py", "python3", "ipython", "ipython3", "Python"])
def test_python_code_is_highlighted_by_classes(language: str) -> None:
    assert '<span class="kn">import</span>' in markup.render(f"```{language}\nimport os\n```")


def test_what_is_shown_as_typed_keeps_its_indentation() -> None:
    assert markup.escape(" a\n\tb") == f"<p>{NBSP}a<br>{4 * NBSP}b</p>"


def test_an_address_or_a_formula_over_the_bounds_is_no_link_and_none() -> None:
    assert markup.render("https://" + "a" * (dialect.MAX_ADDRESS + 10)).count("a" * dialect.MAX_ADDRESS + "</a>") == 1
    assert "lu-math" in markup.render(f"${'x' * dialect.MAX_TEX}$")
    assert "lu-math" not in markup.render(f"${'x' * (dialect.MAX_TEX + 1)}$")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "[a](<javascript:alert(1)>)",
        "[a](JaVaScRiPt:alert(1))",
        "[a](java\tscript:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a](\\javascript:alert(1))",
        '[a](https://a.b/" onmouseover="alert(1))',
        "[a](https://a.b \"' onmouseover='alert(1)\")",
        "[a](https://a.b '\"><img src=x onerror=alert(1)>')",
        '!["><img src=x onerror=alert(1)>](https://a.b)',
        "![x](data:image/svg+xml;base64,PHN2Zy8+)",
        "[![x](javascript:alert(1))](javascript:alert(1))",
        "<https://a.b/<script>>",
        "<javascript:alert(1)>",
        "<vbscript:a>",
        'https://a.b/"><script>alert(1)</script>',
        "`<script>`",
        "    <script>alert(1)</script>",
        "```html\n<script>alert(1)</script><!-- x -->\n```",
        "```python onload=alert(1)\nx\n```",
        "|<script>|\n|-|\n|<img src=x>|",
        "<!-- <script> -->",
        "<![CDATA[<script>]]>",
        "<?php ?>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<style>*{background:url(https://evil)}</style>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<a href='https://a.b' id=x style='position:fixed'>x</a>",
        "\x00<scr\x00ipt>",
        "<scr\u200bipt>alert(1)</scr\u200bipt>",
    ],
)
def test_nothing_of_a_hostile_text_is_live(text: str) -> None:
    inspect(markup.render(text))
    inspect(markup.escape(text))


MARKDOWN = st.text(
    alphabet=st.sampled_from(list("ab1 \n\t#*_~`>|-+.()[]<>!&;:/\\\"'=$xhttps\u202e\u200b\u0301")), max_size=80
)


@given(MARKDOWN | st.text(max_size=80))
def test_any_text_renders_to_harmless_html(text: str) -> None:
    shown = inspect(markup.render(text))
    assert not set(shown) & set(BIDI)


@given(MARKDOWN | st.text(max_size=80))
def test_the_fast_path_says_what_markdown_would(text: str) -> None:
    plain = markup.plain(text)
    if plain is not None:
        assert re.fullmatch(r"<p>[^<]*</p>\n", rendered := markup.render(text))
        assert html.unescape(rendered)[3:-5] == plain


def test_an_everyday_sentence_takes_the_fast_path() -> None:
    assert markup.plain("Shall we meet at 10:30? I'm free (mostly).") == "Shall we meet at 10:30? I'm free (mostly)."
    assert markup.plain("see https://a.b") is None


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\u202eb\u2066c\u200fd", "abcd"),
        ("pay\u200bpal \ufeffhere\u00ad", "paypal here"),
        ("a\r\nb\u2028c\x0bd", "a\nb\nc\nd"),
        ("a\x1b[31mb\x7f", "a[31mb"),
        ("a\ud800b", "ab"),
        ("👩\u200d💻 क्\u200dष", "👩\u200d💻 क्\u200dष"),
        ("a\u200db \u200d", "ab "),
        ("z" + "\u0301" * 50, "z" + "\u0301" * markup.MAX_MARKS),
        ("a\U000e0041b", "ab"),
    ],
)
def test_what_misleads_the_eye_is_taken_out(text: str, cleaned: str) -> None:
    assert markup.clean(text) == cleaned


def test_entities_smuggle_nothing_past_the_cleaning() -> None:
    assert markup.render("a&#x202e;b&#8203;c") == "<p>abc</p>\n"


def test_a_long_message_is_cut_with_a_note() -> None:
    rendered = markup.render("word " * markup.MAX_SHOWN)
    missing = 4 * markup.MAX_SHOWN
    assert rendered.endswith(f'<p class="lu-cut">… and {missing:,} more characters.</p>')
    assert len(inspect(rendered)) < markup.MAX_SHOWN + 100


def test_a_message_of_many_lines_is_cut_with_a_note() -> None:
    rendered = markup.render("a\n" * (markup.MAX_LINES + 5))
    assert rendered.count("<br>") == markup.MAX_LINES - 1
    assert 'class="lu-cut"' in rendered


def test_code_over_the_bounds_is_shown_in_one_colour() -> None:
    long = "\n".join(["x = 1"] * 300) + "\n" + "y = 2 # " * (markup.MAX_HIGHLIGHT // 8)
    wide = "x" * (markup.MAX_CODE_LINE + 1)
    for code in (long, wide):
        rendered = markup.render(f"```python\n{code}\n```")
        assert 'class="language-python"' in rendered
        assert "<span" not in rendered


def test_deep_nesting_is_shown_as_it_was_typed() -> None:
    assert "<blockquote>" in markup.render("> " * (markup.MAX_NESTING - 3) + "deep")
    assert markup.render("> " * 100 + "deep") == f"<p>{'&gt; ' * 100}deep</p>"


PIECES = (
    r"[ * > ` _ **a [a]( ![ - 1. |a ~~a < &amp; *a_ [[] a**b <a@ http:// http://a \ "
    r"$a $ \( $$ \n \t ```\n a\n> |\n-\n ]( -a **b"
)


@pytest.mark.parametrize("end", ["", " "])
@pytest.mark.parametrize(
    "piece", [*PIECES.replace(r"\n", "\n").replace(r"\t", "\t").split(" "), "```python\n(", "\u0301"]
)
def test_pathological_markdown_takes_little_time(piece: str, end: str) -> None:
    text = (piece + end) * (100_000 // len(piece + end))
    # The slowest is rendered in 0.2 s; one that takes the square of its length would need minutes.
    assert min(_seconds(text) for _ in range(3)) < 2  # the best of three: the garbage of other tests is not its own


def _seconds(text: str) -> float:
    start = time.thread_time()
    markup.render(text)
    return time.thread_time() - start
