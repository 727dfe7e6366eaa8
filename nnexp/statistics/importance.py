"""Importance: which parameters decide whether a trial is among the best, where they were sampled."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from nnexp.errors import DataError, require
from nnexp.statistics.samples import Float64s, scores_or_none

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

Value: TypeAlias = float | int | bool | str | None

BEST = 5  # how many trials the best share must have
TOP = 0.1  # which share of the trials are the best


@dataclass(frozen=True)
class Importance:
    """How much each parameter decides, or why that is not said.

    shares: of each parameter that varies, adding up to 1, largest first; None with a reason. left_out: parameters that
    have one value only. trials: how many there were.
    """

    shares: Mapping[str, float] | None
    reason: str | None
    left_out: tuple[str, ...]
    trials: int


def importance(
    columns: Mapping[str, Sequence[Value]],
    scores: ArrayLike,
    *,
    log: Sequence[str] = (),
    top: float = TOP,
) -> Importance:
    """Return PED-ANOVA's importance of each parameter for being among the best trials.

    D(p || q) = sum_x q(x) (p(x) / q(x) - 1)², p the density of a parameter among the best share of trials, q that among
    all, both by kernels on a grid of at most 50 places; then each over the sum. It looks at one parameter at a time:
    interactions do not show. It is not said of so few trials that fewer than 5 are the best (50 for a share of 0.1),
    nor where more than half of all trials tie with the best.

    A column of bools, words or a mix is one of choices, whole numbers and others are numbers between the lowest and the
    highest that there are. None is a parameter that a trial does not have; it is compared among those that do.

    Args: columns: name to (N,) values. scores: (N,), finite or -inf: a missing score counts as the worst. log: columns
        of positive numbers to be compared by their logarithm. top: the best share, in (0, 0.5].
    Raises: DataError if a column has another length, a number is not finite, or one to be logged is not a positive
        number; ConfigError if top is out of range.
    Source: Watanabe, Bansal & Hutter 2023, arXiv:2304.10255; computed by Optuna.
    """
    require(0 < top <= 0.5, "top", "in (0, 0.5]", top)
    v = scores_or_none(scores)
    plain = {name: [_plain(value) for value in column] for name, column in columns.items()}
    for name, column in plain.items():
        _check(name, column, len(v), name in log)
    varying = {name: column for name, column in plain.items() if len(set(column)) > 1}
    left_out = tuple(name for name in columns if name not in varying)
    reason = _reason(v, top, len(varying))
    shares = None if reason else _ped_anova(varying, v, frozenset(log), top)
    return Importance(shares, reason, left_out, len(v))


def needed_trials(top: float = TOP) -> int:
    """Return how many trials there must be for 5 of them to be the best share: 50 for a share of 0.1."""
    return math.ceil(round(BEST / top, 9))


def _reason(v: Float64s, top: float, varying: int) -> str | None:
    if not varying:
        return "no parameter varies"
    if len(v) < needed_trials(top):
        return f"{len(v)} trials are too few: {needed_trials(top)} are needed for the best {top:.0%} to be {BEST}"
    best = np.sort(v)[::-1][math.ceil(top * len(v)) - 1]
    tied = int(np.sum(v >= best))
    return f"{tied} of {len(v)} trials tie for the best {top:.0%}" if tied > len(v) / 2 else None


def _check(name: str, column: Sequence[Value], n: int, logged: bool) -> None:
    if len(column) != n:
        raise DataError(f"parameter {name!r} must have a value for each of {n} trials, got {len(column)}")
    there = [value for value in column if value is not None]
    if any(isinstance(value, float) and not math.isfinite(value) for value in there):
        raise DataError(f"parameter {name!r} must be finite")
    if logged and not (_numeric(there) and all(float(value) > 0 for value in there)):
        raise DataError(f"parameter {name!r} must hold positive numbers to be compared by their logarithm")


def _numeric(values: Sequence[Value]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _ped_anova(
    columns: Mapping[str, Sequence[Value]], v: Float64s, log: frozenset[str], top: float
) -> dict[str, float]:
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parameters that few trials have
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=top)
            found = evaluator.evaluate(_study(columns, v, log), params=list(columns))
    finally:
        optuna.logging.set_verbosity(verbosity)
    total = math.fsum(found.values())
    shares = {name: value / total if total > 0 else 1 / len(found) for name, value in found.items()}
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _study(columns: Mapping[str, Sequence[Value]], v: Float64s, log: frozenset[str]) -> Study:
    """Return a study in memory; the order of its trials does not matter, as Optuna counts them on a grid."""
    import optuna

    spaces = {name: _distribution(column, name in log) for name, column in columns.items()}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    there = v[np.isfinite(v)]
    worst = float(there.min()) if len(there) else 0.0
    study.add_trials(
        optuna.trial.create_trial(
            params={name: column[i] for name, column in columns.items() if column[i] is not None},
            distributions={name: spaces[name] for name, column in columns.items() if column[i] is not None},
            value=float(v[i]) if math.isfinite(v[i]) else worst,
        )
        for i in range(len(v))
    )
    return study


def _distribution(column: Sequence[Value], log: bool) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    there: list[Any] = [value for value in column if value is not None]
    if not _numeric(there):
        return CategoricalDistribution(sorted(set(there), key=lambda value: (type(value).__name__, value)))
    if all(isinstance(value, int) for value in there):
        return IntDistribution(min(there), max(there), log=log)
    return FloatDistribution(float(min(there)), float(max(there)), log=log)


def _plain(value: Value) -> Any:
    """Return Python's own value for one of NumPy's."""
    return value.item() if isinstance(value, np.generic) else value
