"""Collecting: the snapshot of a sweep from the ledger and the files beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.reporting.portraits import Portraits, portraits
from nnexp.reporting.snapshot import Snapshot, make_snapshot
from nnexp.sweeps.kept import PlannedSweep, Standing
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.parameters import values_of
from nnexp.sweeps.results import History

if TYPE_CHECKING:
    from pandas import DataFrame

HASTE = "no predictions, no decision regions: the sweep was told to end, and its networks were not looked at"


def collect(
    ledger: Ledger,
    root: Path,
    sweep: PlannedSweep,
    *,
    wholly: bool = True,
    environment: Mapping[str, Any] | None = None,
) -> Snapshot:
    """Return the snapshot of a sweep.

    Args: root: where the ledger is, and the sweep's folder below. wholly: whether to look at the networks too.
    environment: what the numbers may depend on, by default as it is in the sweep's folder.
    """
    folder = root / "sweeps" / sweep.id
    standing = ledger.standing(sweep.id)
    abouts = list(ledger.abouts(sweep.id))

    def history(key: str) -> History:
        return ledger.history(sweep.id, key)

    shown = portraits(folder, abouts, standing, history) if wholly else Portraits(notes=[HASTE])
    return assemble(sweep, abouts, standing, history, environment=environment or _environment(folder), shown=shown)


def assemble(
    sweep: PlannedSweep,
    abouts: Sequence[Mapping[str, Any]],
    standing: Mapping[str, Standing],
    history: Callable[[str], History],
    *,
    environment: Mapping[str, Any],
    shown: Portraits,
) -> Snapshot:
    """Return the snapshot of a sweep. Args: history: of a trial that has records, by its key."""
    import pandas

    if "points" in shown.tables:
        shown.tables["points"].insert(0, "sweep", sweep.id)
    tables = {
        **shown.tables,
        "trials": pandas.DataFrame([trial_cells(sweep.id, each, standing[each["key"]]) for each in abouts]),
        "histories": _histories(history, [each["key"] for each in abouts if standing[each["key"]].epoch]),
    }
    told = {"notes": shown.notes, "image": shown.image and list(shown.image)}
    return make_snapshot([_sweep(sweep, abouts, environment) | told], tables)


def trial_cells(sweep: str, about: Mapping[str, Any], standing: Standing) -> dict[str, Any]:
    """Return a trial as a row of the snapshot. Args: about: it as it was planned, as plain data."""
    config = {name: value for name, value in about["config"].items() if name != "seed"}
    result = standing.result
    cells = {
        "sweep": sweep,
        **{name: about[name] for name in ("position", "key", "configuration", "label", "configuration_label", "data")},
        "seed": about["config"]["seed"],
        "state": standing.state,
        "note": standing.note,
        "epoch": standing.epoch,
        "reused_from": standing.reused_from,
        "chosen": as_json(about["chosen"]),
        "parameters": as_json(values_of(about)),
        "config": as_json(config),
        "components": as_json(about.get("components", [])),
        "code": None if result is None else result.code,
        "started_at": None if result is None else result.started_at,
        "ended_at": None if result is None else result.ended_at,
        "stack_width": None if result is None else result.stack_width,
        "objective": None if result is None else result.objective,
    }
    if result is not None:
        cells |= {f"summary/{name}": value for name, value in result.summary.items()}
        cells |= {f"cost/{name}": value for name, value in result.costs.items()}
    return cells


def as_json(plain: Any) -> str:
    """Return plain data as JSON of one line, the same for the same data."""
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def _histories(history_of: Callable[[str], History], keys: Sequence[str]) -> DataFrame:
    import numpy as np
    import pandas

    columns: dict[str, list[Any]] = {}
    rows = 0
    for key in keys:
        history = history_of(key)
        count = len(history.epochs)
        found: Iterator[tuple[str, Sequence[Any]]] = iter(
            [("key", [key] * count), ("epoch", history.epochs), ("time", history.times), *history.values.items()]
        )
        for name, values in found:
            if name not in columns:
                columns[name] = [np.nan] * rows
            columns[name].extend(values)
        rows += count
        for values in columns.values():
            values.extend([np.nan] * (rows - len(values)))
    return pandas.DataFrame(columns)


def _environment(folder: Path) -> dict[str, Any]:
    path = folder / "environment.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _sweep(sweep: PlannedSweep, abouts: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> dict[str, Any]:
    head = {name: value for name, value in sweep.head.items() if name != "sweep"}
    return {
        **head,
        "id": sweep.id,
        "name": sweep.name,
        "planned_at": sweep.planned_at,
        "argv": list(sweep.settings.get("argv", ())),
        "objective": abouts[0]["config"]["objective"],
        "best_metric": f"{abouts[0]['config']['objective']['metric']}_best",
        "environment": dict(environment),
        "datasets": {as_json(each["config"]["dataset"]): each["data"] for each in abouts},
    }
