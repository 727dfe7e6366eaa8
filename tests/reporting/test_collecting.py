"""Collecting: all that the ledger knows of a sweep is in its snapshot, whatever state its trials are in."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from nnexp.reporting.collecting import HASTE, _histories, collect
from nnexp.reporting.snapshot import Snapshot, read_snapshot, write_snapshot
from nnexp.reporting.study import make_study
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.results import History
from tests.sweeps.ledgers import RESULT, fill


def collected(root: Path, *, wholly: bool = True) -> Snapshot:
    """Return the snapshot of a sweep of which half has finished, a quarter is under way and one is planned."""
    path = root / "ledger.db"
    plan = fill(path, names=("one",))[0] if not path.exists() else None
    (root / "sweeps" / "environment").mkdir(parents=True, exist_ok=True)
    with closing(Ledger(path)) as ledger:
        (sweep,) = ledger.sweeps()
        assert plan is None or plan.id == sweep.id
        return collect(ledger, root, sweep, wholly=wholly)


def test_every_planned_trial_is_a_row_in_the_order_of_the_plan(tmp_path: Path) -> None:
    found = collected(tmp_path)
    assert found.trials["position"].to_list() == list(range(8))
    assert found.trials["state"].to_list() == ["finished"] * 4 + ["running"] * 3 + ["planned"]
    assert found.trials["label"].to_list()[:3] == ["lr=0 seed=0", "lr=0 seed=1", "lr=1 seed=0"]
    finished, rest = found.trials.iloc[0], found.trials.iloc[4]
    assert finished["objective"] == RESULT.objective
    assert finished["summary/test/acc"] == RESULT.summary["test/acc"]
    assert finished["cost/flops"] == RESULT.costs["flops"]
    assert rest[["objective", "summary/test/acc", "ended_at"]].isna().all()
    assert "seed" not in json.loads(finished["config"])


def test_histories_are_those_of_the_ledger_and_read_back_to_the_bit(tmp_path: Path) -> None:
    write_snapshot(collected(tmp_path), tmp_path / "snapshot")
    found = read_snapshot(tmp_path / "snapshot")
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        (sweep,) = ledger.sweeps()
        for key, standing in ledger.standing(sweep.id).items():
            history, rows = ledger.history(sweep.id, key), found.histories[found.histories["key"] == key]
            assert tuple(rows["epoch"]) == history.epochs
            assert len(rows) == {"finished": 40, "running": 20, "planned": 0}[standing.state]
            for name, values in history.values.items():
                assert tuple(rows[name]) == values


def test_a_sweep_says_what_it_is(tmp_path: Path) -> None:
    (sweep,) = collected(tmp_path).sweeps
    assert sweep["name"] == "one"
    assert sweep["id"].startswith("one-")
    assert sweep["axes"] == {"seed": ["0", "1"]}
    assert sweep["objective"] == {"metric": "val/acc", "direction": "maximize"}
    assert sweep["best_metric"] == "val/acc_best"
    assert list(sweep["datasets"].values()) == ["d"]
    assert sweep["environment"] == {}


def test_networks_that_cannot_be_read_are_left_out_with_the_reason(tmp_path: Path) -> None:
    (sweep,) = collected(tmp_path).sweeps
    assert len(sweep["notes"]) == 3
    assert sweep["notes"][0] == "no predictions: weights.npz of lr=0 seed=0 is missing"


def test_networks_are_not_looked_at_in_haste(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("nnexp.reporting.collecting.portraits")
    (sweep,) = collected(tmp_path, wholly=False).sweeps
    assert sweep["notes"] == [HASTE]
    with pytest.raises(NameError):
        collected(tmp_path)


def test_a_study_can_be_made_of_a_sweep_that_is_not_over(tmp_path: Path) -> None:
    study = make_study(collected(tmp_path))
    assert [each.n for each in study.configurations] == [2, 2, 0, 0]
    assert study.seeds == (0,)


def test_a_metric_that_some_trials_lack_is_nan_there() -> None:
    histories = {"a": History((1, 2), (0.1, 0.2), {"x": (1.0, 2.0)}), "b": History((1,), (0.3,), {"y": (3.0,)})}
    found = _histories(histories.__getitem__, ["a", "b", "a"])
    assert found["key"].to_list() == ["a", "a", "b", "a", "a"]
    assert found["x"].fillna(0).to_list() == [1, 2, 0, 1, 2]
    assert found["y"].fillna(0).to_list() == [0, 0, 3, 0, 0]
