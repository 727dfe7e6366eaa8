"""Parameters: how the score depends on one, and which of them matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.reporting.drawing import COLORS, Look, look, new_figure, rounded, styled
from nnexp.reporting.figures.labels import End, cut, first, label_ends, marked, wrapped
from nnexp.reporting.figures.scales import finite, grid, scale_scores, scale_swept

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Vector = NDArray[np.float64]
Kind = Literal["main", "interaction", "seed"]

ALL = 6  # the place whose colour is black
STRIPS = 6  # arms up to which each has a line for its trials without a score
BANDS = 6  # arms up to which their bands are drawn
KINDS: dict[Kind, tuple[str, str, str]] = {  # what it is called, its colour, its hatch
    "main": ("a parameter alone", COLORS[0], ""),
    "interaction": ("parameters together", COLORS[4], "///"),
    "seed": ("seeds", "#bbbbbb", "..."),
}


@dataclass(frozen=True)
class Response:
    """How an arm's score depends on a parameter. x: its values, ascending, (n,). middle, low, high: the mean score over
    the seeds and its band, NaN where there is no score. lost: trials without a score at each value."""

    label: str
    place: int
    x: Vector = field(repr=False)
    middle: Vector = field(repr=False)
    low: Vector = field(repr=False)
    high: Vector = field(repr=False)
    lost: Sequence[int] = field(default=(), repr=False)

    @property
    def look(self) -> Look:
        """How it looks."""
        return look(self.place)


@dataclass(frozen=True)
class Share:
    """A part of the variance, in [0, 1]."""

    label: str
    value: float
    kind: Kind = "main"


@styled
def sensitivity(
    responses: Sequence[Response], parameter: str, metric: str, *, log: bool, better: str = "higher"
) -> Figure:
    """Draw the score against a parameter, an arm a line with a band; trials without a score are crosses under it.

    Args: log: whether the parameter was swept by factors. Bands are drawn for up to 6 arms.
    """
    responses, more = first(responses)
    lossy = _lossy(responses)
    strip, height = 0.22 * len(lossy), max(3.2, 0.2 * len(responses) + 0.9)
    figure = new_figure(height + strip)
    values = sorted({float(value) for each in responses for value in finite(each.x)})
    if not lossy:
        axes = below = figure.add_subplot()
    else:
        both = figure.subplots(2, 1, height_ratios=[1, strip / (height - 0.5)], sharex=True)
        axes, below = both
    places = dict(zip(values, scale_swept(below, values, log).tolist(), strict=True))
    bands = len(responses) <= BANDS
    _responses(axes, responses, places, bands)
    if lossy:
        _losses(below, lossy, places)
        axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.set_ylabel(f"Mean {metric}\n({better} is better)")
    below.set_xlabel(f"{cut(parameter, 60)}{more}")
    return figure


@styled
def shares(parts: Sequence[Share]) -> Figure:
    """Draw shares of the variance of the score as bars: of parameters, of their interactions, of the seed."""
    from matplotlib.patches import Patch

    parts, more = first(parts)
    figure = new_figure(0.9 + 0.28 * max(len(parts), 2))
    axes = figure.add_subplot()
    values = 100 * rounded([each.value for each in parts])
    for y, (part, value) in enumerate(zip(parts, values, strict=True)):
        _, color, hatch = KINDS[part.kind]
        axes.barh(y, max(value, 0.0), 0.66, facecolor=color, hatch=hatch, edgecolor="white", linewidth=0)
        axes.annotate(
            f"{value:.1f} %", (max(value, 0.0), y), (4, 0), textcoords="offset points", va="center", fontsize=8.5
        )
    axes.set_yticks(range(len(parts)), [wrapped(each.label, lines=1) for each in parts])
    axes.set_ylim(max(len(parts), 2) - 0.4, -0.6)
    axes.set_xlim(0, 1.15 * max([*finite(values), 1.0]))
    grid(axes, "x")
    axes.set_xlabel(f"Share of the variance of the score, in %{more}")
    kinds = [kind for kind in KINDS if any(each.kind == kind for each in parts)]
    handles = [
        Patch(facecolor=KINDS[each][1], hatch=KINDS[each][2], edgecolor="white", label=KINDS[each][0]) for each in kinds
    ]
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.1)
    return figure


def _responses(axes: Axes, responses: Sequence[Response], places: dict[float, float], bands: bool) -> None:
    scale_scores(axes, "y", np.concatenate([_heights(each, bands) for each in responses] or [np.empty(0)]))
    grid(axes, "y")
    for each in responses:
        x = np.array([places[float(value)] for value in each.x])
        if bands:
            low, high = rounded(each.low), rounded(each.high)
            axes.fill_between(x, low, high, color=each.look.color, alpha=0.13, linewidth=0)
        axes.plot(x, rounded(each.middle), linestyle=each.look.dashes, **marked(each.look))
    label_ends(axes, [_end(each, places) for each in responses if len(finite(each.middle))])


def _heights(response: Response, bands: bool) -> Vector:
    return np.concatenate([response.middle, *((response.low, response.high) if bands else ())])


def _end(response: Response, places: dict[float, float]) -> End:
    last = np.flatnonzero(np.isfinite(response.middle))[-1]
    return End(response.label, response.look, places[float(response.x[last])], float(response.middle[last]))


def _lossy(responses: Sequence[Response]) -> list[Response]:
    """Return the arms of which trials have no score; where those are many, all of them as one."""
    found = [each for each in responses if any(each.lost)]
    if len(found) <= STRIPS:
        return found
    counts: dict[float, int] = {}
    for each in found:
        for value, count in zip(each.x, each.lost, strict=True):
            counts[float(value)] = counts.get(float(value), 0) + count
    x, nothing = np.array(sorted(counts)), np.full(len(counts), np.nan)
    return [Response("all arms", ALL, x, nothing, nothing, nothing, [counts[float(value)] for value in x])]


def _losses(axes: Axes, lossy: Sequence[Response], places: dict[float, float]) -> None:
    """Draw a cross and a number for each arm and value of which trials have no score."""
    for y, each in enumerate(lossy):
        for value, count in zip(each.x, each.lost, strict=True):
            if count:
                x = places[float(value)]
                axes.plot([x], [y], "x", color=each.look.color, markersize=5, markeredgewidth=1.5, clip_on=False)
                axes.annotate(f"{count}", (x, y), (5, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(lossy)), [cut(each.label, 14) for each in lossy], fontsize=8)
    axes.set_ylim(len(lossy) - 0.5, -0.5)
    axes.set_ylabel("no score", fontsize=8, rotation=0, ha="right", va="center")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
