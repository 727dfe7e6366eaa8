"""Delivery: the tracker in a thread of its own, so that training never waits for MLflow."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nnexp.errors import TrackingError
from nnexp.sweeps.leaderboard import Row
from nnexp.sweeps.old_ledger import TrialResult
from nnexp.sweeps.plan import Trial
from nnexp.tracking.old_tracker import Tracker

Parcel = tuple[Trial, TrialResult, Row]


class Delivery:
    """Takes trials and writes them to MLflow one after another.

    Args: open_tracker: makes the tracker, in the thread: importing MLflow and opening its store takes a second or two.
    Attributes: error: what stopped it, if anything did. seconds: spent writing trials. count: trials written.
    """

    def __init__(self, open_tracker: Callable[[], Tracker]) -> None:
        self._open = open_tracker
        self._parcels: queue.Queue[Parcel | None] = queue.Queue()
        self._delivered: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="nnexp-tracker", daemon=True)
        self.tracker: Tracker | None = None
        self.error: Exception | None = None
        self.seconds, self.opening_seconds, self.count = 0.0, 0.0, 0
        self._thread.start()

    def put(self, parcel: Parcel) -> None:
        """Hand over a trial that is in the ledger."""
        self._parcels.put(parcel)

    def delivered(self) -> list[str]:
        """Return the keys of trials that MLflow has since the last call."""
        found = []
        while not self._delivered.empty():
            found.append(self._delivered.get())
        return found

    def drain(self) -> None:
        """Wait until everything handed over is written, or an error stopped it."""
        self._parcels.put(None)
        self._thread.join()

    def finish(self, rows: Sequence[Row], figure: Path | None) -> None:
        """Close the sweep's run, after `drain`.

        Raises: TrackingError if an error stopped the delivery.
        """
        if self.error is None and self.tracker is not None:
            try:
                self.tracker.finish_sweep(rows, figure)
            except Exception as error:
                self.error = error
        if self.error is not None:
            raise TrackingError(_first_line(self.error)) from self.error

    def abandon(self, status: str) -> None:
        """Close the sweep's run as FAILED or KILLED, if MLflow can be reached."""
        if self.error is None and self.tracker is not None:
            with contextlib.suppress(Exception):  # what made the sweep give up is what the user must hear
                self.tracker.abandon(status)

    def _run(self) -> None:
        try:
            began = time.perf_counter()
            self.tracker = self._open()
            self.opening_seconds = time.perf_counter() - began
            while (parcel := self._parcels.get()) is not None:
                if parcel[0].key not in self.tracker.there:
                    began = time.perf_counter()
                    self.tracker.deliver(*parcel)
                    self.seconds += time.perf_counter() - began
                    self.count += 1
                self._delivered.put(parcel[0].key)
        except Exception as error:
            self.error = error


def _first_line(error: Exception) -> str:
    text = str(error) if isinstance(error, TrackingError) else f"{type(error).__name__}: {error}"
    return text.splitlines()[0]
