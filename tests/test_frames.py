"""Results as frames: typed columns, all trials whatever became of them, the numbers of the ledger to the bit."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas
import pytest

from nnexp.data.sources import Moons
from nnexp.network.architecture import MLP
from nnexp.network.optimizers import SGD, Adam
from nnexp.outcome import Swept, read_weights, swept, trained
from nnexp.sweeps.interrupts import Halt
from nnexp.sweeps.kept import Delivered, SavedSlice
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import Plan, make_plan
from nnexp.sweeps.results import History
from nnexp.testing.trials import small
from tests.sweeps.ledgers import RESULT, SETTINGS, history

HALT = Halt("interrupted", "interrupted")


@pytest.fixture(scope="module")
def plan() -> Plan:
    """A plan with axes of all kinds: names, numbers, lists, and one that only some trials have."""
    configs = []
    for optimizer in (SGD(lr=0.1), Adam(lr=0.001), Adam(lr=0.01)):
        for seed in (0, 1):
            config = small(optimizer=optimizer, seed=seed, architecture=MLP(hidden=(5, 4)), dataset=Moons(examples=60))
            chosen = {"optimizer": optimizer.name, "architecture.hidden": "[5,4]", "seed": str(seed)}
            if optimizer.name == "adam":
                chosen["optimizer.lr"] = str(optimizer.lr)
            configs.append((config, chosen))
    return make_plan("name", configs, axes={"optimizer": ["sgd", "adam"]})[0]


@pytest.fixture
def result(plan: Plan, tmp_path: Path) -> Swept:
    """What came of it: two finished, one diverged, one failed, one stopped, one planned."""
    one, two, three, four, five, _ = (trial.key for trial in plan.trials)
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        ledger.add(plan, "code", SETTINGS)
        ledger.begin(plan.id, [one, two, three, four, five])
        finished = replace(RESULT, objective=0.1 + 0.2)
        diverged = replace(RESULT, outcome="diverged", objective=None, summary={"epoch_diverged": 3.0})
        failed = replace(RESULT, outcome="failed", objective=None, summary={}, reason="ValueError: no")
        records = {key: history(1, 4) for key in (one, two, three, five)}
        ledger.save(plan.id, SavedSlice(records, {one: finished, two: RESULT, three: diverged, four: failed}))
        ledger.stop(plan.id, [five], "interrupted")
        ledger.delivered(plan.id, one, Delivered("store", "run of one"))
    return swept(plan, tmp_path / "sweeps" / plan.id, HALT, previewed=False)


def test_a_row_is_a_trial_whatever_became_of_it(result: Swept, plan: Plan) -> None:
    frame = result.trials
    assert list(frame["key"]) == [trial.key for trial in plan.trials]
    assert list(frame["state"]) == ["finished", "finished", "diverged", "failed", "stopped", "planned"]
    assert list(frame["note"].fillna("")) == ["", "", "", "ValueError: no", "interrupted", ""]
    assert list(frame["epoch"]) == [4, 4, 4, 4, 4, 0]
    assert list(frame["attempts"]) == [1, 1, 1, 1, 1, 0]
    assert frame["run_id"][0] == "run of one"
    assert frame["run_id"].isna().sum() == 5
    assert frame["val/acc_best"][0] == 0.1 + 0.2
    assert list(frame["test/acc"].dropna()) == [2 / 3, 2 / 3]
    assert frame["epoch_diverged"][2] == 3.0
    assert frame["cost/flops"].notna().sum() == 4


def test_columns_of_axes_have_the_types_of_settings(result: Swept) -> None:
    frame = result.trials
    assert list(frame.columns[:7]) == [
        *("key", "label", "state", "optimizer", "architecture.hidden", "seed", "optimizer.lr")
    ]
    assert list(frame["optimizer"]) == ["sgd", "sgd", "adam", "adam", "adam", "adam"]
    assert frame["seed"].dtype == "int64"
    assert frame["optimizer.lr"].dtype == "float64"
    assert list(frame["optimizer.lr"].dropna()) == [0.001, 0.001, 0.01, 0.01]
    assert set(frame["architecture.hidden"]) == {(5, 4)}, "tuples, so that they can be grouped by"
    assert len(frame.groupby(["optimizer", "optimizer.lr", "architecture.hidden"], dropna=False)) == 3


def test_histories_are_long(result: Swept, plan: Plan) -> None:
    frame = result.histories
    assert list(frame.columns) == [
        *("key", "optimizer", "architecture.hidden", "seed", "optimizer.lr", "epoch", "time", "a", "b/c")
    ]
    assert len(frame) == 16
    one = frame[frame["key"] == plan.trials[0].key]
    assert list(one["epoch"]) == [1, 2, 3, 4]
    assert tuple(one["a"]) == history(1, 4).values["a"]
    assert str(frame["time"].dtype) == "datetime64[ns, UTC]"
    assert one["time"].iloc[0].timestamp() == pytest.approx(history(1, 1).times[0], abs=1e-6)


def test_the_leaderboard_counts_all_repeats(result: Swept) -> None:
    frame = result.leaderboard
    assert list(frame["rank"]) == [1, 2, 3]
    assert list(frame["optimizer"]) == ["sgd", "adam", "adam"]
    assert "seed" not in frame
    assert frame[["n", "diverged", "failed", "unfinished"]].to_numpy().tolist() == [
        [2, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 2],
    ]
    assert frame["val/acc_best_mean"][0] == pytest.approx((0.3 + 1 / 3) / 2)
    assert frame["val/acc_best_ci95"].notna().sum() == 1


def test_what_else_there_is_to_know(result: Swept, plan: Plan) -> None:
    assert result.states == {"finished": 2, "diverged": 1, "failed": 1, "stopped": 1, "planned": 1}
    (failure,) = result.failures
    assert (failure.key, failure.reason) == (plan.trials[3].key, "ValueError: no")
    assert result.halt == HALT
    assert repr(result).startswith(f"<sweep {plan.id}: 2 finished, 1 diverged, ")
    assert repr(result).endswith("; best: sgd hidden=[5,4]>")
    with pytest.raises(KeyError, match="0 trials"):
        result.weights("nothing")
    with pytest.raises(KeyError, match="6 trials"):
        result.weights("")
    assert result.weights(plan.trials[0].key) == {}, "this one has no files"


def test_a_preview_has_all_trials_planned_and_needs_no_ledger(plan: Plan, tmp_path: Path) -> None:
    result = swept(plan, tmp_path / "sweeps" / plan.id, None, previewed=True)
    assert set(result.trials["state"]) == {"planned"}
    assert len(result.leaderboard) == 3
    assert len(result.histories) == 0
    assert list(result.histories.columns[:2]) == ["key", "optimizer"]
    assert list(tmp_path.iterdir()) == []
    one = replace(plan, trials=plan.trials[:1])
    assert trained(one, tmp_path / "sweeps" / one.id, None, previewed=True).state == "planned"


@pytest.mark.parametrize("outcome", ["finished", "diverged", "failed"])
def test_a_trial_has_its_history_and_its_end(plan: Plan, tmp_path: Path, outcome: str) -> None:
    one = replace(plan, trials=plan.trials[:1])
    objective = 0.5 if outcome == "finished" else None
    end = replace(RESULT, outcome=outcome, objective=objective, reason="why" if outcome == "failed" else None)
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        ledger.add(one, "code", SETTINGS)
        ledger.save(one.id, SavedSlice({one.trials[0].key: history(1, 4)}, {one.trials[0].key: end}))
    found = trained(one, tmp_path / "sweeps" / one.id, None, previewed=False)
    assert (found.key, found.state, found.config) == (one.trials[0].key, outcome, one.trials[0].config)
    assert tuple(found.history["b/c"]) == history(1, 4).values["b/c"]
    assert found.summary == RESULT.summary
    assert found.costs == RESULT.costs
    assert found.reason == end.reason
    assert found.weights == {}
    told = "; val/acc 0.5000 at best" if objective else ""
    assert repr(found) == f"<trial {found.key[:8]}: {outcome} at epoch 4{told}>"


def test_weights_are_not_unpickled(tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "weights.npz", W1=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_weights(tmp_path)


def test_an_empty_history_is_an_empty_frame() -> None:
    from nnexp.frames import history_frame

    frame = history_frame(History())
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["epoch", "time"]
    assert len(frame) == 0
