"""The writer that asks MLflow's own client: for servers, and for databases that are not written directly."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.tracking.writer import FoundRun, Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

PAGE = 1000


class ClientWriter:
    """A writer by MLflow's client."""

    transactional = False

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self.client, self.experiment_id = client, experiment_id
        self._place: tuple[str, ArtifactRepository] | None = None

    def close(self) -> None:
        """Leave it to MLflow, which keeps its connections."""

    def together(self) -> AbstractContextManager[None]:
        """Write one after another: MLflow cannot do otherwise."""
        return nullcontext()

    def find(self, tags: Mapping[str, str]) -> list[FoundRun]:
        """Return the active runs that have all of some tags."""
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found: list[FoundRun] = []
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment_id], wanted, max_results=PAGE, page_token=token)
            found += map(_found, page)
            token = page.token
            if not token:
                return found

    def latest(self, run: str, metric: str) -> tuple[int, int] | None:
        """Return the step and the time of a metric's last point."""
        points = self.client.get_metric_history(run, metric)
        return max(((each.step, each.timestamp) for each in points), default=None)

    def create(self, name: str, tags: Mapping[str, str], started: int) -> FoundRun:
        """Make a run."""
        return _found(self.client.create_run(self.experiment_id, start_time=started, tags=dict(tags), run_name=name))

    def log(self, run: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Log points, params and tags, in as few calls as MLflow's limits allow."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(name, value, stamp, epoch) for name, value, stamp, epoch in points]
        texts = [Param(name, value) for name, value in params.items()]
        self.client.log_batch(run, metrics, texts, [RunTag(name, value) for name, value in tags.items()])

    def log_data(self, run: str, name: str, digest: str, source: str) -> None:
        """Say which data a run read."""
        from mlflow.entities import Dataset, DatasetInput

        data = DatasetInput(Dataset(name=name, digest=digest, source_type="nnexp", source=source))
        self.client.log_inputs(run, datasets=[data])

    def set_status(self, run: str, status: str, ended: int | None = None) -> None:
        """Say how a run stands."""
        if ended is None:
            self.client.update_run(run, status=status)
        else:
            self.client.set_terminated(run, status, ended)

    def untag(self, run: str, name: str) -> None:
        """Take a tag off a run, if it has it."""
        if name in self.client.get_run(run).data.tags:
            self.client.delete_tag(run, name)

    def delete(self, run: str) -> None:
        """Delete a run."""
        self.client.delete_run(run)

    def is_deleted(self, run: str) -> bool:
        """Return whether a run was deleted."""
        return str(self.client.get_run(run).info.lifecycle_stage) == "deleted"

    def upload(self, artifacts: str, path: Path, folder: str = "") -> None:
        """Copy a file to a run's files."""
        self._files(artifacts).log_artifact(str(path), folder or None)  # type: ignore[no-untyped-call]

    def upload_text(self, artifacts: str, name: str, text: str) -> None:
        """Write a text to a run's files."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            self.upload(artifacts, path)

    def experiment_tags(self) -> dict[str, str]:
        """Return the experiment's tags."""
        return dict(self.client.get_experiment(self.experiment_id).tags)

    def tag_experiment(self, name: str, value: str | None) -> None:
        """Set a tag of the experiment; None takes it off."""
        if value is None:
            self.client.delete_experiment_tag(self.experiment_id, name)
        else:
            self.client.set_experiment_tag(self.experiment_id, name, value)

    def _files(self, artifacts: str) -> ArtifactRepository:
        """Return where a run's files go, without asking the store again where that is: a tenth of a delivery."""
        if self._place is None or self._place[0] != artifacts:
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

            self._place = artifacts, get_artifact_repository(artifacts, tracking_uri=self.client.tracking_uri)
        return self._place[1]


def _found(run: Run) -> FoundRun:
    info = run.info
    return FoundRun(info.run_id, info.status, info.end_time, info.artifact_uri, run.data.tags)
