import time

import pandas as pd
import pytest

from linkup_nb.notebook.chat.tables import MAX_CELL, MAX_COLUMNS, MAX_ROWS, table_of


def test_a_table_of_pandas_keeps_its_texts_and_nothing_else() -> None:
    html = """<div><style scoped>.dataframe { color: red }</style><table border="1" class="dataframe" onclick="x">
    <thead><tr style="text-align: right;"><th></th><th>a &lt; b</th></tr></thead>
    <tbody><tr><th>0</th><td><img src=x onerror=run>1.5 <b>bold</b></td></tr></tbody></table></div>"""
    assert table_of(html) == "<table><tr><th></th><th>a &lt; b</th></tr><tr><th>0</th><td>1.5 bold</td></tr></table>"


@pytest.mark.parametrize(
    "html",
    [
        "<p>none</p>",
        "",
        "<table></table>",
        "<td>outside</td>",
        "<script><table><tr><td>x</td></tr></table></script>",
        "<!-- <table><tr><td>x</td></tr></table> -->",
    ],
)
def test_what_has_no_table_has_none(html: str) -> None:
    assert table_of(html) is None


@pytest.mark.parametrize(
    ("html", "table"),
    [
        ("<table><tr><td>a<td>b<tr><td>c", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"),
        ("<table><td>a<table><td>b</table>c", "<table><tr><td>a</td></tr><tr><td>b</td></tr></table>"),
        ("<table><tr><td><script>run()</script>a</td>", "<table><tr><td>a</td></tr></table>"),
        ("<table><tr><td>&lt;script&gt;run()", "<table><tr><td>&lt;script&gt;run()</td></tr></table>"),
        ('<table><tr><td title="</td><script>">x</td>', "<table><tr><td>x</td></tr></table>"),
    ],
)
def test_html_that_is_broken_or_means_harm_is_text_in_cells(html: str, table: str) -> None:
    assert table_of(html) == table


def test_rows_columns_and_cells_are_cut() -> None:
    row = f"<tr>{'<td>x</td>' * (MAX_COLUMNS + 5)}</tr>"
    shown = table_of(f"<table>{row * (MAX_ROWS + 7)}<tr><td>{'y' * 1000}</td></tr></table>")
    assert shown
    assert shown.count("<tr>") == MAX_ROWS + 1
    assert "… 8 more rows" in shown
    assert shown.count("<td>x</td>") == MAX_ROWS * MAX_COLUMNS
    cell = table_of(f"<table><td>{'y' * 1000}</td></table>")
    assert cell
    assert len(cell) < MAX_CELL + 50


@pytest.mark.parametrize(
    "html",
    [
        "<a " * 40_000,
        "<!--" * 40_000,
        "<table>" + "<!-- > " * 20_000,
        "<a " + " ".join(f"a{number}" for number in range(40_000)) + ">",
        "<table>" * 20_000,
        "</" * 60_000,
        "<td>" * 30_000,
        "&" * 120_000,
    ],
)
def test_html_that_is_made_to_cost_time_costs_little(html: str) -> None:
    started = time.process_time()
    table_of(html)
    assert time.process_time() - started < 5.0  # quadratic ones take half a minute and more


def test_cells_that_span_several_leave_the_others_empty_and_numbers_stand_right() -> None:
    frame = pd.DataFrame(
        {"n": [1, 2, 3], "word": ["x", "y", "1"]},
        index=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", "i"]),
    )
    assert table_of(frame._repr_html_()) == (  # type: ignore[operator]
        "<table>"
        "<tr><th></th><th></th><th>n</th><th>word</th></tr>"
        "<tr><th>k</th><th>i</th><th></th><th></th></tr>"
        '<tr><th>a</th><th>1</th><td class="lu-right">1</td><td>x</td></tr>'
        '<tr><td></td><th>2</th><td class="lu-right">2</td><td>y</td></tr>'
        '<tr><th>b</th><th>1</th><td class="lu-right">3</td><td>1</td></tr>'
        "</table>"
    )
    wide = "<table><tr><td colspan=2>a</td><td>b</td></tr><tr><td>c</td><td>d</td><td>e</td></tr></table>"
    assert table_of(wide) == wide.replace(" colspan=2>a</td>", ">a</td><td></td>")


@pytest.mark.parametrize("span", ["0", "-1", "99999999999999999999", "1e9", "٣", "", "x"])
def test_spans_that_mean_harm_are_one_cell_or_a_bound(span: str) -> None:
    plain = "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"
    assert table_of(plain.replace("<td>a", f'<td colspan="{span}" rowspan="{span}">a')) == plain


def test_a_cell_spans_no_more_than_a_table_has() -> None:
    table = table_of(f"<table>{'<tr><td colspan=9999 rowspan=9999>a</td></tr>' * 100}</table>")
    assert table
    assert len(table) < 100_000
