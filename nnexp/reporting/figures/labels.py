"""Texts in figures: names that fit, in glyphs that the font has, and labels at the ends of lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nnexp.reporting.drawing import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation
    from matplotlib.transforms import Transform

CUT = 34  # characters of a name beside an axis
LINE = 1.25  # heights of a font from one line to the next
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


def cut(text: str, width: int = CUT) -> str:
    """Return a text on one line of at most as many characters; `…` stands for the rest."""
    text = legible(text)
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


def wrapped(text: str, width: int = CUT, lines: int = 2) -> str:
    """Return a text on a few lines; `…` stands for the rest."""
    found = textwrap.wrap(legible(text), width, break_on_hyphens=False)
    if len(found) <= lines:
        return "\n".join(found)
    return "\n".join([*found[: lines - 1], cut(" ".join(found[lines - 1 :]), width)])


def label_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Name lines on the right, each label with its marker, at the height where its line ends or as near as fits.

    The limits of the axes must be set; they stay.
    """
    ends = sorted((each for each in ends if np.isfinite([each.x, each.y]).all()), key=lambda each: each.y)
    figure = axes.get_figure(root=True)
    assert figure is not None
    wanted = [_fraction(axes, each) for each in ends]
    made = [_label(axes, each, y) for each, y in zip(ends, wanted, strict=True)]
    figure.draw_without_rendering()  # labels at their places in x give the axes their height
    gap = SIZE * LINE * figure.dpi / 72 / axes.get_window_extent().height
    for (annotation, line), y in zip(made, spread(wanted, gap), strict=True):
        annotation.set_y(y)
        line.set_ydata([y])


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return ascending heights in [0, 1] at least a gap apart, as near as can be to those wanted; closer if too many.

    Neighbours that are too near form a block around the mean of what they want (pool adjacent violators).
    """
    gap = min(gap, 1 / max(len(wanted) - 1, 1))
    blocks: list[tuple[float, int]] = []  # sum of the wanted starts, members
    for place, height in enumerate(wanted):
        total, count = height - place * gap, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before, members = blocks.pop()
            total, count = total + before, count + members
        blocks.append((total, count))
    starts = [total / count for total, count in blocks for _ in range(count)]
    top = 1 - gap * max(len(wanted) - 1, 0)
    return [min(max(start, 0.0), top) + place * gap for place, start in enumerate(starts)]


def _label(axes: Axes, end: End, y: float) -> tuple[Annotation, Line2D]:
    from matplotlib.lines import Line2D

    line = Line2D([1], [y], transform=_right(axes, 13), clip_on=False, linestyle="", **marked(end.look))
    axes.add_artist(line)
    arrow = {"arrowstyle": "-", "color": end.look.color, "linewidth": 0.7, "relpos": (0, 0.5), "shrinkA": 13}
    annotation = axes.annotate(
        cut(end.label, 22),
        xy=(end.x, end.y),
        xytext=(1, y),
        textcoords=_right(axes, 18),
        fontsize=SIZE,
        va="center",
        annotation_clip=False,
        arrowprops={**arrow, "shrinkB": 2},
    )
    return annotation, line


def marked(look: Look, size: float = 5) -> dict[str, Any]:
    """Return how an arm's marker is drawn."""
    return {"marker": look.marker, "color": look.color, "markersize": size, "markeredgewidth": 0}


def _right(axes: Axes, points: float) -> Transform:
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure(root=True)
    assert figure is not None
    return axes.transAxes + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)


def _fraction(axes: Axes, end: End) -> float:
    _, y = axes.transAxes.inverted().transform(axes.transData.transform((end.x, end.y)))
    return float(min(max(y, 0.0), 1.0))


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf").get_charmap())
