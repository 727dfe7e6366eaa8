"""Predictions of the selected network: calibration, scores of classes, predicted against true values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nnexp.reporting.drawing import COLORS, INK, MUTED, new_figure, rounded, styled
from nnexp.reporting.figures.labels import cut
from nnexp.reporting.figures.scales import finite, grid, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 40  # classes
FEW = 20  # examples of a bin, below which its share says little
DRAWN = 3000  # examples
OF_CLASS = (("precision", "o", COLORS[0]), ("recall", "s", COLORS[1]), ("F1", "D", COLORS[6]))


@styled
def reliability(confidence: ArrayLike, accuracy: ArrayLike, counts: ArrayLike) -> Figure:
    """Draw how often the network is right against how sure it is, and how many examples each bin has.

    Args: of each bin: confidence: mean, NaN if empty. accuracy: share that is right. counts: examples.
    """
    figure = new_figure(4.6)
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    x, y, examples = rounded(confidence), rounded(accuracy), np.asarray(counts, dtype=np.float64)
    upper.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 2)), linewidth=1, label="as sure as right")
    upper.vlines(x, np.fmin(x, y), np.fmax(x, y), color=COLORS[1], linewidth=1.5, alpha=0.6)
    upper.plot(x, y, "-", color=COLORS[0])
    for chosen, face, label in (
        (examples >= FEW, COLORS[0], "the network"),
        (examples < FEW, "white", f"the network, fewer than {FEW} examples"),
    ):
        if (chosen & np.isfinite(x)).any():
            upper.plot(x[chosen], y[chosen], "o", color=COLORS[0], markerfacecolor=face, label=label)
    upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04), ylabel="Share that is right")
    upper.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.1)
    grid(upper, "both")
    upper.tick_params(axis="x", length=0, labelbottom=False)
    edges = np.linspace(0, 1, len(examples) + 1)
    lower.bar(edges[:-1], examples, np.diff(edges), align="edge", color="#bbbbbb", edgecolor="white")
    _bin_counts(lower, edges, examples)
    lower.set(xlabel="Probability that the network gives its answer", ylabel="Examples")
    lower.set_ylim(0, 1.3 * max([*finite(examples), 1.0]))
    grid(lower, "y")
    return figure


@styled
def class_scores(classes: Sequence[str], precision: ArrayLike, recall: ArrayLike, f1: ArrayLike) -> Figure:
    """Draw precision, recall and F1 of each class; the first 40 are drawn."""
    shown = [cut(each) for each in classes[:SHOWN]]
    figure = new_figure(0.95 + 0.24 * max(len(shown), 3))
    axes = figure.add_subplot()
    values = [rounded(each)[:SHOWN] for each in (precision, recall, f1)]
    for y, row in enumerate(zip(*values, strict=True)):
        there = finite(row)
        if len(there):
            axes.plot([there.min(), there.max()], [y, y], color="#bbbbbb", linewidth=1.2, zorder=1)
    for (name, marker, color), found in zip(OF_CLASS, values, strict=True):
        face = "white" if name == "recall" else color
        axes.plot(found, range(len(found)), marker, color=color, markerfacecolor=face, markersize=5, label=name)
    axes.set_yticks(range(len(shown)), shown)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(span(np.concatenate([*values, [1.0]])))
    grid(axes, "x")
    more = f" (the first {SHOWN} of {len(classes)} classes)" if len(classes) > SHOWN else ""
    axes.set(xlabel=f"Score on the test part{more}", ylabel="Class")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.1)
    return figure


@styled
def predictions(true: ArrayLike, predicted: ArrayLike, target: str = "target") -> Figure:
    """Draw predicted against true values, and what is left: the residuals. Of many examples, 3,000 are drawn."""
    t, p = rounded(true), rounded(predicted)
    kept = np.flatnonzero(np.isfinite(t) & np.isfinite(p))
    kept = kept[:: max(1, -(-len(kept) // DRAWN))]
    t, p = t[kept], p[kept]
    figure = new_figure(3.5)
    left, right = figure.subplots(1, 2)
    limits = span(np.concatenate([t, p]))
    left.plot(limits, limits, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    left.plot(t, p, "o", color=COLORS[0], alpha=0.5, markersize=3.5, markeredgewidth=0)
    left.set(xlim=limits, ylim=limits, xlabel=f"True {cut(target, 26)}", ylabel=f"Predicted {cut(target, 26)}")
    right.axhline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    right.plot(p, t - p, "o", color=COLORS[0], alpha=0.5, markersize=3.5, markeredgewidth=0)
    right.set(
        xlim=span(p), ylim=span(t - p), xlabel=f"Predicted {cut(target, 26)}", ylabel="Residual: true − predicted"
    )
    grid(left, "both")
    grid(right, "both")
    return figure


def _bin_counts(axes: Axes, edges: ArrayLike, counts: ArrayLike) -> None:
    lefts = np.asarray(edges)
    if len(lefts) > 21:
        return
    for middle, count in zip((lefts[:-1] + lefts[1:]) / 2, np.asarray(counts), strict=True):
        if count:
            axes.annotate(f"{count:.0f}", (middle, count), (0, 2), textcoords="offset points", ha="center", fontsize=8)
