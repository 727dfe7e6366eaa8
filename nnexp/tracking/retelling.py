"""What the runs of a sweep tell of it, as its ledger would: for snapshots of sweeps whose ledger is elsewhere or lost.

Trials are planned in the artifact plan.json. How they stand is in tags and metrics of their runs.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.errors import TrackingError
from nnexp.sweeps.kept import PlannedSweep, Standing
from nnexp.sweeps.results import ENDS, History, TrialResult
from nnexp.tracking.entries import config_of, flatten, original_name
from nnexp.tracking.reading import is_cut, read_config
from nnexp.tracking.snapshots import TrackedSweep, TrackedSweeps
from nnexp.training.metrics import NORMS

if TYPE_CHECKING:
    from mlflow.entities import Run


AT_ONCE, MOST_POINTS = 100, 25_000  # runs and points that a server tells of a metric in one answer
BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"  # there since MLflow 1.28; its UI asked it
NOTE = "no predictions, no decision regions: made of the runs in MLflow, without the files of the networks"
NOT_FINITE = "not_finite/"
ONCE = ("epoch_best", "epoch_stopped")  # metrics of a whole training, beside those that have a part


@dataclass
class Retold:
    """A sweep as its runs tell it. abouts: its trials as planned. histories: by key."""

    sweep: PlannedSweep
    abouts: list[dict[str, Any]]
    standing: dict[str, Standing]
    histories: dict[str, History]
    environment: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def retell(tracked: TrackedSweeps, sweep: TrackedSweep) -> Retold:
    """Return what the runs of a sweep tell.

    Raises: TrackingError if MLflow cannot be read, or there is no trial.
    """
    with tracked.clearly():
        runs = _runs(tracked, sweep)
        notes, plan = [NOTE], _json(tracked, sweep.run, "plan.json")
        if plan is None:
            plan = _plan_of(tracked, sweep, runs)
            notes.append("no plan: its artifact plan.json is not there, trials without a run are not known")
        abouts = [_about(each, plan["axes"]) for each in plan.pop("trials")]
        if not abouts:
            raise TrackingError(f"sweep {sweep} has no trials")
        there = {key: run for key, run in runs.items() if key in {each["key"] for each in abouts}}
        histories, problem = _histories(tracked, there)
        if problem:
            notes.append(f"no histories: {problem}")
        standing = {
            each["key"]: _standing(each, there.get(each["key"]), histories.get(each["key"], History()))
            for each in abouts
        }
        planned = PlannedSweep(
            sweep.id, sweep.name, plan.get("hash", ""), sweep.code, sweep.planned_at, len(abouts), plan, {}
        )
        environment = _json(tracked, sweep.run, "environment.json") or {}
    return Retold(planned, abouts, standing, histories, environment, notes)


def _runs(tracked: TrackedSweeps, sweep: TrackedSweep) -> dict[str, Run]:
    """Return the runs of a sweep's trials by key, of several of one key the one that started last."""
    wanted = f"tags.`mlflow.parentRunId` = '{sweep.run}'"
    found: dict[str, Run] = {}
    for run in tracked.runs([sweep.experiment_id], wanted):
        if "nnexp.key" in run.data.tags:
            found.setdefault(run.data.tags["nnexp.key"], run)
    return found


def _json(tracked: TrackedSweeps, run: str, name: str) -> dict[str, Any] | None:
    """Return what an artifact says; None if it is not there."""
    if name not in {each.path for each in tracked.client.list_artifacts(run)}:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(tracked.client.download_artifacts(run, name, folder))
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise TrackingError(f"run {run}: its artifact {name} is damaged") from None
        return found


# what was planned


def _plan_of(tracked: TrackedSweeps, sweep: TrackedSweep, runs: Mapping[str, Run]) -> dict[str, Any]:
    """Return the plan that runs tell: what differs between their configs are the axes."""
    configs = {key: _config(tracked, run) for key, run in runs.items()}
    flat = {key: flatten(config) for key, config in configs.items()}
    values: dict[str, dict[str, None]] = {}
    for each in flat.values():
        for name, text in each.items():
            values.setdefault(name, {})[text] = None
    shared = {name for name, texts in values.items() if len(texts) == 1}
    axes = {name: list(texts) for name, texts in values.items() if name not in shared}
    ordered = sorted(runs, key=lambda key: (runs[key].info.start_time, runs[key].info.run_name))
    trials = [_trial(position, key, runs[key], configs[key]) for position, key in enumerate(ordered)]
    return {"sweep": sweep.name, "code": sweep.code, "axes": axes, "overrides": [], "trials": trials}


def _trial(position: int, key: str, run: Run, config: Mapping[str, Any]) -> dict[str, Any]:
    tags = run.data.tags
    names = {"configuration": tags["nnexp.configuration"], "data": tags["nnexp.data"], "label": run.info.run_name}
    return {"position": position, "key": key, **names, "config": config}


def _config(tracked: TrackedSweeps, run: Run) -> dict[str, Any]:
    return read_config(tracked.client, run.info.run_id) if is_cut(run.data.params) else config_of(run.data.params)


def _about(trial: dict[str, Any], axes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return a planned trial as a ledger keeps it: with what each axis chose."""
    flat, seed = flatten(trial["config"]), trial["config"]["seed"]
    chosen = {}
    for name, choices in axes.items():
        text = flat.get(name, flat.get(f"{name}.name"))
        same = [choice for choice in choices if text is not None and _is_same(text, choice)]
        if same:
            chosen[name] = same[0]
    label = " ".join(part for part in trial["label"].split(" ") if part != f"seed={seed}") or "trial"
    return {**trial, "chosen": chosen, "configuration_label": label}


def _is_same(text: str, choice: str) -> bool:
    """Return whether a value is what an axis has, however it was written: 1e-3 is 0.001."""
    return text == choice or _number(text) == _number(choice)


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text.replace(" ", "")


# how trials stand


def _standing(about: Mapping[str, Any], run: Run | None, history: History) -> Standing:
    key = about["key"]
    if run is None:
        return Standing(key)
    tags = run.data.tags
    state, last = tags.get("nnexp.outcome", "running"), history.epochs[-1] if history.epochs else 0
    result = _result(about, run, state, history) if state in ENDS else None
    return Standing(
        key,
        state,
        epoch=last if result is None else result.epoch,
        note=tags.get("nnexp.reason"),
        reused_from=tags.get("nnexp.reused_from"),
        result=result,
    )


def _result(about: Mapping[str, Any], run: Run, state: str, history: History) -> TrialResult:
    tags, values = run.data.tags, _values(run.data.metrics)
    summary = {name: value for name, value in values.items() if _is_summary(name)}
    costs = {name.removeprefix("cost/"): value for name, value in values.items() if name.startswith("cost/")}
    ended = run.info.end_time or run.info.start_time
    return TrialResult(
        outcome=state,
        epoch=_last_epoch(about, tags, summary, history, state),
        objective=_objective(about, summary, history),
        summary=summary,
        costs=costs,
        stack_width=int(tags.get("nnexp.stack_width", 1)),
        started_at=run.info.start_time / 1000,
        ended_at=ended / 1000,
        code=tags.get("nnexp.code", ""),
        reason=tags.get("nnexp.reason"),
    )


def _is_summary(name: str) -> bool:
    return name in ONCE or name.startswith("test/") or (name.startswith("val/") and name.endswith("_best"))


def _is_recorded(name: str) -> bool:
    """Return whether a metric has a value each epoch."""
    return name.partition("/")[0] in ("train", "val") and not name.endswith("_best")


def _values(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics by their own names, those that are not finite, too."""
    found = {}
    for name, value in metrics.items():
        if name.startswith(NOT_FINITE):
            found[original_name(name.removeprefix(NOT_FINITE))] = math.copysign(math.inf, value) if value else math.nan
        else:
            found[original_name(name)] = value
    return found


def _last_epoch(
    about: Mapping[str, Any], tags: Mapping[str, str], summary: Mapping[str, float], history: History, state: str
) -> int:
    if state == "diverged":
        return int(tags.get("nnexp.diverged_epoch", 0))
    if state == "finished":
        return int(summary.get("epoch_stopped", about["config"]["training"]["epochs"]))
    return history.epochs[-1] if history.epochs else 0


def _objective(about: Mapping[str, Any], summary: Mapping[str, float], history: History) -> float | None:
    """Return the objective at the best epoch; None if there was none."""
    metric, best = about["config"]["objective"]["metric"], int(summary.get("epoch_best", 0))
    if not best:
        return None
    if f"{metric}_best" in summary:
        return summary[f"{metric}_best"]
    return history.values[metric][history.epochs.index(best)] if best in history.epochs else None


# histories


def _histories(tracked: TrackedSweeps, runs: Mapping[str, Run]) -> tuple[dict[str, History], str]:
    """Return the records of runs by their trial's key, and why there are none if so."""
    keys = {run.info.run_id: key for key, run in runs.items()}
    names = sorted({name for run in runs.values() for name in run.data.metrics if _is_recorded(name)})
    found: dict[str, dict[int, tuple[int, dict[str, float]]]] = {}
    try:
        for name in names:
            for run, step, value, stamp in _points(tracked, name, [id for id, key in keys.items()], runs, keys):
                _, values = found.setdefault(keys[run], {}).setdefault(step, (stamp, {}))
                values[original_name(name)] = value
    except _RefusedError as error:
        return {}, str(error)
    return {key: _history(records) for key, records in found.items()}, ""


def _history(records: Mapping[int, tuple[int, Mapping[str, float]]]) -> History:
    epochs = sorted(records)
    names = list(dict.fromkeys(name for _, values in records.values() for name in values))
    ordered = [name for name in names if name not in NORMS] + [name for name in names if name in NORMS]
    columns = {name: tuple(records[epoch][1].get(name, math.nan) for epoch in epochs) for name in ordered}
    return History(tuple(epochs), tuple(records[epoch][0] / 1000 for epoch in epochs), columns)


class _RefusedError(Exception):
    """A store does not tell points of many runs at once."""


def _points(
    tracked: TrackedSweeps, name: str, ids: Sequence[str], runs: Mapping[str, Run], keys: Mapping[str, str]
) -> list[tuple[str, int, float, int]]:
    """Return run, step, value and time of a metric's points, of many runs in one call."""
    with_it = [id for id in ids if name in runs[keys[id]].data.metrics]
    most = max((_epochs(runs[keys[id]]) for id in with_it), default=1)
    height = max(1, min(AT_ONCE, MOST_POINTS // most))
    found = []
    for start in range(0, len(with_it), height):
        found += _some_points(tracked, name, with_it[start : start + height])
    return found


def _epochs(run: Run) -> int:
    return int(run.data.params.get("training.epochs", 1))


def _some_points(tracked: TrackedSweeps, name: str, ids: Sequence[str]) -> list[tuple[str, int, float, int]]:
    store = tracked.client._tracking_client.store
    if hasattr(store, "get_metric_history_bulk"):
        told = [each.to_dict() for each in store.get_metric_history_bulk(list(ids), name, MOST_POINTS)]
    elif hasattr(store, "get_host_creds"):
        from mlflow.utils.rest_utils import http_request

        asked = {"run_id": list(ids), "metric_key": name, "max_results": MOST_POINTS}
        answer = http_request(  # type: ignore[no-untyped-call]
            store.get_host_creds(), BULK, "GET", params=asked
        )
        if answer.status_code != 200:
            raise _RefusedError(
                f"{tracked.store.address} answers {answer.status_code} when it is asked for points of many"
            )
        told = answer.json()["metrics"]
    else:
        raise _RefusedError(f"{tracked.store.address} tells no points of many runs at once")
    return [(each["run_id"], int(each["step"]), float(each["value"]), int(each["timestamp"])) for each in told]
