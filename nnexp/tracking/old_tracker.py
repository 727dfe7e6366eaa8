"""The tracker: writes sweeps and trials to MLflow, each trial once, in as few calls as possible.

A trial is searched for by its key before a run is created, and everything logged carries the time it happened:
delivering the same trial again changes nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp import __version__
from nnexp.numerics import NUMERICS_VERSION
from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.leaderboard import Row, as_csv, as_markdown, best_metric
from nnexp.sweeps.old_ledger import TrialResult
from nnexp.sweeps.plan import Plan, Trial
from nnexp.tracking import provenance
from nnexp.tracking.store import Store, open_store
from nnexp.training.metrics import CHEAP

if TYPE_CHECKING:
    from mlflow.entities import Dataset, Metric, Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

PAGE = 1000


class Tracker:
    """One sweep's, or single trial's, records in MLflow.

    Args: folder: the sweep's. single: whether its one trial is a run of its own.
    Attributes: there: keys of the trials that MLflow has, finished.
    """

    def __init__(self, uri: str, experiment: str, root: Path, plan: Plan, *, folder: Path, single: bool) -> None:
        self.client, self.experiment_id = open_store(Store(uri, experiment, root))
        self.plan, self.folder, self.single = plan, folder, single
        self.parent: str | None = None
        self._places: dict[str, str] = {}  # where the artifacts of new runs go
        self._known = self._search("trial")
        self.there = {key for key, (_, status) in self._known.items() if status == "FINISHED"}
        if not single:
            self.parent = self._sweep_run()

    def deliver(self, trial: Trial, result: TrialResult, row: Row) -> str:
        """Write a trial; return its run's id. row: its configuration's aggregate."""
        run_id = self._known.get(trial.key, ("", ""))[0] or self._create_trial_run(trial, result)
        self._known[trial.key] = (run_id, "RUNNING")
        self.client.log_batch(run_id, metrics=_metrics(result, row), params=_params(trial))
        self.client.log_inputs(run_id, datasets=[_dataset_input(trial)])
        self._artifacts(run_id).log_artifacts(str(trial_folder(self.folder, trial.key)))  # type: ignore[no-untyped-call]
        self.client.set_terminated(run_id, "FINISHED", end_time=_milliseconds(result.ended_at))
        self._known[trial.key] = (run_id, "FINISHED")
        return run_id

    def finish_sweep(self, rows: Sequence[Row], figure: Path | None) -> None:
        """Write the leaderboard, the plan and the figure to the sweep's run and close it."""
        if self.parent is None:
            return
        client, run_id = self.client, self.parent
        client.log_text(run_id, as_csv(rows), "leaderboard.csv")
        client.log_artifact(run_id, str(self.folder / "plan.json"))
        client.log_dict(run_id, provenance.environment(), "environment.json")
        if figure is not None:
            client.log_artifact(run_id, str(figure))
        client.set_tag(run_id, "mlflow.note.content", as_markdown(rows))
        client.log_batch(run_id, metrics=_sweep_metrics(rows))
        client.set_terminated(run_id, "FINISHED")

    def abandon(self, status: str) -> None:
        """Close the sweep's run as FAILED or KILLED; the same command opens it again."""
        if self.parent is not None:
            self.client.set_terminated(self.parent, status)

    def _artifacts(self, run_id: str) -> ArtifactRepository:
        """Return where a run's artifacts go, without asking the store again where that is: a tenth of a delivery."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        if run_id not in self._places:
            self._places[run_id] = self.client.get_run(run_id).info.artifact_uri
        return get_artifact_repository(self._places.pop(run_id), tracking_uri=self.client.tracking_uri)

    def _search(self, kind: str) -> dict[str, tuple[str, str]]:
        """Return run id and status of this sweep's runs of a kind, by key."""
        wanted = f"tags.`nnexp.sweep` = '{self.plan.id}' and tags.`nnexp.kind` = '{kind}'"
        found: dict[str, tuple[str, str]] = {}
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment_id], wanted, max_results=PAGE, page_token=token)
            for run in page:
                found.setdefault(run.data.tags.get("nnexp.key", ""), (run.info.run_id, run.info.status))
            token = page.token
            if not token:
                return found

    def _sweep_run(self) -> str:
        found = self._search("sweep").get(self.plan.hash)
        if found is not None:
            self.client.update_run(found[0], status="RUNNING")
            return found[0]
        run = self._create("sweep", self.plan.hash, self.plan.name, None)
        return str(run.info.run_id)

    def _create_trial_run(self, trial: Trial, result: TrialResult) -> str:
        more = {
            "nnexp.stack_width": str(result.stack_width),
            "nnexp.outcome": result.outcome,
            "nnexp.configuration": trial.configuration,
            "nnexp.data": trial.data,
            "nnexp.blas": provenance.blas(),
        }
        more |= {f"nnexp.component.{each.kind}.{each.name}": str(each) for each in trial.foreign}
        if result.outcome == "diverged":
            more["nnexp.diverged_epoch"] = str(result.epoch)
        run = self._create("trial", trial.key, trial.label, result.started_at, more)
        self._places[run.info.run_id] = run.info.artifact_uri
        return str(run.info.run_id)

    def _create(
        self, kind: str, key: str, name: str, started_at: float | None, more: Mapping[str, str] | None = None
    ) -> Run:
        git = provenance.git()
        tags = {
            "nnexp.kind": kind,
            "nnexp.key": key,
            "nnexp.sweep": self.plan.id,
            "nnexp.version": __version__,
            "nnexp.numerics": str(NUMERICS_VERSION),
            "mlflow.user": provenance.user(),
            "mlflow.source.name": "nnexp.run",
            "mlflow.source.type": "LOCAL",
            **(more or {}),
        }
        if git:
            tags |= {"mlflow.source.git.commit": git["commit"], "nnexp.git.dirty": git["dirty"]}
        if self.parent is not None:
            tags["mlflow.parentRunId"] = self.parent
        start = None if started_at is None else _milliseconds(started_at)
        return self.client.create_run(self.experiment_id, start_time=start, tags=tags, run_name=name)


def flatten(config: Mapping[str, Any], path: str = "") -> dict[str, str]:
    """Return a config as dotted paths and texts: strings as they are, everything else as JSON."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            flat |= flatten(value, here)
        else:
            flat[here] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return flat


def _params(trial: Trial) -> list[Any]:
    from mlflow.entities import Param

    return [Param(key, value) for key, value in flatten(trial.config.describe()).items()]


def _metrics(result: TrialResult, row: Row) -> list[Metric]:
    """Return a trial's metrics: of each epoch at its step and time, the rest at the end."""
    from mlflow.entities import Metric

    stamps = [_milliseconds(each) for each in result.times]
    found = [
        Metric(name, value, stamp, epoch)
        for name, values in result.history.items()
        for epoch, value, stamp in zip(result.epochs, values, stamps, strict=True)
    ]
    final = {
        **result.summary,
        **{f"cost/{name}": value for name, value in result.costs.items()},
        **aggregates(row),
    }
    end = _milliseconds(result.ended_at)
    return [*found, *(Metric(name, value, end, result.epoch) for name, value in final.items())]


def aggregates(row: Row) -> dict[str, float]:
    """Return `agg/*`: mean and deviation over n finished repeats of the objective, and of few metrics of the test part.

    Those are the same metric and the cheap ones: each is another column of MLflow's table.
    """
    found, objective = {"agg/n": float(row.n)}, row.trials[0].objective.metric.partition("/")[2]
    tested = [f"test/{name}" for name in dict.fromkeys((*CHEAP, objective))]
    for name in (best_metric(row.trials[0]), *tested):
        if name not in row.mean:
            continue
        flat = name.replace("/", "_")
        found |= {f"agg/{flat}_mean": row.mean[name], f"agg/{flat}_std": row.deviation[name]}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _sweep_metrics(rows: Sequence[Row]) -> list[Metric]:
    from mlflow.entities import Metric

    numbers = {
        "sweep/trials": sum(row.n + row.diverged for row in rows),
        "sweep/diverged": sum(row.diverged for row in rows),
        "sweep/configurations": len(rows),
    }
    return [Metric(name, float(value), 0, 0) for name, value in numbers.items()]


def _dataset_input(trial: Trial) -> Any:
    """Return the trial's data for MLflow, whose digest has room for 36 characters: the source holds the whole one."""
    from mlflow.entities import Dataset, DatasetInput

    dataset: Dataset = Dataset(
        name=trial.config.dataset.name,
        digest=trial.data[:36],
        source_type="nnexp",
        source=json.dumps({**trial.config.dataset.describe(), "sha256": trial.data}),
    )
    return DatasetInput(dataset)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
