"""The tracker: delivers what the outbox names, one trial after another, and notes it in the ledger.

Whatever is told MLflow is in the ledger and carries the time it happened: delivering anything again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.leaderboard import Row, aggregate, leaderboard
from nnexp.sweeps.ledger import OWN_RUN, Delivered, Ledger, PlannedTrial, Standing
from nnexp.sweeps.results import History, TrialResult
from nnexp.tracking import appearance, contents, views
from nnexp.tracking.entries import WHOLE, milliseconds, params, points, points_of
from nnexp.tracking.runs import OVER, KnownRun, Runs
from nnexp.tracking.store import Store
from nnexp.tracking.writer import GoneError, Point

TOGETHER_SECONDS = 0.5  # how long a store is written without letting others write


class Tracker:
    """What MLflow has of one sweep of a ledger, brought up to date.

    Args: folder: the sweep's. Attributes: notes: what the user must hear, a line each. count: deliveries. rows: how
    many of them emptied a row of the outbox.
    """

    def __init__(self, ledger: Ledger, sweep: str, store: Store) -> None:
        found = ledger.sweep(sweep)
        if found is None:
            raise LookupError(sweep)
        self.ledger, self.store, self.sweep = ledger, store, found
        self.folder = store.root / "sweeps" / sweep
        self.notes: dict[str, None] = {}
        self.count = 0
        self._delivered = ledger.deliveries(sweep)
        self._planned = {trial.key: trial for trial in ledger.planned(sweep)}
        self._repeats: dict[str, list[PlannedTrial]] = {}
        for trial in self._planned.values():
            self._repeats.setdefault(trial.configuration, []).append(trial)
        self._colours = appearance.colours(self._repeats)
        self._to_note: list[tuple[str, Delivered, int | None]] = []  # what the ledger is to know of
        self._failures: Counter[str] = Counter()  # by key: what fails goes last the next time
        self.single = bool(found.settings.get("single"))
        self._tags = contents.circumstances(self._environment())
        self.runs = Runs(store, found, self._delivered)
        self._find_lost()

    def close(self) -> None:
        """Close MLflow's store."""
        self.runs.close()

    def deliver_due(self, *, over: bool = False) -> None:
        """Deliver everything that is due. over: whether nobody trains this sweep any more.

        Raises: what the first failure raised; the others are due still.
        """
        self.runs.check()
        self._rows: dict[str, tuple[Row | None, float, int]] = {}
        due = self.ledger.outbox(self.sweep.id)
        waiting = deque(sorted(due, key=lambda key: self._failures[key]))
        while waiting:
            self._deliver_some(waiting, due, over=over)
        self.runs.remove_late(at_once=over)

    def _deliver_some(self, waiting: deque[str], due: Mapping[str, int], *, over: bool) -> None:
        """Deliver what can be in half a second, at once where the store can, and note it in the ledger."""
        self._to_note, failure = [], None
        until = time.monotonic() + TOGETHER_SECONDS
        try:
            with self.runs.together():
                while waiting and failure is None and time.monotonic() < until:
                    key = waiting.popleft()
                    failure = self._failure(key, due[key], over=over)
        except GoneError:
            raise
        except Exception as error:
            raise GoneError(f"MLflow's store {self.store.address} has not taken what it was told: {error}") from error
        if self._to_note:
            self.ledger.all_delivered(self.sweep.id, self._to_note)
            for key, delivered, _ in self._to_note:
                self._delivered[key] = delivered
                self.runs.settle(delivered.run)
        if failure is not None:
            raise failure

    def _failure(self, key: str, version: int, *, over: bool) -> Exception | None:
        """Deliver what is due of a key; return why it failed, if it did."""
        self.runs.version = version
        try:
            with self.runs.wholly(key):
                if key == OWN_RUN:
                    self._deliver_sweep(version, over=over)
                else:
                    self._deliver_trial(key, version)
        except GoneError:
            raise
        except Exception as error:
            self._failures[key] += 1
            return error
        self.runs.steps += 1
        self._failures.pop(key, None)
        return None

    # trials

    def _deliver_trial(self, key: str, version: int) -> None:
        standing = self.ledger.standing_of(self.sweep.id, key)
        if standing.state == "planned":
            self.ledger.nothing_due(self.sweep.id, key, version)
            return
        run = self.runs.find(key)
        if run is not None and _is_another(run, standing):
            self.runs.delete(key)
            run = None
        before = self._delivered.get(key) if run is not None else None
        if before is not None and run is not None and before.run != run.id:
            before = None
        history = self.ledger.history(self.sweep.id, key, 0 if before is None else before.epoch)
        if self.ledger.standing_of(self.sweep.id, key).generation != standing.generation:
            return  # it was replaced while it was read: it is due still
        about = self.ledger.about(self.sweep.id, key) if before is None else {}
        if run is None:
            run = self._make(about, standing, history)
        if before is None or before.state != standing.state:
            self._tell_state(run, about, standing, history, None if before is None else before.epoch)
        else:
            aggregated = self._aggregate(standing)
            self.runs.log(run, [*points(history), *aggregated], {}, self._described(standing) if aggregated else {})
        self._note(key, run, standing, history, version)

    def _make(self, about: Mapping[str, Any], standing: Standing, history: History) -> KnownRun:
        """Make a trial's run, below the sweep's."""
        trial = self._planned[standing.key]
        tags = {
            **contents.trial_tags(self.sweep, about, standing.generation),
            **contents.state_tags(standing),
            **appearance.trial_tags(trial, self._colours[trial.configuration]),
        }
        if not self.single:
            tags["mlflow.parentRunId"] = self._parent().id
        began = [standing.result.started_at] if standing.result is not None else list(history.times[:1])
        started = milliseconds((began or [self.sweep.planned_at])[0])
        name = appearance.trial_name(trial.label)
        if self.single:
            name = appearance.single_name(self.sweep.name, about["config"])
        return self.runs.make(standing.key, name, {**tags, **self._tags}, started, standing.generation)

    def _tell_state(
        self, run: KnownRun, about: Mapping[str, Any], standing: Standing, history: History, epoch: int | None
    ) -> None:
        """Tell a run what is new, and how its trial stands now. epoch: the last one that it has; None: nothing yet."""
        told = params(about["config"]) if epoch is None else None
        new = [*points(history), *_final_points(standing), *self._aggregate(standing)]
        tags = {**contents.state_tags(standing), **self._described(standing)}
        self.runs.log(run, new, {} if told is None else told.texts, tags)
        if told is not None:
            if told.whole:
                self.runs.text(run, told.artifact(), WHOLE)
            self.runs.data(run, about["config"]["dataset"]["name"], about["data"], contents.dataset_source(about))
        if standing.result is not None:
            self.runs.upload(run, self._files(standing.key, standing.result))
        status = contents.STATUSES[standing.state]
        if run.status == "KILLED" != status:
            self.runs.untag(run, "nnexp.reason")  # for which it was stopped
        if status == "RUNNING":
            self.runs.go_on(run)
        else:
            self.runs.end(run, status, self._ended(standing, history))

    def _ended(self, standing: Standing, history: History) -> int:
        """Return when a trial ended or, of one that was stopped, when its last record was made."""
        if standing.result is not None:
            return milliseconds(standing.result.ended_at)
        times = history.times or self.ledger.history(self.sweep.id, standing.key).times
        return milliseconds(times[-1] if times else self.sweep.planned_at)

    def _files(self, key: str, result: TrialResult) -> Iterator[Path]:
        """Yield a trial's files that are as they were; of the others a note is made."""
        folder = trial_folder(self.folder, key)
        for name, digest in result.files.items():
            path = folder / name
            try:
                whole = hashlib.sha256(path.read_bytes()).hexdigest() == digest
            except OSError:
                whole = False
            if whole:
                yield path
            else:
                label = self._planned[key].label
                state = "damaged" if path.exists() else "missing"
                self.notes[f"{path} of trial {label} is {state}: it is not uploaded"] = None

    def _aggregate(self, standing: Standing) -> list[Point]:
        """Return the points of a configuration's aggregate once all of its trials have ended, else none.

        Its step counts how often trials of the configuration were begun: after another training it is another one.
        """
        configuration = self._planned[standing.key].configuration
        if not standing.ended:
            return []
        if configuration not in self._rows:
            self._rows[configuration] = self._aggregated(configuration)
        row, seconds, step = self._rows[configuration]
        return [] if row is None else points_of(contents.aggregates(row), seconds, step)

    def _described(self, standing: Standing) -> dict[str, str]:
        """Return the description of a trial, of whose configuration `_aggregate` was asked before."""
        trial = self._planned[standing.key]
        row = self._rows.get(trial.configuration, (None,))[0]
        return {appearance.NOTE_TAG: appearance.trial_note(self._place, trial, standing, row)}

    @property
    def _place(self) -> views.Place:
        return views.Place(self.runs.experiment_id, self.sweep.id)

    def _aggregated(self, configuration: str) -> tuple[Row | None, float, int]:
        repeats = self._repeats[configuration]
        standings = [self.ledger.standing_of(self.sweep.id, trial.key) for trial in repeats]
        results = {each.key: each.result for each in standings if each.result is not None and each.ended}
        if len(results) < len(repeats):
            return None, 0.0, 0
        seconds = max(result.ended_at for result in results.values())
        return aggregate(repeats, results), seconds, sum(each.attempts for each in standings)

    def _note(self, key: str, run: KnownRun, standing: Standing, history: History, version: int) -> None:
        """Note in the ledger what MLflow has."""
        before = self._delivered.get(key)
        epoch = history.epochs[-1] if history.epochs else before.epoch if before and before.run == run.id else 0
        complete = self._rows.get(self._planned[key].configuration, (None,))[0] is not None
        now = Delivered(str(self.store), run.id, standing.generation, epoch, standing.state, complete)
        self._to_note.append((key, now, version))
        self.count += 1

    # the sweep's own run

    def _deliver_sweep(self, version: int, *, over: bool) -> None:
        if self.single:
            self.ledger.nothing_due(self.sweep.id, OWN_RUN, version)
            return
        run = self._parent()
        if OWN_RUN not in self._delivered:
            objective, axes = next(iter(self._planned.values())).objective, self.sweep.head.get("axes", {})
            self.runs.add_view(*views.view(self._place, self.sweep.name, objective, axes, self.sweep.planned_at))
        standings = self.ledger.standing(self.sweep.id)
        state = contents.sweep_state(standings, over=over)
        self.runs.upload(run, (path for name in ("plan.json", "environment.json") for path in self._own(name)))
        if state == "running":
            self.runs.go_on(run)
        else:
            self._close(run, standings, state)
        now = Delivered(str(self.store), run.id, state=state)
        self._to_note.append((OWN_RUN, now, version))

    def _close(self, run: KnownRun, standings: Mapping[str, Standing], state: str) -> None:
        """Tell the sweep's run what came out, and end it."""
        results = {key: each.result for key, each in standings.items() if each.result is not None and each.ended}
        rows = leaderboard(list(self._planned.values()), results)
        times = [result.ended_at for result in results.values()]
        ended = max(times, default=self.sweep.planned_at)
        counts = contents.codes(standings)
        states = [each.state for each in standings.values()]
        note = appearance.sweep_note(self._place, rows, states, contents.codes_note(counts))
        tags = {appearance.NOTE_TAG: note}
        if counts:
            tags["nnexp.code"] = ", ".join(counts)
        values = points_of(contents.sweep_values(rows, standings), ended, sum(e.attempts for e in standings.values()))
        self.runs.log(run, values, {}, tags)
        self.runs.upload(run, (path for name in ("leaderboard.csv", "comparison.png") for path in self._own(name)))
        self.runs.end(run, contents.STATUSES[state], milliseconds(ended))

    def _own(self, name: str) -> list[Path]:
        return [path for path in (self.folder / name,) if path.exists()]

    def _parent(self) -> KnownRun:
        """Return the sweep's own run, made if it is missing."""
        found = self.runs.find(OWN_RUN)
        if found is None:
            tags = {**contents.sweep_tags(self.sweep), **appearance.sweep_tags(), **self._tags}
            name, started = appearance.run_name(self.sweep.name), milliseconds(self.sweep.planned_at)
            found = self.runs.make(OWN_RUN, name, tags, started, 0)
            if OWN_RUN not in self.ledger.outbox(self.sweep.id):
                self.ledger.deliver_again(self.sweep.id, [OWN_RUN])
        return found

    def _find_lost(self) -> None:
        """Deliver again what MLflow has no more: runs that somebody deleted, or all if it went back in time."""
        lost = [key for key, each in self._delivered.items() if not self._is_there(key, each)]
        here = [each.run for key, each in self._delivered.items() if key in lost and each.store == str(self.store)]
        if not all(self.runs.was_deleted(run) for run in here):
            lost = list(self._delivered)
            self.notes[f"MLflow's store went back in time: sweep {self.sweep.id} is delivered again"] = None
        if lost:
            self.ledger.deliver_again(self.sweep.id, lost)
            for key in lost:
                del self._delivered[key]

    def _is_there(self, key: str, delivered: Delivered) -> bool:
        run = self.runs.there.get(key)
        return run is not None and run.id == delivered.run and run.status == contents.STATUSES[delivered.state]

    def _environment(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / "environment.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found


def _is_another(run: KnownRun, standing: Standing) -> bool:
    """Return whether a run shows a training that was replaced by another: its points cannot be changed."""
    if run.generation != standing.generation:
        return True
    if run.status not in OVER:
        return False
    return standing.result is None or not standing.ended or run.ended != milliseconds(standing.result.ended_at)


def _final_points(standing: Standing) -> list[Point]:
    result = standing.result
    if result is None or not standing.ended:
        return []
    return points_of(contents.final_values(result), result.ended_at, result.epoch)
