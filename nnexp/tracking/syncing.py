"""Syncing: sweeps of a ledger are delivered without being trained, each to the store that it was tracked in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnexp.errors import TrackingError, UsageError
from nnexp.sweeps.holding import holding
from nnexp.sweeps.kept import PlannedSweep
from nnexp.sweeps.ledger import Ledger
from nnexp.tracking.delivery import Delivery, Drained, close_due, reconcile
from nnexp.tracking.store import Store, one_line, store_uri, without_credentials
from nnexp.tracking.verify import verify

EVERY = 1.0  # seconds between attempts


@dataclass(frozen=True)
class Verified:
    """What a comparison with MLflow found. differences: a line each. left: those that could not be mended."""

    differences: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.left:
            return f"{len(self.left)} of {len(self.differences)} differences could not be mended"
        return f"{len(self.differences)} differences mended" if self.differences else "MLflow has all of it"


@dataclass(frozen=True)
class Synced:
    """What became of a sweep. left: who works on it, if somebody does. drained: None if nothing was delivered.
    verified: None if it was not compared."""

    sweep: str
    store: Store
    pending: int
    left: str | None = None
    drained: Drained | None = None
    verified: Verified | None = None

    @property
    def is_whole(self) -> bool:
        """Whether MLflow has all of it."""
        return not self.pending and not (self.verified is not None and self.verified.left)

    def lines(self) -> Iterator[str]:
        """Yield what to say of it."""
        notes = () if self.drained is None else self.drained.notes
        differences = () if self.verified is None else self.verified.differences
        left = () if self.verified is None else [f"{line}: not mended" for line in self.verified.left]
        yield from (f"{self.sweep}: {line}" for line in (*notes, *differences, *left))
        yield f"{self.sweep}: {self._said()}"

    def _said(self) -> str:
        if self.left is not None:
            return f"{self.left}, which delivers it"
        if self.pending:
            why = self.drained.error if self.drained is not None else "its store could not be reached just now"
            return f"{self.pending} pending: {why}"
        if self.verified is not None:
            return str(self.verified)
        if self.drained is None:
            return "nothing to deliver"
        return f"delivered to {self.store.address} (trials told: {self.drained.count})"


def sync(
    ledger: Ledger,
    root: Path,
    names: Sequence[str] = (),
    *,
    uri: str | None = None,
    experiment: str | None = None,
    verifying: bool = False,
    patience: float = 10.0,
) -> Iterator[Synced]:
    """Deliver what is due of some sweeps of a ledger, or of all, one after another.

    Args: names: ids of sweeps, or names, which are their latest. uri, experiment: others than those recorded.
    verifying: compare everything with MLflow, and mend what differs. patience: seconds without any progress after which
    a store is given up.
    Raises: UsageError if there is no such sweep.
    """
    chosen = choose(ledger.sweeps(), names)
    reconcile(ledger, root)
    unreachable: set[Store] = set()
    for sweep in chosen:
        store = store_of(sweep, root, uri, experiment)
        if store in unreachable:
            yield Synced(sweep.id, store, max(ledger.pending(sweep.id), int(verifying)))
            continue
        found = _sync(ledger, sweep, store, patience, verifying=verifying)
        if found.drained is not None and found.drained.experiment_id is None:
            unreachable.add(store)
        yield found


def choose(sweeps: Sequence[PlannedSweep], names: Sequence[str]) -> list[PlannedSweep]:
    """Return the sweeps that are named, all if none is. Raises: UsageError that lists the choices."""
    by_name = {each.name: each for each in sweeps} | {each.id: each for each in sweeps}
    for name in names:
        if name not in by_name:
            known = ", ".join(each.id for each in sweeps) or "none"
            raise UsageError(f"there is no sweep {name!r} in this ledger; it has: {known}")
    return list({by_name[name].id: by_name[name] for name in names}.values()) if names else list(sweeps)


def store_of(sweep: PlannedSweep, root: Path, uri: str | None = None, experiment: str | None = None) -> Store:
    """Return where a sweep is tracked: as it was recorded, unless another URI or experiment is given.

    Credentials are not recorded: MLFLOW_TRACKING_URI is used where it is the recorded URI with them.
    """
    recorded, told = str(sweep.settings.get("store", "")), os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri is not None or not recorded:
        place = store_uri(uri, root)
    else:
        place = told if told and without_credentials(told) == recorded else recorded
    return Store(place, experiment or str(sweep.settings.get("experiment", "nnexp")), root)


def _sync(ledger: Ledger, sweep: PlannedSweep, store: Store, patience: float, *, verifying: bool) -> Synced:
    drained = verified = left = None
    try:
        with holding(store.root / "sweeps" / sweep.id, sweep.id):
            close_due(ledger, sweep.id)
            elsewhere = [key for key, each in ledger.deliveries(sweep.id).items() if each.store != str(store)]
            if elsewhere:
                ledger.deliver_again(sweep.id, elsewhere)
            drained = _drain(ledger, sweep, store, patience) if ledger.pending(sweep.id) else None
            if verifying and not ledger.pending(sweep.id):
                verified, drained = _verify(ledger, sweep, store, patience)
    except UsageError as error:  # somebody works on it
        left = str(error)
    return Synced(sweep.id, store, ledger.pending(sweep.id), left, drained, verified)


def _verify(
    ledger: Ledger, sweep: PlannedSweep, store: Store, patience: float
) -> tuple[Verified | None, Drained | None]:
    """Compare a sweep with MLflow, mend what differs, and compare again."""
    drained = None
    try:
        found = verify(ledger, sweep.id, store)
        if not found:
            return Verified(), None
        drained = _drain(ledger, sweep, store, patience)
        left = [] if drained.pending else verify(ledger, sweep.id, store, mending=False)
        return Verified(tuple(each.line for each in found), tuple(each.line for each in left)), drained
    except TrackingError:
        raise
    except Exception as error:  # of MLflow, of its artifacts' store
        raise TrackingError(
            f"{sweep.id} cannot be compared with {store.address}: {one_line(error, store.uri)}"
        ) from None


def _drain(ledger: Ledger, sweep: PlannedSweep, store: Store, patience: float) -> Drained:
    delivery = Delivery(ledger.path, sweep.id, store, EVERY, training=False)
    delivery.start()
    return delivery.drain(patience)
