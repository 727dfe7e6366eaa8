"""Rounding: to the closest decimal, and the same again."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.errors import ConfigError
from nnexp.statistics.rounding import significant


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 17))
def test_a_value_becomes_the_closest_decimal_with_so_many_digits(value: float, digits: int) -> None:
    exact = Context(prec=digits, rounding=ROUND_HALF_EVEN, Emax=999, Emin=-999).create_decimal(Decimal(value))
    assert float(significant(value, digits)) == float(exact)


@given(st.lists(st.floats(), max_size=9))
def test_rounding_again_changes_nothing_and_no_zero_is_negative(values: list[float]) -> None:
    once = significant(values)
    assert once.tobytes() == significant(once).tobytes()
    assert not (np.signbit(once) & (once == 0)).any()


@given(st.floats(1e-300, 1e300))
def test_what_is_printed_has_no_more_digits(value: float) -> None:
    assert len(Decimal(repr(float(significant(value, 4)))).normalize().as_tuple().digits) <= 4


def test_the_last_bit_of_another_processor_does_not_show() -> None:
    values = np.array([0.1 + 0.2, 0.947777777777, 1e-9 / 3, 12345678.9])
    assert significant(values).tolist() == significant(np.nextafter(values, 1e9)).tolist()
    assert significant(values).tolist() == [0.3, 0.947778, 3.33333e-10, 12345700.0]


def test_what_is_no_number_stays_and_so_does_the_shape() -> None:
    found = significant([[math.inf, -math.inf], [math.nan, -0.0]])
    assert repr(found.tolist()) == "[[inf, -inf], [nan, 0.0]]"
    assert significant(np.zeros((0, 2))).shape == (0, 2)
    assert significant([1, 2]).dtype == np.float64


@pytest.mark.parametrize("digits", [0, 18])
def test_digits_that_a_double_does_not_have_are_refused(digits: int) -> None:
    with pytest.raises(ConfigError, match="digits must be in"):
        significant([1.0], digits)
