"""A sweep's runs in MLflow: looked for before they are made, and told nothing that could not be told twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from nnexp.sweeps.kept import OWN_RUN, Delivered, PlannedSweep
from nnexp.tracking.entries import cut, name_of
from nnexp.tracking.limits import LONGEST_DIGEST, LONGEST_NAME, LONGEST_TAG
from nnexp.tracking.store import Store, open_writer
from nnexp.tracking.views import views_to_drop
from nnexp.tracking.writer import FoundRun, GoneError, Point

PAUSES = (0.1, 0.4, 1.0)  # seconds before a call is tried again that found a server busy or was cut off
BUSY = ("too many 429", "too many 50", "Connection aborted", "Connection reset", "RemoteDisconnected")
LATE_SECONDS = 30.0  # a run may still be made by a request whose answer did not come
OVER = ("FINISHED", "FAILED")  # statuses of a training that is not gone on with

Answer = TypeVar("Answer")


@dataclass
class KnownRun:
    """A run in MLflow. status, ended: what it was told, milliseconds since 1970. artifacts: where its files go."""

    id: str
    status: str
    ended: int | None
    generation: int
    artifacts: str


class Runs:
    """The runs of one sweep of one ledger.

    Args: mine: what the ledger says that MLflow has, by key.
    Attributes: there: runs by their trial's key, and the sweep's own. steps: how many things MLflow was told for the
    first time; it does not grow while the same is tried again and again.
    """

    def __init__(self, store: Store, sweep: PlannedSweep, mine: Mapping[str, Delivered]) -> None:
        self.store, self.sweep = store, sweep
        self._writer = open_writer(store)
        self.experiment_id = self._writer.experiment_id
        self._file = _identity(store)
        self.steps = 0
        self.version = 0  # of the outbox that is being delivered
        self._told: dict[str, set[tuple[int, str]]] = {}  # what runs were told that the ledger does not know of yet
        self._unsure: dict[str, float] = {}  # when the making of a run failed: it may have been made all the same
        self.surplus: list[str] = []  # keys of runs that were there more than once
        self.there: dict[str, KnownRun] = {}
        self.there = self._look(mine)

    def together(self) -> AbstractContextManager[None]:
        """Write what is told within at once, where the store can: all of it, or nothing if anything is raised."""
        return self._writer.together()

    @contextmanager
    def wholly(self, key: str) -> Iterator[None]:
        """Let a failure undo what is told of a key within, where the store can: its run is looked for again then."""
        try:
            with self._writer.together():
                yield
        except Exception:
            if self._writer.transactional:
                for each in (key, OWN_RUN):  # the sweep's run may have been made within
                    run = self.there.pop(each, None)
                    self._told.pop("" if run is None else run.id, None)
                    self._unsure[each] = time.monotonic()
            raise

    def find(self, key: str) -> KnownRun | None:
        """Return the run of a key. One that may have been made, although no answer said so, is looked for."""
        if key not in self.there and key in self._unsure:
            self.there |= self._look({}, key)
        return self.there.get(key)

    def make(self, key: str, name: str, tags: Mapping[str, str], started: int, generation: int) -> KnownRun:
        """Make the run of a key that has none."""
        for pause in (*PAUSES, None):
            try:
                made = self._writer.create(cut(name, LONGEST_NAME), _fitting(tags), started)
            except Exception as error:
                self._unsure[key] = time.monotonic()
                if pause is None or not _is_busy(error):
                    raise
                time.sleep(pause)
                found = self.find(key)
                if found is not None:
                    return found
            else:
                self.steps += 1
                self.there[key] = _known(made, generation)
                return self.there[key]
        raise AssertionError("unreachable")

    def latest(self, run: KnownRun, metric: str) -> tuple[int, int] | None:
        """Return the step and the time (milliseconds since 1970) of a metric's last point; None if it has none."""
        return self._patiently(lambda: self._writer.latest(run.id, metric))

    def was_deleted(self, id: str) -> bool:
        """Return whether a run is there, but somebody deleted it."""
        try:
            return self._patiently(lambda: self._writer.is_deleted(id))
        except GoneError:
            return False

    def add_view(self, key: str, value: str) -> None:
        """Let the UI list a view, unless it does already; the oldest ones give way."""
        tags = self._patiently(self._writer.experiment_tags)
        if key not in tags:
            self._patiently(lambda: self._writer.tag_experiment(key, value))
            for old in views_to_drop({**tags, key: value}):
                self._patiently(lambda old=old: self._writer.tag_experiment(old, None))  # type: ignore[misc]

    def delete(self, key: str) -> None:
        """Delete the run of a key."""
        run = self.there[key]
        self._tell(run, "delete", lambda: self._writer.delete(run.id))
        self.there.pop(key, None)

    def log(self, run: KnownRun, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Log points, params and tags, in as few calls as MLflow's limits allow."""
        if points or params or tags:
            self._tell(run, "log", lambda: self._writer.log(run.id, points, params, _fitting(tags)))

    def untag(self, run: KnownRun, name: str) -> None:
        """Take a tag off a run, if it has it."""
        self._tell(run, f"untag {name}", lambda: self._writer.untag(run.id, name))

    def data(self, run: KnownRun, name: str, digest: str, source: str) -> None:
        """Say which data a run read; MLflow's digest has room for 36 characters."""
        self._tell(run, "data", lambda: self._writer.log_data(run.id, name, digest[:LONGEST_DIGEST], source))

    def upload(self, run: KnownRun, paths: Iterable[Path], folder: str = "") -> None:
        """Upload files. folder: of the run's files, below which they go."""
        for path in paths:
            self._tell(run, f"file {path}", lambda path=path: self._writer.upload(run.artifacts, path, folder))  # type: ignore[misc]

    def text(self, run: KnownRun, text: str, name: str) -> None:
        """Upload a text as a file."""
        self._tell(run, f"file {name}", lambda: self._writer.upload_text(run.artifacts, name, text))

    def end(self, run: KnownRun, status: str, ended: int) -> None:
        """Close a run."""
        if (run.status, run.ended) != (status, ended):
            self._tell(run, f"end {status} {ended}", lambda: self._writer.set_status(run.id, status, ended))
            run.status, run.ended = status, ended

    def go_on(self, run: KnownRun) -> None:
        """Open a run again."""
        if run.status != "RUNNING":
            self._tell(run, "go on", lambda: self._writer.set_status(run.id, "RUNNING"))
            run.status = "RUNNING"

    def close(self) -> None:
        """Close the store."""
        self._writer.close()

    def settle(self, run: str) -> None:
        """Forget what a run was told: the ledger knows it now."""
        self._told.pop(run, None)

    def check(self) -> None:
        """Raise GoneError if the store's file is not the one that was opened: what is written would go nowhere."""
        if _identity(self.store) != self._file:
            raise GoneError(f"MLflow's store {self.store.address} was deleted or replaced")

    def remove_late(self, *, at_once: bool = False) -> None:
        """Delete runs that a request made whose answer did not come, and for which another was made since."""
        now = time.monotonic()
        due = [key for key, since in self._unsure.items() if at_once or now - since > LATE_SECONDS]
        for key in due:
            self.there |= self._look({}, key)
            del self._unsure[key]

    def _tell(self, run: KnownRun, what: str, call: Callable[[], Any]) -> None:
        """Tell a run something, again if the server was busy; not if it was told since the ledger knew."""
        told = self._told.setdefault(run.id, set())
        if (self.version, what) not in told:
            self._patiently(call)
            told.add((self.version, what))
            self.steps += 1

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        for pause in PAUSES:
            try:
                return call()
            except GoneError:
                raise
            except Exception as error:
                if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                    raise GoneError(f"a run of sweep {self.sweep.id} is not in MLflow any more") from error
                if not _is_busy(error):
                    raise
                time.sleep(pause)
        return call()

    def _look(self, mine: Mapping[str, Delivered], key: str | None = None) -> dict[str, KnownRun]:
        """Return the sweep's runs, or that of a key. Of several with one key one stays, the ledger's if it is there."""
        found: dict[str, list[FoundRun]] = {}
        for run in self._search(key):
            if run.tags.get("nnexp.sweep") == self.sweep.id:
                own = run.tags.get("nnexp.kind") == "sweep"
                found.setdefault(OWN_RUN if own else run.tags.get("nnexp.key", ""), []).append(run)
        kept = {}
        for each, runs in found.items():
            known = self.there.get(each)
            wanted = known.id if known else mine[each].run if each in mine else ""
            first = min(runs, key=lambda run: (run.id != wanted, run.status not in OVER))
            kept[each] = known or _known(first, int(first.tags.get("nnexp.generation", 0)))
            for surplus in runs:
                if surplus is not first:
                    self.surplus.append(each)
                    self._patiently(lambda surplus=surplus: self._writer.delete(surplus.id))  # type: ignore[misc]
        return kept

    def _search(self, key: str | None) -> list[FoundRun]:
        wanted = {"nnexp.planned_at": planned_at(self.sweep)}
        if key is not None:
            wanted |= {"nnexp.kind": "sweep"} if key == OWN_RUN else {"nnexp.key": key}
        return self._patiently(lambda: self._writer.find(wanted))


def planned_at(sweep: PlannedSweep) -> str:
    """Return when a sweep was planned, to the microsecond: no sweep of another ledger was."""
    return datetime.fromtimestamp(sweep.planned_at, UTC).isoformat()


def _known(run: FoundRun, generation: int) -> KnownRun:
    return KnownRun(run.id, run.status, run.ended, generation, run.artifacts)


def _fitting(tags: Mapping[str, str]) -> dict[str, str]:
    return {name_of(name): cut(value, LONGEST_TAG) for name, value in tags.items()}


def _is_busy(error: Exception) -> bool:
    return any(sign in str(error) for sign in BUSY)


def _identity(store: Store) -> tuple[int, int] | None:
    if store.path is None:
        return None
    try:
        found = store.path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
