"""The leaderboard: configurations by the mean of their repeats, and how sure that mean is."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from scipy.special import stdtrit

from nnexp.sweeps.markdown import escaped
from nnexp.sweeps.results import TrialResult
from nnexp.training.settings import Objective

STOPPED = "epoch_stopped"  # the metric that only a training that stopped early has
COUNTS = ("diverged", "failed", "unfinished", "stopped_early")


class Ranked(Protocol):
    """What a leaderboard needs to know of a trial, in a plan or in the ledger."""

    @property
    def key(self) -> str:
        """The trial's key."""

    @property
    def configuration(self) -> str:
        """What its repeats share."""

    @property
    def configuration_label(self) -> str:
        """What differs, without the seed."""

    @property
    def objective(self) -> Objective:
        """What ranks it."""


@dataclass(frozen=True)
class Row:
    """A configuration's repeats.

    n: how many finished. diverged, failed: how many did that instead. unfinished: how many did not end. stopped_early:
    how many of those that finished did so before their last epoch. mean, deviation: over those that finished, of each
    metric that all of them have; the sample standard deviation, 0 for one repeat. ci95: half of the 95 % t interval of
    the mean, of nothing for one repeat.
    """

    label: str
    trials: tuple[Ranked, ...]
    n: int
    diverged: int
    failed: int
    unfinished: int
    stopped_early: int
    mean: Mapping[str, float]
    deviation: Mapping[str, float]
    ci95: Mapping[str, float]

    @property
    def whole(self) -> bool:
        """Whether all repeats finished."""
        return self.n == len(self.trials)


def half_width(deviation: float, n: int) -> float | None:
    """Return half of the 95 % t interval of a mean of n values with a sample standard deviation; None for one value.

    t(0.975, n - 1) s / sqrt(n), for values that are independent and normal.
    Source: Student 1908, doi:10.1093/biomet/6.1.1.
    """
    return float(stdtrit(n - 1, 0.975)) * deviation / math.sqrt(n) if n > 1 else None


def best_metric(trial: Ranked) -> str:
    """Return the metric that ranks trials: the objective's value at the best epoch."""
    return f"{trial.objective.metric}_best"


def aggregate(trials: Sequence[Ranked], results: Mapping[str, TrialResult]) -> Row:
    """Return the row of a configuration."""
    there = [(trial, results[trial.key]) for trial in trials if trial.key in results]
    scores = [_scores(trial, result) for trial, result in there if result.outcome == "finished"]
    n, outcomes = len(scores), [result.outcome for _, result in there]
    names = [name for name in scores[0] if all(name in score for score in scores)] if scores else []
    deviation = {name: statistics.stdev(score[name] for score in scores) if n > 1 else 0.0 for name in names}
    halves = {name: half_width(each, n) for name, each in deviation.items()}
    return Row(
        label=trials[0].configuration_label,
        trials=tuple(trials),
        n=n,
        diverged=outcomes.count("diverged"),
        failed=outcomes.count("failed"),
        unfinished=len(trials) - len(there),
        stopped_early=sum(STOPPED in score for score in scores),
        mean={name: statistics.fmean(score[name] for score in scores) for name in names},
        deviation=deviation,
        ci95={name: half for name, half in halves.items() if half is not None},
    )


def _scores(trial: Ranked, result: TrialResult) -> dict[str, float]:
    """Return what is averaged: the objective at the best epoch, then the other summary metrics and the seconds."""
    best = {} if result.objective is None else {best_metric(trial): result.objective}
    rest = {name: value for name, value in result.summary.items() if name != best_metric(trial)}
    return {**best, **rest, "cost/wall_seconds": result.costs["wall_seconds"]}


def leaderboard(trials: Sequence[Ranked], results: Mapping[str, TrialResult]) -> list[Row]:
    """Return the configurations, best first by the mean of the objective; those that miss repeats come last.

    Args: results: of the trials that have ended.
    """
    configurations: dict[str, list[Ranked]] = {}
    for trial in trials:
        configurations.setdefault(trial.configuration, []).append(trial)
    rows = [aggregate(repeats, results) for repeats in configurations.values()]
    objective = trials[0].objective
    sign = -1.0 if objective.direction == "maximize" else 1.0
    return sorted(
        rows, key=lambda row: (not row.n, not row.whole, sign * row.mean.get(best_metric(row.trials[0]), 0.0))
    )


def as_csv(rows: Sequence[Row]) -> str:
    """Return the leaderboard as CSV: rank, what differs, counts, and mean, deviation and interval of each metric."""
    names = list(dict.fromkeys(name for row in rows for name in row.mean))
    kinds = [f"{name}_{kind}" for name in names for kind in ("mean", "std", "ci95")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["rank", "configuration", "n", *COUNTS, *kinds])
    for rank, row in enumerate(rows, start=1):
        cells = [kind.get(name, "") for name in names for kind in (row.mean, row.deviation, row.ci95)]
        writer.writerow([rank, row.label, row.n, *(getattr(row, name) for name in COUNTS), *cells])
    return out.getvalue()


def columns(rows: Sequence[Row]) -> list[str]:
    """Return the metrics that a short leaderboard shows: the objective, and the same on the test part."""
    first = next((row for row in rows if row.mean), None)
    if first is None:
        return []
    objective = next(iter(first.mean))
    tested = f"test/{objective.split('/')[1].removesuffix('_best')}"
    return [name for name in (objective, tested, "epoch_best") if name in first.mean]


def counts(rows: Sequence[Row]) -> list[str]:
    """Return what a short leaderboard counts beside n: what happened to any of the trials."""
    return [name for name in COUNTS if any(getattr(row, name) for row in rows)]


def cell(row: Row, name: str) -> str:
    """Return `mean ± half of its 95 % interval` of a metric; a dash for what there is not."""
    if name not in row.mean:
        return "–"
    digits = 1 if name == "epoch_best" else 4
    half = f"{row.ci95[name]:.{digits}f}" if name in row.ci95 else "–"
    return f"{row.mean[name]:.{digits}f} ± {half}"


def repeats(row: Row) -> str:
    """Return `3`, or `2 of 3` where repeats are missing from the mean."""
    return str(row.n) if row.whole else f"{row.n} of {len(row.trials)}"


def legend(rows: Sequence[Row], shown: Sequence[str]) -> str:
    """Return what the order of a short leaderboard's rows is, and what stands in the columns that it shows."""
    order = f"best {shown[0]} first" if shown else "none finished"
    missing = "" if all(row.whole for row in rows) or not shown else ", those that miss repeats last"
    spread = ": mean over n repeats ± half of its 95 % t interval" if shown else ""
    return f"{len(rows):,} configuration{'s' * (len(rows) != 1)}, {order}{missing}{spread}"


def as_markdown(rows: Sequence[Row], top: int = 20) -> str:
    """Return the head of the leaderboard as a Markdown table."""
    names, counted = columns(rows), list(dict.fromkeys(["diverged", *counts(rows)]))
    titles = ["rank", "configuration", *names, "n", *(name.replace("_", " ") for name in counted)]
    lines = [f"{legend(rows, names)}.", "", f"| {' | '.join(titles)} |"]
    lines.append("|---:|---|" + "---:|" * (len(titles) - 2))
    for rank, row in enumerate(rows[:top], start=1):
        cells = [*(cell(row, name) for name in names), repeats(row), *(str(getattr(row, name)) for name in counted)]
        lines.append(f"| {rank} | {escaped(row.label)} | {' | '.join(cells)} |")
    if len(rows) > top:
        lines.append(f"\n… and {len(rows) - top} more in leaderboard.csv.")
    return "\n".join(lines) + "\n"
