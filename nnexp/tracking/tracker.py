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

from nnexp.sweeps.files import SNAPSHOT, snapshot_files, trial_folder
from nnexp.sweeps.kept import OWN_RUN, Delivered, Standing
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.results import History, TrialResult
from nnexp.tracking import contents, views
from nnexp.tracking.entries import WHOLE, milliseconds
from nnexp.tracking.runs import OVER, KnownRun, Runs
from nnexp.tracking.store import Store
from nnexp.tracking.told import Account, Told
from nnexp.tracking.writer import GoneError

AT_FIRST, AT_LAST = ("plan.json", "environment.json"), ("leaderboard.csv", "comparison.png")  # files of a sweep
RECORDED = "train/cost"  # is in every record
TOGETHER_SECONDS = 0.5  # how long a store is written without letting others write


class Tracker:
    """What MLflow has of one sweep of a ledger, brought up to date.

    Attributes: notes: what the user must hear, a line each. count: deliveries of trials.
    """

    def __init__(self, ledger: Ledger, sweep: str, store: Store) -> None:
        found = ledger.sweep(sweep)
        if found is None:
            raise LookupError(sweep)
        self.ledger, self.store, self.sweep = ledger, store, found
        self.folder = store.root / "sweeps" / sweep
        self.single = bool(found.settings.get("single"))
        self.notes: dict[str, None] = {}
        self.count = 0
        self._to_note: list[tuple[str, Delivered, int | None]] = []  # what the ledger is to know of
        self._failures: Counter[str] = Counter()  # by key: what fails goes last the next time
        self._compared: set[str] = set()  # keys whose run has no record but the ledger's
        self._circumstances = contents.circumstances(self._environment())
        self._delivered = ledger.deliveries(sweep)
        self.runs = Runs(store, found, self._delivered)
        self.account = Account(ledger, found, views.Place(self.runs.experiment_id, found.id))
        self._find_lost()

    def close(self) -> None:
        """Close MLflow's store."""
        self.runs.close()

    def deliver_due(self, *, over: bool = False) -> None:
        """Deliver everything that is due. over: whether nobody trains this sweep any more.

        Raises: what the first failure raised; the others are due still.
        """
        self.runs.check()
        self.account.read_again()
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
                self.count += key != OWN_RUN
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
        if run is not None and (_is_another(run, standing) or self._tells_what_is_lost(key, run)):
            self.runs.delete(key)
            run = None
        before = self._delivered.get(key)
        if run is None or (before is not None and before.run != run.id):
            before = None
        history = self.ledger.history(self.sweep.id, key, 0 if before is None else before.epoch)
        if self.ledger.standing_of(self.sweep.id, key).generation != standing.generation:
            return  # it was replaced while it was read: it is due still
        if before is None:
            run = self._tell_all(run, standing, history)
        elif run is not None:
            self._tell_news(run, standing, history, before)
        if run is not None:
            epoch = history.epochs[-1] if history.epochs else 0 if before is None else before.epoch
            self._note(key, run, standing, epoch, version)

    def _tells_what_is_lost(self, key: str, run: KnownRun) -> bool:
        """Return whether a run has a record that the ledger has not, because it was damaged: it was made again since.

        That cannot happen to what this tracker tells, so that one look at a run that it found is enough.
        """
        if key in self._compared or run.status in OVER:
            return False
        self._compared.add(key)
        last = self.runs.latest(run, RECORDED)
        if last is None:
            return False
        history = self.ledger.history(self.sweep.id, key)
        return last not in {
            (epoch, milliseconds(moment)) for epoch, moment in zip(history.epochs, history.times, strict=True)
        }

    def _tell_all(self, run: KnownRun | None, standing: Standing, history: History) -> KnownRun:
        """Tell a run everything; it is made if it is missing."""
        told = self.account.of_trial(standing, history)
        tags = {**told.lasting, **told.tags, **self._circumstances}
        if not self.single:
            tags["mlflow.parentRunId"] = self._parent().id
        made = run is None
        if run is None:
            run = self.runs.make(standing.key, told.name, tags, told.started, standing.generation)
            self._compared.add(standing.key)
        self.runs.log(run, told.points, told.params, {} if made else tags)
        if told.whole is not None:
            self.runs.text(run, told.whole, WHOLE)
        if told.data is not None:
            self.runs.data(run, *told.data)
        self._tell_state(run, standing, told)
        return run

    def _tell_news(self, run: KnownRun, standing: Standing, history: History, before: Delivered) -> None:
        """Tell a run what it has not got."""
        if before.state != standing.state:
            told = self.account.of_trial(standing, history, wholly=False)
            self.runs.log(run, told.points, {}, told.tags)
            self._tell_state(run, standing, told)
        else:
            news = self.account.new_points(standing, history)
            self.runs.log(run, news, {}, self.account.description(standing) if standing.ended else {})

    def _tell_state(self, run: KnownRun, standing: Standing, told: Told) -> None:
        """Upload a trial's files if it has ended, and tell its run how it stands."""
        if standing.result is not None and standing.ended:
            self.runs.upload(run, self._files(standing.key, standing.result))
        if run.status == "KILLED" != told.status:
            self.runs.untag(run, "nnexp.reason")  # for which it was stopped
        if told.status == "RUNNING":
            self.runs.go_on(run)
        else:
            self.runs.end(run, told.status, told.ended)

    def _files(self, key: str, result: TrialResult) -> Iterator[Path]:
        """Yield a trial's files that are as they were; of the others a note is made."""
        for name, digest in result.files.items():
            path = trial_folder(self.folder, key) / name
            if sha256(path) == digest:
                yield path
            else:
                state = "damaged" if path.exists() else "missing"
                self.notes[f"{path} of {self.account.label(key)} is {state}: it is not uploaded"] = None

    def _note(self, key: str, run: KnownRun, standing: Standing, epoch: int, version: int) -> None:
        """Let the ledger know what MLflow has."""
        aggregated = self.account.aggregated(standing) is not None
        now = Delivered(str(self.store), run.id, standing.generation, epoch, standing.state, aggregated)
        self._to_note.append((key, now, version))

    # the sweep's own run

    def _deliver_sweep(self, version: int, *, over: bool) -> None:
        if self.single:
            self.ledger.nothing_due(self.sweep.id, OWN_RUN, version)
            return
        run = self._parent()
        if OWN_RUN not in self._delivered:
            objective, axes = next(iter(self.account.planned.values())).objective, self.sweep.head.get("axes", {})
            place, since = self.account.place, self.sweep.planned_at
            self.runs.add_view(*views.view(place, self.sweep.name, objective, axes, since))
        standings = self.ledger.standing(self.sweep.id)
        state = contents.sweep_state(standings, over=over)
        self.runs.upload(run, self._own(AT_FIRST))
        if state == "running":
            self.runs.go_on(run)
        else:
            told = self.account.of_sweep(standings, over=over)
            self.runs.log(run, told.points, {}, told.tags)
            self.runs.upload(run, self._own(AT_LAST))
            self.runs.upload(run, snapshot_files(self.folder), SNAPSHOT)
            self.runs.end(run, told.status, told.ended)
        now = Delivered(str(self.store), run.id, state=state)
        self._to_note.append((OWN_RUN, now, version))

    def _parent(self) -> KnownRun:
        """Return the sweep's own run, made if it is missing."""
        found = self.runs.find(OWN_RUN)
        if found is None:
            told = self.account.of_sweep({}, over=False)
            tags = {**told.lasting, "nnexp.code": self.sweep.code, **self._circumstances}
            found = self.runs.make(OWN_RUN, told.name, tags, told.started, 0)
            if OWN_RUN not in self.ledger.outbox(self.sweep.id):
                self.ledger.deliver_again(self.sweep.id, [OWN_RUN])
        return found

    def _own(self, names: tuple[str, ...]) -> list[Path]:
        return [self.folder / name for name in names if (self.folder / name).exists()]

    # what is there

    def _find_lost(self) -> None:
        """Deliver again what MLflow has no more: runs that somebody deleted, or all if it went back in time."""
        due = self.ledger.outbox(self.sweep.id)
        lost = [key for key, each in self._delivered.items() if not self._is_there(key, each, due=key in due)]
        here = [each.run for key, each in self._delivered.items() if key in lost and each.store == str(self.store)]
        if OWN_RUN in lost:
            lost = list(self._delivered)  # trials' runs name it as their parent
        if not all(self.runs.was_deleted(run) for run in here):
            lost = list(self._delivered)
            self.notes[f"MLflow's store went back in time: sweep {self.sweep.id} is delivered again"] = None
        if lost:
            self.ledger.deliver_again(self.sweep.id, lost)
            for key in lost:
                del self._delivered[key]

    def _is_there(self, key: str, delivered: Delivered, *, due: bool) -> bool:
        """Return whether a run is there. One that is due may have been told more than the ledger knows."""
        run = self.runs.there.get(key)
        if run is None or run.id != delivered.run:
            return False
        return due or run.status == contents.STATUSES[delivered.state]

    def _environment(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / "environment.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found


def sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _is_another(run: KnownRun, standing: Standing) -> bool:
    """Return whether a run shows a training that was replaced by another: its points cannot be changed."""
    if run.generation != standing.generation:
        return True
    if run.status not in OVER:
        return False
    return standing.result is None or not standing.ended or run.ended != milliseconds(standing.result.ended_at)
