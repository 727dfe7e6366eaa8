"""Fronts: what nothing else beats in score and in cost at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnexp.errors import DataError
from nnexp.statistics.samples import pairs


def pareto(costs: ArrayLike, scores: ArrayLike) -> NDArray[np.intp]:
    """Return the Pareto front: the indices of what no other beats, by ascending cost, equals by index.

    j beats i if c_j <= c_i and v_j >= v_i, and one of them strictly. Points that are equal in both stay together, all
    on the front or none. What has no score (-inf) is never on it.

    Args: costs: c, (n,), lower is better. scores: v, (n,), finite or -inf.
    Returns: indices of costs and scores; empty if nothing has a score.
    Raises: DataError if they are no pairs, a cost is not finite, or a score is NaN or inf.
    Source: Kung, Luccio & Preparata 1975, doi:10.1145/321906.321910, for two dimensions.
    """
    c, v = pairs(costs, scores, "costs and scores")
    if not np.isfinite(c).all() or not (v < np.inf).all():
        raise DataError("costs must be finite, and scores finite, or -inf where there is none")
    order = np.lexsort((np.arange(len(c)), -v, c))
    cost, score = c[order], v[order]
    best = np.maximum.accumulate(score)
    first = np.searchsorted(cost, cost, "left")  # of equal costs, the best comes first
    cheaper = np.concatenate([[-np.inf], best])[first]  # the best of what costs less
    front: NDArray[np.intp] = order[(score > cheaper) & (score == score[first])]
    return front
