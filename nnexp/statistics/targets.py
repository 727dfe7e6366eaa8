"""Targets: how long arms take to a score, how often they get there, and profiles of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nnexp.errors import DataError, require
from nnexp.statistics.intervals import Band, outer_ranks
from nnexp.statistics.samples import Float64s, check_level, finite, matrix, several


@dataclass(frozen=True)
class Steps:
    """A share that rises in steps: 0 before at[0], share[i] from at[i] to at[i + 1].

    at: (S,), ascending. share: (S,), ascending, at most 1: below 1 where some never arrive. n: of how many, with those.
    """

    at: Float64s
    share: Float64s
    n: int

    def __call__(self, x: ArrayLike) -> Float64s:
        """Return the share at x, of x's shape."""
        return np.concatenate([[0.0], self.share])[np.searchsorted(self.at, x, "right")]


def time_to_target(scores: ArrayLike, target: float, times: ArrayLike | None = None) -> float:
    """Return when a score first reached the target: min {t_e: v_e >= target}, inf if it never did.

    Args: scores: v, (E,), one an epoch; NaN, as after a divergence, reaches nothing. target: finite. times: t, (E,),
        ascending; None for the number of the epoch, from 1.
    Raises: DataError if there is not one time a score, or times do not ascend; ConfigError if the target is not finite.
    Source: Dahl et al. 2023, arXiv:2306.07179.
    """
    require(bool(np.isfinite(target)), "target", "finite", target)
    v = np.asarray(scores, np.float64)
    t = np.arange(1.0, v.size + 1) if times is None else np.asarray(times, np.float64)
    if v.ndim != 1 or t.shape != v.shape or (np.diff(t) < 0).any():
        raise DataError(f"scores need one ascending time each, got shapes {v.shape} and {t.shape}")
    (reached,) = np.nonzero(v >= target)
    return float(t[reached[0]]) if len(reached) else np.inf


def share_arrived(times: ArrayLike) -> Steps:
    """Return the share of times up to t: #{T_i <= t} / n; what never arrives (inf) keeps it below 1.

    One minus Kaplan and Meier's estimate, if each run that missed had the whole time.

    Args: times: (n,), >= 0 or inf.
    Raises: DataError if there is none, or one is NaN or negative.
    Source: Kaplan & Meier 1958, doi:10.1080/01621459.1958.10501452.
    """
    t = np.asarray(times, np.float64)
    if t.ndim != 1 or not len(t) or not (t >= 0).all():
        raise DataError("times must be at least one in one dimension, not negative, inf where it never came")
    at, counts = np.unique(t[np.isfinite(t)], return_counts=True)
    return Steps(at, np.cumsum(counts) / len(t), len(t))


def ratios(times: ArrayLike) -> Float64s:
    """Return how many times as long as the best arm each arm took: T_pa / min_a T_pa, inf where it never arrived.

    Args: times: (N, k): problems (seeds, data sets) by arms, > 0 or inf.
    Returns: (N, k), >= 1; a problem that no arm solved has inf everywhere.
    Raises: DataError if there are no problems or arms, or a time is NaN, 0 or negative.
    Source: Dolan & More 2002, doi:10.1007/s101070100263.
    """
    t = matrix(times, "times")
    if (t <= 0).any():
        raise DataError("times must be positive, inf where it never came")
    best = t.min(axis=1, keepdims=True)
    ratio: Float64s = np.divide(t, best, out=np.full(t.shape, np.inf), where=np.isfinite(t))
    return ratio


def profiles(times: ArrayLike) -> list[Steps]:
    """Return the performance profile of each arm: rho(tau), the share of problems it solves within tau times the best.

    rho_a(tau) = #{p: T_pa <= tau min_a T_pa} / N. A problem that no arm solved counts for none. Adding or leaving out
    an arm changes the others' profiles.

    Args, raises: as `ratios`.
    Returns: k steps; at 1 the share of problems where the arm is best.
    Source: Dolan & More 2002, doi:10.1007/s101070100263.
    """
    return [share_arrived(column) for column in ratios(times).T]


def profile_scores(times: ArrayLike, upto: float = 4.0) -> Float64s:
    """Return the area under each arm's performance profile: 1 / (r - 1) times the integral of rho from 1 to r.

    Exact for steps: the mean over problems of max(0, r - ratio) / (r - 1).

    Args: times: as of `ratios`. upto: r > 1.
    Returns: (k,), in [0, 1]: 1 for an arm that is best on every problem.
    Raises: as `ratios`; ConfigError if upto is not above 1.
    Source: Dahl et al. 2023, arXiv:2306.07179, whose r is 4.
    """
    require(bool(1 < upto < np.inf), "upto", "above 1", upto)
    areas: Float64s = np.mean(np.clip(upto - ratios(times), 0, None), axis=0) / (upto - 1)
    return areas


def score_profile(
    groups: Sequence[ArrayLike],
    thresholds: ArrayLike,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 2000,
) -> Band:
    """Return the share of runs above each threshold, with a stratified bootstrap band, for each place by itself.

    F(tau) = #{x > tau} / n over the runs of all groups together. A resample of n_g runs with replacement has a binomial
    number of them above tau, B(n_g, share): it is drawn as that. Where all runs lie above, or none, the band has no
    width, which says only that the sample shows none.

    Args: groups: (n_g,) each, finite or -inf: a missing score is above nothing. thresholds: tau, (T,), finite. rng:
        seeded. level: in (0, 1). resamples: >= 1.
    Raises: DataError if there is no group or no threshold, or a score is NaN or inf; ConfigError for what is out of
        range.
    Source: Agarwal et al. 2021, arXiv:2108.13264.
    """
    check_level(level)
    require(resamples >= 1, "resamples", "at least 1", resamples)
    tau, strata = finite(thresholds, "thresholds"), several(groups)
    above = [len(x) - np.searchsorted(x, tau, "right") for x in strata]
    n = sum(map(len, strata))
    drawn = sum(
        rng.binomial(len(x), count / len(x), (resamples, len(tau))) for x, count in zip(strata, above, strict=True)
    )
    low, high = outer_ranks(np.asarray(drawn) / n, level)
    return Band(tau, np.add.reduce(above, axis=0) / n, low, high, level, n)
