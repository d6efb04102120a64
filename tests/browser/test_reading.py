"""What is written is read as it was meant: by everybody's colours, in both directions, in tables and in formulas."""

import io
import unicodedata
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Notebook
from tests.browser.test_views import SCREENSHOTS
from tests.peer import Peer

ARABIC_NAME = "محمد عبد الرحمن بن سليمان الأندلسي القرطبي"
MIXED = "مرحبا بالعالم\nand English\n\nA paragraph in English\n\n- مرحبا\n- hello"
NUMBER = "1234567.123456"
TABLE = "|a|b|c|d|e|f|\n|-:|-:|-:|-:|-:|-:|\n" + f"|{'|'.join([NUMBER] * 6)}|\n" * 2
MIN_CONTRAST = 3.0  # of icons and marks: https://www.w3.org/TR/WCAG22/#non-text-contrast
ICONS = ["attach", "record", "send", "copy-topic"]

# The boxes of an element's lines or words: [text, left, right].
WORDS = """node => {
    const text = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    const boxes = [];
    while (text.nextNode()) {
        for (const match of text.currentNode.data.matchAll(/\\S+/g)) {
            const range = document.createRange();
            range.setStart(text.currentNode, match.index);
            range.setEnd(text.currentNode, match.index + match[0].length);
            const {left, right} = range.getBoundingClientRect();
            boxes.push([match[0], left, right]);
        }
    }
    return boxes;
}"""


@pytest.fixture(scope="module")
def kestrel(notebook_of_module: OpenNotebook) -> Notebook:
    notebook = notebook_of_module("kestrel")
    notebook.run(0)
    notebook.chat.create("lobby")
    return notebook


def contrast(mark: Locator) -> float:
    """Of the lightest and the darkest that a mark paints."""
    lights = [_light(*color) for color in colors(mark)]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def colors(mark: Locator) -> set[tuple[int, int, int]]:
    data = Image.open(io.BytesIO(mark.screenshot())).convert("RGB").tobytes()
    return set(zip(data[0::3], data[1::3], data[2::3], strict=True))


def _light(red: int, green: int, blue: int) -> float:
    return 0.2126 * _linear(red / 255) + 0.7152 * _linear(green / 255) + 0.0722 * _linear(blue / 255)


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_seen_in_forced_colors(kestrel: Notebook, scheme: str, tmp_path: Path) -> None:
    page, chat = kestrel.page, kestrel.chat
    page.emulate_media(forced_colors="active", color_scheme="dark" if scheme == "dark" else "light")
    with Peer(tmp_path / "otter", "otter", kestrel.lab.environment) as otter:
        otter.do("join", topic=chat.topic)
        expect(chat.hook("peer").nth(1)).to_have_attribute("data-status", "here")
        chat.root.scroll_into_view_if_needed()
        marks = {name: chat.hook(name) for name in ICONS}
        marks["status"] = chat.hook("status")
        chat.hook("composer").fill("~")
        marks["chosen command"] = chat.hook("option").first
        faint = {name: found for name, mark in marks.items() if (found := contrast(mark)) < MIN_CONTRAST}
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        chat.root.screenshot(path=SCREENSHOTS / f"forced-{scheme}.png")
        assert faint == {}
        chat.hook("composer").fill("")
        chat.show_people()
        marks["dot"] = chat.hook("peer").nth(1).locator(".lu-dot")
        assert contrast(marks["dot"]) >= MIN_CONTRAST
        # A filled dot is here: its middle is not what is around it.
        for mark in (marks["dot"], marks["status"]):
            dot = Image.open(io.BytesIO(mark.screenshot())).convert("RGB")
            assert dot.getpixel((4, dot.height // 2)) != dot.getpixel((0, 0))
        chat.fold_people()
    page.emulate_media(forced_colors="none", color_scheme="light")


def test_each_paragraph_has_its_own_direction(kestrel: Notebook) -> None:
    chat = kestrel.chat
    chat.say(MIXED)
    body = chat.row("A paragraph in English").last.locator('[data-lu="body"]')
    first, second = body.locator("p").nth(0), body.locator("p").nth(1)
    expect(first).to_have_css("direction", "rtl")
    expect(second).to_have_css("direction", "ltr")
    expect(body.locator("li").nth(0)).to_have_css("direction", "rtl")
    expect(body.locator("li").nth(1)).to_have_css("direction", "ltr")
    # A line of a paragraph, too: the Arabic one ends at the right edge, the English one begins at the left.
    box = first.bounding_box()
    words = {word: (left, right) for word, left, right in first.evaluate(WORDS)}
    assert box
    assert words["مرحبا"][1] == pytest.approx(box["x"] + box["width"], abs=1)
    assert words["and"][0] == pytest.approx(box["x"], abs=1)


def test_a_long_name_is_cut_at_its_end(kestrel: Notebook, tmp_path: Path) -> None:
    chat = kestrel.chat
    with Peer(tmp_path / "arab", ARABIC_NAME, kestrel.lab.environment) as peer:
        peer.do("join", topic=chat.topic)
        chat.show_people()
        name = chat.hook("peer").filter(has_text=ARABIC_NAME).locator("bdi")
        expect(name).to_be_visible()
        expect(name).to_have_css("direction", "rtl")
        column = chat.hook("people").bounding_box()
        words = name.evaluate(WORDS)
        assert column
        first, last = words[0], words[-1]
        assert first[0] == ARABIC_NAME.split()[0]
        assert column["x"] <= first[1] <= first[2] <= column["x"] + column["width"]
        assert last[1] < column["x"]  # out on the left, where such a name ends


def test_a_wide_table_scrolls_and_no_number_breaks(kestrel: Notebook) -> None:
    chat = kestrel.chat
    chat.say(TABLE)
    table = chat.row(NUMBER).last.locator("table")
    expect(table).to_be_visible()
    lines = table.locator("td").first.evaluate(
        "cell => { const r = document.createRange(); r.selectNodeContents(cell); return r.getClientRects().length }"
    )
    assert lines == 1
    assert table.evaluate("table => table.scrollWidth > table.clientWidth")
    assert chat.hook("log").evaluate("log => log.scrollWidth <= log.clientWidth")


@pytest.mark.parametrize(
    ("typed", "drawn"),
    [
        (r"The energy $E_0^2 = \frac{1}{2}$ and \(\alpha \le \beta\)", 2),
        (r"$$\sum_{n=0}^\infty \frac{x^n}{n!} = \begin{pmatrix} a & b \\ c & d \end{pmatrix}$$", 1),
        ("\\[\nx_1 * y_1 * z_1\n\\]", 1),
    ],
)
def test_formulas_are_drawn_by_jupyterlab(kestrel: Notebook, typed: str, drawn: int) -> None:
    chat = kestrel.chat
    chat.say(typed)
    expect(chat.hook("row").last.locator(".lu-math mjx-container")).to_have_count(drawn)
    assert "$" not in chat.hook("row").last.inner_text()


def test_what_a_formula_may_not_do_stays_as_typed(kestrel: Notebook) -> None:
    chat = kestrel.chat
    for typed in (
        r"$\href{javascript:top.pwned.push(1)}{x}$ $$\class{jp-x}{y}$$",
        r"$\def\alpha{\beta}$ $\newcommand{\gamma}{\beta}$",
        r"$\frac{1}$ costs $5 and $6",
    ):
        chat.say(typed)
        expect(chat.hook("row").last.locator('[data-lu="body"]')).to_contain_text(typed.split()[0])
    chat.say(r"after: $\alpha$")
    expect(chat.row("after:").last.locator("mjx-container")).to_have_count(1)
    # No formula from before has made it a beta.
    shown = chat.row("after:").last.locator("mjx-assistive-mml").text_content() or ""
    assert unicodedata.normalize("NFKC", shown) == "α"  # noqa: RUF001


def test_formulas_stay_as_typed_where_the_page_has_no_typesetter(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("kestrel")
    rendermime = "window.jupyterapp.shell.currentWidget.content.rendermime"
    notebook.page.evaluate(f"Object.defineProperty({rendermime}, 'latexTypesetter', {{value: null}})")
    notebook.run(0)
    notebook.chat.create("lobby")
    notebook.chat.say("The energy $E_0^2$")
    expect(notebook.chat.row("$E_0^2$")).to_be_visible()
