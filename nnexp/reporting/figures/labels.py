"""Texts in figures: names that fit, in glyphs that the font has, and labels at the ends of lines."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nnexp.reporting.drawing import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

Item = TypeVar("Item")

ALIKE = re.compile(r"\[([^\[\],\s]+)(?:, ?\1){2,}\]")

NEAR = 0.85  # of the width, from which on a line leads to the label
MOST = 20  # arms in a figure
CUT = 34  # characters of a name beside an axis
LINE = 1.25  # heights of a font from one line to the next
GROUP = "end"  # of the labels that are moved apart
SIZE = 8.5  # points of a label at the end of a line


@dataclass(frozen=True)
class End:
    """Where a line ends, and what it is called."""

    label: str
    look: Look
    x: float
    y: float


def legible(text: str) -> str:
    """Return a text with a box for what the font cannot show, so that no other font is looked for."""
    known = _glyphs()
    return "".join(each if ord(each) in known and each.isprintable() else "□" for each in " ".join(text.split()))


def short(text: str) -> str:
    """Return a text in which lists of one value tell how many they are: [32, 32, 32] becomes [32 ×3]."""
    return ALIKE.sub(lambda found: f"[{found[1]} ×{found[0].count(',') + 1}]", legible(text))


def cut(text: str, width: int = CUT) -> str:
    """Return a text on one line of at most as many characters; `…` stands for its middle: names differ at the end."""
    text = short(text)
    if len(text) <= width:
        return text
    tail = width // 3
    return f"{text[: width - 1 - tail].rstrip()}…{text[-tail:].lstrip()}"


def wrapped(text: str, width: int = CUT, lines: int = 2) -> str:
    """Return a text on a few lines; `…` stands for what does not fit."""
    found = textwrap.wrap(short(text), width, break_on_hyphens=False)
    if len(found) <= lines:
        return "\n".join(found)
    return "\n".join([*found[: lines - 1], cut(" ".join(found[lines - 1 :]), width)])


def first(items: Sequence[Item], most: int = MOST) -> tuple[Sequence[Item], str]:
    """Return as many items as a figure holds, and what to say beside an axis where those are not all."""
    return items[:most], f" (the first {most} of {len(items)})" if len(items) > most else ""


def label_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Name lines on the right, each label with its marker, at the height where its line ends or as near as fits.

    The limits of the axes must be set. Labels are moved apart when the figure is settled, and its size is known.
    """
    for end in ends:
        if np.isfinite([end.x, end.y]).all():
            _label(axes, _within(axes, end))  # a triangle tells that the line ends beyond the axes


def spread_ends(axes: Axes) -> None:
    """Move the labels at the ends of lines apart, now that the axes have their height."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    made = [each for each in axes.texts if each.get_gid() == GROUP]
    lines = [each for each in axes.lines if each.get_gid() == GROUP]
    pairs = list(zip(made, lines, strict=True))[::-1]  # of those that end alike, the first stands on top
    pairs.sort(key=lambda pair: pair[0].get_position()[1])
    gap = SIZE * LINE * figure.dpi / 72 / axes.get_window_extent().height
    heights = spread([text.get_position()[1] for text, _ in pairs], gap, 1 - 0.4 * gap)
    for (text, line), y in zip(pairs, heights, strict=True):
        text.set_y(y)
        line.set_ydata([y])


def spread(wanted: Sequence[float], gap: float, top: float = 1.0) -> list[float]:
    """Return ascending heights in [0, top] a gap apart at least, as near as can be to those wanted; closer if many.

    Neighbours that are too near form a block around the mean of what they want (pool adjacent violators).
    """
    gap = min(gap, top / max(len(wanted) - 1, 1))
    blocks: list[tuple[float, int]] = []  # sum of the wanted starts, members
    for place, height in enumerate(wanted):
        total, count = height - place * gap, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before, members = blocks.pop()
            total, count = total + before, count + members
        blocks.append((total, count))
    starts = [total / count for total, count in blocks for _ in range(count)]
    last = top - gap * max(len(wanted) - 1, 0)
    return [min(max(start, 0.0), last) + place * gap for place, start in enumerate(starts)]


def _label(axes: Axes, end: End) -> None:
    from matplotlib.lines import Line2D

    x, y = _fraction(axes, end)
    line = Line2D([1], [y], transform=_right(axes, 13), clip_on=False, linestyle="", gid=GROUP, **marked(end.look))
    axes.add_line(line)
    near = 0.7 if x > NEAR else 0.0  # lines from afar would cross the others
    arrow = {"arrowstyle": "-", "color": end.look.color, "linewidth": near, "relpos": (0, 0.5), "shrinkA": 13}
    axes.annotate(
        end.label,
        xy=(end.x, end.y),
        xytext=(1, y),
        textcoords=_right(axes, 18),
        fontsize=SIZE,
        va="center",
        annotation_clip=False,
        arrowprops={**arrow, "shrinkB": 2},
        gid=GROUP,
    )


def _within(axes: Axes, end: End) -> End:
    """Return an end at the nearest place that the axes show."""
    (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    beyond = " ▾" if end.y < low else " ▴" if end.y > high else ""
    return End(cut(end.label, 22) + beyond, end.look, min(max(end.x, left), right), min(max(end.y, low), high))


def marked(look: Look, size: float = 5) -> dict[str, Any]:
    """Return how an arm's marker is drawn."""
    return {"marker": look.marker, "color": look.color, "markersize": size, "markeredgewidth": 0}


def _right(axes: Axes, points: float) -> Transform:
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure(root=True)
    assert figure is not None
    return axes.transAxes + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)


def _fraction(axes: Axes, end: End) -> tuple[float, float]:
    x, y = axes.transAxes.inverted().transform(axes.transData.transform((end.x, end.y)))
    return float(x), float(y)


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf").get_charmap())
