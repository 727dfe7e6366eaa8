"""The leaderboard: configurations by the mean of their repeats."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnexp.sweeps.old_ledger import TrialResult
from nnexp.sweeps.plan import Plan, Trial

STOPPED = "epoch_stopped"  # the metric that only a training that stopped early has
COUNTS = ("diverged", "stopped")


@dataclass(frozen=True)
class Row:
    """A configuration's repeats.

    n: how many finished. diverged: how many did not. stopped: how many of those that finished stopped early. mean,
    deviation: over those that finished, of each metric that all of them have; the sample standard deviation, 0 for one
    repeat.
    """

    label: str
    trials: tuple[Trial, ...]
    n: int
    diverged: int
    stopped: int
    mean: Mapping[str, float]
    deviation: Mapping[str, float]


def best_metric(trial: Trial) -> str:
    """Return the metric that ranks trials: the objective's value at the best epoch."""
    return f"{trial.config.objective.metric}_best"


def aggregate(trials: Sequence[Trial], results: Mapping[str, TrialResult]) -> Row:
    """Return the row of a configuration."""
    there = [(trial, results[trial.key]) for trial in trials if trial.key in results]
    scores = [_scores(trial, result) for trial, result in there if result.outcome == "finished"]
    names = [name for name in scores[0] if all(name in score for score in scores)] if scores else []
    mean = {name: statistics.fmean(score[name] for score in scores) for name in names}
    deviation = {name: statistics.stdev(score[name] for score in scores) if len(scores) > 1 else 0.0 for name in names}
    stopped = sum(STOPPED in score for score in scores)
    label, diverged = trials[0].configuration_label, len(there) - len(scores)
    return Row(label, tuple(trials), len(scores), diverged, stopped, mean, deviation)


def _scores(trial: Trial, result: TrialResult) -> dict[str, float]:
    """Return what is averaged: the objective at the best epoch, then the other summary metrics and the seconds."""
    objective = trial.config.objective.metric
    at_best = result.history[objective][result.epochs.index(int(result.summary["epoch_best"]))]
    rest = {name: value for name, value in result.summary.items() if name != best_metric(trial)}
    return {best_metric(trial): at_best, **rest, "cost/wall_seconds": result.costs["wall_seconds"]}


def leaderboard(plan: Plan, results: Mapping[str, TrialResult]) -> list[Row]:
    """Return the configurations, best first by the mean of the objective; those with a diverged repeat come last."""
    rows = [aggregate(trials, results) for trials in plan.configurations.values()]
    objective = plan.trials[0].config.objective
    sign = -1.0 if objective.direction == "maximize" else 1.0
    return sorted(
        rows, key=lambda row: (not row.n, row.diverged > 0, sign * row.mean.get(best_metric(row.trials[0]), 0.0))
    )


def as_csv(rows: Sequence[Row]) -> str:
    """Return the leaderboard as CSV: rank, what differs, counts, and mean and deviation of each metric."""
    names = list(dict.fromkeys(name for row in rows for name in row.mean))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["rank", "configuration", "n", *COUNTS, *(f"{name}_{kind}" for name in names for kind in ("mean", "std"))]
    )
    for rank, row in enumerate(rows, start=1):
        cells = [kind.get(name, "") for name in names for kind in (row.mean, row.deviation)]
        writer.writerow([rank, row.label, row.n, row.diverged, row.stopped, *cells])
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
    """Return `mean ± deviation` of a metric, or a dash."""
    if name not in row.mean:
        return "–"
    digits = 1 if name == "epoch_best" else 4
    return f"{row.mean[name]:.{digits}f} ± {row.deviation[name]:.{digits}f}"


def as_markdown(rows: Sequence[Row], top: int = 20) -> str:
    """Return the head of the leaderboard as a Markdown table."""
    names, counted = columns(rows), ["n", *dict.fromkeys(["diverged", *counts(rows)])]
    lines = [
        "| rank | configuration | " + " | ".join([*names, *counted]) + " |",
        "|---:|---|" + "---:|" * len([*names, *counted]),
    ]
    for rank, row in enumerate(rows[:top], start=1):
        cells = [*(cell(row, name) for name in names), *(str(getattr(row, name)) for name in counted)]
        lines.append(f"| {rank} | {row.label.replace('|', '/')} | " + " | ".join(cells) + " |")
    if len(rows) > top:
        lines.append(f"\n… and {len(rows) - top} more in leaderboard.csv.")
    return "\n".join(lines) + "\n"
