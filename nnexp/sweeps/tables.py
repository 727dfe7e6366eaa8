"""The ledger's tables, and what their rows are as plain data."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nnexp.sweeps.database import Row, Table
from nnexp.sweeps.kept import Delivered, PlannedSweep, SavedStack, Standing
from nnexp.sweeps.plan import Plan, Trial
from nnexp.sweeps.results import TrialResult

VERSION = 2
SWEEP = Table("sweep", ("id",), ("name", "hash", "code", "planned_at", "trials", "head", "settings"))
TRIAL = Table(
    "trial",
    ("sweep", "key"),
    (
        *("position", "configuration", "about", "state", "attempts", "generation", "epoch", "records"),
        *("note", "reused_from", "result"),
    ),
    extra="CREATE INDEX IF NOT EXISTS trial_by_key ON trial (key)",
)
RECORD = Table("record", ("sweep", "key", "first"), ("last", "history"))
STACK = Table("stack", ("sweep", "id"), ("keys", "epoch", "file", "sha256", "more"))
OUTBOX = Table("outbox", ("sweep", "key"), ("version",))
DELIVERY = Table("delivery", ("sweep", "key"), ("store", "run", "generation", "epoch", "state", "aggregated"))
TABLES = (SWEEP, TRIAL, RECORD, STACK, OUTBOX, DELIVERY)


def planned_sweep_of(row: Row) -> PlannedSweep:
    """Return the sweep of a row."""
    return PlannedSweep(**{**row, "head": json.loads(row["head"]), "settings": json.loads(row["settings"])})


def sweep_row(plan: Plan, code: str, settings: Mapping[str, Any], planned_at: float | None = None) -> Row:
    """Return the row of a plan. planned_at: seconds since 1970, now by default."""
    return {
        "id": plan.id,
        "name": plan.name,
        "hash": plan.hash,
        "code": code,
        "planned_at": time.time() if planned_at is None else planned_at,
        "trials": len(plan.trials),
        "head": json.dumps(plan.head()),
        "settings": json.dumps(dict(settings)),
    }


def about_trial(trial: Trial) -> dict[str, Any]:
    """Return all of a planned trial as plain data."""
    return {**trial.describe(), "configuration_label": trial.configuration_label, "chosen": dict(trial.chosen)}


def trial_row(plan: Plan, trial: Trial) -> Row:
    """Return the row of a trial that has not begun."""
    return {
        "sweep": plan.id,
        "key": trial.key,
        "position": trial.position,
        "configuration": trial.configuration,
        "about": json.dumps(about_trial(trial)),
        "state": "planned",
        **dict.fromkeys(("attempts", "generation", "epoch", "records"), 0),
        **dict.fromkeys(("note", "reused_from", "result")),
    }


def stack_row(sweep: str, stack: SavedStack) -> Row:
    """Return the row of a stack."""
    return {"sweep": sweep, **asdict(stack), "keys": json.dumps(stack.keys), "more": json.dumps(dict(stack.more))}


def standing_of(row: Row) -> Standing:
    """Return how the trial of a row stands."""
    result = None if row["result"] is None else TrialResult.of(json.loads(row["result"]))
    names = ("key", "state", "attempts", "generation", "epoch", "note", "reused_from")
    return Standing(**{name: row[name] for name in names}, result=result)


def delivered_of(row: Row) -> Delivered:
    """Return what a row says that MLflow has."""
    names = ("store", "run", "generation", "epoch", "state")
    return Delivered(**{name: row[name] for name in names}, aggregated=bool(row["aggregated"]))


def saved_stack_of(row: Row) -> SavedStack:
    """Return the stack of a row."""
    keys, more = json.loads(row["keys"]), json.loads(row["more"])
    return SavedStack(row["id"], tuple(keys), row["epoch"], row["file"], row["sha256"], more)
