"""Scores of configurations and of arms: every repeat a dot, with means and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnexp.reporting.drawing import COLORS, INK, MUTED, look, new_figure, rounded, styled
from nnexp.reporting.figures.labels import cut, first, wrapped
from nnexp.reporting.figures.scales import finite, focus, grid, joined, narrowed, off_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]

SHOWN = 20  # configurations
VALIDATION, TEST, DEFAULTS = COLORS[0], COLORS[1], "#777777"
UPPER, MIDDLE, LOWER = -0.24, 0.02, 0.28  # heights of dots within a row, which is 1 high


@dataclass(frozen=True)
class Scored:
    """The scores of a configuration. middle, low, high: of its validation scores: the mean and its interval, NaN if
    there is none. test: empty if it is not shown. note: under its name."""

    label: str
    validation: Vector = field(repr=False)
    test: Vector = field(repr=False)
    middle: float
    low: float = np.nan
    high: float = np.nan
    note: str = ""


@dataclass(frozen=True)
class ScoredArm:
    """The scores of an arm: of its best configuration, and of its defaults where they were swept."""

    label: str
    place: int
    tuned: Scored
    defaults: Scored | None = None


@styled
def leaderboard(rows: Sequence[Scored], metric: str, better: str = "higher", of: int | None = None) -> Figure:
    """Draw configurations from top to bottom: dots for seeds, means with intervals, test scores as hollow dots.

    Args: of: how many configurations there are, where not all of them are given. The first 20 are drawn.
    """
    shown = rows[:SHOWN]
    figure = new_figure(0.95 + 0.36 * max(len(shown), 2))
    axes = figure.add_subplot()
    focus(axes, "x", [_all(each) for each in shown])
    for place, row in enumerate(shown):
        _scores(axes, row.validation, place + UPPER / 1.4, VALIDATION)
        _interval(axes, row, place + UPPER / 1.4, INK)
        _scores(axes, row.test, place + LOWER / 1.2, TEST, hollow=True)
        _absent(axes, row, place)
    _names(axes, [(each.label, each.note) for each in shown])
    total = max(of or 0, len(rows))
    more = f"; the best {len(shown)} of {total} configurations" if total > len(shown) else ""
    _beyond(axes, [(place, _all(row), row.middle) for place, row in enumerate(shown)])
    axes.set_xlabel(f"{metric} at the best epoch ({better} is better){more}")
    _legend(axes, tests=any(len(finite(each.test)) for each in shown))
    return figure


@styled
def arms(rows: Sequence[ScoredArm], metric: str, better: str = "higher") -> Figure:
    """Draw the best configuration of each arm: validation and test scores, and those of its defaults under them."""
    rows, more = first(rows)
    defaults = any(each.defaults for each in rows)
    figure = new_figure(0.95 + (0.52 if defaults else 0.4) * max(len(rows), 2))
    axes = figure.add_subplot()
    tuned = sorted((each.tuned for each in rows), key=lambda each: _rank(each, better))
    best = narrowed(_together(tuned[: max(-(-len(tuned) // 2), 3)]), _together(tuned))
    both = [*tuned, *(each.defaults for each in rows if each.defaults)]
    axes.set_xlim(narrowed(best, _together(both), 0.0))
    for place, row in enumerate(rows):
        arm = look(row.place)
        _scores(axes, row.tuned.validation, place + UPPER, arm.color, arm.marker)
        _interval(axes, row.tuned, place + UPPER, INK)
        _scores(axes, row.tuned.test, place + MIDDLE, arm.color, arm.marker, hollow=True)
        if row.defaults:
            _scores(axes, row.defaults.validation, place + LOWER, DEFAULTS, "|")
            _interval(axes, row.defaults, place + LOWER, DEFAULTS)
        _absent(axes, row.tuned, place)
    _beyond(axes, [(place, _all(row.tuned), row.tuned.middle) for place, row in enumerate(rows)])
    found = [(place, row.defaults) for place, row in enumerate(rows) if row.defaults]
    _beyond(axes, [(place + LOWER, _all(row), row.middle) for place, row in found])
    _names(axes, [(each.label, each.tuned.label) for each in rows])
    axes.set_xlabel(f"{metric} at the best epoch ({better} is better){more}")
    _legend(axes, any(len(finite(each.tuned.test)) for each in rows), defaults, INK, INK)
    return figure


def _rank(row: Scored, better: str) -> float:
    return math.inf if math.isnan(row.middle) else -row.middle if better == "higher" else row.middle


def _all(row: Scored) -> Vector:
    return np.concatenate([row.validation, row.test, [row.middle, row.low, row.high]])


def _together(rows: Sequence[Scored]) -> Vector:
    return joined([_all(each) for each in rows])


def _scores(axes: Axes, scores: Vector, y: float, color: str, marker: str = "o", hollow: bool = False) -> None:
    """Draw scores as dots around a height, in their order from top to bottom, so that equal ones stay apart."""
    x = rounded(scores)
    heights = y + 0.2 * ((np.arange(len(x)) - (len(x) - 1) / 2) / max(len(x), 4))
    face: dict[str, Any] = {"markerfacecolor": "white" if hollow else color, "markeredgecolor": color}
    width = 0.9 if hollow or marker == "|" else 0
    axes.plot(x, heights, marker, markersize=4, markeredgewidth=width, alpha=1 if hollow else 0.7, **face)


def _interval(axes: Axes, row: Scored, y: float, color: str) -> None:
    middle, low, high = rounded([row.middle, row.low, row.high])
    axes.plot([low, high], [y, y], color=color, linewidth=1.4, zorder=3)
    axes.plot([middle, middle], [y - 0.15, y + 0.15], color=color, linewidth=2.2, zorder=3)


def _beyond(axes: Axes, rows: Sequence[tuple[float, Vector, float]]) -> None:
    """Point to what is off the scale. rows: height, values, mean."""
    for y, values, middle in rows:
        if len(finite(values)):
            off_scale(axes, y, middle, float(finite(values).min()), float(finite(values).max()))


def _absent(axes: Axes, row: Scored, y: float) -> None:
    if not len(finite(row.validation)):
        transform = axes.get_yaxis_transform()
        axes.text(0.01, y, "no score", transform=transform, va="center", fontsize=8.5, color=MUTED)


def _names(axes: Axes, names: Sequence[tuple[str, str]]) -> None:
    texts = [f"{cut(name)}\n{cut(note)}" if note and note != name else wrapped(name) for name, note in names]
    axes.set_yticks(range(len(texts)), texts, linespacing=1.1)
    axes.set_ylim(max(len(texts), 2) - 0.45, -0.55)
    grid(axes, "x")
    for y in range(1, len(texts)):
        axes.axhline(y - 0.5, color="#eeeeee", linewidth=0.7, zorder=0)


def _legend(axes: Axes, tests: bool, defaults: bool = False, validation: str = VALIDATION, test: str = TEST) -> None:
    from matplotlib.lines import Line2D

    dot: dict[str, Any] = {"linestyle": "", "markersize": 5}
    found = [Line2D([], [], marker="o", color=validation, label="validation, a seed each", **dot)]
    found.append(Line2D([], [], color=INK, linewidth=1.6, marker="|", markersize=8, label="mean and 95 % interval"))
    if tests:
        found.append(Line2D([], [], marker="o", color=test, markerfacecolor="white", label="test", **dot))
    if defaults:
        found.append(Line2D([], [], marker="|", color=DEFAULTS, label="defaults, validation", **dot))
    axes.legend(handles=found, loc="lower right", bbox_to_anchor=(1, 1), ncols=4, borderaxespad=0.1, columnspacing=1.2)
