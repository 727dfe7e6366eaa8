"""Differences: of each arm or configuration to the best, over the seeds that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnexp.reporting.drawing import INK, MUTED, look, new_figure, rounded, styled
from nnexp.reporting.figures.labels import cut, marked, wrapped
from nnexp.reporting.figures.scales import PLAIN, finite, focus, grid, off_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]

SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """What was compared to the best. paired: its score minus that of the best, by seed. middle, low, high: their mean
    and its interval. group: the decision, as `Not distinguishable from the best`."""

    label: str
    place: int
    paired: Vector = field(repr=False)
    middle: float
    low: float
    high: float
    group: str = ""


@styled
def differences(rows: Sequence[Difference], best: str, metric: str, better: str = "higher") -> Figure:
    """Draw paired differences to the best with their intervals around zero, grouped by decision."""
    shown = rows[:SHOWN]
    groups = list(dict.fromkeys(each.group for each in shown))
    figure = new_figure(1.1 + 0.3 * (len(shown) + len(groups)))
    axes = figure.add_subplot()
    focus(axes, "x", [[0.0, *each.paired, each.low, each.high] for each in shown])
    axes.axvline(0, color=INK, linewidth=1)
    ticks: dict[int, str] = {}
    y = 0
    for group in groups:
        _heading(axes, group, y)
        for row in (each for each in shown if each.group == group):
            y += 1
            _difference(axes, row, y)
            ticks[y] = wrapped(row.label, lines=1)
        y += 1
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_ylim(y - 0.3, -0.7)
    grid(axes, "x")
    axes.set_xlabel(_told(best, metric, better, len(shown), len(rows)))
    return figure


def _told(best: str, metric: str, better: str, shown: int, all: int) -> str:
    side = "left of 0: worse" if better == "higher" else "right of 0: worse"
    more = f"; the first {shown} of {all}" if all > shown else ""
    return f"{metric} minus that of {cut(best, 40)}\nover the same seeds ({side}{more})"


def _heading(axes: Axes, group: str, y: int) -> None:
    axes.text(
        0.0, y, cut(group, 90), transform=axes.get_yaxis_transform(), va="center", fontsize=8.5, color=MUTED, bbox=PLAIN
    )
    axes.axhline(y + 0.42, color="#cccccc", linewidth=0.7, zorder=0)


def _difference(axes: Axes, row: Difference, y: int) -> None:
    arm = look(row.place)
    paired = rounded(row.paired)
    heights = y + 0.36 * ((np.arange(len(paired)) - (len(paired) - 1) / 2) / max(len(paired), 4))
    axes.plot(paired, heights, "o", color=arm.color, alpha=0.35, markersize=3.5, markeredgewidth=0)
    low, middle, high = rounded([row.low, row.middle, row.high])
    axes.plot([low, high], [y, y], color=arm.color, linewidth=2, zorder=3)
    axes.plot([middle], [y], zorder=4, **marked(arm, 6.5))
    values = finite([*paired, low, high])
    if len(values):
        off_scale(axes, y, middle, float(values.min()), float(values.max()))
