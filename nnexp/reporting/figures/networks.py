"""Networks: decision regions of those with two inputs, still and moving, and first-layer weights as images."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnexp.reporting.drawing import COLORS, INK, MARKERS, new_figure, rounded, style, styled
from nnexp.reporting.figures.labels import cut, first

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

Vector = NDArray[np.float64]
Classes = NDArray[np.int64]

PANELS = 16  # arms
SHOWN = 64  # units
MOVING = 100  # dots per inch of an animation


@dataclass(frozen=True)
class Points:
    """Examples with two inputs. x, y: (n,). classes: from 0 on, (n,)."""

    x: Vector = field(repr=False)
    y: Vector = field(repr=False)
    classes: Classes = field(repr=False)


@dataclass(frozen=True)
class Region:
    """What a network predicts on a grid. x: ascending, (columns,). y: ascending, (rows,). classes: (rows, columns)."""

    label: str
    x: Vector = field(repr=False)
    y: Vector = field(repr=False)
    classes: Classes = field(repr=False)
    note: str = ""


@styled
def regions(panels: Sequence[Region], points: Points, classes: Sequence[str], title: str = "") -> Figure:
    """Draw decision regions side by side, the examples on top. title: over all of them, as an epoch."""
    panels, more = first(panels, PANELS)
    columns = min(max(len(panels), 1), 3 if len(panels) in (3, 5, 6) else 4)
    rows = math.ceil(len(panels) / columns) or 1
    titles = 0.42 if any(each.note for each in panels) else 0.27
    figure = new_figure(0.4 + (7.0 / max(columns, 2) - 0.05 + titles) * rows)
    found = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in found.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(found.flat, panels, strict=False):
        _region(axes, panel)
        _points(axes, points, 4.5 if columns < 3 else 3.2)
        note = f"\n{cut(panel.note, 84 // columns)}" if panel.note else ""
        axes.set_title(f"{cut(panel.label, 84 // columns)}{note}", fontsize=9, linespacing=1.15)
    if title or more:
        figure.suptitle(f"{cut(title, 60)}{more}".strip(), x=0.01, ha="left", fontsize=10)
    _legend(figure, classes)
    return figure


@styled
def units(weights: ArrayLike, labels: Sequence[str] = ()) -> Figure:
    """Draw the weights of first-layer units as images on one scale around 0. weights: (n, height, width).

    Of more than 64, the first are drawn.
    """
    from matplotlib.colors import Normalize

    images = rounded(weights)[:SHOWN]
    columns = min(max(len(images), 1), 8)
    rows = math.ceil(len(images) / columns) or 1
    figure = new_figure(0.4 + rows * (0.98 if labels else 0.76) + (0.5 if rows == 1 else 0))
    panels = figure.subplots(rows, columns, squeeze=False)
    largest = float(np.nanmax(np.abs(images), initial=0.0)) or 1.0
    shown = None
    for at, axes in enumerate(panels.flat):
        axes.set_axis_off()
        if at < len(images):
            shown = axes.imshow(images[at], cmap="PuOr", norm=Normalize(-largest, largest), interpolation="nearest")
            if labels:
                axes.set_title(cut(labels[at], 9), fontsize=8, loc="center")
    if shown is not None:
        figure.colorbar(shown, ax=list(panels.flat), label="weight", shrink=min(1.0, 2.2 / rows + 0.2), pad=0.02)
    return figure


def animate(figures: Sequence[Figure], seconds: float = 6.0, rest: float = 1.5) -> bytes:
    """Return figures of one size as an animation (APNG) that repeats, and rests on the last.

    All frames share one palette, made of the first and the last, so that nothing flickers.
    """
    from PIL import Image

    frames = [_frame(each) for each in figures]
    palette = Image.fromarray(np.concatenate([np.asarray(frames[0]), np.asarray(frames[-1])])).quantize(128)
    still = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in frames]
    pause = max(round(1000 * seconds / len(still)), 40)
    file = io.BytesIO()
    still[0].save(
        file,
        format="PNG",
        save_all=True,
        append_images=still[1:],
        duration=[pause] * (len(still) - 1) + [pause + round(1000 * rest)],
        loop=0,
    )
    return file.getvalue()


def chosen_frames(epochs: Sequence[int], most: int = 6) -> list[int]:
    """Return which of the frames are the stills: more of the early ones, where most happens; the last is one."""
    if len(epochs) <= most:
        return list(range(len(epochs)))
    places = np.geomspace(1, len(epochs), most).round().astype(int) - 1
    return sorted(set(places.tolist()))


def _frame(figure: Figure) -> Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    with style():
        figure.set_dpi(MOVING)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        return Image.fromarray(pixels[..., :3].copy())


def _region(axes: Axes, panel: Region) -> None:
    from matplotlib.colors import ListedColormap

    count = max(int(panel.classes.max(initial=0)) + 1, 2)
    pale = ListedColormap([_pale(_color(each)) for each in range(count)])
    x, y = rounded(panel.x), rounded(panel.y)
    extent = (x[0], x[-1], y[0], y[-1])
    axes.imshow(
        panel.classes,
        origin="lower",
        extent=extent,
        cmap=pale,
        vmin=-0.5,
        vmax=count - 0.5,
        aspect="auto",
        interpolation="nearest",
    )
    for each in range(count if count > 2 else 1):
        there = (panel.classes == each).astype(float)
        if 0 < there.mean() < 1:  # the border is seen without colours
            axes.contour(x, y, there, [0.5], colors=INK, linewidths=0.8)
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.set_box_aspect(1)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)


def _points(axes: Axes, points: Points, size: float) -> None:
    for each in np.unique(points.classes):
        there = points.classes == each
        axes.plot(
            rounded(points.x[there]),
            rounded(points.y[there]),
            MARKERS[int(each) % len(MARKERS)],
            color=_color(int(each)),
            markersize=size,
            markeredgecolor="white",
            markeredgewidth=0.4,
        )


def _legend(figure: Figure, classes: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker=MARKERS[at % len(MARKERS)], color=_color(at), label=cut(name, 16))
        for at, name in enumerate(classes)
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=min(len(handles), 6), columnspacing=1)


def _color(place: int) -> str:
    return COLORS[place % len(COLORS)]


def _pale(color: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return tuple(1 - 0.28 * (1 - part) for part in to_rgb(color))
