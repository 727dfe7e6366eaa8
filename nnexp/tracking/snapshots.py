"""Sweeps in MLflow, found without a ledger: their snapshots, or what their runs tell where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.errors import NnexpError, TrackingError, UsageError
from nnexp.sweeps.files import SNAPSHOT
from nnexp.tracking.client import PAGE
from nnexp.tracking.store import Store, import_mlflow, knock, one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True)
class TrackedSweep:
    """A sweep that MLflow has. run: the id of its own run. running: whether somebody seems to work on it.

    planned_at: seconds since 1970.
    """

    id: str
    run: str
    experiment_id: str
    experiment: str
    planned_at: float
    running: bool
    code: str

    @property
    def name(self) -> str:
        """What it was called."""
        return self.id.rpartition("-")[0]

    def __str__(self) -> str:
        return f"{self.id} (run {self.run}, experiment {self.experiment})"


class TrackedSweeps:
    """The sweeps of a store. Nothing is written, and no store is made.

    Args: store: its experiment is the only one that is looked at, unless it is empty.
    Raises: TrackingError if there is no store, or it does not answer.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        if store.path is not None and not store.path.exists():
            raise TrackingError(f"there is no MLflow store at {store.path}")
        import_mlflow()
        from mlflow import MlflowClient

        with self.clearly():
            knock(store)
            self.client: MlflowClient = MlflowClient(tracking_uri=store.uri)
            self.all = sorted(self._sweeps(), key=lambda each: (each.planned_at, each.run))

    def named(self, name: str | None) -> TrackedSweep:
        """Return the sweep of an id, or of its own run's id, or the latest one of a name, or of all without one.

        Raises: UsageError that lists the choices if there is none or, of one id, there are several.
        """
        matching = [each for each in self.all if name in (None, each.id, each.name, each.run)]
        if not matching:
            what = "no sweep" if name is None else f"no sweep {name!r}"
            known = ", ".join(dict.fromkeys(each.id for each in self.all)) or "none"
            raise UsageError(f"there is {what} in {self._place}; it has: {known}")
        latest = [each for each in matching if each.id == matching[-1].id]
        if len(latest) > 1:
            raise UsageError(
                f"{name or latest[0].id!r} is several sweeps in {self._place}, name one by its run: "
                f"{', '.join(map(str, latest))}"
            )
        return latest[0]

    def download(self, sweep: TrackedSweep, folder: Path) -> Path | None:
        """Download a sweep's snapshot into a folder; return where it is.

        Returns: None if there is none, or only that of an earlier end: somebody works on the sweep.
        """
        with self.clearly():
            there = {each.path for each in self.client.list_artifacts(sweep.run)}
            if SNAPSHOT not in there or sweep.running:
                return None
            folder.mkdir(parents=True, exist_ok=True)
            return Path(self.client.download_artifacts(sweep.run, SNAPSHOT, str(folder)))

    @contextmanager
    def clearly(self) -> Iterator[None]:
        """Say in one line what MLflow cannot do."""
        try:
            yield
        except NnexpError:
            raise
        except Exception as error:  # of MLflow, of a database or its driver, of where artifacts are
            said = one_line(error, self.store.uri)
            raise TrackingError(f"MLflow's store {self.store.address} cannot be read: {said}") from None

    @property
    def _place(self) -> str:
        return f"{self.store.address}{f', experiment {self.store.experiment}' if self.store.experiment else ''}"

    def _sweeps(self) -> Iterator[TrackedSweep]:
        names = self._experiments()
        if self.store.experiment and self.store.experiment not in names.values():
            raise UsageError(f"there is no experiment {self.store.experiment!r} in {self.store.address}")
        wanted = [id for id, name in names.items() if self.store.experiment in ("", name)]
        for run in self.runs(wanted, "tags.`nnexp.kind` = 'sweep'"):
            tags = run.data.tags
            yield TrackedSweep(
                id=tags["nnexp.sweep"],
                run=run.info.run_id,
                experiment_id=run.info.experiment_id,
                experiment=names[run.info.experiment_id],
                planned_at=datetime.fromisoformat(tags["nnexp.planned_at"]).timestamp(),
                running=run.info.status == "RUNNING",
                code=tags.get("nnexp.code", ""),
            )

    def _experiments(self) -> dict[str, str]:
        """Return the names of all experiments by id."""
        found: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self.client.search_experiments(max_results=PAGE, page_token=token)
            found |= {each.experiment_id: each.name for each in page}
            token = page.token
            if not token:
                return found

    def runs(self, experiments: Sequence[str], wanted: str) -> Iterator[Run]:
        """Yield the active runs that a filter finds, a thousand with each call."""
        token: str | None = None
        while experiments:
            page = self.client.search_runs(list(experiments), wanted, max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return
