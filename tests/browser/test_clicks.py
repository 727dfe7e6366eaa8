"""What a person sees who opens MLflow's UI on a sweep and clicks: in a real browser, on a real server."""

from __future__ import annotations

import csv
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from nnexp.tracking.appearance import SWEEP_COLOUR, colour
from tests.browser.conftest import NAME, Shown
from tests.browser.webdriver import Browser
from tests.servers.ui import all_end

pytestmark = pytest.mark.browser

# In the order of the plan, which gives the colours.
CONFIGURATIONS = ("sgd l2=0", "sgd l2=0.1", "adam l2=0", "adam l2=0.1")
COLOURS = {label: colour(number) for number, label in enumerate(CONFIGURATIONS)}
TRIALS = {f"{label} seed={seed}" for label in CONFIGURATIONS for seed in (0, 1)}
MEAN = "agg/val_acc_best_mean"

ROWS = """
const rows = [...document.querySelectorAll('.ag-pinned-left-cols-container .ag-row')];
rows.sort((one, other) => one.getAttribute('row-index') - other.getAttribute('row-index'));
return rows.map(row => {
    const others = `.ag-center-cols-container .ag-row[row-id='${row.getAttribute('row-id')}']`;
    return [
        row.querySelector("[col-id='attributes.`Run Name`'] a")?.innerText ?? '',
        row.querySelector("[data-testid='experiment-view-table-run-color'] span")?.innerText ?? '',
        document.querySelector(`${others} [col-id='metrics.\\`${arguments[0]}\\`']`)?.innerText ?? '',
    ];
});
"""
STROKES = """
const cards = [...document.querySelectorAll("[data-testid='experiment-view-compare-runs-card']")];
const card = cards.find(each => each.innerText.startsWith(arguments[0]));
return [...(card?.querySelectorAll('.scatterlayer .js-line') ?? [])].map(each => each.style.stroke);
"""
HEADERS = """
const cells = [...document.querySelectorAll('.ag-header-cell')];
cells.sort((one, other) => one.getAttribute('aria-colindex') - other.getAttribute('aria-colindex'));
return cells.map(each => each.innerText.trim());
"""


class Row(NamedTuple):
    """A run in the table, with the mean of its configuration."""

    name: str
    colour: str
    mean: str


@pytest.fixture(autouse=True)
def _picture(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Keep what the page looked like when a test failed."""
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        browser.picture(tmp_path / "page.png")


def rows(browser: Browser) -> list[Row]:
    """Return the rows of the table from top to bottom."""
    return [Row(*each) for each in browser.run(ROWS, MEAN)]


def shows(browser: Browser, names: set[str]) -> list[Row]:
    """Wait until the table has these runs and no others; return its rows."""
    return browser.until(str(names), lambda: rows(browser), lambda found: {each.name for each in found} == names)


def reads(browser: Browser, *texts: str) -> str:
    """Wait until the page reads so; return all of its text."""
    return browser.until(str(texts), browser.text, lambda page: all(text in page for text in texts))


def click(browser: Browser, css: str, text: str | None = None) -> None:
    """Click on the first element of a CSS selector, that reads as a text if one is given, once it is there."""
    found = browser.until(
        f"{css} {text}", lambda: [each for each in browser.all(css) if text in (None, each.text.strip())]
    )
    found[0].click()


def all_runs(shown: Shown) -> str:
    """Return the link to all runs, as MLflow shows them without a view."""
    return shown.link.partition("&viewStateShareKey")[0]


def leaderboard(shown: Shown) -> list[str]:
    """Return the configurations, best first, as the sweep wrote them down."""
    (path,) = shown.root.glob("sweeps/*/leaderboard.csv")
    with path.open(newline="") as file:
        return [row["configuration"] for row in csv.DictReader(file)]


def strokes(browser: Browser, metric: str) -> list[str]:
    """Return the colours of the curves in a metric's chart."""
    return sorted(browser.run(STROKES, metric))


def rgb(code: str) -> str:
    """Return #rrggbb as a browser computes it."""
    return f"rgb({', '.join(str(int(code[place : place + 2], 16)) for place in (1, 3, 5))})"


def test_the_link_opens_the_sweeps_trials_best_configuration_first_in_their_colours(
    browser: Browser, shown: Shown
) -> None:
    browser.open(shown.link)
    found = shows(browser, TRIALS)
    assert browser.with_text("button", NAME) is not None  # the view, by the sweep's name
    assert [each.mean for each in found] == sorted((each.mean for each in found), reverse=True)
    assert found[0].name.startswith(f"{leaderboard(shown)[0]} ")
    for each in found:
        assert each.colour == COLOURS[each.name.rpartition(" seed=")[0]]
    headers = [each for each in browser.run(HEADERS) if each]
    assert headers[:2] == ["Run Name", MEAN]


def test_a_click_on_the_mean_turns_the_order_of_configurations_around(browser: Browser, shown: Shown) -> None:
    browser.open(shown.link)
    before = [each.mean for each in shows(browser, TRIALS)]
    click(browser, f"[data-testid='sort-header-{MEAN}']")
    browser.until("the worst first", lambda: [each.mean for each in rows(browser)], lambda now: now == before[::-1])
    assert before != before[::-1]


def test_the_sweeps_own_run_stands_above_its_trials_which_a_click_shows(browser: Browser, shown: Shown) -> None:
    browser.open(all_runs(shown))
    assert [each.colour for each in shows(browser, {NAME})] == [SWEEP_COLOUR]
    click(browser, "[col-id='attributes.`Run Name`'] button")
    assert shows(browser, {NAME, *TRIALS})[0].name == NAME


def test_charts_have_a_curve_of_each_trial_in_the_colour_of_its_configuration(browser: Browser, shown: Shown) -> None:
    browser.open(shown.link)
    shows(browser, TRIALS)
    browser.run("document.querySelector(\"input[value='CHART']\").click()")
    for metric in ("val/acc", "train/cost", "val/loss"):
        drawn = partial(strokes, browser, metric)
        browser.until(f"the curves of {metric}", drawn, lambda found: len(found) >= len(TRIALS))
        assert {*drawn()} == {rgb(code) for code in COLOURS.values()}
        assert {drawn().count(code) % 2 for code in drawn()} == {0}  # two repeats each


def test_the_page_that_compares_trials_shows_what_differs(browser: Browser, shown: Shown) -> None:
    browser.open(shown.link)
    found = shows(browser, TRIALS)
    boxes = browser.all(".ag-pinned-left-cols-container .ag-selection-checkbox input")
    assert len(boxes) == len(found)
    boxes[0].click()
    boxes[-1].click()
    click(browser, "button", "Compare")
    page = reads(browser, "Comparing 2 Runs", "Parallel Coordinates Plot", "l2.strength")
    assert len([name for name in TRIALS if name in page]) == 2
    assert "optimizer.name" in page


def test_the_sweeps_description_has_the_leaderboard_and_a_link_to_the_curves(browser: Browser, shown: Shown) -> None:
    browser.open(all_runs(shown))
    click(browser, "[col-id='attributes.`Run Name`'] a", NAME)
    click(browser, "button", "Show more")
    page = reads(browser, "8 trials planned: 8 finished, 0 diverged, 0 failed, 0 stopped, 0 missing.")
    places = [page.index(label) for label in leaderboard(shown)]
    assert places[0] == min(places)
    assert browser.with_text("td", leaderboard(shown)[0]) is not None  # Markdown became a table
    link = browser.until("the link", lambda: browser.with_text("a", "their curves"))
    browser.open(link.property("href"))
    browser.until("curves", lambda: strokes(browser, "val/acc"))


def test_ctrl_c_ends_the_command_and_its_server(shown: Shown) -> None:
    servers = shown.ui.servers()
    assert servers
    assert shown.ui.end(signal.SIGINT) == 130
    assert all_end(servers)
