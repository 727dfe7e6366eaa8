"""A sweep that pretends to train: a real plan, a real ledger and real files, with records made up by a formula."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnexp.network.optimizers import SGD
from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.kept import SavedSlice
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import Plan, make_plan
from nnexp.sweeps.results import History, TrialResult
from nnexp.testing.trials import small
from nnexp.tracking.store import Store

METRICS = ("train/cost", "train/acc", "val/loss", "val/acc")
BEGAN = 1_700_000_000.0


@dataclass
class Pretended:
    """A sweep in a ledger. keys: of its trials."""

    plan: Plan
    root: Path
    store: Store
    ledger: Ledger
    keys: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return self.root / "sweeps" / self.plan.id

    def train(self, keys: Iterable[str], first: int, last: int, *, twist: float = 0.0) -> None:
        """Save the records of some epochs. twist: makes them others."""
        records = {key: self.history(key, first, last, twist) for key in keys}
        self.ledger.save(self.plan.id, SavedSlice(records=records))

    def begin(self, keys: Iterable[str] | None = None) -> None:
        """Begin trials."""
        self.ledger.begin(self.plan.id, list(self.keys if keys is None else keys))

    def end(self, keys: Iterable[str], epoch: int, outcome: str = "finished", **more: Any) -> None:
        """Save trials' results, with their files."""
        results = {key: replace(self.result(key, epoch, outcome), **more) for key in keys}
        self.ledger.save(self.plan.id, SavedSlice(results=results))

    def whole(self, epochs: int = 3) -> None:
        """Train all of it."""
        self.begin()
        self.train(self.keys, 1, epochs)
        self.end(self.keys, epochs)

    def history(self, key: str, first: int, last: int, twist: float = 0.0) -> History:
        """Return made-up records."""
        place, epochs = self.keys.index(key), tuple(range(first, last + 1))
        times = tuple(BEGAN + 10 * place + epoch + 0.1234 for epoch in epochs)
        values = {
            name: tuple(math.sin(1 + twist + place + number / 7 + epoch / 3) for epoch in epochs)
            for number, name in enumerate(METRICS)
        }
        return History(epochs, times, values)

    def result(self, key: str, epoch: int, outcome: str) -> TrialResult:
        """Return a made-up result, whose files are written."""
        folder, place = trial_folder(self.folder, key), self.keys.index(key)
        folder.mkdir(parents=True, exist_ok=True)
        files = {"config.yaml": f"key: {key}\n", "history.csv": f"{key}\n" * 50, "weights.npz": key * 100}
        if outcome == "failed":
            files = {"traceback.txt": "Traceback (most recent call last):\nZeroDivisionError\n"}
        for name, text in files.items():
            (folder / name).write_text(text)
        return TrialResult(
            outcome=outcome,
            epoch=epoch,
            objective=0.5 + place / 64 if outcome == "finished" else None,
            summary={"epoch_best": 2.0, "val/acc_best": 0.5 + place / 64, "test/acc": 0.25, "test/loss": 1.5},
            costs={"wall_seconds": 1.5, "parameters": 123.0},
            stack_width=len(self.keys),
            started_at=BEGAN + 10 * place,
            ended_at=BEGAN + 10 * place + epoch + 0.5,
            code="c" * 64,
            files={name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()},
            reason="ZeroDivisionError: division by zero" if outcome == "failed" else None,
        )


def pretend(
    root: Path,
    uri: str,
    *,
    name: str = "pretended",
    configurations: int = 2,
    seeds: int = 2,
    single: bool = False,
    planned_at: float | None = None,
) -> Pretended:
    """Return a sweep that is planned in the ledger of a root."""
    chosen = [
        (small(optimizer=SGD(lr=0.1 * (number + 1)), seed=seed), {"optimizer.lr": f"{number}", "seed": f"{seed}"})
        for number in range(configurations)
        for seed in range(seeds)
    ]
    plan, _ = make_plan(name, chosen)
    store = Store(uri, "nnexp", root)
    ledger = Ledger(root / "ledger.db")
    settings = {"store": store.address, "experiment": "nnexp", "single": single, "argv": []}
    ledger.add(plan, "c" * 64, settings, planned_at)
    plan.freeze(root / "sweeps" / plan.id)
    return Pretended(plan, root, store, ledger, tuple(trial.key for trial in plan.trials))


@dataclass(frozen=True)
class Database:
    """MLflow's own SQLite file, read without MLflow and without nnexp. sweep: whose runs alone are looked at."""

    path: Path
    sweep: str | None = None

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=60)) as connection:
            return connection.execute(query, values).fetchall()

    def runs(self) -> dict[str, list[tuple[str, str]]]:
        """Return ids and statuses of active runs by their key."""
        found: dict[str, list[tuple[str, str]]] = {}
        for key, run, status in self.rows(
            "SELECT key.value, run.run_uuid, run.status FROM runs AS run JOIN tags AS key USING (run_uuid) "
            "JOIN tags AS sweep USING (run_uuid) WHERE key.key = 'nnexp.key' AND run.lifecycle_stage = 'active' "
            "AND sweep.key = 'nnexp.sweep' AND (sweep.value = ? OR ? IS NULL)",
            (self.sweep, self.sweep),
        ):
            found.setdefault(key, []).append((run, status))
        return found

    def points(self, run: str) -> dict[tuple[str, int], list[tuple[float, int]]]:
        """Return a run's points: value and time, by metric and step."""
        found: dict[tuple[str, int], list[tuple[float, int]]] = {}
        query = "SELECT key, step, value, timestamp FROM metrics WHERE run_uuid = ?"
        for name, step, value, stamp in self.rows(query, (run,)):
            found.setdefault((name, step), []).append((value, stamp))
        return found

    def tags(self, run: str) -> dict[str, str]:
        """Return a run's tags."""
        return dict(self.rows("SELECT key, value FROM tags WHERE run_uuid = ?", (run,)))

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return everything that is told of runs."""
        tables = ("runs", "metrics", "latest_metrics", "params", "tags", "datasets", "inputs")
        return {table: sorted(self.rows(f"SELECT * FROM {table}"), key=repr) for table in tables}


def assert_delivered(sweep: Pretended, database: Database, epochs: int) -> None:
    """Assert that a whole sweep is in MLflow, each trial and each point once, as it was made up."""
    runs = database.runs()
    assert sorted(runs) == sorted([*sweep.keys, sweep.plan.hash])
    for key in sweep.keys:
        ((run, status),) = runs[key]
        assert status == "FINISHED"
        history, points = sweep.history(key, 1, epochs), database.points(run)
        for name, values in history.values.items():
            for epoch, time, value in zip(history.epochs, history.times, values, strict=True):
                assert points.pop((name, epoch)) == [(value, round(time * 1000))]
        once = sweep.result(key, epochs, "finished")
        final = {**once.summary, **{f"cost/{name}": value for name, value in once.costs.items()}}
        for name, value in final.items():
            assert points.pop((name, epochs)) == [(value, round(once.ended_at * 1000))]
        assert {name.partition("/")[0] for name, _ in points} == {"agg"}, points
        assert all(len(each) == 1 for each in points.values())
        (uri,) = database.rows("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run,))
        if uri[0].startswith(("/", "file:")):
            place = Path(uri[0].removeprefix("file://"))
            there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in place.iterdir()}
            assert there == once.files
