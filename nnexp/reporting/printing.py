"""Values and texts as a report prints them, alike on the page, in Markdown and in TeX."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from urllib.parse import quote

from nnexp.reporting.document import Column, Interval, Table, Value, is_missing

MISSING = "–"
INFINITE = "∞"
MINUS = "−"
DECIMALS = 4  # of a score
BREAKS = re.compile(r"[ \t-\r\x1c-\x1f\x85\u2028\u2029]+")  # white space, but for the spaces that keep words together
JOINERS = "\u200c\u200d"  # what words of some languages and compound emoji are spelled with
NUMBER = re.compile(r"−?\d+(?:,\d{3})*(?:\.\d+)?(?:e−?\d+)?")
UNITS = ("KiB", "MiB", "GiB", "TiB")


def shown(text: str) -> str:
    r"""Return a text as one line, white space as spaces, with escapes for all that acts instead of being seen.

    Escaped are control characters, as `\x1b`, the marks that turn the direction of writing, as `\u202e`, and halves of
    characters, as `\ud800`, which no file can hold.
    """
    return exactly(BREAKS.sub(" ", text))


def exactly(text: str) -> str:
    r"""Return a text with its white space, line breaks as `\n`, with escapes for all else that acts."""
    if text.isprintable():
        return text
    return "".join(each if _seen(each) else each.encode("unicode_escape").decode() for each in text)


def address(href: str) -> str:
    """Return an address with escapes for all that none may have, as spaces, quotes and letters beyond ASCII."""
    return quote(href.encode(errors="backslashreplace"), safe=":/?#[]@!$&*+,;=%-._~")


def _seen(character: str) -> bool:
    return character.isprintable() or character in JOINERS or unicodedata.category(character) == "Zs"


def score(value: float, decimals: int = DECIMALS) -> str:
    """Return `0.9712`; what would be rounded to nothing as `1.2e−6`."""
    if special := _special(value):
        return special
    if value and not float(f"{value:.{decimals}f}"):
        return number(float(f"{value:.2g}"))
    return _signs(f"{value:.{decimals}f}")


def difference(value: float, decimals: int = DECIMALS) -> str:
    """Return `+0.0123`, `−0.0123` or `0.0000`."""
    return f"+{score(value, decimals)}" if value > 0 else score(value, decimals)


def p_value(value: float) -> str:
    """Return `0.031` or `< 0.001`."""
    return _special(value) or ("< 0.001" if value < 0.001 else f"{value:.3f}")


def percent(value: float) -> str:
    """Return a fraction as `12.3 %`."""
    return _special(value) or f"{_signs(f'{100 * value:.1f}')} %"


def integer(value: float) -> str:
    """Return `12,345`."""
    return _special(value) or _signs(f"{round(value):,}")


def number(value: float) -> str:
    """Return a value with up to 4 digits, whole ones up to a million with all: `0.001`, `3.162e−5`, `65,536`."""
    if special := _special(value):
        return special
    if value == round(value) and abs(value) <= 1e6:
        return integer(value)
    digits, _, exponent = f"{value:.4g}".partition("e")
    return _signs(f"{digits}e{int(exponent)}" if exponent else digits)


def seconds(value: float) -> str:
    """Return `12 µs`, `250 ms`, `4.21 s`, `98.4 s`, `3.2 min` or `1.5 h`."""
    if special := _special(value):
        return special
    if value < 0:
        return MINUS + seconds(-value)
    if value < 1:
        return (
            f"{value * 1e6:.0f} µs" if 0 < value < 0.9995e-3 else f"{value * 1e3:.3g} ms" if value < 0.9995 else "1 s"
        )
    if value < 120:
        return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def size(value: float) -> str:
    """Return bytes as `512 B`, `1.5 KiB`, `20.0 MiB`."""
    if special := _special(value):
        return special
    if abs(value) < 1024:
        return _signs(f"{value:.0f} B")
    power = min(int(math.log2(abs(value)) // 10), len(UNITS))
    return _signs(f"{value / 1024**power:.1f} {UNITS[power - 1]}")


def interval(value: Interval, print_one: Callable[[float], str] = score) -> str:
    """Return `0.9712 [0.9650, 0.9774]`; the middle alone where the bounds are not known."""
    if is_missing(value) or (math.isnan(value.low) and math.isnan(value.high)):
        return print_one(value.middle)
    return f"{print_one(value.middle)} [{print_one(value.low)}, {print_one(value.high)}]"


def _special(value: float) -> str:
    if math.isnan(value):
        return MISSING
    return "" if math.isfinite(value) else INFINITE if value > 0 else MINUS + INFINITE


def _signs(digits: str) -> str:
    return digits.replace("-", MINUS) if digits.strip("-0.") else digits.lstrip("-")


@dataclass(frozen=True)
class Cell:
    """A value as a table prints it. full: all its digits, where the text has less. key: what sorts it, if known."""

    text: str
    full: str = ""
    key: float | None = None


def shown_columns(table: Table) -> list[list[Cell]]:
    """Return the columns of the rows that a reader sees, with as many decimals as all rows ask for."""
    return [cells(each, [row[at] for row in table.rows], table.shown) for at, each in enumerate(table.columns)]


def cells(column: Column, values: Sequence[Value], most: int | None = None) -> list[Cell]:
    """Return a column's values as it prints them, all with as many decimals. most: how many of them."""
    print_one = _printer(column, values)
    print_text = exactly if column.format == "code" else shown
    found = [Cell(print_text(each)) if isinstance(each, str) else _cell(each, print_one) for each in values[:most]]
    return [_bounds_of(cell) for cell in found] if column.format == "bounds" else found


def _bounds_of(cell: Cell) -> Cell:
    """Return an interval's cell without its middle, by which it is sorted still; a text's as it is."""
    _, bracket, bounds = cell.text.partition(" [")
    full = cell.full.partition(" [")[2]
    if cell.key is None:
        return cell
    return Cell(f"[{bounds}", full and f"[{full}", cell.key) if bracket else Cell(MISSING)


def _cell(value: float | Interval | None, print_one: Callable[[float], str]) -> Cell:
    if value is None or is_missing(value):
        return Cell(MISSING)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", key=float(value))
    if isinstance(value, Interval):
        text, numbers = interval(value, print_one), [value.middle, value.low, value.high]
        full = f"{exact(value.middle)} [{exact(value.low)}, {exact(value.high)}]"
    else:
        text, numbers, full = print_one(value), [value], exact(value)
    unit = " s" if print_one is seconds else " B" if print_one is size else ""
    return Cell(text, "" if _says(text, numbers) else full + unit, float(numbers[0]))


def _says(text: str, numbers: Sequence[float]) -> bool:
    """Whether a text has all digits of the numbers that are finite."""
    told = [float(each.replace(",", "").replace(MINUS, "-")) for each in NUMBER.findall(text)]
    return told == [each for each in numbers if math.isfinite(each)]


def exact(value: float) -> str:
    """Return all digits of a number, as plain Python writes it (NumPy's numbers too)."""
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))


def _printer(column: Column, values: Sequence[Value]) -> Callable[[float], str]:
    plain = {"p": p_value, "percent": percent, "integer": integer, "seconds": seconds, "bytes": size}
    if column.format in plain:
        return plain[column.format]
    if column.format in ("score", "difference", "interval", "bounds"):
        places = decimals([abs(each) for value in values if (each := _magnitude(value))])
        signed = difference if column.format == "difference" else score
        return lambda value: signed(value, places)
    return number


def _magnitude(value: Value) -> float:
    """Return what says how many decimals a value needs, 0 if nothing does."""
    middle = value.middle if isinstance(value, Interval) else value
    known = isinstance(middle, Real) and not isinstance(middle, bool) and math.isfinite(middle)
    return float(middle) if known and isinstance(middle, Real) else 0.0


def decimals(sizes: Sequence[float]) -> int:
    """Return how many decimals positive numbers get beside each other: 4, or 4 digits of their median.

    Fractions, as most scores are, have 4; of larger ones, and of all that are smaller than 0.001, 4 digits show.
    """
    if not sizes:
        return DECIMALS
    median = sorted(sizes)[(len(sizes) - 1) // 2]
    if 0.001 <= median <= 1:
        return DECIMALS
    return min(max(3 - math.floor(math.log10(median)), 0), 12)
