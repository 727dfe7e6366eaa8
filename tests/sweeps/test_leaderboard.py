"""The leaderboard: means, deviations and intervals worked by hand, the best first, those that miss repeats last."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from nnexp.network.optimizers import SGD
from nnexp.sweeps.leaderboard import (
    Row,
    aggregate,
    as_csv,
    as_markdown,
    best_metric,
    cell,
    columns,
    counts,
    half_width,
    leaderboard,
    legend,
    repeats,
)
from nnexp.sweeps.plan import Plan, Trial
from nnexp.sweeps.results import TrialResult
from nnexp.testing.trials import small
from nnexp.training import Objective

MINIMIZE = Objective(metric="val/loss", direction="minimize")


def result(*values: float, best: int = 1, test: float = 0.5, metric: str = "val/acc") -> TrialResult:
    """Return a finished result whose objective took some values."""
    return TrialResult(
        outcome="finished",
        epoch=len(values),
        objective=values[best - 1],
        summary={"epoch_best": float(best), f"{metric}_best": values[best - 1], "test/acc": test},
        costs={"wall_seconds": 2.0, "parameters": 7.0},
        stack_width=3,
        started_at=0.0,
        ended_at=9.0,
        code="c",
    )


def diverged(epoch: int = 1) -> TrialResult:
    return TrialResult("diverged", epoch, None, {"epoch_best": 0.0}, {"wall_seconds": 1.0}, 3, 0.0, 1.0, "c")


def board(*configurations: Sequence[TrialResult | None], **settings: Any) -> tuple[Plan, dict[str, TrialResult]]:
    """Return a plan with a configuration a list, a repeat an entry, and the results that there are."""
    trials: list[Trial] = []
    results: dict[str, TrialResult] = {}
    for number, outcomes in enumerate(configurations):
        config = small(optimizer=SGD(lr=number + 1), **settings)
        for seed, each in enumerate(outcomes):
            key = f"{number}-{seed}"
            chosen = {"optimizer.lr": str(number + 1), "seed": str(seed)}
            trials.append(Trial(len(trials), key, f"c{number}", chosen, config, "d"))
            if each is not None:
                results[key] = each
    return Plan("name", (), {}, tuple(trials)), results


def ranked(plan: Plan, results: dict[str, TrialResult]) -> list[Row]:
    return leaderboard(plan.trials, results)


def labels(plan: Plan, results: dict[str, TrialResult]) -> list[str]:
    return [row.label for row in leaderboard(plan.trials, results)]


def test_means_and_deviations_are_those_worked_by_hand() -> None:
    plan, results = board([result(0.5, test=0.25), result(0.75, test=0.5), result(1.0, test=0.75)])
    (row,) = leaderboard(plan.trials, results)
    assert (row.label, row.n, row.diverged) == ("lr=1", 3, 0)
    assert row.mean["val/acc_best"] == 0.75
    assert row.deviation["val/acc_best"] == 0.25  # sqrt((0.25² + 0 + 0.25²) / 2): the sample's
    assert (row.mean["test/acc"], row.deviation["test/acc"]) == (0.5, 0.25)
    assert (row.mean["epoch_best"], row.deviation["epoch_best"]) == (1.0, 0.0)
    assert (row.mean["cost/wall_seconds"], row.deviation["cost/wall_seconds"]) == (2.0, 0.0)


def test_the_objective_counts_at_the_best_epoch_and_not_at_the_last() -> None:
    plan, results = board([result(0.2, 0.9, 0.3, best=2)])
    assert leaderboard(plan.trials, results)[0].mean["val/acc_best"] == 0.9


def test_an_objective_of_the_training_part_counts_at_the_best_epoch_too() -> None:
    objective = Objective(metric="train/cost", direction="minimize")
    value = result(3.0, 2.0, 2.5, best=2, metric="train/cost")
    plan, results = board([value], objective=objective)
    assert best_metric(plan.trials[0]) == "train/cost_best"
    assert leaderboard(plan.trials, results)[0].mean["train/cost_best"] == 2.0


def test_one_repeat_has_no_deviation_and_no_interval() -> None:
    plan, results = board([result(0.5)])
    row = leaderboard(plan.trials, results)[0]
    assert set(row.deviation.values()) == {0.0}
    assert row.ci95 == {}
    assert half_width(0.0, 1) is None
    assert cell(row, "val/acc_best") == "0.5000 ± –"


@pytest.mark.parametrize(("n", "t"), [(2, 12.7062), (3, 4.3027), (4, 3.1824), (5, 2.7764), (10, 2.2622), (30, 2.0452)])
def test_the_interval_is_that_of_students_table(n: int, t: float) -> None:
    assert half_width(3.0, n) == pytest.approx(t * 3.0 / math.sqrt(n), rel=3e-5)
    row = ranked(*board([result(1 + 0.01 * seed) for seed in range(n)]))[0]
    assert row.ci95["val/acc_best"] == pytest.approx(t * row.deviation["val/acc_best"] / math.sqrt(n), rel=3e-5)


def test_the_largest_mean_is_first() -> None:
    assert labels(*board([result(0.5)], [result(0.9)], [result(0.7)])) == ["lr=2", "lr=3", "lr=1"]


def test_the_smallest_mean_is_first_where_the_objective_is_minimized() -> None:
    repeats = [[result(value, metric="val/loss")] for value in (0.5, 0.9, 0.7)]
    assert labels(*board(*repeats, objective=MINIMIZE)) == ["lr=1", "lr=3", "lr=2"]


def test_equals_keep_the_order_of_the_plan() -> None:
    assert labels(*board([result(0.5)], [result(0.9)], [result(0.5)], [result(0.9)])) == [
        "lr=2",
        "lr=4",
        "lr=1",
        "lr=3",
    ]


def test_configurations_with_a_diverged_repeat_come_after_all_that_have_none() -> None:
    plan, results = board([diverged(), diverged()], [result(1.0), diverged()], [result(0.1), result(0.1)])
    rows = leaderboard(plan.trials, results)
    assert [(row.label, row.n, row.diverged) for row in rows] == [("lr=3", 2, 0), ("lr=2", 1, 1), ("lr=1", 0, 2)]
    assert rows[1].mean["val/acc_best"] == 1.0  # over those that finished
    assert rows[2].mean == rows[2].deviation == {}


def test_every_repeat_is_counted_once() -> None:
    plan, results = board([result(0.5), None, diverged(), replace(diverged(), outcome="failed"), None])
    row = aggregate(plan.trials, results)
    assert (row.n, row.diverged, row.failed, row.unfinished, row.stopped_early) == (1, 1, 1, 2, 0)
    assert not row.whole
    assert repeats(row) == "1 of 5"
    assert counts([row]) == ["diverged", "failed", "unfinished"]


@pytest.mark.parametrize("missing", [None, diverged(), replace(diverged(), outcome="failed")])
def test_a_configuration_that_misses_repeats_comes_last_and_the_table_says_so(missing: TrialResult | None) -> None:
    rows = ranked(*board([result(1.0), missing], [result(0.1), result(0.1)]))
    assert [row.label for row in rows] == ["lr=2", "lr=1"]
    assert ", those that miss repeats last: " in legend(rows, ["val/acc_best"])
    assert "miss" not in legend(rows[:1], ["val/acc_best"])


def test_the_csv_has_every_number_in_full() -> None:
    third = 1 / 3
    rows = ranked(*board([result(third), result(2 * third)], [diverged()]))
    table = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [(line["rank"], line["configuration"], line["n"], line["diverged"]) for line in table] == [
        ("1", "lr=1", "2", "0"),
        ("2", "lr=2", "0", "1"),
    ]
    assert float(table[0]["val/acc_best_mean"]) == rows[0].mean["val/acc_best"]
    assert float(table[0]["val/acc_best_std"]) == rows[0].deviation["val/acc_best"]
    assert float(table[0]["val/acc_best_ci95"]) == rows[0].ci95["val/acc_best"]
    assert table[1]["val/acc_best_mean"] == table[1]["test/acc_std"] == ""
    assert as_csv(rows).count("\r") == 0


def test_a_csv_of_nothing_but_diverged_trials_has_its_rows() -> None:
    table = list(csv.DictReader(io.StringIO(as_csv(ranked(*board([diverged()]))))))
    counted = {"n": "0", "diverged": "1", "failed": "0", "unfinished": "0", "stopped_early": "0"}
    assert table == [{"rank": "1", "configuration": "lr=1", **counted}]


def test_the_short_table_shows_the_objective_its_test_and_the_best_epoch() -> None:
    rows = ranked(*board([diverged()], [result(0.5), result(1.0)]))
    assert columns(rows) == ["val/acc_best", "test/acc", "epoch_best"]
    assert [cell(rows[0], name) for name in columns(rows)] == ["0.7500 ± 3.1766", "0.5000 ± 0.0000", "1.0 ± 0.0"]
    assert [cell(rows[1], name) for name in columns(rows)] == ["–", "–", "–"]
    assert columns(ranked(*board([diverged()]))) == []


def test_the_markdown_is_a_table_of_the_best() -> None:
    rows = ranked(*board(*[[result(number / 100)] for number in range(30)]))
    said, empty, *lines = as_markdown(rows, top=3).splitlines()
    assert said == "30 configurations, best val/acc_best first: mean over n repeats ± half of its 95 % t interval."
    assert empty == ""
    assert lines[0] == "| rank | configuration | val/acc_best | test/acc | epoch_best | n | diverged |"
    assert {line.count("|") for line in lines[:5]} == {8}
    assert [line.split("|")[2].strip() for line in lines[2:5]] == ["lr=30", "lr=29", "lr=28"]
    assert lines[-1] == "… and 27 more in leaderboard.csv."
    assert "more" not in as_markdown(rows[:3], top=3)


def stopped_early(*values: float) -> TrialResult:
    finished = result(*values)
    return replace(finished, summary={"epoch_stopped": float(len(values)), **finished.summary})


@pytest.mark.parametrize("turned", [False, True])
def test_repeats_that_stopped_early_are_counted_and_averaged_with_those_that_did_not(turned: bool) -> None:
    repeats = [stopped_early(0.5, 0.4), result(1.0, 1.0, 1.0)]
    plan, results = board(repeats[::-1] if turned else repeats)
    rows = leaderboard(plan.trials, results)
    assert (rows[0].n, rows[0].diverged, rows[0].stopped_early) == (2, 0, 1)
    assert rows[0].mean["val/acc_best"] == 0.75
    assert "epoch_stopped" not in rows[0].mean, "a mean of some repeats"
    assert counts(rows) == ["stopped_early"]
    assert next(csv.DictReader(io.StringIO(as_csv(rows))))["stopped_early"] == "1"
    assert as_markdown(rows).splitlines()[2].endswith("| n | diverged | stopped early |")


def test_where_all_repeats_stopped_early_it_is_said_when() -> None:
    rows = ranked(*board([stopped_early(0.5), stopped_early(0.5, 0.4)]))
    assert rows[0].mean["epoch_stopped"] == 1.5


def test_a_metric_that_some_repeats_leave_undefined_has_no_mean() -> None:
    plan, results = board([result(0.5), replace(result(0.5), summary={"epoch_best": 1.0})])
    assert set(leaderboard(plan.trials, results)[0].mean) == {"val/acc_best", "epoch_best", "cost/wall_seconds"}


@pytest.mark.parametrize("values", [(0.1, 0.2, 0.3), (1e9, 1e9 + 1, 1e9 + 2), (0.0, 0.0, 0.0)])
def test_deviations_are_exact_where_the_mean_is_far_from_zero(values: tuple[float, ...]) -> None:
    plan, results = board([result(value) for value in values])
    row = leaderboard(plan.trials, results)[0]
    expected = math.sqrt(sum((value - values[1]) ** 2 for value in values) / 2)
    assert row.deviation["val/acc_best"] == pytest.approx(expected, rel=1e-12)
