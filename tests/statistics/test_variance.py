"""Variance: against statsmodels' analysis of variance, and known components."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from nnexp.errors import ConfigError, DataError
from nnexp.statistics.variance import factorial_shares, variance_components

Grid = tuple[dict[str, list[Any]], np.ndarray]


def grid(levels: Mapping[str, Sequence[Any]], repeats: int, seed: int = 0) -> Grid:
    """Return a full grid in random order, and scores with effects of all orders."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(list(itertools.product(*map(range, map(len, levels.values())), range(repeats))))
    columns = {name: [values[i] for i in cells[:, k]] for k, (name, values) in enumerate(levels.items())}
    effect = rng.normal(size=[len(values) for values in levels.values()])
    return columns, 0.9 + 0.01 * (effect[tuple(cells[:, :-1].T)] + rng.normal(size=len(cells)))


LEVELS: dict[str, list[Any]] = {"optimizer": ["adam", "sgd", "adamw"], "lr": [0.1, 0.01], "depth": [1, 2, 3, 4]}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_and_ps_are_statsmodels(count: int) -> None:
    columns, scores = grid(dict(itertools.islice(LEVELS.items(), count)), repeats=3)
    found = factorial_shares(columns, scores)
    table = anova_lm(
        ols("score ~ " + " * ".join(f"C({c})" for c in columns), pd.DataFrame(columns | {"score": scores})).fit()
    )
    for term in found.terms:
        row = table.loc[":".join(f"C({name})" for name in term.factors)]
        assert term.share == pytest.approx(row["sum_sq"] / table["sum_sq"].sum(), rel=1e-8)
        assert term.p == pytest.approx(row["PR(>F)"], rel=1e-6)
        assert term.degrees == row["df"]
    assert found.within == pytest.approx(table.loc["Residual", "sum_sq"] / table["sum_sq"].sum(), rel=1e-8)
    assert len(found.terms) == 2**count - 1
    assert (found.higher, found.repeats) == (0, 3)
    assert found.total == pytest.approx(float(np.sum((scores - scores.mean()) ** 2)))


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(0, 99),
)
def test_shares_add_up_to_one_and_do_not_depend_on_order_or_scale(
    sizes: list[int], repeats: int, order: int, seed: int
) -> None:
    columns, scores = grid({f"f{i}": list(range(size)) for i, size in enumerate(sizes)}, repeats, seed)
    found = factorial_shares(columns, scores, order)
    shares = [*(term.share for term in found.terms), found.higher, found.within]
    assert math.fsum(shares) == pytest.approx(1 if len(scores) > 1 else 0, abs=1e-9)
    assert min(shares) >= 0
    backwards = factorial_shares({name: levels[::-1] for name, levels in columns.items()}, scores[::-1], order)
    assert backwards == found
    scaled = factorial_shares(columns, 8 * scores, order)
    assert [term.share for term in scaled.terms] == [term.share for term in found.terms]


def test_an_effect_of_one_factor_is_that_factors_alone() -> None:
    columns, _ = grid(LEVELS, 2)
    scores = [{"adam": 0.9, "sgd": 0.8, "adamw": 0.95}[name] for name in columns["optimizer"]]
    found = factorial_shares(columns, scores)
    assert [term.share for term in found.terms] == pytest.approx([1, 0, 0, 0, 0, 0, 0], abs=1e-12)
    assert (found.terms[0].factors, found.terms[0].p, found.within) == (("optimizer",), None, 0)


def test_an_interaction_alone_is_found_as_one() -> None:
    columns, _ = grid({"a": [0, 1], "b": [0, 1], "c": [0, 1]}, 1)
    scores = [a ^ b ^ c for a, b, c in zip(*columns.values(), strict=True)]
    third = factorial_shares(columns, scores)
    assert {term.factors: term.share for term in third.terms if term.share} == {("a", "b", "c"): 1.0}
    second = factorial_shares(columns, scores, order=2)
    assert (second.higher, len(second.terms)) == (1, 6)


def test_equal_scores_have_no_variance_and_no_share() -> None:
    columns, scores = grid(LEVELS, 3)
    found = factorial_shares(columns, np.full(len(scores), 0.1))
    assert (found.total, found.within, found.higher) == (0, 0, 0)
    assert {(term.share, term.p) for term in found.terms} == {(0, None)}


def test_effects_that_are_not_there_are_found_no_more_often_than_the_level() -> None:
    columns, _ = grid({"a": [0, 1, 2], "b": [0, 1]}, 3)
    noise = np.random.default_rng(1).normal(size=(2000, 18))
    p = np.array([[term.p for term in factorial_shares(columns, each).terms] for each in noise], np.float64)
    assert (np.mean(p <= 0.05, axis=0) <= 0.07).all()
    assert (np.mean(p <= 0.05, axis=0) >= 0.03).all()


@pytest.mark.parametrize(
    ("factors", "scores", "message"),
    [
        ({"a": [1, 2, 1], "b": [1, 2, 2]}, [1, 2, 3], "not full: it has 2 x 2 cells, and 3 scores"),
        ({"a": [1, 1, 2]}, [1, 2, 3], "not balanced: its 2 cells have 1 to 2 scores each"),
        ({"a": [1, 1, 2, 2], "b": [1, 1, 2, 2]}, [1, 2, 3, 4], "not balanced: its 2 x 2 cells have 0 to 2 scores"),
        ({"a": [1, 2]}, [1, 2, 3], "factor 'a' must have a level for each of 3 scores, got 2"),
        ({}, [1], "at least one factor"),
        ({"a": [1, 2]}, [1, -np.inf], "scores must be finite"),
    ],
)
def test_a_grid_with_holes_is_refused_with_what_is_wrong(
    factors: dict[str, list[int]], scores: list[float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        factorial_shares(factors, scores)
    with pytest.raises(ConfigError, match="order"):
        factorial_shares({"a": [1, 2]}, [1, 2], 0)


def test_components_follow_from_the_f_test_of_equal_groups() -> None:
    groups = np.random.default_rng(2).normal(0, 1, (6, 5)) + np.arange(6)[:, None]
    found = variance_components(list(groups))
    f = float(stats.f_oneway(*groups).statistic)
    assert found.between == pytest.approx((f - 1) * found.within / 5, rel=1e-9)
    assert found.within == pytest.approx(float(groups.var(axis=1, ddof=1).mean()), rel=1e-12)
    assert found.intraclass == pytest.approx((f - 1) / (f - 1 + 5), rel=1e-9)
    assert (found.configurations, found.n) == (6, 30)


def test_components_of_unequal_groups_are_those_of_the_textbook() -> None:
    groups = [[1.0, 2.0], [4.0, 6.0, 8.0], [5.0]]  # means 1.5, 6, 5; N = 6
    within = (0.5 + 8) / 3
    middle = 26 / 6
    msb = (2 * (1.5 - middle) ** 2 + 3 * (6 - middle) ** 2 + (5 - middle) ** 2) / 2
    found = variance_components(groups)
    assert (found.within, found.between) == pytest.approx((within, (msb - within) / ((6 - 14 / 6) / 2)))


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (2, 3, 5, 8)])
def test_components_have_no_bias(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    found = [variance_components([rng.normal(rng.normal(0, 2), 1, n) for n in sizes]) for _ in range(4000)]
    assert np.mean([each.within for each in found]) == pytest.approx(1, abs=0.05)
    assert np.mean([each.between for each in found]) == pytest.approx(4, abs=0.2)


def test_configurations_that_do_not_differ_have_no_share_and_may_have_less_than_none() -> None:
    rng = np.random.default_rng(4)
    between = [variance_components(list(rng.normal(size=(5, 4)))) for _ in range(500)]
    assert np.mean([each.between for each in between]) == pytest.approx(0, abs=0.03)
    assert min(each.between for each in between) < 0 <= min(each.intraclass for each in between)
    same = variance_components([[0.7] * 3, [0.7] * 6, [0.7] * 11])
    assert (same.within, same.between, same.intraclass) == (0, 0, 0)
    assert variance_components([[0.1, 0.1], [0.2, 0.2]]).intraclass == 1


@pytest.mark.parametrize("groups", [[[1.0, 2.0]], [[1.0], [2.0]], [], [[1.0, 2.0], []], [[1.0, -np.inf], [1.0]]])
def test_seeds_that_show_no_variance_are_refused(groups: list[list[float]]) -> None:
    with pytest.raises(DataError):
        variance_components(groups)
