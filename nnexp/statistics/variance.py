"""Variance: which factors of a full grid move the score, and how much of it is the seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc

from nnexp.errors import DataError, require
from nnexp.statistics.intervals import mean
from nnexp.statistics.samples import Float64s, finite


@dataclass(frozen=True)
class Term:
    """A main effect, or an interaction of several factors.

    share: of the total sum of squares. degrees: of freedom. p: of such an F or a larger one by chance, None where
    seeds do not vary, as with one score a cell.
    """

    factors: tuple[str, ...]
    share: float
    degrees: int
    p: float | None


@dataclass(frozen=True)
class Shares:
    """The total sum of squares of a full grid, and who has which share of it.

    terms: by order, then in the factors' order. higher: the share of the interactions beyond those. within: the share
    of what differs inside of cells: the seed. repeats: scores a cell. total: the sum of squares itself; if it is 0, all
    shares are 0.
    """

    terms: tuple[Term, ...]
    higher: float
    within: float
    repeats: int
    total: float


@dataclass(frozen=True)
class Components:
    """The variance of scores between configurations and within them, that is between their seeds.

    between: unbiased, so it can be negative: then the seeds explain all. within: the pooled variance. intraclass:
    the share of the variance that is between, max(0, between) / (max(0, between) + within), 0 if there is none.
    configurations: how many. n: of how many scores.
    """

    between: float
    within: float
    intraclass: float
    configurations: int
    n: int


@dataclass(frozen=True)
class _Noise:
    """The sum of squares within cells, and its degrees of freedom."""

    square: float
    degrees: int

    def p(self, square: float, degrees: int) -> float | None:
        """Return the chance of such an F or a larger one, None where seeds or levels do not vary."""
        if not (self.degrees and degrees and self.square > 0):
            return None
        return float(fdtrc(degrees, self.degrees, square / degrees / (self.square / self.degrees)))


def factorial_shares(factors: Mapping[str, Sequence[object]], scores: ArrayLike, order: int = 3) -> Shares:
    """Return the exact shares of variance in a full factorial grid: SS_term / SS_total.

    With cell means m, for factors S: the part e_S = prod_{i in S} (I - A_i) prod_{i not in S} A_i m, A_i the mean over
    factor i, and SS_S = r C mean(e_S²), r scores in each of C cells; within: sum (x - m)². In a balanced grid the parts
    are orthogonal and the shares add up to 1. F = (SS_S / df_S) / (SS_within / df_within).

    They describe these levels of these factors: other ranges give other shares. Noise has its part in each: a term that
    does nothing has the expected share of its degrees of freedom times that of one of the seeds'.

    Args: factors: name to the levels of each score, (N,) each: numbers or words. scores: (N,), finite. order: of the
        interactions that are told apart, >= 1.
    Raises: DataError if the grid is not full or not balanced, or a score is not finite; ConfigError if order is 0.
    Source: Fisher 1925, Statistical Methods for Research Workers; Montgomery 2017, Design and Analysis of
        Experiments.
    """
    require(order >= 1, "order", "at least 1", order)
    cells = _grid(factors, finite(scores))  # (L_1, ..., L_k, r)
    means = np.add.reduce(cells, axis=-1) / cells.shape[-1]
    squares = {
        chosen: cells.shape[-1] * float(np.sum(_part(means, chosen) ** 2))
        for size in range(1, min(order, means.ndim) + 1)
        for chosen in itertools.combinations(range(means.ndim), size)
    }
    within = float(np.sum((cells - means[..., None]) ** 2))
    between = cells.shape[-1] * float(np.sum((means - means.mean()) ** 2))
    noise = _Noise(within, cells.size - means.size)
    total, names = between + within, tuple(factors)
    return Shares(
        terms=tuple(
            Term(tuple(names[i] for i in chosen), _share(square, total), degrees, noise.p(square, degrees))
            for chosen, square in squares.items()
            for degrees in [math.prod(means.shape[i] - 1 for i in chosen)]
        ),
        higher=_share(between - math.fsum(squares.values()), total),
        within=_share(within, total),
        repeats=cells.shape[-1],
        total=total,
    )


def variance_components(groups: Sequence[ArrayLike]) -> Components:
    """Return the variance between configurations beside the variance of the seeds.

    within = sum_ij (x_ij - m_i)² / (N - k), between = (MS_b - within) / n_0, MS_b = sum_i n_i (m_i - m)² / (k - 1),
    n_0 = (N - sum n_i² / N) / (k - 1), for k configurations with n_i scores each: the estimates of one-way analysis of
    variance with random effects, unbiased also for unequal n_i.

    Args: groups: (n_i,) each, finite: the scores of one configuration's seeds.
    Raises: DataError if there are fewer than two, all have one score only, or a score is not finite.
    Source: Searle, Casella & McCulloch 1992, Variance Components; Fisher 1925 for the intraclass share.
    """
    samples = [finite(group) for group in groups]
    lowest = min(map(np.min, samples), default=0.0)
    samples = [x - lowest for x in samples]  # so that equal scores have exactly no variance
    sizes = np.array([len(x) for x in samples], np.float64)
    k, n = len(samples), int(sizes.sum())
    if k < 2 or n == k:
        raise DataError(f"variance components need two configurations, one with two seeds; got {k} with {n} scores")
    means = np.array([mean(x) for x in samples])
    within = math.fsum(math.fsum((x - m) ** 2) for x, m in zip(samples, means, strict=True)) / (n - k)
    middle = mean(np.concatenate(samples))
    typical = (n - math.fsum(sizes**2) / n) / (k - 1)
    between = (math.fsum(sizes * (means - middle) ** 2) / (k - 1) - within) / typical
    known = max(0.0, between)
    return Components(between, within, known / (known + within) if known + within > 0 else 0.0, k, n)


def _grid(factors: Mapping[str, Sequence[object]], scores: Float64s) -> Float64s:
    """Return scores by the levels of each factor and by repeat, sorted, (L_1, ..., L_k, r)."""
    if not factors:
        raise DataError("a grid needs at least one factor")
    codes = [_codes(name, levels, len(scores)) for name, levels in factors.items()]
    shape = tuple(int(each.max()) + 1 for each in codes)
    cells, size = math.prod(shape), " x ".join(map(str, shape))
    if cells > len(scores):
        raise DataError(f"the grid is not full: it has {size} cells, and {len(scores)} scores")
    cell = np.ravel_multi_index(codes, shape)
    counts = np.bincount(cell, minlength=cells)
    if counts.min() != counts.max():
        raise DataError(f"the grid is not balanced: its {size} cells have {counts.min()} to {counts.max()} scores each")
    ordered = scores[np.lexsort((scores, cell))].reshape(*shape, -1)
    above: Float64s = ordered - ordered.min()  # so that equal scores have exactly no variance
    return above


def _codes(name: str, levels: Sequence[object], n: int) -> NDArray[np.intp]:
    if len(levels) != n:
        raise DataError(f"factor {name!r} must have a level for each of {n} scores, got {len(levels)}")
    places = {level: place for place, level in enumerate(sorted(set(levels), key=repr))}
    return np.array([places[level] for level in levels], np.intp)


def _part(means: Float64s, chosen: tuple[int, ...]) -> Float64s:
    """Return what the chosen factors do together and no fewer of them do, in all cells."""
    part = means
    for axis in range(means.ndim):
        over = np.broadcast_to(part.mean(axis=axis, keepdims=True), means.shape)
        part = part - over if axis in chosen else over
    return part


def _share(square: float, total: float) -> float:
    """Return a share of the total; what is left by rounding alone is none."""
    return square / total if square > 1e-12 * total else 0.0
