"""Values and texts as a report prints them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnexp.reporting.document import Column, Format, Interval, Table, Value
from nnexp.reporting.printing import (
    Cell,
    cells,
    decimals,
    difference,
    exactly,
    integer,
    interval,
    number,
    p_value,
    percent,
    score,
    seconds,
    shown,
    shown_columns,
    size,
)


def texts(format: Format, *values: Value) -> list[str]:
    return [cell.text for cell in cells(Column("it", format=format), values)]


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (score(0.97123), "0.9712"),
        (score(-0.5), "−0.5000"),
        (score(-0.0), "0.0000"),
        (score(1.23e-6), "1.2e−6"),
        (score(53.1234, 2), "53.12"),
        (score(math.nan), "–"),
        (score(math.inf), "∞"),
        (score(-math.inf), "−∞"),
        (difference(0.0123), "+0.0123"),
        (difference(-0.0123), "−0.0123"),
        (difference(0.0), "0.0000"),
        (difference(math.inf), "+∞"),
        (p_value(0.03125), "0.031"),
        (p_value(0.00099), "< 0.001"),
        (p_value(1.0), "1.000"),
        (percent(0.1234), "12.3 %"),
        (percent(-0.1234), "−12.3 %"),
        (integer(12345), "12,345"),
        (integer(-1), "−1"),
        (number(0.001), "0.001"),
        (number(3.16228e-5), "3.162e−5"),
        (number(-0.25), "−0.25"),
        (number(65536.0), "65,536"),
        (number(1.5e12), "1.5e12"),
        (number(0), "0"),
        (seconds(0), "0 ms"),
        (seconds(1.2e-5), "12 µs"),
        (seconds(0.25), "250 ms"),
        (seconds(0.9996), "1 s"),
        (seconds(4.212), "4.21 s"),
        (seconds(98.41), "98.4 s"),
        (seconds(119.9), "120 s"),
        (seconds(192), "3.2 min"),
        (seconds(5400), "90.0 min"),
        (seconds(7200), "2.0 h"),
        (seconds(-4.212), "−4.21 s"),
        (seconds(math.inf), "∞"),
        (size(512), "512 B"),
        (size(1536), "1.5 KiB"),
        (size(20 * 1024**2), "20.0 MiB"),
        (size(5 * 1024**5), "5120.0 TiB"),
        (interval(Interval(0.9, 0.85, 0.95)), "0.9000 [0.8500, 0.9500]"),
        (interval(Interval(0.9, math.nan, math.nan)), "0.9000"),
        (interval(Interval(0.9, -math.inf, math.inf)), "0.9000 [−∞, ∞]"),
    ],
)
def test_a_number_is_printed(printed: str, expected: str) -> None:
    assert printed == expected


def test_decimals_are_4_for_fractions_and_4_digits_otherwise() -> None:
    assert decimals([0.97, 0.031, 1.0]) == 4
    assert decimals([53.1, 54.0, 1e9]) == 2
    assert decimals([3000.0]) == 0
    assert decimals([0.0002]) == 7
    assert decimals([]) == 4


def test_a_column_has_as_many_decimals_in_every_row() -> None:
    assert texts("score", 53.1234, 7.5, None, math.inf) == ["53.123", "7.500", "–", "∞"]
    assert texts("interval", Interval(0.5, 0.25, 1), 0.75, None) == ["0.5000 [0.2500, 1.0000]", "0.7500", "–"]
    unknown = Interval(0.5, math.nan, math.nan)
    bounds = cells(Column("it", format="bounds"), [Interval(0.5, 0.25, 0.12345), unknown, 0.5, None, "never"])
    assert bounds == [Cell("[0.2500, 0.1235]", "[0.25, 0.12345]", 0.5), *[Cell("–")] * 3, Cell("never")]
    assert texts("difference", Interval(0.5, -0.25, 1)) == ["+0.5000 [−0.2500, +1.0000]"]


def test_the_rows_that_show_have_the_decimals_that_all_ask_for() -> None:
    rows: tuple[tuple[Value, ...], ...] = ((7.5,), (53.125,), (54.5,))
    table = Table("scores", "Scores", (Column("it", format="score"),), rows, shown=1)
    assert [[cell.text for cell in column] for column in shown_columns(table)] == [["7.50"]]


def test_every_format_prints_what_is_missing_or_a_text_as_such() -> None:
    formats: tuple[Format, ...] = ("text", "code", "integer", "number", "score", "difference", "p", "percent", "bytes")
    for each in (*formats, "seconds", "interval"):
        assert texts(each, None, math.nan, Interval(math.nan, 0, 1), "never", True) == ["–", "–", "–", "never", "yes"]


def test_a_cell_has_all_digits_and_what_it_is_sorted_by() -> None:
    column = Column("it", format="score")
    assert cells(column, [0.123456]) == [Cell("0.1235", "0.123456", 0.123456)]
    assert cells(column, [0.1234]) == [Cell("0.1234", "", 0.1234)]
    assert cells(column, [None, math.nan]) == [Cell("–"), Cell("–")]
    assert cells(column, [math.inf]) == [Cell("∞", "", math.inf)]
    assert cells(column, [Interval(0.5, 0.1, 0.9)]) == [Cell("0.5000 [0.1000, 0.9000]", "", 0.5)]
    assert cells(column, [Interval(0.5, 0.12345, 0.9)])[0].full == "0.5 [0.12345, 0.9]"
    assert cells(Column("it", format="seconds"), [41.25, 5.0, 7200.0]) == [
        Cell("41.2 s", "41.25 s", 41.25),
        Cell("5.00 s", "", 5.0),
        Cell("2.0 h", "7200.0 s", 7200.0),
    ]
    assert cells(Column("it", format="percent"), [5.0, -0.5])[0] == Cell("500.0 %", "5.0", 5.0)
    assert cells(Column("it", format="integer"), [12345, -1]) == [Cell("12,345", "", 12345.0), Cell("−1", "", -1.0)]
    assert cells(Column("it", format="p"), [0.0001]) == [Cell("< 0.001", "0.0001", 0.0001)]
    assert cells(Column("it"), ["two\nlines"]) == [Cell("two lines")]
    assert cells(Column("it", format="code"), ["two\nlines"]) == [Cell(r"two\nlines")]


def test_numbers_of_numpy_are_printed_as_plain_ones() -> None:
    column = Column("it", format="score")
    assert cells(column, [np.float64(0.123456)]) == cells(column, [0.123456])
    assert cells(Column("it", format="integer"), [int(np.int64(3))]) == [Cell("3", "", 3.0)]


def test_texts_are_one_line_without_anything_that_acts() -> None:
    assert shown("a\n b\tc ") == "a b c "  # what follows in the same sentence stays apart
    assert shown("a\x1b[31m\x00") == r"a\x1b[31m\x00"
    assert shown("user\u202egnp.exe") == r"user\u202egnp.exe"
    assert shown("half \ud800") == r"half \ud800"
    assert shown("שלום 👩‍🔬 né — −") == "שלום 👩‍🔬 né — −"
    assert shown("three\N{NO-BREAK SPACE}s") == "three\N{NO-BREAK SPACE}s"
    assert exactly("three\N{NO-BREAK SPACE}s\n  x") == "three\N{NO-BREAK SPACE}s\\n  x"
