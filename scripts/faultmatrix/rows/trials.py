"""Rows 23 and 25: trials that diverge, and trials that harm their workers."""

from __future__ import annotations

import csv
import math

from faultmatrix.case import Case, kill
from faultmatrix.ledger import Trial
from faultmatrix.rows.row import Row
from faultmatrix.store import runs

HUGE = 1e300  # what MLflow makes of an infinite value is larger
WAYS = ("abort", "hang", "memory", "raise")
MEMORY_MB = 1024
HANG_SECONDS = 8.0


def diverges(case: Case) -> None:
    """Two of the trials have lr=1e6; killed at a random instant where the seed is odd."""
    if case.seed % 2:
        case.interrupt(kill)
    case.injections += 1
    case.again()
    case.check()
    found = case.look()
    trials = list(found.trials.values()) if found else []
    diverged = [trial for trial in trials if trial.state == "diverged"]
    if len(diverged) != 2:
        case.problem(f"{len(diverged)} trials diverged in place of 2")
    for trial in trials:
        if not all(map(math.isfinite, trial.points.values())):
            case.problem(f"{trial.label} has records that are not finite")
    _expect_diverged_in_store(case, diverged)
    _expect_last(case, diverged)


def _expect_diverged_in_store(case: Case, diverged: list[Trial]) -> None:
    place = case.where
    by_key = {run.key: run for run in runs(place.database, place.experiment) if run.kind == "trial"}
    for trial in diverged:
        tags = by_key[trial.key].tags if trial.key in by_key else {}
        if tags.get("nnexp.outcome") != "diverged":
            case.problem(f"the run of {trial.label} does not say that it diverged: {tags.get('nnexp.outcome')}")
    for run in by_key.values():
        odd = [name for (name, _), values in run.points.items() for each in values if not abs(each) < HUGE]
        if odd:
            case.problem(f"run {run.id} has values that are not numbers: {odd[0]}")


def _expect_last(case: Case, diverged: list[Trial]) -> None:
    """The leaderboard counts what diverged, and ranks it last."""
    (board,) = case.root.glob("sweeps/*/leaderboard.csv")
    rows = list(csv.DictReader(board.open()))
    if not rows or int(rows[-1]["diverged"]) != len(diverged) or any(int(row["diverged"]) for row in rows[:-1]):
        case.problem("what diverged is not the last of the leaderboard")


def harms(case: Case) -> None:
    """A thirteenth trial aborts, hangs, fills the memory or raises in its worker; the same command changes nothing."""
    way = WAYS[case.seed % len(WAYS)]
    after = case.random.randint(1, 30)
    poison = f'{{architecture.hidden: "[64,64]", early_stopping: poison, early_stopping.way: "{way}"'
    poison += f', early_stopping.after: "{after}"}}'
    union = next(each for each in case.workload.overrides if each.startswith("sweep.union="))
    arguments = (f"{union[:-1]}, {poison}]", *_limits(way))
    case.injections += 1
    case.expect(case.end(case.start(*arguments)), 1)
    case.again(*arguments, code=1)
    found = case.look()
    trials = list(found.trials.values()) if found else []
    (poisoned,) = (trial for trial in trials if trial.key not in case.control.table)
    if poisoned.state != "failed" or not poisoned.note:
        case.problem(f"the trial that is to {way} is {poisoned.state}: {poisoned.note}")
    case.check(witnessed=False)


def _limits(way: str) -> list[str]:
    limits = {"hang": [f"executor.trial_seconds={HANG_SECONDS}"], "memory": [f"executor.memory_mb={MEMORY_MB}"]}
    return limits.get(way, [])


ROWS = (
    Row(
        23,
        "trials diverge",
        "lr=1e6 in two of twelve; half of the runs are killed as well",
        "an outcome: counted, last in the ranking, the last finite records kept, no other values anywhere",
        diverges,
    ),
    Row(
        25,
        "a trial harms its worker",
        "a trial more that aborts, hangs, fills the memory or raises",
        "it fails with a reason after its retries; the other twelve come to their end",
        harms,
        short=4,
    ),
)
