"""Training: scores, gaps and norms over epochs or seconds, as medians over seeds with inter-quartile bands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnexp.reporting.drawing import COLORS, INK, new_figure, rounded, styled
from nnexp.reporting.figures.labels import End, cut, first, label_ends, marked
from nnexp.reporting.figures.lines import Curve
from nnexp.reporting.figures.scales import (
    DECADES,
    finite,
    grid,
    joined,
    middle,
    narrowed,
    scale_scores,
    span,
    whole_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]

PANELS = 16  # arms side by side
POINTS = 200  # of a line; more are not seen
BANDS = 6  # arms on one pair of axes up to which their bands are drawn
TRAIN, VALIDATION = "#777777", COLORS[0]


@dataclass(frozen=True)
class Course:
    """How an arm trained. train, validation: curves of it over the same x; their label is not used."""

    label: str
    train: Curve = field(repr=False)
    validation: Curve = field(repr=False)


@styled
def learning(courses: Sequence[Course], metric: str, unit: str = "Epochs") -> Figure:
    """Draw train and validation scores of arms side by side on the same axes."""
    courses, more = first(courses, PANELS)
    columns = min(len(courses), 4 if len(courses) > 3 else 3) or 1
    rows = math.ceil(len(courses) / columns) or 1
    figure = new_figure(0.8 + (1.75 if columns > 1 else 2.4) * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    everything = [curve for each in courses for curve in (each.train, each.validation)]
    _scale_y(panels[0, 0], everything)
    _scale_x(panels[0, 0], everything, unit)
    for each, axes in zip(courses, panels.flat, strict=False):
        grid(axes, "y")
        _course(axes, each)
        if len(courses) > 1:
            axes.set_title(cut(each.label, 100 // columns - 6), fontsize=9)
    for row, column in product(range(rows), range(columns)):
        _outer(panels, row, column, len(courses))
    figure.supxlabel(f"{unit}{more}", fontsize=9)
    figure.supylabel(metric, fontsize=9)
    _legend(figure)
    return figure


@styled
def curves(arms: Sequence[Curve], name: str, unit: str = "Epochs", zero: bool = False) -> Figure:
    """Draw a curve of each arm on the same axes, labelled directly: a score, or the gap of train and validation.

    Args: name: of the y axis. zero: whether 0 is marked. Bands are drawn for up to 6 arms.
    """
    arms, more = first(arms)
    figure = new_figure(max(3.3, 0.2 * len(arms) + 0.9))
    _together(figure.add_subplot(), arms, unit, zero)
    figure.axes[0].set(ylabel=name, xlabel=f"{unit}{more}")
    return figure


@styled
def norms(weights: Sequence[Curve], gradients: Sequence[Curve], unit: str = "Epochs") -> Figure:
    """Draw the norms of weights and of gradients of each arm, one above the other."""
    (weights, more), (gradients, _) = first(weights), first(gradients)
    figure = new_figure(2 * max(2.3, 0.2 * len(weights) + 0.5), wide=False)
    upper, lower = figure.subplots(2, 1, sharex=True)
    _together(upper, weights, unit, decades=1)
    _together(lower, gradients, unit, decades=1)
    upper.set(ylabel="Norm of the weights", xlabel="")
    upper.tick_params(axis="x", length=0, labelbottom=False)
    lower.set(ylabel="Norm of the gradient", xlabel=f"{unit}{more}")
    return figure


def thinned(curve: Curve, most: int = POINTS) -> Curve:
    """Return a curve with as many points as are seen, the first and the last among them."""
    if len(curve.x) <= most:
        return curve
    kept = np.unique(np.linspace(0, len(curve.x) - 1, most).round().astype(int))
    low, high = (part[kept] if len(part) else part for part in (curve.low, curve.high))
    return Curve(curve.label, curve.place, curve.x[kept], curve.y[kept], low, high)


def _together(axes: Axes, arms: Sequence[Curve], unit: str, zero: bool = False, decades: float = DECADES) -> None:
    grid(axes, "y")
    shown = arms if len(arms) <= BANDS else [Curve(each.label, each.place, each.x, each.y) for each in arms]
    _scale_x(axes, shown, unit)
    if zero:
        axes.axhline(0, color=INK, linewidth=0.8)
    _scale_y(axes, shown, [0.0] if zero else [], decades)
    for place, each in enumerate(shown):
        line = thinned(each)
        step = max(len(line.x) // 6, 1)
        _band(axes, line, each.look.color)
        every = (place * step // max(len(shown), 1), step)  # markers of lines that cover each other stand apart
        axes.plot(
            rounded(line.x), rounded(line.y), linestyle=each.look.dashes, markevery=every, **marked(each.look, 4.5)
        )
    label_ends(axes, [_end(each) for each in shown if len(finite(each.y))])
    if not len(finite(_heights(shown))):
        _tell_nothing(axes)
    axes.set_xlabel(unit)


def _course(axes: Axes, course: Course) -> None:
    for curve, color, dashes in ((course.train, TRAIN, (0, (4, 1.5))), (course.validation, VALIDATION, (0, None))):
        line = thinned(curve)
        _band(axes, line, color)
        axes.plot(rounded(line.x), rounded(line.y), color=color, linestyle=dashes)
    if not len(finite([*course.train.y, *course.validation.y])):
        _tell_nothing(axes)


def _tell_nothing(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no records", transform=axes.transAxes, ha="center", va="center", color=TRAIN)


def _band(axes: Axes, line: Curve, color: str) -> None:
    if len(line.low):
        low, high = rounded(line.low), rounded(line.high)
        axes.fill_between(rounded(line.x), low, high, color=color, alpha=0.16, linewidth=0)


def _outer(panels: NDArray[np.object_], row: int, column: int, count: int) -> None:
    """Leave tick labels to the outer panels; those without a panel below keep theirs."""
    axes = panels[row, column]
    columns = panels.shape[1]
    if row * columns + column >= count:
        axes.set_visible(False)
    axes.tick_params(axis="x", labelbottom=(row + 1) * columns + column >= count)


def _scale_x(axes: Axes, lines: Sequence[Curve], unit: str) -> None:
    axes.set_xlim(span(joined([each.x for each in lines]), 0.02))
    if unit == "Epochs":
        whole_ticks(axes)


def _scale_y(axes: Axes, lines: Sequence[Curve], more: Sequence[float] = (), decades: float = DECADES) -> None:
    """Give the y axis limits: where a few values need far more than the others, as early ones, those of the others."""
    scale_scores(axes, "y", [*_heights(lines), *more], decades)
    if axes.get_yscale() == "linear":
        axes.set_ylim(narrowed([*middle(_heights(lines)), *more], [*_heights(lines), *more]))


def _heights(lines: Sequence[Curve]) -> Vector:
    return joined([part for each in lines for part in (each.y, each.low, each.high)])


def _end(curve: Curve) -> End:
    last = np.flatnonzero(np.isfinite(curve.y))[-1]
    return End(curve.label, curve.look, float(curve.x[last]), float(curve.y[last]))


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    train = Line2D([], [], color=TRAIN, linestyle=(0, (4, 1.5)), label="train")
    figure.legend(
        handles=[Line2D([], [], color=VALIDATION, label="validation"), train], loc="outside upper right", ncols=2
    )
