"""Axes of figures: limits that leave room, logarithmic scales with plain numbers, ticks where values were swept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnexp.reporting.drawing import MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

Which = Literal["x", "y"]

WIDER = 3.0  # times the width that the better half needs, from which on the rest is off the scale
PLAIN: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # behind a text

DECADES = 2.5  # from which on positive scores stand on a logarithmic axis
POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """Return a number in as few characters as tell it: 0.001, 250, 3×10⁻⁷."""
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        return f"{value:.6g}".replace("-", "−")
    mantissa, power = f"{value:.5e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".").replace("-", "−")
    ten = f"10{str(int(power)).translate(POWERS)}"
    return ten if mantissa == "1" else f"{mantissa}×{ten}"


def finite(values: ArrayLike) -> NDArray[np.float64]:
    """Return the values that are numbers, flat."""
    found = np.asarray(values, dtype=np.float64).ravel()
    return found[np.isfinite(found)]


def span(values: ArrayLike, margin: float = 0.05) -> tuple[float, float]:
    """Return limits around values with a margin; never of zero width."""
    found = finite(values)
    if not len(found):
        return 0.0, 1.0
    low, high = float(found.min()), float(found.max())
    width = high - low
    if width <= 1e-6 * max(abs(low), abs(high)):
        width = 0.02 * max(abs(low), abs(high)) or 1.0
    return low - margin * width, high + margin * width


def log_span(values: ArrayLike, margin: float = 0.04) -> tuple[float, float]:
    """Return limits around positive values as a logarithmic axis needs them."""
    found = finite(values)
    logs = np.log10(found[found > 0])
    if not len(logs):
        return 0.1, 10.0
    low, high = float(logs.min()), float(logs.max())
    room = margin * (high - low) if high > low else 0.3
    return float(10 ** (low - room)), float(10 ** (high + room))


def scale_scores(axes: Axes, which: Which, values: ArrayLike, decades: float = DECADES) -> None:
    """Give an axis of scores its limits: a logarithmic scale where they are positive and span decades."""
    found = finite(values)
    if len(found) and found.min() > 0 and math.log10(found.max() / found.min()) > decades:
        scale_log(axes, which, found)
    else:
        axes.set(**{f"{which}lim": span(found)})


def scale_log(axes: Axes, which: Which, values: ArrayLike, ticks: Sequence[float] = ()) -> None:
    """Give an axis a logarithmic scale around values, with ticks where told, else at powers of ten (1, 2, 5)."""
    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = log_span(values)
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis = _axis(axes, which)
    places = [each for each in (ticks or powers(low, high)) if low <= each <= high]
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: number(value))


def powers(low: float, high: float, most: int = 7) -> list[float]:
    """Return powers of ten between limits, with twos and fives where those are few; else round numbers."""
    from matplotlib.ticker import MaxNLocator

    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        found = [float(f"{each}e{power}") for power in range(first, last + 1) for each in factors]
        found = [each for each in found if low <= each <= high]
        if len(found) <= most:
            break
    if len(found) < 3:
        round_ones = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
        found = [float(f"{each:.6g}") for each in round_ones if low <= each <= high]
    return found[:: -(-len(found) // most) or 1]


def focus(axes: Axes, which: Which, rows: Sequence[ArrayLike], first: int | None = None) -> None:
    """Give an axis limits for rows of which the first matter most: the last do not squeeze them.

    Where all rows need an axis far wider than the first do (the better half, at least 5), the others are off the scale.
    """
    count = max(len(rows) // 2, 5) if first is None else first
    some, everything = (joined([finite(each) for each in part]) for part in (rows[:count], rows))
    axes.set(**{f"{which}lim": narrowed(some, everything)})


def narrowed(some: ArrayLike, everything: ArrayLike, margin: float = 0.4) -> tuple[float, float]:
    """Return limits around all values, or around some that matter more where the others would squeeze them."""
    low, high = span(some, margin)
    least, most = span(everything)
    if not len(finite(some)) or most - least <= WIDER * (high - low):
        return least, most
    room = 0.04 * (high - low)  # no more beyond 0 and, of shares, beyond 1
    smallest, largest = finite(everything).min(), finite(everything).max()
    return max(low, -room) if smallest >= 0 else low, min(high, 1 + room) if smallest >= 0 and largest <= 1 else high


def middle(values: ArrayLike, share: float = 0.1) -> NDArray[np.float64]:
    """Return the bounds of values without a share of the lowest and of the highest."""
    found = finite(values)
    return np.quantile(found, [share, 1 - share]) if len(found) else found


def joined(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return arrays one after another; none give an empty one."""
    return np.concatenate(parts) if parts else np.empty(0)


def off_scale(axes: Axes, y: float, middle: float, low: float, high: float) -> bool:
    """Point to what of a row is beyond the x axis, with its mean if that is; return whether anything is."""
    left, right = axes.get_xlim()
    told = f" {number(float(f'{middle:.3g}'))}" if not left <= middle <= right else ""
    for beyond, text, x, align in (
        (low < left, f"◂{told}", 0.004, "left"),
        (high > right, f"{told} ▸", 0.996, "right"),
    ):
        if beyond and (not told or (middle < left) == (align == "left")):
            place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": align, "va": "center"}
            axes.text(x, y, text.strip(), fontsize=8, color=MUTED, bbox=PLAIN, zorder=5, **place)
    return bool(low < left or high > right)


def scale_swept(axes: Axes, values: Sequence[float], log: bool) -> NDArray[np.float64]:
    """Put the values of a swept parameter on the x axis and return where each stands.

    On a logarithmic axis a 0 stands on the left, behind a break.
    """
    from matplotlib.ticker import FixedLocator

    above = sorted(each for each in values if each > 0)
    if not log or not above:
        axes.set_xlim(span(values))
        if len(set(values)) <= 12:
            axes.xaxis.set_major_locator(FixedLocator(sorted(set(values))))
            axes.xaxis.set_major_formatter(lambda value, _: number(value))
        return np.asarray(values, dtype=np.float64)
    zero = above[0] / max((above[-1] / above[0]) ** 0.16, 2.0)
    places = np.array([each if each > 0 else zero for each in values])
    ticks = sorted(set(places.tolist())) if len(set(values)) <= 12 else []
    scale_log(axes, "x", places, ticks)
    if min(values) <= 0:
        axes.xaxis.set_major_formatter(lambda value, _: "0" if value == zero else number(value))
        _break(axes, math.sqrt(zero * above[0]))
    return places


def grid(axes: Axes, which: Literal["x", "y", "both"]) -> None:
    """Draw thin lines behind the data, and no axis across them."""
    axes.grid(axis=which)
    if which == "x":
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    elif which == "y":
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)


def whole_ticks(axes: Axes) -> None:
    """Put the ticks of the x axis at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))


def _break(axes: Axes, x: float) -> None:
    transform = axes.get_xaxis_transform()
    axes.text(x, 0, "//", transform=transform, ha="center", va="center", fontsize=9, color=MUTED, backgroundcolor="w")


def _axis(axes: Axes, which: Which) -> Axis:
    return axes.xaxis if which == "x" else axes.yaxis
