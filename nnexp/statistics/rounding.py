"""Rounding: numbers to so many significant digits, so that another processor's last bit does not show."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nnexp.errors import require
from nnexp.statistics.samples import Float64s


def significant(values: ArrayLike, digits: int = 6) -> Float64s:
    """Return values rounded to so many significant decimal digits: the closest double to the correctly rounded decimal.

    The decimal is that of the value's exact binary fraction, a tie to the even digit; so rounding again changes
    nothing, and `repr` shows no more than these digits. inf, -inf and NaN stay; -0.0 becomes 0.0. Two values that
    differ in their last bit become one, unless the middle between two decimals lies between them.

    Args: values: any shape. digits: in [1, 17].
    Returns: float64, of the same shape.
    Raises: ConfigError if digits is out of range.
    Source: the decimal conversion of IEEE 754-2019, as Python's format and float do it.
    """
    require(1 <= digits <= 17, "digits", "in [1, 17]", digits)
    given = np.asarray(values, np.float64)
    pattern = f"%.{digits - 1}e"
    rounded = np.fromiter((float(pattern % value) for value in given.flat), np.float64, given.size)
    return rounded.reshape(given.shape) + 0.0
