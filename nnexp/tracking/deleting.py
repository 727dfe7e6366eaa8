"""Deleting a sweep's runs in MLflow. They can be restored there until MLflow's own garbage collection frees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.errors import TrackingError
from nnexp.sweeps.database import DamageError
from nnexp.sweeps.kept import PlannedSweep
from nnexp.sweeps.ledger import Ledger
from nnexp.tracking.runs import planned_at
from nnexp.tracking.store import Store, import_mlflow, knock, one_line, store_uri, without_credentials
from nnexp.tracking.syncing import store_of
from nnexp.tracking.views import VIEW_TAG, view_id

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 1000


def stores_of(ledger: Ledger, sweep: PlannedSweep, root: Path, uri: str | None = None) -> list[Store]:
    """Return where a sweep may have runs: where it is tracked, and where the ledger says that something was delivered.

    Args: uri: one of them with credentials, which are not recorded.
    """
    try:
        said = {each.store for each in ledger.deliveries(sweep.id).values()}
    except DamageError:
        said = set()
    stores = {str(store): store for store in (store_of(sweep, root),)}
    for each in said:
        address, found, experiment = each.rpartition(", experiment ")
        if found:
            stores.setdefault(each, Store(address, experiment, root))
    given = None if uri is None else store_uri(uri, root)
    if given is None:
        return list(stores.values())
    if all(store.address != without_credentials(given) for store in stores.values()):
        known = ", ".join(sorted({store.address for store in stores.values()}))
        raise TrackingError(f"--uri {without_credentials(given)} is not where sweep {sweep.id} is tracked: {known}")
    return [
        Store(given, each.experiment, root) if each.address == without_credentials(given) else each
        for each in stores.values()
    ]


@dataclass(frozen=True)
class Found:
    """A sweep's runs in a store, its own the last: what is cut off leaves runs that the same again finds."""

    store: Store
    sweep: str
    client: MlflowClient | None = None
    experiment_id: str = ""
    runs: tuple[str, ...] = ()

    def delete(self) -> None:
        """Delete them, and the sweep's view. Raises: TrackingError that says how many were, if not all."""
        done = 0
        try:
            for run in self.runs:
                assert self.client is not None
                self.client.delete_run(run)
                done += 1
            self._delete_view()
        except Exception as error:
            raise TrackingError(
                f"MLflow's store {self.store.address} failed when {done:,} of {len(self.runs):,} runs were deleted: "
                f"{one_line(error, self.store.uri)}; the same command goes on"
            ) from None

    def _delete_view(self) -> None:
        """Delete the sweep's view, unless another ledger tracks the same sweep there."""
        if self.client is not None and self.experiment_id:
            view = VIEW_TAG + view_id(self.sweep)
            if view in self.client.get_experiment(self.experiment_id).tags and not self.client.search_runs(
                [self.experiment_id], f"tags.`nnexp.sweep` = '{self.sweep}'", max_results=1
            ):
                self.client.delete_experiment_tag(self.experiment_id, view)


def find_runs(store: Store, sweep: PlannedSweep) -> Found:
    """Return a sweep's runs in a store. Nothing is created.

    Raises: TrackingError if the store cannot be used.
    """
    if store.path is not None and not store.path.exists():
        return Found(store, sweep.id)
    import_mlflow()
    from mlflow import MlflowClient

    try:
        knock(store)
        client = MlflowClient(tracking_uri=store.uri)
        experiment = client.get_experiment_by_name(store.experiment)
        if experiment is None:
            return Found(store, sweep.id)
        id = str(experiment.experiment_id)
        runs = sorted(_runs(client, id, sweep), key=lambda run: run.data.tags.get("nnexp.kind") == "sweep")
    except Exception as error:  # of MLflow, of SQLAlchemy, of the database's driver or its absence
        raise TrackingError(f"MLflow's store {store.address} cannot be used: {one_line(error, store.uri)}") from None
    return Found(store, sweep.id, client, id, tuple(run.info.run_id for run in runs))


def _runs(client: MlflowClient, experiment: str, sweep: PlannedSweep) -> Iterator[Run]:
    wanted, token = f"tags.`nnexp.planned_at` = '{planned_at(sweep)}'", None
    while True:
        page = client.search_runs([experiment], wanted, max_results=PAGE, page_token=token)
        yield from (run for run in page if run.data.tags.get("nnexp.sweep") == sweep.id)
        token = page.token
        if not token:
            return
