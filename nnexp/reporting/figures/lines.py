"""Lines, one an arm: performance and score profiles, the best of a budget, epochs to a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.reporting.drawing import Look, look, new_figure, rounded, styled
from nnexp.reporting.figures.labels import End, first, label_ends, marked
from nnexp.reporting.figures.scales import finite, grid, middle, narrowed, scale_log, scale_scores, span, whole_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]
NONE: Vector = np.empty(0)


@dataclass(frozen=True)
class Curve:
    """A line of an arm. x: ascending, (n,). low, high: of its band, (n,); empty if there is none."""

    label: str
    place: int
    x: Vector = field(repr=False)
    y: Vector = field(repr=False)
    low: Vector = field(default_factory=lambda: NONE, repr=False)
    high: Vector = field(default_factory=lambda: NONE, repr=False)

    @property
    def look(self) -> Look:
        """How it looks."""
        return look(self.place)


@styled
def performance_profile(curves: Sequence[Curve], cost: str = "epochs to target", x_max: float | None = None) -> Figure:
    """Draw the share of problems that an arm solves within a factor of the fastest. x: factors, from 1 on."""
    curves, more = first(curves)
    figure, axes = _axes(len(curves))
    end = x_max or max([2.0, *finite(np.concatenate([each.x for each in curves] or [NONE]))])
    scale_log(axes, "x", [1.0, end])
    _shares(axes, curves, 1.0, axes.get_xlim()[1])
    axes.set(xlabel=f"Factor of the fewest {cost}{more}", ylabel="Share of problems reached")
    return figure


@styled
def score_profile(curves: Sequence[Curve], metric: str, better: Literal["higher", "lower"] = "higher") -> Figure:
    """Draw the share of trials that score better than a threshold, with bands. x: thresholds."""
    curves, more = first(curves)
    figure, axes = _axes(len(curves))
    scale_scores(axes, "x", np.concatenate([each.x for each in curves] or [NONE]))
    if better == "lower":
        axes.invert_xaxis()  # harder thresholds stand on the right
    _shares(axes, curves)
    sign = ">" if better == "higher" else "<"
    axes.set(xlabel=f"Threshold of {metric}{more}", ylabel=f"Share of trials with {metric} {sign} threshold")
    return figure


@styled
def time_to_target(curves: Sequence[Curve], target: str, x_max: float, unit: str = "Epochs") -> Figure:
    """Draw the share of trials that reached a target by an epoch; those that missed it keep a curve below 1.

    Args: curves: x are the epochs at which trials reached it. target: as `val/acc ≥ 0.95`. x_max: epochs trained.
    """
    curves, more = first(curves)
    figure, axes = _axes(len(curves))
    axes.set_xlim(0, max(x_max, 1e-9) * 1.01)
    if unit == "Epochs":
        whole_ticks(axes)
    _shares(axes, curves, 0.0, x_max)
    axes.set(xlabel=f"{unit}{more}", ylabel=f"Share of trials with {target}")
    return figure


@styled
def expected_best(
    curves: Sequence[Curve], metric: str, unit: str = "Trials", better: Literal["higher", "lower"] = "higher"
) -> Figure:
    """Draw the score to be expected of the best of a budget. x: trials, or seconds (then unit is `Seconds`)."""
    curves, more = first(curves)
    figure, axes = _axes(len(curves))
    x = np.concatenate([each.x for each in curves] or [NONE])
    if len(finite(x)) and min(finite(x)) > 0 and max(finite(x)) > 8 * min(finite(x)):
        scale_log(axes, "x", x)
    else:
        axes.set_xlim(span(x))
        if unit != "Seconds":
            whole_ticks(axes)
    scale_scores(axes, "y", _heights(curves))
    if axes.get_yscale() == "linear":
        axes.set_ylim(narrowed(middle(_heights(curves), 0.15), _heights(curves)))
    _draw(axes, curves)
    axes.set(xlabel=f"{unit}{more}", ylabel=f"Expected best {metric}\n({better} is better)")
    return figure


def _axes(count: int) -> tuple[Figure, Axes]:
    figure = new_figure(max(3.4, 0.2 * count + 0.9))
    axes = figure.add_subplot()
    grid(axes, "y")
    return figure, axes


def _heights(curves: Sequence[Curve]) -> Vector:
    return np.concatenate([part for each in curves for part in (each.y, each.low, each.high)] or [NONE])


def _shares(axes: Axes, curves: Sequence[Curve], start: float | None = None, end: float | None = None) -> None:
    """Draw curves of shares as steps, from a start to an end on the x axis."""
    axes.set_ylim(-0.02, 1.04)
    for each in curves:
        there = np.isfinite(each.x) & np.isfinite(each.y)
        x, y = rounded(each.x[there]), rounded(each.y[there])
        _band(axes, each, step="post")
        marks = axes.plot(x, y, linestyle="", markevery=_every(len(x)), **marked(each.look, 4.5))
        if start is not None:
            x, y = np.concatenate([[start], x]), np.concatenate([[0.0], y])
        if end is not None and len(x):
            x, y = np.concatenate([x, [max(end, x[-1])]]), np.concatenate([y, y[-1:]])
        axes.plot(
            x, y, linestyle=each.look.dashes, color=each.look.color, drawstyle="steps-post", zorder=marks[0].zorder
        )
    label_ends(axes, [_end(each, end) for each in curves if start is not None or len(finite(each.y))])


def _draw(axes: Axes, curves: Sequence[Curve]) -> None:
    for each in curves:
        _band(axes, each)
        x, y = rounded(each.x), rounded(each.y)
        axes.plot(x, y, linestyle=each.look.dashes, markevery=_every(len(x)), **marked(each.look, 4.5))
    label_ends(axes, [_end(each) for each in curves if len(finite(each.y))])


def _band(axes: Axes, curve: Curve, **more: Any) -> None:
    if len(curve.low):
        low, high = rounded(curve.low), rounded(curve.high)
        axes.fill_between(rounded(curve.x), low, high, color=curve.look.color, alpha=0.13, linewidth=0, **more)


def _every(count: int, most: int = 12) -> int:
    return max(1, -(-count // most))


def _end(curve: Curve, end: float | None = None) -> End:
    """Return where a curve's label points to: its last point, or its height where the axis ends."""
    there = np.flatnonzero(np.isfinite(curve.x) & np.isfinite(curve.y))
    x, y = (float(curve.x[there[-1]]), float(curve.y[there[-1]])) if len(there) else (0.0, 0.0)
    return End(curve.label, curve.look, x if end is None else max(x, end), y)
