"""What a sweep cost and what came of it: scores against cost, and how trials ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnexp.reporting.drawing import INK, MUTED, look, new_figure, rounded, styled
from nnexp.reporting.figures.labels import cut, first, marked, wrapped
from nnexp.reporting.figures.scales import PLAIN, focus, grid, scale_log, whole_ticks
from nnexp.statistics import fronts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

NAMED = 8  # configurations of the front
SHOWN = 30  # arms
STATES = (  # what it is called, its colour, its hatch
    ("finished", "#0072b2", ""),
    ("diverged", "#d55e00", "///"),
    ("failed", "#000000", ""),
    ("stopped", "#e69f00", "..."),
    ("missing", "#dddddd", "xx"),
)


@dataclass(frozen=True)
class Spent:
    """What a configuration cost and scored. place: of its arm; arm: its name."""

    label: str
    arm: str
    place: int
    cost: float
    score: float


@dataclass(frozen=True)
class Ended:
    """How the trials of an arm ended."""

    label: str
    finished: int
    diverged: int = 0
    failed: int = 0
    stopped: int = 0
    missing: int = 0


@styled
def pareto(spent: Sequence[Spent], cost: str, metric: str, better: str = "higher") -> Figure:
    """Draw scores against cost; those that no cheaper one beats are joined, numbered and named."""
    there = [each for each in spent if np.isfinite([each.cost, each.score]).all() and each.cost > 0]
    front = _front(there, better)
    arms = {each.place: each.arm for each in sorted(there, key=lambda each: each.place)}
    figure = new_figure(3.6 + 0.2 * -(-len(arms) // 4))
    axes = figure.add_subplot()
    scale_log(axes, "x", [each.cost for each in there])
    ranked = sorted((each.score for each in there), reverse=better == "higher")
    focus(axes, "y", [[each] for each in ranked], max(len(ranked) // 4, 5))
    _off_scale(axes, [each.score for each in there])
    for each in there:
        strong = each in front
        axes.plot(
            rounded([each.cost]),
            rounded([each.score]),
            alpha=1 if strong else 0.45,
            **marked(look(each.place), 6 if strong else 4.5),
        )
    axes.plot(
        rounded([each.cost for each in front]),
        rounded([each.score for each in front]),
        color=INK,
        linewidth=1,
        drawstyle="steps-post",
        zorder=1,
    )
    grid(axes, "both")
    axes.set(xlabel=cost, ylabel=f"Mean {metric}\n({better} is better)")
    _arms(figure, arms)
    _name_front(figure, axes, front, better)
    return figure


@styled
def accounting(rows: Sequence[Ended]) -> Figure:
    """Draw how the trials of each arm ended, as stacked bars; the first 30 arms are drawn."""
    shown, more = first(rows, SHOWN)
    figure = new_figure(0.9 + 0.28 * max(len(shown), 2))
    axes = figure.add_subplot()
    lefts = np.zeros(len(shown))
    for state, color, hatch in STATES:
        counts = np.array([getattr(each, state) for each in shown], dtype=np.float64)
        if counts.any():
            axes.barh(
                range(len(shown)),
                counts,
                0.7,
                lefts,
                facecolor=color,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.6,
                label=state,
            )
        lefts += counts
    for y, (row, total) in enumerate(zip(shown, lefts, strict=True)):
        told = f"{row.finished} of {total:.0f}"
        axes.annotate(told, (total, y), (4, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_yticks(range(len(shown)), [wrapped(each.label, lines=1) for each in shown])
    axes.set_ylim(max(len(shown), 2) - 0.4, -0.6)
    axes.set_xlim(0, 1.15 * max([*lefts, 1.0]))
    grid(axes, "x")
    whole_ticks(axes)
    axes.set_xlabel(f"Trials, with how many of those planned finished{more}")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=5, borderaxespad=0.1)
    return figure


def _front(spent: Sequence[Spent], better: str) -> list[Spent]:
    """Return what nothing beats that costs as little, the cheapest first."""
    sign = 1 if better == "higher" else -1
    places = fronts.pareto([each.cost for each in spent], [sign * each.score for each in spent])
    return [spent[place] for place in places]


def _off_scale(axes: Axes, scores: Sequence[float]) -> None:
    """Tell how many points are beyond the y axis."""
    low, high = axes.get_ylim()
    for count, y, va, sign in (
        (sum(each < low for each in scores), 0.01, "bottom", "▾"),
        (sum(each > high for each in scores), 0.99, "top", "▴"),
    ):
        if count:
            told = f"{sign} {count} off the scale"
            axes.text(0.01, y, told, transform=axes.transAxes, va=va, fontsize=8, color=MUTED, bbox=PLAIN)


def _arms(figure: Figure, arms: dict[int, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linestyle="", label=cut(name, 14), **marked(look(at))) for at, name in arms.items()]
    if len(handles) > 1:
        longest = max(len(str(handle.get_label())) for handle in handles)
        figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 84 // (longest + 6)))


def _name_front(figure: Figure, axes: Axes, front: Sequence[Spent], better: str) -> None:
    """Number the front's points, and list their names on the right; of a long front, its ends and those between."""
    kept = (
        front
        if len(front) <= NAMED
        else [front[at] for at in np.linspace(0, len(front) - 1, NAMED).round().astype(int)]
    )
    low, high = axes.get_ylim()
    beyond = ["" if low <= each.score <= high else " (off the scale)" for each in kept]
    names = [
        f"{at}  {cut(each.label, 26 - len(told))}{told}"
        for at, (each, told) in enumerate(zip(kept, beyond, strict=True), 1)
    ]
    side = "top" if better == "higher" else "bottom"
    axes.annotate(
        "\n".join(["cheapest of its score:", *names]),
        (1, 1),
        (8, 0),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        fontsize=8.5,
        linespacing=1.4,
    )
    figure.draw_without_rendering()
    taken: list[Bbox] = []
    for number, each in enumerate(kept, 1):
        _number(axes, f"{number}", (each.cost, each.score), taken, 6 if side == "top" else -6)


def _number(axes: Axes, text: str, at: tuple[float, float], taken: list[Bbox], up: int) -> None:
    """Write a number beside a point, at the nearest place where no other stands."""
    offsets = [(-6, up), (6, up), (-6, -up), (6, -up), (0, 2 * up), (-14, up), (14, up), (0, -2 * up)]
    for offset in offsets:
        found = axes.annotate(
            text, at, offset, textcoords="offset points", ha="center", va="center", fontsize=8, fontweight="bold"
        )
        box = found.get_window_extent()
        if not any(box.overlaps(other) for other in taken):
            break
        found.remove()
    else:
        return
    taken.append(box)
