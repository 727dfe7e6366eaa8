"""Settling a figure: what was drawn is measured, ticks that overlap are thinned, and the layout stays as it is."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from nnexp.reporting.figures.labels import spread_ends

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

APART = 3  # points between two tick labels at least
ROUNDS = 4


def settle(figure: Figure) -> None:
    """Lay a figure out, thin ticks until their labels are apart, and keep the layout for every format."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        spread_ends(axes)
    for _ in range(ROUNDS):
        crowded = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) if overlapping(axis)]
        if not crowded:
            break
        for axis in crowded:
            _thin(axis)
        figure.draw_without_rendering()
    figure.set_layout_engine("none")


def overlapping(axis: Axis) -> bool:
    """Whether two labels of an axis are too near to each other; slanted ones never are."""
    labels = [each for each in visible_labels(axis) if not each.get_rotation() % 90]
    room = APART * labels[0].get_figure(root=True).dpi / 72 if labels else 0.0  # type: ignore[union-attr]
    upright = axis is axis.axes.yaxis
    spans = sorted(_span(each.get_window_extent(), upright) for each in labels)
    return any(after[0] - before[1] < (0 if upright else room) for before, after in pairwise(spans))


def visible_labels(axis: Axis) -> list[Text]:
    """Return the labels of an axis that are seen."""
    if not axis.get_visible() or not axis.axes.get_visible() or not axis.axes.axison:
        return []
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    labels = [label for tick in ticks for label in (tick.label1, tick.label2)]  # on the left, and on the right
    return [each for each in labels if each.get_visible() and each.get_text().strip()]


def _span(box: Bbox, upright: bool) -> tuple[float, float]:
    return (box.y0, box.y1) if upright else (box.x0, box.x1)


def _thin(axis: Axis) -> None:
    from matplotlib.ticker import FixedLocator, MaxNLocator

    locator = axis.get_major_locator()
    if isinstance(locator, FixedLocator):
        places = list(axis.get_majorticklocs())
        axis.set_major_locator(FixedLocator(places[:: 2 if len(places) > 2 else 1]))
    else:
        low, high = axis.get_view_interval()
        shown = [each for each in locator.tick_values(low, high) if low <= each <= high]
        axis.set_major_locator(MaxNLocator(max(len(shown) - 2, 1), steps=[1, 2, 5, 10]))
