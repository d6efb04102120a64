"""Logs and drives as the values of cells, and what a drive serves in a tab of its own."""

import base64
import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Notebook
from tests.browser.pictures import picture
from tests.browser.test_views import SCREENSHOTS

EVIL = '<img src=x onerror="pwned.push(1)"><script>pwned.push(2)</script>'
PAGE = f"<title>quiet</title><script>document.title = 'ran'</script>{EVIL}<p>a page</p>"
MIN_CONTRAST = 4.5  # of text to what is under it: https://www.w3.org/TR/WCAG22/#contrast-minimum

SETUP = f"""import base64
import tempfile

import linkup_nb as lu

store = lu.Corestore(tempfile.mkdtemp())
await store.open()
drive = await lu.Drive.open(store)
await drive.put("/poem.py", b"def roses():\\n    return 1\\n")
await drive.put("/poem.py", b"def violets():\\n    return 1\\n")
await drive.put("/table.csv", b"city,people\\nUlm,1\\nBonn,2\\n")
await drive.put("/table.csv", b"city,people\\nUlm,3\\nBonn,2\\n")
await drive.put({f"/evil/{EVIL.replace('/', '')}"!r}, b"x", metadata={EVIL!r})
await drive.put("/evil/page.html", {PAGE.encode()!r})
await drive.put("/pictures/fractal.png", base64.b64decode({base64.b64encode(picture(320, 200)).decode()!r}))
await drive.put("/data.bin", bytes(100_000))
log = await store.core(name="log")
await log.append([b"one", b"two"])"""

# A cell, and what has to be seen in its output.
VIEWS = {
    "drive": "version",
    "store": "3 cores",
    "log": "blocks",
    "(await drive.history())[0]": "/poem.py",
    "await drive.diff(3)": "/table.csv",
    "await drive.compare('/poem.py', 2, 3)": "def violets",
    "await drive.compare('/table.csv', 4, 5)": "people",
    "await drive.compare('/data.bin', 1, drive.version)": "/data.bin",
    "(await drive.diff(5, 6))[0].after": "metadata",
    "await log.download()": "2 of 2",
}

# The contrast of each text to the first colour that is painted under it, as canvas reads CSS colours.
CONTRASTS = """root => {
    const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const over = (colors) => {
        context.clearRect(0, 0, 1, 1);
        for (const color of colors) { context.fillStyle = color; context.fillRect(0, 0, 1, 1); }
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => value / 255);
    };
    const light = (color) => color
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    return [...root.querySelectorAll("td, th, p, ins, del")].filter((node) => node.innerText.trim()).map((node) => {
        const under = [];
        for (let at = node; at; at = at.parentElement) under.unshift(getComputedStyle(at).backgroundColor);
        const lights = [light(over(under)), light(over([...under, getComputedStyle(node).color]))].sort();
        return [node.innerText, (lights[1] + 0.05) / (lights[0] + 0.05)];
    });
}"""


def output(notebook: Notebook, number: int) -> Locator:
    return notebook.cell(number).locator(".jp-OutputArea-output")


def test_the_values_of_cells_are_readable_in_every_theme(open_notebook: OpenNotebook) -> None:
    cells = [SETUP, *VIEWS]
    notebook = open_notebook("kestrel", cells, viewport={"width": 1100, "height": 3600})
    for number in range(1, len(cells) + 1):
        notebook.run(number)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    for theme, light in (("JupyterLab Light", "true"), ("JupyterLab Dark", "false")):
        notebook.command("apputils:change-theme", theme=theme)
        expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-light", light)
        for number, (cell, seen) in enumerate(VIEWS.items(), 2):
            shown = output(notebook, number)
            expect(shown, cell).to_contain_text(seen)
            for text, contrast in shown.evaluate(CONTRASTS):
                assert contrast >= MIN_CONTRAST, f"{theme}, {cell}: {text!r} has a contrast of {contrast:.1f}"
            assert shown.locator("img, script").count() == 0
        notebook.page.screenshot(path=SCREENSHOTS / f"drives-{theme.split()[1].lower()}.png")


def test_a_long_transfer_shows_a_bar(open_notebook: OpenNotebook) -> None:
    slowly = """async def pieces():
    for _ in range(20):
        await asyncio.sleep(0.1)
        yield bytes(100_000)

await drive.put_stream("/slow", pieces())"""
    notebook = open_notebook("kestrel", [f"import asyncio\n{SETUP}", slowly])
    notebook.run(1)
    notebook.run(2)

    expect(output(notebook, 2)).to_contain_text("2.00M/?")
    expect(output(notebook, 2).locator(".widget-hprogress, .jupyter-widget-hprogress").first).to_be_visible()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab outside of JupyterLab."""
    context = browser.new_context(accept_downloads=True)
    context.add_init_script("window.pwned = []")
    yield context.new_page()
    context.close()


def test_a_served_drive_in_a_tab(open_notebook: OpenNotebook, tab: Page) -> None:
    notebook = open_notebook("kestrel", [SETUP, "server = await drive.serve(); server"])
    notebook.run(1)
    notebook.run(2)
    expect(output(notebook, 2)).to_contain_text("A drive on port")
    url = json.loads(notebook.evaluate("server.url").replace("'", '"'))
    assert url.split("token=")[1] not in output(notebook, 2).inner_text()

    tab.goto(url)
    expect(tab.get_by_role("link")).to_have_text(["data.bin", "evil/", "pictures/", "poem.py", "table.csv"])
    tab.get_by_role("link", name="poem.py").click()
    expect(tab.locator("body")).to_contain_text("def violets")
    tab.go_back()
    tab.get_by_role("link", name="pictures").click()
    tab.get_by_role("link", name="fractal.png").click()
    tab.wait_for_function("document.images[0]?.naturalWidth === 320")
    tab.goto(url)
    with tab.expect_download() as download:
        tab.get_by_role("link", name="data.bin").click()
    assert download.value.path().stat().st_size == 100_000

    tab.goto(url)
    tab.get_by_role("link", name="evil").click()
    expect(tab.get_by_role("link")).to_have_count(2)
    tab.get_by_role("link", name="page.html").click()
    expect(tab.get_by_text("a page")).to_be_visible()
    expect(tab).to_have_title("quiet")
    tab.goto(url.replace(re.findall("token=(.*)", url)[0], "wrong"))
    expect(tab.locator("body")).to_contain_text("404")


def test_a_notebook_shows_a_picture_that_a_drive_serves(open_notebook: OpenNotebook) -> None:
    show = """from IPython.display import Image
server = await drive.serve()
Image(url=server.link("/pictures/fractal.png"))"""
    notebook = open_notebook("kestrel", [SETUP, show])
    notebook.run(1)
    notebook.run(2)

    notebook.page.wait_for_function("document.querySelector('.jp-OutputArea-output img')?.naturalWidth === 320")
    # It is the only other address that this page has asked.
    assert {url.split("?")[0].rsplit("/", 1)[1] for url in notebook.watch.strangers} == {"fractal.png"}
    notebook.watch.strangers.clear()
