"""How figures of a report are drawn: one style, one look for an arm everywhere, files of equal bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnexp.statistics.rounding import significant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Given = ParamSpec("Given")
Dashes: TypeAlias = tuple[int, tuple[float, ...] | None]

WIDTH, WIDE = 7.2, 10.0  # inches
DPI = 160  # of the PNG
INK, MUTED, GRID = "#222222", "#666666", "#dddddd"
DIGITS = 6  # of a number that is drawn

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib, which finds its own before any other of that name
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.parse_math": False,  # a name may hold dollars
    "text.hinting": "none",  # texts are as wide in every resolution, so that what fits in one fits in all
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "hatch.linewidth": 0.6,
    "hatch.color": "#999999",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "nnexp",
}

# What would tell the time, the version or the machine, by format.
METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}

# Okabe & Ito 2008, their yellow darkened to be seen as a line on white; then of Tol's muted scheme.
COLORS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#a89a00"),
    *("#332288", "#882255", "#44aa99", "#117733", "#aa4499", "#888888"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d", "8")
DASHES: tuple[Dashes, ...] = (
    (0, None),
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (9, 2)),
    (0, (3, 1)),
    (0, (6, 1.5, 1.2, 1.5, 1.2, 1.5)),
    (0, (2, 2)),
    (0, (9, 2, 3, 2)),
    (0, (3, 1, 1.2, 1)),
    (0, (12, 2)),
    (0, (1.2, 2.4)),
    (0, (9, 2, 1.2, 2)),
    (0, (5, 3)),
)


@dataclass(frozen=True)
class Look:
    """How an arm looks: told apart by colour, and without it by its marker and its dashes."""

    color: str
    marker: str
    dashes: Dashes


@dataclass(frozen=True)
class Drawn:
    """A figure whose files are written."""

    name: str
    svg: bytes


def look(place: int) -> Look:
    """Return the look of the arm at a place of its axis; it repeats after 14 arms, with other markers and dashes."""
    turn, at = divmod(place, len(COLORS))
    return Look(COLORS[at], MARKERS[(at + 3 * turn) % len(MARKERS)], DASHES[(at + 5 * turn) % len(DASHES)])


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of reports: Matplotlib's defaults and STYLE, whatever the user's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        for name, value in STYLE.items():
            matplotlib.rcParams[name] = value  # type: ignore[index]  # its type lists the names
        yield


def styled(draw: Callable[Given, Figure]) -> Callable[Given, Figure]:
    """Make a function draw in the style of reports, and settle what it drew."""

    @wraps(draw)
    def drawn(*given: Given.args, **more: Given.kwargs) -> Figure:
        from nnexp.reporting.figures.settling import settle

        with style():
            figure = draw(*given, **more)
            settle(figure)
        return figure

    return drawn


def new_figure(height: float, wide: bool = False) -> Figure:
    """Return an empty figure of a report's width. Args: height: inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDE if wide else WIDTH, round(height, 2)), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, folder: Path, name: str) -> Drawn:
    """Write a figure as NAME.svg, NAME.png and NAME.pdf, of the same bytes for the same figure; it is closed then."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {format: as_bytes(figure, format) for format in METADATA}
    for format, content in files.items():
        (folder / f"{name}.{format}").write_bytes(content)
    figure.clear()
    return Drawn(name, files["svg"])


def as_bytes(figure: Figure, format: str) -> bytes:
    """Return a figure as a file of a format: svg, png or pdf."""
    file = io.BytesIO()
    with style():
        figure.savefig(file, format=format, dpi=DPI if format == "png" else 72, metadata=METADATA[format])
    return file.getvalue()


def rounded(values: ArrayLike) -> NDArray[np.float64]:
    """Return values as they are drawn, so that another processor's last bit does not show; NaN and infinities stay."""
    return significant(values, DIGITS)
