"""What MLflow is told of trials and sweeps: tags, final metrics, statuses. All of it is in the ledger."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nnexp.sweeps.kept import PlannedSweep, Standing
from nnexp.sweeps.leaderboard import Row, best_metric
from nnexp.sweeps.results import ENDS, TrialResult
from nnexp.tracking.runs import planned_at
from nnexp.training.metrics import CHEAP

STATUSES = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "diverged": "FINISHED",
    "failed": "FAILED",
    "stopped": "KILLED",
}
UNDER_WAY = ("planned", "running", "stopped")


def trial_tags(sweep: PlannedSweep, about: Mapping[str, Any], generation: int) -> dict[str, str]:
    """Return the tags of a planned trial, which stay."""
    tags = {
        "nnexp.kind": "trial",
        "nnexp.key": about["key"],
        "nnexp.configuration": about["configuration"],
        "nnexp.data": about["data"],
        "nnexp.generation": str(generation),
        **_common(sweep),
    }
    for each in about.get("components", ()):
        where = f"{each['package'] or 'registered'} sha256:{each['source']}"
        tags[f"nnexp.component.{each['kind']}.{each['name']}"] = where
    return tags


def state_tags(standing: Standing) -> dict[str, str]:
    """Return the tags that say how a trial stands, all of them in every state: a tag that is there is replaced."""
    result, state = standing.result if standing.ended else None, standing.state
    tags = {"nnexp.outcome": state}
    if standing.reused_from:
        tags["nnexp.reused_from"] = standing.reused_from
    if standing.note:
        tags["nnexp.reason"] = standing.note
    if result is not None:
        tags |= {"nnexp.stack_width": str(result.stack_width), "nnexp.code": result.code}
        if result.outcome == "diverged":
            tags["nnexp.diverged_epoch"] = str(result.epoch)
    return tags


def sweep_tags(sweep: PlannedSweep) -> dict[str, str]:
    """Return the tags of a sweep's own run."""
    return {"nnexp.kind": "sweep", "nnexp.key": sweep.hash, **_common(sweep)}


def _common(sweep: PlannedSweep) -> dict[str, str]:
    return {
        "nnexp.sweep": sweep.id,
        "nnexp.planned_at": planned_at(sweep),
        "nnexp.version": str(sweep.head.get("nnexp", "")),
        "nnexp.numerics": str(sweep.head.get("numerics", "")),
        "mlflow.source.name": "nnexp.run",
        "mlflow.source.type": "LOCAL",
    }


def circumstances(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that say where and by whom a sweep was trained."""
    tags = {"mlflow.user": str(environment.get("user", "unknown")), "nnexp.blas": str(environment.get("blas", ""))}
    git = environment.get("git") or {}
    if git:
        tags |= {"mlflow.source.git.commit": git["commit"], "nnexp.git.dirty": git["dirty"]}
    return tags


def sweep_state(standings: Mapping[str, Standing], *, over: bool) -> str:
    """Return how a sweep stands. over: whether nobody works on it now."""
    states = {each.state for each in standings.values()}
    if states & set(UNDER_WAY):
        return "stopped" if over else "running"
    return "failed" if "failed" in states else "finished"


def final_values(result: TrialResult) -> dict[str, float]:
    """Return what is measured once, at a trial's end."""
    return {**result.summary, **{f"cost/{name}": value for name, value in result.costs.items()}}


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


def sweep_values(rows: Sequence[Row], standings: Mapping[str, Standing]) -> dict[str, float]:
    """Return the metrics of a sweep's own run: how many trials there are, by what became of them."""
    states = Counter(each.state for each in standings.values())
    counts = {"trials": len(standings), "configurations": len(rows), **{name: states[name] for name in ENDS}}
    return {f"sweep/{name}": float(count) for name, count in counts.items()}


def codes(standings: Mapping[str, Standing]) -> Counter[str]:
    """Return how many results there are of each version of nnexp's own code, by its digest."""
    return Counter(each.result.code for each in standings.values() if each.result is not None)


def codes_note(counts: Mapping[str, int]) -> str:
    """Return what the description says of results of several versions of nnexp's own code."""
    if len(counts) < 2:
        return ""
    told = ", ".join(f"{count} of {code[:12]}" for code, count in counts.items())
    return f"\nResults are from {len(counts)} versions of nnexp's own code: {told}.\n"


def dataset(about: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return name, digest and source of a trial's data set; the source has its settings and the whole digest."""
    settings = about["config"]["dataset"]
    return settings["name"], about["data"], json.dumps({**settings, "sha256": about["data"]})
