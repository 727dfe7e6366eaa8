"""Samples: scores as the statistics take them, checked once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnexp.arrays import Flags
from nnexp.errors import DataError, choose, require

Float64s: TypeAlias = NDArray[np.float64]


def oriented(scores: ArrayLike, direction: Literal["maximize", "minimize"]) -> Float64s:
    """Return scores of which higher ones are better: as they are, or negated where they are minimised.

    A NaN, the score of a trial that has none, becomes -inf.

    Args: scores: any shape. direction: of the objective.
    Raises: ConfigError for another direction.
    """
    sign = {"maximize": 1.0, "minimize": -1.0}[choose("direction", direction, ("maximize", "minimize"))]
    values = sign * np.asarray(scores, np.float64)
    return np.where(np.isnan(values), -np.inf, values)


def finite(values: ArrayLike, thing: str = "scores", least: int = 1) -> Float64s:
    """Return finite values in one dimension, or raise DataError; least: how many there must be."""
    return _checked(values, thing, least, np.isfinite, "finite")


def scores_or_none(values: ArrayLike, thing: str = "scores", least: int = 1) -> Float64s:
    """Return scores in one dimension, finite or -inf where there is none, or raise DataError."""
    return _checked(values, thing, least, lambda x: x < np.inf, "finite, or -inf where there is none")


def pairs(first: ArrayLike, second: ArrayLike, thing: str = "scores") -> tuple[Float64s, Float64s]:
    """Return two arrays of one length and shape (n,), or raise DataError."""
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise DataError(f"{thing} must come in pairs, got shapes {one.shape} and {other.shape}")
    return one, other


def matrix(values: ArrayLike, thing: str, rows: int = 1, columns: int = 1) -> Float64s:
    """Return values in two dimensions, none of them NaN, or raise DataError; rows, columns: how many at least."""
    found = np.asarray(values, np.float64)
    if found.ndim != 2 or found.shape[0] < rows or found.shape[1] < columns:
        raise DataError(f"{thing} must have at least {rows} rows and {columns} columns, got shape {found.shape}")
    if np.isnan(found).any():
        raise DataError(f"{thing} must not be NaN")
    return found


def several(groups: Sequence[ArrayLike], thing: str = "groups") -> list[Float64s]:
    """Return groups of scores, each sorted, or raise DataError where there is none."""
    if not groups:
        raise DataError(f"{thing}: there is none")
    return [np.sort(scores_or_none(group, thing)) for group in groups]


def check_level(level: float) -> None:
    """Raise ConfigError unless it is the level of an interval."""
    require(0 < level < 1, "level", "in (0, 1)", level)


def _checked(values: ArrayLike, thing: str, least: int, allowed: Callable[[Float64s], Flags], demand: str) -> Float64s:
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or len(found) < least:
        raise DataError(f"{thing} must be at least {least} in one dimension, got shape {found.shape}")
    if not np.all(allowed(found)):
        raise DataError(f"{thing} must be {demand}")
    return found
