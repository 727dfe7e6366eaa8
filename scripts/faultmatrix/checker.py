"""The checker: what is wrong with what a sweep left in the ledger, in its folder and in MLflow.

It knows the formats of the files and nothing of nnexp's code.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from faultmatrix import results, witness
from faultmatrix.ledger import Ledger, Trial, read
from faultmatrix.store import Run, runs
from faultmatrix.witness import Seen

STATUS = {"finished": "FINISHED", "diverged": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "running": "RUNNING"}


@dataclass(frozen=True)
class Control:
    """An undisturbed sweep.

    table: its outcomes. known: whose an objective's value is. values: of the objective, all that were ever seen.
    seconds: from its first row in the ledger to its end. first_epoch: seconds from its start to its first epoch.
    """

    table: results.Table
    known: witness.Known
    values: frozenset[str]
    seconds: float
    first_epoch: float
    whole: float

    @property
    def epochs(self) -> int:
        """How many epochs its trials have in sum."""
        return sum(trial["epoch"] for trial in self.table.values())


@dataclass(frozen=True)
class Place:
    """Where a sweep was recorded. served: the folder of an MLflow server's artifacts."""

    root: Path
    name: str
    database: Path
    experiment: str = "nnexp"
    served: Path | None = None


@dataclass
class Findings:
    """What the checker counts; all of it should be 0, and `equal` true."""

    lost: int = 0
    dup_runs: int = 0
    ghosts: int = 0
    redone: int = 0
    pts_lost: int = 0
    pts_dup: int = 0
    equal: bool = True
    art_bad: int = 0
    damaged: int = 0
    strange: int = 0
    pending: int = 0
    wrong_status: int = 0
    wasted_epochs: int = 0  # reported; bounded by `late`
    late: int = 0
    overlap: float = 0.0
    lines: list[str] = field(default_factory=list)

    REPORTED = ("equal", "lines", "wasted_epochs")

    @property
    def problems(self) -> list[str]:
        """A line for each count that is not as it has to be, with the first things that were counted."""
        found = [f"{name}={getattr(self, name)}" for name in vars(self) if name not in self.REPORTED]
        wrong = [each for each in found if not each.endswith(("=0", "=0.0"))] + ([] if self.equal else ["equal=False"])
        return [*wrong, *self.lines[:12]] if wrong else []


def check(
    place: Place,
    control: Control,
    *,
    before: Ledger | None = None,
    again_at: float = 0.0,
    seen: Sequence[Seen] = (),
    interrupted: Sequence[float] = (),
    patience: float = 6.0,
) -> Findings:
    """Return what is wrong after a sweep has come to its end.

    Args: before: the ledger when the last command began. again_at: when that was. seen: epochs as they were trained.
    interrupted: when it was interrupted. patience: how many seconds of training an interruption may cost a trial.
    """
    found = Findings()
    try:
        ledger = read(place.root / "ledger.db")
    except sqlite3.DatabaseError as error:
        return Findings(lost=len(control.table), equal=False, lines=[f"the ledger: {error}"])
    found.damaged = len(ledger.damaged)
    found.lines += [f"damaged row: {each}" for each in ledger.damaged]
    named = [id for id, (name, _) in ledger.sweeps.items() if name == place.name]
    ids = [id for id in named if set(control.table) <= set(ledger.of(id))]
    if len(ids) != 1:
        found.lost, found.equal = len(control.table), False
        found.lines.append(f"{len(ids)} sweeps of that plan in the ledger, which has {sorted(ledger.sweeps)}")
        return found
    (sweep,) = ids
    trials, folder = ledger.of(sweep), place.root / "sweeps" / sweep
    _check_results(found, trials, folder, control)
    _check_store(found, ledger, trials, sweep, place, folder)
    _check_training(found, trials, control, before, again_at, seen, sweep)
    _check_waste(found, seen, interrupted, patience)
    return found


def _check_results(found: Findings, trials: Mapping[str, Trial], folder: Path, control: Control) -> None:
    for key in control.table:
        if not trials[key].ended:
            found.lost += 1
            found.lines.append(f"lost: {trials[key].label} is {trials[key].state}")
    table = results.table_of(trials, folder)
    for key, outcome in control.table.items():
        if table[key] != outcome:
            found.equal = False
            differ = [name for name in outcome if table[key][name] != outcome[name]]
            found.lines.append(f"differs: {trials[key].label} in {', '.join(differ)}{_difference(table[key], outcome)}")
    for key, trial in trials.items():
        if trial.twice:
            found.pts_dup += trial.twice
            found.lines.append(f"{trial.twice} points of {trial.label} are twice in the ledger")
        for name, wanted in ((trial.result or {}).get("files") or {}).items():
            if results.sha256(results.files_of(folder, key) / name) != wanted:
                found.art_bad += 1
                found.lines.append(f"file {name} of {trial.label} is not what its result says")


def _difference(one: Mapping[str, object], other: Mapping[str, object]) -> str:
    points, wanted = one["points"], other["points"]
    if not isinstance(points, list) or not isinstance(wanted, list) or points == wanted:
        return f": {one['arrays']}" if one["arrays"] != other["arrays"] and "unreadable" in str(one["arrays"]) else ""
    first = next((pair for pair in zip(points, wanted, strict=False) if pair[0] != pair[1]), None)
    return f": {len(points)} points of {len(wanted)}, first difference {first}"


def _check_store(
    found: Findings, ledger: Ledger, trials: Mapping[str, Trial], sweep: str, place: Place, folder: Path
) -> None:
    found.pending = ledger.pending
    if ledger.pending:
        found.lines.append(f"{ledger.pending} rows wait in the outbox")
    mine = [run for run in runs(place.database, place.experiment, place.served) if run.tags.get("nnexp.sweep") == sweep]
    found.ghosts = sum(run.status == "RUNNING" for run in mine)
    found.lines += [f"ghost: {run.id} of {run.kind} {run.key[:8]}" for run in mine if run.status == "RUNNING"]
    by_key: dict[tuple[str, str], list[Run]] = {}
    for run in mine:
        by_key.setdefault((run.kind, run.key), []).append(run)
    for (kind, key), several in by_key.items():
        if len(several) > 1:
            found.dup_runs += len(several) - 1
            found.lines.append(f"{len(several)} runs of {kind} {key[:8]}")
        if kind == "trial" and key not in trials:
            found.strange += 1
            found.lines.append(f"a run of a trial {key[:8]} that is not in the sweep")
    kinds = Counter(kind for kind, _ in by_key)
    if len(trials) > 1 and kinds["sweep"] != 1:
        found.pts_lost += 1
        found.lines.append(f"{kinds['sweep']} runs of the sweep itself")
    for key, trial in trials.items():
        there = by_key.get(("trial", key), [])
        _check_points(found, trial, there)
        for run in there:
            _check_run(found, trial, run)
            for name, wanted in ((trial.result or {}).get("files") or {}).items():
                if results.sha256(run.artifacts / name) != wanted:
                    found.art_bad += 1
                    found.lines.append(f"artifact {name} of {trial.label} is not what its result says")


def _check_run(found: Findings, trial: Trial, run: Run) -> None:
    if run.status != STATUS.get(trial.state):
        found.wrong_status += 1
        found.lines.append(f"{trial.label} is {trial.state}, its run {run.status}")


def _check_points(found: Findings, trial: Trial, there: Sequence[Run]) -> None:
    """Compare the points of a trial, and of its summary, with those of its run, bit for bit."""
    points = dict(trial.points)
    have = there[0].points if there else {}
    missing = [at for at, value in points.items() if value not in have.get(at, [])]
    if missing:
        found.pts_lost += len(missing)
        found.lines.append(f"{len(missing)} of {len(points)} points of {trial.label} are not in MLflow: {missing[0]}")
    names = {name for name, _ in points}
    surplus = [at for at, values in have.items() if at[0] in names and (len(values) > 1 or at not in points)]
    if surplus:
        found.pts_dup += len(surplus)
        found.lines.append(f"{len(surplus)} points of {trial.label} are more than once in MLflow: {surplus[0]}")
    summary = (trial.result or {}).get("summary", {})
    lacking = [name for name, value in summary.items() if [value] not in _values(have, name)]
    if lacking:
        found.pts_lost += len(lacking)
        found.lines.append(f"summary of {trial.label} lacks or repeats {', '.join(lacking)} in MLflow")


def _values(points: Mapping[tuple[str, int], list[float]], name: str) -> Iterator[list[float]]:
    return (values for (each, _), values in points.items() if each == name)


def _check_training(
    found: Findings,
    trials: Mapping[str, Trial],
    control: Control,
    before: Ledger | None,
    again_at: float,
    seen: Sequence[Seen],
    sweep: str,
) -> None:
    for each in seen:
        if each.value not in control.values:
            found.strange += 1
            found.lines.append(f"process {each.process} saw an objective that the control never had: {each.value}")
    done = {key: trial for key, trial in before.of(sweep).items() if trial.ended} if before else {}
    trained = {each.key for each in seen if each.time > again_at} if again_at else set()
    for key, trial in done.items():
        now = trials[key]
        if key in trained or (now.attempts, now.result) != (trial.attempts, trial.result):
            found.redone += 1
            found.lines.append(f"redone: {trial.label} was {trial.state} and was trained again")
    found.overlap = round(witness.overlap(seen), 3)


def _check_waste(found: Findings, seen: Sequence[Seen], interrupted: Sequence[float], patience: float) -> None:
    """An epoch may be trained twice if an interruption came at most so many seconds after it."""
    twice = witness.again(seen)
    found.wasted_epochs = len(twice)
    for first, _ in twice:
        nearest = min((at - first.time for at in interrupted if at >= first.time - 1), default=None)
        if nearest is None or nearest > patience:
            found.late += 1
            when = "though nothing interrupted it" if nearest is None else f"{nearest:.1f} s before the interruption"
            found.lines.append(f"epoch {first.epoch} of {(first.key or '')[:8]} was trained twice, {when}")
