"""Matrices as coloured cells with their numbers: improvement between arms, interaction of two axes, confusion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnexp.reporting.drawing import INK, new_figure, rounded, styled
from nnexp.reporting.figures.labels import cut, first
from nnexp.reporting.figures.scales import DECADES, finite, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Matrix = NDArray[np.float64]

TOLD = 14  # columns up to which cells hold their numbers
NAME = 18  # characters of a name beside a cell


@styled
def improvement(labels: Sequence[str], probabilities: ArrayLike) -> Figure:
    """Draw how probable it is that a trial of one arm beats one of another. probabilities: (k, k), P(row > column)."""
    from matplotlib.colors import Normalize

    labels, more = first(labels)
    matrix = rounded(probabilities)[: len(labels), : len(labels)]
    np.fill_diagonal(matrix, np.nan)
    figure, axes = _axes(matrix)
    texts = [[f"{value:.2f}" if np.isfinite(value) else "" for value in row] for row in matrix]
    image = _cells(axes, matrix, texts, "PuOr", Normalize(0, 1))
    _names(axes, labels, labels)
    axes.set(xlabel=f"… than this one{more}", ylabel="This arm is better …")
    figure.colorbar(image, ax=axes, label="P(better), ties count half", shrink=0.8, ticks=[0, 0.25, 0.5, 0.75, 1])
    return figure


@styled
def interaction(
    columns: Sequence[str],
    rows: Sequence[str],
    means: ArrayLike,
    misses: ArrayLike | None = None,
    *,
    x: str,
    y: str,
    metric: str,
    better: str = "higher",
) -> Figure:
    """Draw the mean score over two axes; brighter is better. Cells without a score are hatched.

    Args: means: (rows, columns), NaN where there is none. misses: trials of each cell that have no score.
    """
    matrix = rounded(means)
    lost = np.zeros(matrix.shape) if misses is None else np.asarray(misses)
    figure, axes = _axes(matrix)
    texts = [
        [_cell(value, int(count)) for value, count in zip(*pair, strict=True)]
        for pair in zip(matrix, lost, strict=True)
    ]
    image = _cells(axes, matrix, texts, "cividis" if better == "higher" else "cividis_r", _norm(matrix))
    _names(axes, columns, rows)
    axes.set(xlabel=cut(x, 60), ylabel=cut(y, 30))
    bar = figure.colorbar(image, ax=axes, label=f"mean {metric}", shrink=0.8, format=lambda value, _: number(value))
    bar.outline.set_visible(False)
    return figure


@styled
def confusion(counts: ArrayLike, classes: Sequence[str]) -> Figure:
    """Draw how often each class was taken for each. counts: (true, predicted); colours are shares of the true class."""
    from matplotlib.colors import Normalize

    table = np.asarray(counts, dtype=np.float64)
    sums = table.sum(1, keepdims=True)
    shares = np.divide(table, sums, out=np.full_like(table, np.nan), where=sums > 0)
    figure, axes = _axes(table, square=True)
    texts = [[_count(*each) for each in zip(*pair, strict=True)] for pair in zip(table, shares, strict=True)]
    image = _cells(axes, rounded(shares), texts, "Blues", Normalize(0, 1))
    _names(axes, classes, classes)
    axes.set(xlabel="Predicted class", ylabel="True class")
    bar = figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8, ticks=[0, 0.5, 1])
    bar.set_ticklabels(["0 %", "50 %", "100 %"])
    return figure


def _axes(matrix: Matrix, square: bool = False) -> tuple[Figure, Axes]:
    rows, columns = matrix.shape
    height = min(1.3 + rows * (0.42 if square or columns <= TOLD else 0.3), 7.5)
    figure = new_figure(max(height, 2.4))
    axes = figure.add_subplot()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure, axes


def _cells(axes: Axes, matrix: Matrix, texts: Sequence[Sequence[str]], colors: str, norm: Normalize) -> AxesImage:
    """Draw cells and, where they are few, their texts; those without a number are hatched."""
    from matplotlib.patches import Rectangle

    image = axes.imshow(np.ma.masked_invalid(matrix), cmap=colors, norm=norm, aspect="auto")
    rows, columns = matrix.shape
    axes.set_xticks(np.arange(1, columns) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, rows) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="minor", length=0)
    for row, column in np.ndindex(matrix.shape):
        if not np.isfinite(matrix[row, column]):
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, facecolor="#f4f4f4", edgecolor="#bbbbbb", hatch="///", linewidth=0))
        if columns <= TOLD and rows <= 2 * TOLD and texts[row][column]:
            _write(
                axes,
                (column, row),
                texts[row][column],
                _ink(image, float(matrix[row, column])),
                bool(np.isfinite(matrix[row, column])),
            )
    return image


def _write(axes: Axes, at: tuple[float, float], text: str, color: str, plain: bool) -> None:
    behind: dict[str, Any] = {} if plain else {"bbox": {"facecolor": "#f4f4f4", "edgecolor": "none", "pad": 1}}
    axes.text(*at, text, ha="center", va="center", fontsize=8, color=color, linespacing=1.05, **behind)


def _ink(image: AxesImage, value: float) -> str:
    """Return the colour in which a text is read on a cell."""
    if not np.isfinite(value):
        return INK
    red, green, blue, _ = image.to_rgba(np.array([value]))[0]
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.52 else INK


def _norm(matrix: Matrix) -> Normalize:
    from matplotlib.colors import LogNorm, Normalize

    found = finite(matrix)
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
    if low > 0 and math.log10(high / low) > DECADES:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + (0.01 * abs(low) or 1.0))


def _cell(value: float, lost: int) -> str:
    missing = f"{lost} ×" if lost else ""
    if not np.isfinite(value):
        return missing
    told = f"{value:.3f}" if 1e-2 <= abs(value) < 100 else number(float(f"{value:.3g}"))
    return f"{told}\n{missing}" if missing else told


def _count(count: float, share: float) -> str:
    if not count:
        return ""
    return f"{count:.0f}\n{100 * share:.0f} %"


def _names(axes: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    """Name columns and rows; names of columns that are too long for their cells are slanted."""
    across, down = [cut(each, NAME) for each in columns], [cut(each, NAME) for each in rows]
    slanted = max(map(len, across), default=0) * len(across) > 70
    turn: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axes.set_xticks(range(len(across)), across, **turn)
    axes.set_yticks(range(len(down)), down)
