"""Fetching: snapshots of sweeps from MLflow alone, where there is no ledger of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.errors import DataError, TrackingError

if TYPE_CHECKING:
    from nnexp.reporting.snapshot import Snapshot
    from nnexp.tracking.snapshots import TrackedSweep, TrackedSweeps


@dataclass(frozen=True)
class Fetched:
    """A sweep's snapshot. run: the id of its own run. experiment: the name of the experiment that this is in."""

    snapshot: Snapshot
    run: str
    experiment: str


def fetch(uri: str, names: Sequence[str] = (), *, experiment: str = "") -> list[Fetched]:
    """Return the snapshots of sweeps that an MLflow store has, each as it was made when the sweep ended.

    Of a sweep that has none, or that somebody works on, one is made of its runs, and says what it lacks.
    Args: uri: MLflow's, as `nnexp.tracking.store.store_uri` returns it. names: ids of sweeps, names, which are their
    latest, or ids of their own runs; the latest of all by default. experiment: the only one to look at.
    Raises: TrackingError if the store cannot be read or a snapshot is damaged; UsageError if there is no such sweep, or
    several.
    """
    from nnexp.tracking.snapshots import TrackedSweeps
    from nnexp.tracking.store import Store

    tracked = TrackedSweeps(Store(uri, experiment, Path()))
    chosen = [tracked.named(name) for name in names] if names else [tracked.named(None)]
    return [Fetched(_snapshot(tracked, each), each.run, each.experiment) for each in dict.fromkeys(chosen)]


def _snapshot(tracked: TrackedSweeps, sweep: TrackedSweep) -> Snapshot:
    from nnexp.reporting.collecting import assemble
    from nnexp.reporting.portraits import Portraits
    from nnexp.reporting.snapshot import read_snapshot
    from nnexp.sweeps.results import History
    from nnexp.tracking.retelling import retell

    with tempfile.TemporaryDirectory() as folder:
        found = tracked.download(sweep, Path(folder))
        if found is not None:
            try:
                return read_snapshot(found)
            except DataError as error:
                said = str(error).removeprefix(f"snapshot {found}: ")
                raise TrackingError(f"the snapshot of {sweep} in {tracked.store.address} is damaged: {said}") from None
    told = retell(tracked, sweep)
    return assemble(
        told.sweep,
        told.abouts,
        told.standing,
        lambda key: told.histories.get(key, History()),
        environment=told.environment,
        shown=Portraits(notes=told.notes),
    )
