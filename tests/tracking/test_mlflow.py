"""What MLflow holds after commands as users type them."""

from __future__ import annotations

import csv
import json
import math
import sqlite3
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nnexp.config.build import build_trial
from nnexp.tracking.entries import flatten
from nnexp.tracking.views import Place
from nnexp.training.metrics import applicable
from tests.tracking.conftest import CLASSES, Recorded, nnexp_run

CLASS_METRICS = {
    "train/cost",
    "train/loss",
    "train/acc",
    "val/loss",
    "val/acc",
    "train/grad_norm",
    "train/weight_norm",
}
VALUE_METRICS = {name.replace("acc", kind) for name in CLASS_METRICS for kind in ("rmse", "r2")}


def plan(recorded: Recorded, sweep: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((recorded.folder(sweep) / "plan.json").read_text())
    return found


@pytest.mark.parametrize(("sweep", "trials"), [("classes", 8), ("values", 4)])
def test_every_trial_is_there_once_below_its_sweep(recorded: Recorded, sweep: str, trials: int) -> None:
    (parent,) = recorded.runs("sweep", sweep)
    children = recorded.runs("trial", sweep)
    planned = [trial["key"] for trial in plan(recorded, sweep)["trials"]]
    assert sorted(run.data.tags["nnexp.key"] for run in children) == sorted(planned)
    assert len(children) == trials
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert parent.data.tags["nnexp.sweep"] == children[0].data.tags["nnexp.sweep"]


def test_nothing_is_in_the_default_experiment_and_artifacts_are_under_the_root(recorded: Recorded) -> None:
    client = recorded.client()
    by_name = {each.name: each for each in client.search_experiments()}
    assert client.search_runs([by_name["Default"].experiment_id]) == []
    assert by_name["nnexp"].artifact_location == (recorded.root / "artifacts").as_uri()
    assert sorted(path.name for path in recorded.root.parent.iterdir()) == ["runs"]


def test_params_are_the_flattened_config_and_nothing_else(recorded: Recorded) -> None:
    configs = {trial["key"]: trial["config"] for trial in plan(recorded, "classes")["trials"]}
    for run in recorded.runs("trial", "classes"):
        config = configs[run.data.tags["nnexp.key"]]
        assert run.data.params == flatten(config)
        assert not {name.split(".")[0] for name in run.data.params} & {
            "paths",
            "tracking",
            "executor",
            "screen",
            "sweep",
        }
        assert run.data.params["architecture.hidden"] == "[8]"
        assert run.data.params["loss.name"] == "cross_entropy"


@pytest.mark.parametrize(("sweep", "names"), [("classes", CLASS_METRICS), ("values", VALUE_METRICS)])
def test_every_epoch_of_every_metric_is_there_in_order(recorded: Recorded, sweep: str, names: set[str]) -> None:
    client = recorded.client()
    finished = [run for run in recorded.runs("trial", sweep) if run.data.tags["nnexp.outcome"] == "finished"]
    assert finished
    for run in finished:
        for name in names:
            history = client.get_metric_history(run.info.run_id, name)
            assert [point.step for point in history] == [1, 2, 3]
            assert [point.timestamp for point in history] == sorted(point.timestamp for point in history)


def test_what_is_measured_once_is_there_once_and_agrees_with_the_history(recorded: Recorded) -> None:
    client = recorded.client()
    for run in recorded.runs("trial", "classes"):
        once = {"epoch_best", "val/acc_best", "val/loss_best", "test/acc", "test/loss", "cost/parameters"}
        assert {name: len(client.get_metric_history(run.info.run_id, name)) for name in once} == dict.fromkeys(once, 1)
        accuracies = [point.value for point in client.get_metric_history(run.info.run_id, "val/acc")]
        assert run.data.metrics["val/acc_best"] == max(accuracies)
        assert run.data.metrics["epoch_best"] == 1 + accuracies.index(max(accuracies))
        assert run.data.metrics["cost/parameters"] == 8 * 65 + 10 * 9
        assert run.data.metrics["cost/steps"] == 3 * math.ceil(run.data.metrics["cost/examples"] / 3 / 64)
        for name in ("wall_seconds", "cpu_seconds", "flops", "array_bytes", "peak_bytes"):
            assert run.data.metrics[f"cost/{name}"] > 0


def test_all_metrics_of_the_best_epoch_are_there_but_few_are_aggregated(recorded: Recorded) -> None:
    for sweep, classes in (("classes", 10), ("values", None)):
        for run in (run for run in recorded.runs("trial", sweep) if run.data.tags["nnexp.outcome"] == "finished"):
            for name in applicable(classes):
                assert {f"val/{name}_best", f"test/{name}"} <= set(run.data.metrics)
            aggregated = {name for name in run.data.metrics if name.startswith("agg/")}
            assert len(aggregated) == (7 if classes else 9), aggregated  # n, and mean and deviation of three or four


def test_each_trial_carries_the_aggregates_of_its_configuration(recorded: Recorded) -> None:
    runs = recorded.runs("trial", "classes")
    for run in runs:
        configuration = run.data.tags["nnexp.configuration"]
        repeats = [each for each in runs if each.data.tags["nnexp.configuration"] == configuration]
        assert {each.data.params["seed"] for each in repeats} == {"0", "1"}
        assert run.data.metrics["agg/n"] == 2
        for name in ("val/acc_best", "test/acc", "test/loss"):
            values = [each.data.metrics[name] for each in repeats]
            flat = name.replace("/", "_")
            assert math.isclose(run.data.metrics[f"agg/{flat}_mean"], statistics.fmean(values), rel_tol=1e-12)
            assert math.isclose(run.data.metrics[f"agg/{flat}_std"], statistics.stdev(values), abs_tol=1e-12)


def test_artifacts_are_the_config_the_confusion_the_history_and_the_weights(recorded: Recorded) -> None:
    client = recorded.client()
    for run in recorded.runs("trial", "classes")[:3]:
        folder = Path(client.download_artifacts(run.info.run_id, ""))
        names = ["config.yaml", "confusion.csv", "history.csv", "weights.npz"]
        assert sorted(path.name for path in folder.iterdir()) == names
        config = yaml.safe_load((folder / "config.yaml").read_text())
        assert flatten(build_trial(config).describe()) == run.data.params
        with (folder / "history.csv").open() as file:
            rows = list(csv.DictReader(file))
        for name in CLASS_METRICS:
            history = client.get_metric_history(run.info.run_id, name)
            assert [float(row[name]) for row in rows] == [point.value for point in history]
        with (folder / "confusion.csv").open() as file:
            tested = [row for row in csv.DictReader(file) if row["part"] == "test"]
        counts = [[int(row[f"predicted_{label}"]) for label in range(10)] for row in tested]
        assert np.trace(counts) / np.sum(counts) == run.data.metrics["test/acc"]
        with np.load(folder / "weights.npz", allow_pickle=False) as weights:
            shapes = {name: weights[name].shape for name in weights.files}
        assert shapes == {"W1": (8, 64), "b1": (8,), "W2": (10, 8), "b2": (10,)}


def test_the_sweep_has_leaderboard_plan_figure_and_environment(recorded: Recorded) -> None:
    client = recorded.client()
    (parent,) = recorded.runs("sweep", "classes")
    folder = Path(client.download_artifacts(parent.info.run_id, ""))
    names = ["comparison.png", "environment.json", "leaderboard.csv", "plan.json", "snapshot"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "plan.json").read_text() == (recorded.folder("classes") / "plan.json").read_text()
    assert "numpy" in json.loads((folder / "environment.json").read_text())["packages"]
    with (folder / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    means = [float(row["val/acc_best_mean"]) for row in rows]
    assert len(rows) == 4
    assert means == sorted(means, reverse=True)
    assert f"| 1 | {rows[0]['configuration']} |" in parent.data.tags["mlflow.note.content"]


def test_a_dataset_is_recorded_with_its_whole_digest(recorded: Recorded) -> None:
    digests = {trial["key"]: trial["data"] for trial in plan(recorded, "classes")["trials"]}
    for run in recorded.runs("trial", "classes"):
        (used,) = run.inputs.dataset_inputs
        digest = digests[run.data.tags["nnexp.key"]]
        assert used.dataset.name == "digits"
        assert digest.startswith(used.dataset.digest)
        assert json.loads(used.dataset.source)["sha256"] == digest == run.data.tags["nnexp.data"]


def test_run_names_begin_with_what_differs_and_tags_tell_what_computed_it(recorded: Recorded) -> None:
    runs = recorded.runs("trial", "classes")
    names = {f"{name} l2={l2} seed={seed}" for name in ("sgd", "adam") for l2 in ("0", "0.1") for seed in (0, 1)}
    assert {run.info.run_name for run in runs} == names
    for run in runs:
        assert run.data.tags["nnexp.stack_width"] == "4"
        assert run.data.tags["nnexp.blas"]
        assert run.data.tags["nnexp.numerics"].isdigit()


def test_a_diverged_trial_is_finished_with_its_outcome_and_epoch_and_no_test_metrics(recorded: Recorded) -> None:
    by_outcome: dict[str, list[Any]] = {}
    for run in recorded.runs("trial", "values"):
        by_outcome.setdefault(run.data.tags["nnexp.outcome"], []).append(run)
    assert {outcome: len(runs) for outcome, runs in by_outcome.items()} == {"finished": 2, "diverged": 2}
    for run in by_outcome["diverged"]:
        assert run.data.params["optimizer.lr"] == "1e+30"
        assert run.data.tags["nnexp.diverged_epoch"] == "1"
        assert not any(name.startswith("test/") for name in run.data.metrics)
        assert run.data.metrics["agg/n"] == 0
    for run in by_outcome["finished"]:
        assert "nnexp.diverged_epoch" not in run.data.tags
        assert {"test/rmse", "test/r2", "test/loss"} <= set(run.data.metrics)
    assert "diverged" in recorded.outputs["values"].stdout


def test_a_single_trial_is_a_run_of_its_own_whose_result_is_printed(recorded: Recorded) -> None:
    (run,) = recorded.runs("trial", "single")
    assert "mlflow.parentRunId" not in run.data.tags
    assert recorded.runs("sweep", "single") == []
    assert f"test/acc {run.data.metrics['test/acc']:.4f}" in recorded.outputs["single"].stdout


def test_the_output_ends_with_where_to_look(recorded: Recorded) -> None:
    experiment = recorded.client().get_experiment_by_name("nnexp")
    assert experiment is not None
    lines = recorded.outputs["classes"].stdout.splitlines()
    (parent,) = recorded.runs("sweep", "classes")
    assert lines[-1].endswith(Place(experiment.experiment_id, parent.data.tags["nnexp.sweep"]).link)
    assert lines[-2].endswith("-m nnexp.ui classes")
    single = recorded.outputs["single"].stdout.splitlines()
    assert single[-1].endswith(f"/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning")
    assert single[-2].endswith("-m nnexp.ui")
    assert any(line.startswith("seconds: start") and "compose" in line and "train" in line for line in lines)


def rows_of(database: Path, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    with sqlite3.connect(database) as connection:
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}


def test_the_same_command_again_trains_nothing_and_changes_no_trial(recorded: Recorded) -> None:
    database = recorded.root / "mlflow.db"
    tables = ("metrics", "params", "latest_metrics", "inputs", "datasets")
    before = rows_of(database, *tables)
    trials = {run.info.run_id: (run.data.tags, run.info.end_time) for run in recorded.runs("trial", "classes")}
    again = nnexp_run(recorded.root, *CLASSES)
    assert again.returncode == 0
    assert "8 of 8 trials are in the ledger already" in again.stdout
    assert rows_of(database, *tables) == before
    assert {run.info.run_id: (run.data.tags, run.info.end_time) for run in recorded.runs("trial", "classes")} == trials
    assert len(recorded.runs("sweep", "classes")) == 1


def test_a_trial_deleted_in_mlflow_is_delivered_again_and_not_trained_again(recorded: Recorded) -> None:
    client = recorded.client()
    gone = recorded.runs("trial", "classes")[0]
    client.delete_run(gone.info.run_id)
    again = nnexp_run(recorded.root, *CLASSES)
    assert "8 of 8 trials are in the ledger already" in again.stdout
    (back,) = [r for r in recorded.runs("trial", "classes") if r.data.tags["nnexp.key"] == gone.data.tags["nnexp.key"]]
    assert back.info.run_id != gone.info.run_id
    assert back.data.metrics == gone.data.metrics
    assert back.data.params == gone.data.params
