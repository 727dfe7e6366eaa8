"""Ranks: arms by their places over several problems."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from nnexp.errors import require
from nnexp.statistics.samples import Float64s, matrix


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of whether arms differ.

    average_ranks: (k,), 1 is best. statistic: chi² with k - 1 degrees of freedom; p: of a larger one by chance.
    """

    problems: int
    average_ranks: Float64s
    statistic: float
    p: float


def ranks(scores: ArrayLike) -> Float64s:
    """Return the place of each arm on each problem, 1 the best, equals sharing the mean of their places.

    Args: scores: (N, k), finite or -inf: a missing score is worst, and several tie.
    Returns: (N, k), each row adding up to k (k + 1) / 2.
    Raises: DataError if there are no problems or arms, or a score is NaN.
    """
    v = matrix(scores, "scores")
    better = np.sum(v[:, None, :] > v[:, :, None], axis=2)
    equal = np.sum(v[:, None, :] == v[:, :, None], axis=2)
    places: Float64s = better + (equal + 1) / 2
    return places


def friedman(scores: ArrayLike) -> Friedman:
    """Return Friedman's test: do the arms' average ranks differ by more than chance?

    chi² = (k - 1) sum_j (R_j - N (k + 1) / 2)² / (sum_ij r_ij² - N k (k + 1)² / 4), R_j = sum_i r_ij, which is the
    usual one with its correction for ties. The chi² distribution is an approximation: coarse for N below about 10. All
    ties give 0 and a p of 1.

    Args: scores: (N, k), N >= 2 problems (data sets; seeds of one are no problems), k >= 2 arms; finite or -inf.
    Raises: DataError if there are fewer, or a score is NaN.
    Source: Friedman 1937, doi:10.1080/01621459.1937.10503522; Conover 1999, Practical Nonparametric Statistics.
    """
    v = matrix(scores, "scores", rows=2, columns=2)
    r, (n, k) = ranks(v), v.shape
    spread = float(np.sum(r**2)) - n * k * (k + 1) ** 2 / 4
    between = float(np.sum((r.sum(axis=0) - n * (k + 1) / 2) ** 2))
    statistic = (k - 1) * between / spread if spread > 0 else 0.0
    return Friedman(n, r.sum(axis=0) / n, statistic, float(chdtrc(k - 1, statistic)))


def critical_difference(problems: int, arms: int, alpha: float = 0.05) -> float:
    """Return by how much two average ranks must differ for Nemenyi's test: q_alpha sqrt(k (k + 1) / (6 N)).

    q_alpha: the quantile 1 - alpha of the studentized range of k means, over sqrt(2). Only after Friedman's test, and
    of little use for N below about 10: for 5 arms and 4 problems it is 3.05 of the 4 that there can be.

    Args: problems: N >= 2. arms: k >= 2. alpha: in (0, 1).
    Raises: ConfigError if one is out of range.
    Source: Nemenyi 1963, Distribution-free multiple comparisons; Demsar 2006, JMLR 7, 1-30.
    """
    from scipy.stats import studentized_range

    require(problems >= 2, "problems", "at least 2", problems)
    require(arms >= 2, "arms", "at least 2", arms)
    require(0 < alpha < 1, "alpha", "in (0, 1)", alpha)
    q = float(studentized_range.ppf(1 - alpha, arms, np.inf)) / math.sqrt(2)
    return q * math.sqrt(arms * (arms + 1) / (6 * problems))
