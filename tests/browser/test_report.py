"""A report's page in a real browser: what it runs and asks for, how it sorts and tells values, what prints."""

from __future__ import annotations

import base64
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nnexp.reporting.document import Column, Details, Document, Interval, Paragraph, Section, Table
from nnexp.reporting.page import html_text
from tests.browser.webdriver import ELEMENT, Browser, Element
from tests.reporting.documents import ATTACKS, ELSEWHERE, hostile, sample

pytestmark = pytest.mark.browser

ENTER, SPACE, TAB, RIGHT, DOWN, ESCAPE = "\ue007", "\ue00d", "\ue004", "\ue014", "\ue015", "\ue00c"
COLUMN = "return [...document.querySelectorAll('tbody tr')].map(row => row.cells[arguments[0]].innerText);"
SORTED = "return [...document.querySelectorAll('thead th')].map(head => head.getAttribute('aria-sort'));"
FITS = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth;"
SCORES = Table(
    "scores",
    "Scores",
    (
        *(Column("arm"), Column("score", format="score", better="higher"), Column("seconds", format="seconds")),
        Column("difference", format="difference"),
    ),
    (
        ("arm 10", 0.123456, 90.0, Interval(0.5, 0.25, 0.75)),
        ("arm 9", -0.5, 5400.0, None),
        ("Arm 2", None, 0.25, Interval(-0.25, -0.5, 0.1)),
        ("ärm", 0.9, float("inf"), Interval(0.001, 0.0, 0.1)),
    ),
)


@dataclass
class Listener:
    """A port of this machine, and who asked. where: as addresses have it."""

    where: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Listener]:
    """Listen for a while."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Listener(f"127.0.0.1:{server.getsockname()[1]}")

        def note() -> None:
            while True:
                try:
                    connection, who = server.accept()
                except OSError:
                    return
                connection.close()
                found.asked.append(str(who))

        thread = threading.Thread(target=note, daemon=True)
        thread.start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def devtools(browser: Browser, command: str, **settings: Any) -> None:
    """Give a command of Chromium's own protocol."""
    browser.call("POST", "/goog/cdp/execute", {"cmd": command, "params": settings})


def show(browser: Browser, text: str, folder: Path) -> None:
    """Open a page from a file."""
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    browser.open(path.as_uri())


def scores(browser: Browser, folder: Path) -> list[Element]:
    """Open a page with one table; return what one sorts it with."""
    show(browser, html_text(Document("Report", "", (Section("only", "Only", (SCORES,)),))), folder)
    return browser.all("thead button")


def press(element: Element, keys: str) -> None:
    """Press keys while the keyboard is at an element."""
    element.browser.call("POST", f"/element/{element.id}/value", {"text": keys})


def point(browser: Browser, element: Element) -> None:
    """Move the pointer to an element."""
    move = {"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": {ELEMENT: element.id}}
    browser.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [move]}]})


def tooltip(browser: Browser) -> str:
    """Return what shows over the page, nothing if nothing does."""
    return str(browser.run("const it = document.getElementById('full-value'); return it.hidden ? '' : it.innerText;"))


def pages(browser: Browser) -> int:
    """Print the page; return how many sheets it takes."""
    pdf = base64.b64decode(browser.call("POST", "/print", {"page": {"width": 21, "height": 29.7}}))
    assert pdf.startswith(b"%PDF")
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def raw_attacks(elsewhere: str) -> str:
    """Return what hostile texts are where nothing escapes them, but for the one that leaves the page."""
    kept = [attack.replace(ELSEWHERE, elsewhere) for attack in ATTACKS if "refresh" not in attack]
    return "\n".join(kept).encode(errors="replace").decode()


def test_no_hostile_text_runs_and_no_request_leaves(browser: Browser, tmp_path: Path) -> None:
    with listening() as listener:
        show(browser, html_text(hostile(listener.where)), tmp_path)
        assert browser.run("return window.attacked ?? 'no'") == "no"
        assert browser.run("return [document.scripts.length, document.styleSheets.length]") == [1, 1]
        assert (
            browser.run("return document.querySelectorAll('form, base, iframe, object, [onerror], [style]').length")
            == 0
        )
        assert len(browser.all("thead button")) == 3 * len(hostile().tables())  # the report's own script ran
        assert (
            browser.run("return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:'))")
            == []
        )
        assert browser.url.startswith("file:")
        assert browser.run(FITS)
    assert listener.asked == []


def test_the_same_texts_would_run_and_ask_where_nothing_escaped_them(browser: Browser, tmp_path: Path) -> None:
    with listening() as listener:
        show(browser, f"<!DOCTYPE html><body>{raw_attacks(listener.where)}", tmp_path)
        browser.until("the attack", lambda: browser.run("return window.attacked ?? null"))
        browser.until("the request", lambda: listener.asked)


def test_the_policy_stops_them_even_where_nothing_escaped_them(browser: Browser, tmp_path: Path) -> None:
    (policy,) = re.findall(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", html_text(sample()))
    with listening() as listener:
        show(browser, f"<!DOCTYPE html><head>{policy}</head><body>{raw_attacks(listener.where)}", tmp_path)
        assert browser.run("return window.attacked ?? 'no'") == "no"
        assert browser.run("return document.scripts.length") > 1
    assert listener.asked == []


@pytest.mark.parametrize("keys", ["", ENTER, SPACE])
def test_a_click_or_a_key_sorts_one_way_the_other_way_and_as_it_was(
    browser: Browser, tmp_path: Path, keys: str
) -> None:
    buttons = scores(browser, tmp_path)
    seen = []
    for _ in range(3):
        if keys:
            press(buttons[1], keys)
        else:
            buttons[1].click()
        seen.append((browser.run(COLUMN, 1), browser.run(SORTED)))
    assert seen == [
        (["0.9000", "0.1235", "−0.5000", "–"], [None, "descending", None, None]),  # higher is better
        (["−0.5000", "0.1235", "0.9000", "–"], [None, "ascending", None, None]),  # what is missing stays last
        (["0.1235", "−0.5000", "–", "0.9000"], [None] * 4),
    ]


def test_columns_sort_by_their_values_not_by_what_they_read_as(browser: Browser, tmp_path: Path) -> None:
    buttons = scores(browser, tmp_path)
    found = []
    for at in (2, 3, 0):
        buttons[at].click()
        found.append(browser.run(COLUMN, at))
    assert found == [
        ["250 ms", "90.0 s", "90.0 min", "∞"],
        ["−0.2500 [−0.5000, +0.1000]", "+0.0010 [0.0000, +0.1000]", "+0.5000 [+0.2500, +0.7500]", "–"],
        ["ärm", "Arm 2", "arm 9", "arm 10"],
    ]
    assert browser.run(SORTED) == ["ascending", None, None, None]


def test_the_pointer_and_the_keyboard_show_all_of_a_value(browser: Browser, tmp_path: Path) -> None:
    buttons = scores(browser, tmp_path)
    told = browser.all("tbody [data-full]")
    assert [each.text for each in told] == ["0.1235", "90.0 min", "250 ms"]
    assert tooltip(browser) == ""
    point(browser, told[0])
    assert tooltip(browser) == "0.123456"
    point(browser, buttons[0])
    assert tooltip(browser) == ""
    press(buttons[3], TAB)  # from the last head to the first value
    assert tooltip(browser) == "0.123456"
    browser.run("arguments[0].focus()", {ELEMENT: told[1].id})
    press(told[1], DOWN)
    assert tooltip(browser) == "0.25 s"
    press(told[2], ESCAPE)
    assert tooltip(browser) == ""


def test_without_scripts_all_of_it_can_be_read(browser: Browser, tmp_path: Path) -> None:
    devtools(browser, "Emulation.setScriptExecutionDisabled", value=True)
    try:
        show(browser, html_text(sample()), tmp_path)
        assert browser.all("thead button") == []
        page = browser.text()
        for text in (
            "0.9744",
            "Which optimizer",
            "Table 4.",
            "muon lr=0.003",
            "0.9754 [0.9727, 0.9781]",
            "nnexp-run -m",
        ):
            assert text in page
        assert browser.run("return [...document.images].every(it => it.complete && it.naturalWidth > 0)")
        assert len(browser.all("td[title]")) > 20
        browser.all("details.folded summary")[0].click()
        assert "The same, one arm a panel." in browser.text()
    finally:
        devtools(browser, "Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("scripts", [True, False])
def test_what_is_folded_prints(browser: Browser, tmp_path: Path, scripts: bool) -> None:
    folded = Details("More", (Paragraph("A line."),) * 200)
    counts = []
    devtools(browser, "Emulation.setScriptExecutionDisabled", value=not scripts)
    try:
        for blocks in ((), (folded,)):
            show(browser, html_text(Document("Report", "", (Section("only", "Only", blocks),))), tmp_path)
            counts.append(pages(browser))
        assert browser.all("details[open]") == []
    finally:
        devtools(browser, "Emulation.setScriptExecutionDisabled", value=False)
    assert counts[0] == 1
    assert counts[1] > 3


@pytest.mark.parametrize(("width", "mode"), [(1280, "dark"), (400, "light")])
def test_it_fits_every_width_and_can_be_read_in_light_and_dark(
    browser: Browser, tmp_path: Path, width: int, mode: str
) -> None:
    devtools(browser, "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    devtools(browser, "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": mode}])
    try:
        for document in (sample(), hostile()):
            show(browser, html_text(document), tmp_path)
            assert browser.run(FITS)
            assert browser.run(CONTRASTS) == []
    finally:
        devtools(browser, "Emulation.setEmulatedMedia", features=[])
        devtools(browser, "Emulation.clearDeviceMetricsOverride")


# Texts whose contrast with what is behind them is under 4.5 to 1 (WCAG 2.2, success criterion 1.4.3).
CONTRASTS = """
const parse = colour => colour.match(/[\\d.]+/g).map(Number);
const linear = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const behind = element => {
    for (let each = element; each; each = each.parentElement) {
        const colour = parse(getComputedStyle(each).backgroundColor);
        if (colour.length === 3 || colour[3] === 1) return colour;
    }
    throw new Error('nothing behind');
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = new Set();
while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.closest('script')) continue;
    const [low, high] = [parse(getComputedStyle(element).color), behind(element)].map(light).sort((a, b) => a - b);
    if ((high + 0.05) / (low + 0.05) < 4.5) found.add(`${element.tagName}.${element.className}`);
}
return [...found];
"""
