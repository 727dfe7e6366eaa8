"""Importance: Optuna's own study of the same trials is the oracle."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from nnexp.errors import ConfigError, DataError
from nnexp.statistics.importance import importance, needed_trials


def sampled(n: int = 120, seed: int = 0) -> tuple[dict[str, list[Any]], np.ndarray]:
    """Return parameters of n trials, and scores that depend on the rate most and on the width not at all."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {
        "lr": (10 ** rng.uniform(-5, 0, n)).tolist(),
        "width": rng.integers(4, 64, n).tolist(),
        "optimizer": rng.choice(["adam", "sgd"], n).tolist(),
    }
    score = -((np.log10(columns["lr"]) + 2) ** 2) + 0.5 * (np.array(columns["optimizer"]) == "adam")
    return columns, score + 0.01 * rng.normal(size=n)


def by_optuna(columns: dict[str, list[Any]], scores: np.ndarray) -> dict[str, float]:
    """Return what Optuna says of a study whose trials were told one after another."""
    spaces = {
        "lr": FloatDistribution(min(columns["lr"]), max(columns["lr"]), log=True),
        "width": IntDistribution(min(columns["width"]), max(columns["width"])),
        "optimizer": CategoricalDistribution(["adam", "sgd"]),
    }
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="minimize")
    for i, score in enumerate(scores):
        params = {name: column[i] for name, column in columns.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=spaces, value=-score))
    return optuna.importance.get_param_importances(study)


def test_importances_are_optunas_and_rank_what_decides_first() -> None:
    columns, scores = sampled()
    found = importance(columns, scores, log=["lr"])
    assert found.shares is not None
    assert dict(found.shares) == pytest.approx(by_optuna(columns, scores), rel=1e-9)
    assert list(found.shares) == ["lr", "optimizer", "width"]
    assert (found.reason, found.left_out, found.trials) == (None, (), 120)
    assert sum(found.shares.values()) == pytest.approx(1)


def test_importances_depend_neither_on_the_order_of_trials_nor_on_that_of_parameters() -> None:
    columns, scores = sampled()
    shuffled = np.random.default_rng(1).permutation(len(scores))
    other = {name: [columns[name][i] for i in shuffled] for name in reversed(columns)}
    assert importance(other, scores[shuffled], log=["lr"]) == importance(columns, scores, log=["lr"])


def test_a_logarithm_changes_what_is_compared() -> None:
    columns, scores = sampled()
    assert importance(columns, scores, log=["lr"]).shares != importance(columns, scores).shares


def test_values_of_numpy_are_taken_as_those_of_python() -> None:
    columns, scores = sampled()
    arrays = {name: list(np.array(column)) for name, column in columns.items()}
    assert importance(arrays, scores, log=["lr", "width"]) == importance(columns, scores, log=["lr", "width"])


def test_a_missing_score_counts_as_the_worst_and_its_trial_is_counted() -> None:
    columns, scores = sampled()
    scores -= 10
    bad = scores < np.quantile(scores, 0.2)
    found = importance(columns, np.where(bad, -np.inf, scores), log=["lr"])
    assert found == importance(columns, np.where(bad, scores[~bad].min(), scores), log=["lr"])
    assert found.trials == 120


def test_few_trials_are_refused_with_how_many_are_needed() -> None:
    columns, scores = sampled(49)
    found = importance(columns, scores)
    assert found.shares is None
    assert found.reason == "49 trials are too few: 50 are needed for the best 10% to be 5"
    assert importance(*sampled(50)).reason is None
    assert [needed_trials(top) for top in (0.1, 0.05, 0.3, 0.5)] == [50, 100, 17, 10]


def test_trials_that_tie_for_the_best_say_nothing() -> None:
    columns, _ = sampled(60)
    found = importance(columns, np.ones(60))
    assert (found.shares, found.reason) == (None, "60 of 60 trials tie for the best 10%")


def test_a_parameter_that_does_not_vary_is_left_out() -> None:
    columns, scores = sampled()
    found = importance(columns | {"depth": [2] * 120}, scores, log=["lr"])
    assert found.left_out == ("depth",)
    assert found.shares == importance(columns, scores, log=["lr"]).shares
    assert importance({"depth": [2] * 120}, scores).reason == "no parameter varies"


def test_a_parameter_that_some_trials_do_not_have_is_compared_where_it_is() -> None:
    columns, scores = sampled(300)
    columns["momentum"] = [
        0.9 * v % 1 if o == "sgd" else None for v, o in zip(columns["lr"], columns["optimizer"], strict=True)
    ]
    columns["nesterov"] = [o == "sgd" for o in columns["optimizer"]]
    found = importance(columns, scores, log=["lr"])
    assert found.shares is not None
    assert set(found.shares) == set(columns)


def test_optuna_says_nothing_and_its_logging_is_as_before(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.DEBUG):
            importance(*sampled(60))
        assert caplog.records == []
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        optuna.logging.disable_propagation()


@pytest.mark.parametrize("column", [[0.0, 1.0], [-1, 1], ["a", "b"]])
def test_what_has_no_logarithm_is_refused(column: list[Any]) -> None:
    with pytest.raises(DataError, match="parameter 'x' must hold positive numbers"):
        importance({"x": column}, [1, 2], log=["x"])


def test_columns_that_are_short_or_hold_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="a value for each of 2 trials, got 1"):
        importance({"x": [1]}, [1, 2])
    with pytest.raises(DataError, match="parameter 'x' must be finite"):
        importance({"x": [1.0, np.nan]}, [1, 2])
    with pytest.raises(ConfigError, match="top"):
        importance({"x": [1, 2]}, [1, 2], top=0.9)
