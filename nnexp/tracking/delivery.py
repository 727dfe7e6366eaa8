"""Delivery: the tracker in a thread of its own, so that training never waits for MLflow."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from nnexp.errors import NnexpError, UsageError
from nnexp.sweeps.holding import holding, is_held
from nnexp.sweeps.kept import OWN_RUN
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import Plan, write_whole
from nnexp.tracking import contents, provenance
from nnexp.tracking.glance import runs_there
from nnexp.tracking.store import Store, check_store, import_mlflow, needs_mlflow, one_line
from nnexp.tracking.tracker import Tracker
from nnexp.tracking.writer import GoneError

__all__ = ["Delivery", "Drained", "Store", "check_store", "is_delivered", "reconcile"]

LONGEST_PAUSE = 30.0  # seconds between attempts while MLflow cannot be reached
SHOWN_EVERY = 0.5  # seconds
SHARE = 4  # a delivery that took long is followed by a pause of so many times as long


@dataclass(frozen=True)
class Drained:
    """What came of a delivery.

    pending: what MLflow still lacks, in rows of the outbox. error: why, in one line. count: deliveries of trials.
    seconds: spent on them; opening_seconds: on importing MLflow and opening its store. experiment_id: None if the store
    was never opened. notes: what else the user must hear, a line each.
    """

    pending: int
    error: str | None
    count: int
    seconds: float
    opening_seconds: float
    experiment_id: str | None
    notes: tuple[str, ...]


class Delivery:
    """Brings MLflow up to date with a sweep of the ledger while it is trained, from its own connection to both.

    Args: every: seconds between deliveries. training: whether this process trains it. also: other sweeps of the ledger
    that nobody works on, to be delivered beside it where they are tracked in the same store.
    """

    def __init__(
        self,
        ledger_path: Path,
        sweep: str,
        store: Store,
        every: float,
        *,
        training: bool = True,
        also: Iterable[str] = (),
    ) -> None:
        self.training, self.also = training, list(also)
        self.path, self.sweep, self.store, self.every = ledger_path, sweep, store, every
        self._woken, self._ended = threading.Event(), threading.Event()
        self._imported, self._over, self._quit = False, not training, False
        self._tracker: Tracker | None = None
        self._before: list[Tracker] = []  # that lost what they knew
        self._error: str | None = None
        self._attempts = 0  # that ended since the training is over
        self._failing: float | None = None  # since when nothing works
        self._seconds, self._opening_seconds = 0.0, 0.0
        self._thread = threading.Thread(target=self._run, name="nnexp-delivery", daemon=True)

    def start(self) -> None:
        """Begin; MLflow is imported in the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Deliver now rather than when it is time."""
        self._woken.set()

    def drain(
        self,
        patience: float = 10.0,
        show: Callable[[int], None] = lambda pending: None,
        must_end: Callable[[], bool] = lambda: False,
    ) -> Drained:
        """Deliver all that is due; give up after some seconds without any progress, in or before this call.

        Args: show: is told now and then how many rows of the outbox there still are. must_end: whether to give up now.
        """
        with closing(Ledger(self.path)) as ledger:
            close_due(ledger, self.sweep)
            self._over, began = True, time.monotonic()
            self.wake()
            steps, since, shown = self._steps(), began, began - SHOWN_EVERY
            while not self._ended.wait(0.02) and self._thread.is_alive():
                now = time.monotonic()
                if now - shown >= SHOWN_EVERY:
                    shown = now
                    show(ledger.pending(self.sweep))
                if self._steps() != steps or self._opening:
                    steps, since = self._steps(), now
                failing = self._failing is not None and now - self._failing > patience and self._attempts > 0
                if failing or now - since > patience or must_end():
                    break
            self._quit = True
            self.wake()
            return self._drained(ledger.pending(self.sweep))

    def abandon(self, patience: float = 10.0) -> None:
        """End without delivering more than what is under way."""
        self._quit = True
        self.wake()
        self._thread.join(patience)

    @property
    def _opening(self) -> bool:
        """Whether nobody is waited for but this machine, which may be busy: MLflow is imported, a local store made."""
        return not self._imported or (self.store.path is not None and self._tracker is None and self._failing is None)

    def _drained(self, pending: int) -> Drained:
        trackers = self._trackers()
        return Drained(
            pending,
            (self._error or "it takes too long") if pending else None,
            self._count(),
            self._seconds,
            self._opening_seconds,
            trackers[-1].runs.experiment_id if trackers else None,
            tuple(dict.fromkeys(note for each in trackers for note in each.notes)),
        )

    def _trackers(self) -> list[Tracker]:
        return [*self._before, *([] if self._tracker is None else [self._tracker])]

    def _count(self) -> int:
        return sum(each.count for each in self._trackers())

    def _steps(self) -> int:
        return sum(each.runs.steps for each in self._trackers())

    def _run(self) -> None:
        pause = 0.0
        try:
            ledger = Ledger(self.path)
        except NnexpError as error:
            self._error = str(error)
            return
        with closing(ledger):
            if needs_mlflow(self.store):
                import_mlflow()
            self._imported = True
            while not self._quit:
                over, began, count = self._over, time.perf_counter(), self._count()
                try:
                    self._deliver(ledger, over=over)
                    took, self._error, self._failing = time.perf_counter() - began, None, None
                    self._deliver_others(ledger)
                    pause = 0.05 if over else max(self.every, SHARE * took)
                    if over and not ledger.pending(self.sweep):
                        break
                except Exception as error:
                    self._error = one_line(error, self.store.uri)
                    if self._failing is None or self._count() != count:
                        self._failing = time.monotonic()
                    pause = min(max(2 * pause, 0.5), 1.0 if self._over else LONGEST_PAUSE)
                self._attempts += over
                self._woken.wait(pause)
                self._woken.clear()
            if self._tracker is not None:
                self._tracker.close()
        self._ended.set()

    def _deliver(self, ledger: Ledger, *, over: bool) -> None:
        began = time.perf_counter()
        if over:  # perhaps the last delivery said that it is trained
            close_due(ledger, self.sweep)
        if self._tracker is None:
            if self.training:
                write_environment(self.store.root / "sweeps" / self.sweep)
            self._tracker = Tracker(ledger, self.sweep, self.store)
            self._opening_seconds = time.perf_counter() - began
            began = time.perf_counter()
        try:
            self._tracker.deliver_due(over=over)
        except GoneError:
            self._tracker.close()
            self._before.append(self._tracker)
            self._tracker = None
            raise
        finally:
            self._seconds += time.perf_counter() - began

    def _deliver_others(self, ledger: Ledger) -> None:
        """Deliver sweeps that a dead process left behind. What goes wrong with them is their next delivery's."""
        while self.also and not self._quit:
            other = ledger.sweep(self.also.pop())
            told = {} if other is None else other.settings
            if other is None or (told.get("store"), told.get("experiment")) != (
                self.store.address,
                self.store.experiment,
            ):
                continue
            with (
                suppress(Exception),
                holding(self.store.root / "sweeps" / other.id, other.id),
                closing(Tracker(ledger, other.id, self.store)) as tracker,
            ):
                tracker.deliver_due(over=True)


def is_delivered(ledger: Ledger, plan: Plan, store: Store) -> bool:
    """Return whether MLflow has all of a sweep, as far as can be seen without importing it, which takes seconds."""
    if ledger.pending(plan.id) or _closing(ledger, plan.id) is not None:
        return False
    there = runs_there(store.uri, store.experiment, plan.id)
    if there is None:
        return False
    for key, each in ledger.deliveries(plan.id).items():
        run = there.get(plan.hash if key == OWN_RUN else key)
        if each.store != str(store) or run != (each.run, contents.STATUSES[each.state]):
            return False
    return True


def close_due(ledger: Ledger, sweep: str) -> None:
    """Let a sweep's own run be told how the sweep stands now that nobody trains it, if it was told something else."""
    if _closing(ledger, sweep) is not None:
        ledger.deliver_again(sweep, [OWN_RUN], wholly=False)


def _closing(ledger: Ledger, sweep: str) -> str | None:
    """Return the state that a sweep's own run is to be told now that nobody trains it; None if it knows."""
    delivered = ledger.deliveries(sweep).get(OWN_RUN)
    state = contents.sweep_state(ledger.standing(sweep), over=True)
    return None if delivered is None or delivered.state == state else state


def reconcile(ledger: Ledger, root: Path) -> list[str]:
    """Mark as stopped what dead processes left running; return the sweeps that have something to deliver for that.

    Sweeps that a living process works on are left alone.
    """
    found = []
    for sweep, keys in ledger.under_way().items():
        folder = root / "sweeps" / sweep
        with suppress(UsageError):  # somebody works on it
            if not is_held(folder):
                with holding(folder, sweep):
                    if keys:
                        ledger.stop(sweep, keys, "the process that trained it is gone")
                    close_due(ledger, sweep)
                found.append(sweep)
    return found


def write_environment(folder: Path) -> None:
    """Write what the numbers may depend on into a sweep's folder, if it is not there as it is now."""
    text = json.dumps(provenance.environment(), indent=1) + "\n"
    path = folder / "environment.json"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
