"""Portraits of networks: what they predict is what they were judged by, and nothing that fails fails the sweep."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnexp.data.prepared import Data
from nnexp.data.sources import Digits, Linnerud, Moons
from nnexp.network.activations import ACTIVATIONS
from nnexp.network.architecture import MLP
from nnexp.network.losses import Hinge, MeanSquaredError
from nnexp.network.normalization import BatchNorm
from nnexp.network.optimizers import SGD, Adam
from nnexp.reporting import films
from nnexp.reporting.films import Grid, spaced
from nnexp.reporting.networks import Networks
from nnexp.reporting.portraits import MOST_REGIONS, Portraits, portraits
from nnexp.sweeps.files import ended_files, trial_folder, write_files
from nnexp.sweeps.kept import Standing
from nnexp.sweeps.leaderboard import leaderboard
from nnexp.sweeps.plan import DataKey, Plan, Trial, make_plan
from nnexp.sweeps.results import History, TrialResult
from nnexp.sweeps.tables import trial_row
from nnexp.testing.trials import multi_label, regression, small
from nnexp.training import Objective, Result, Training, TrialConfig, train
from nnexp.training.stacking import stack_key
from nnexp.training.stopping import Patience

Chosen = tuple[dict[str, str], TrialConfig]


def repeats(config: TrialConfig, seeds: int = 2, **chosen: str) -> list[Chosen]:
    """Return a configuration with so many seeds, and what its axes chose."""
    return [({**chosen, "seed": str(seed)}, replace(config, seed=seed)) for seed in range(seeds)]


@dataclass(frozen=True)
class Swept:
    """A sweep that was trained: its plan, what became of its trials by key, and the folder of their files."""

    folder: Path
    plan: Plan
    data: dict[DataKey, Data]
    standing: dict[str, Standing]
    histories: dict[str, History]

    @property
    def abouts(self) -> list[dict[str, Any]]:
        """Its trials, as a ledger keeps them."""
        return [json.loads(trial_row(self.plan, trial)["about"]) for trial in self.plan.trials]

    def summary(self, key: str) -> Any:
        """Return what was measured of a trial."""
        result = self.standing[key].result
        assert result is not None
        return result.summary


def swept(folder: Path, trials: Sequence[Chosen]) -> Swept:
    """Return a sweep, trained in this process, all of the same shape in one stack, as workers do."""
    plan, data = make_plan("name", [(config.resolved(), chosen) for chosen, config in trials])
    stacks: dict[Any, list[Trial]] = {}
    for trial in plan.trials:
        stacks.setdefault(stack_key(trial.config), []).append(trial)
    found = Swept(folder, plan, data, {}, {})
    for stack in stacks.values():
        for trial, result in zip(stack, train([each.config for each in stack]), strict=True):
            _save(found, trial, result)
    return found


def _save(found: Swept, trial: Trial, result: Result) -> None:
    history = History(
        tuple(result.epochs.tolist()),
        tuple(result.epochs.tolist()),
        {name: tuple(values.tolist()) for name, values in result.history.items()},
    )
    files = write_files(found.folder, {trial.key: ended_files(trial, history, result.best, {}, {})})
    objective = result.summary.get(f"{trial.objective.metric}_best", 0.0)
    told = TrialResult(
        result.outcome, history.epochs[-1] if history.epochs else 0, objective, result.summary, result.costs,
        1, 0.0, 1.0, "code", files[trial.key],
    )  # fmt: skip
    found.standing[trial.key] = Standing(trial.key, result.outcome, epoch=told.epoch, result=told)
    found.histories[trial.key] = history


def shown(sweep: Swept) -> Portraits:
    """Return a sweep's portraits."""
    return portraits(sweep.folder, sweep.abouts, sweep.standing, sweep.histories.__getitem__)


@pytest.fixture(scope="module")
def moons(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Train optimizers on points in the plane, one of which stops early."""
    training = Training(epochs=40, batch_size=16)
    early = Patience(patience=3, min_improvement=1.0)
    return swept(
        tmp_path_factory.mktemp("moons"),
        [
            *repeats(small(optimizer=SGD(lr=0.01), training=training), optimizer="sgd", l2="0"),
            *repeats(small(optimizer=SGD(lr=0.1), training=training), optimizer="sgd", l2="1"),
            *repeats(small(training=training, early_stopping=early), optimizer="adam", l2="0"),
        ],
    )


@pytest.mark.parametrize(
    "config",
    [
        small(normalization=BatchNorm()),
        small(loss=Hinge()),
        small(loss=MeanSquaredError()),
        small(dataset=Moons(examples=60, split_seed="trial")),
        small(dataset=Digits(), training=Training(epochs=1), architecture=MLP(hidden=(8,))),
    ],
    ids=["batch norm", "hinge", "mse", "own splits", "digits"],
)
def test_accuracies_of_predictions_are_those_that_were_recorded(tmp_path: Path, config: TrialConfig) -> None:
    sweep = swept(tmp_path, repeats(config))
    found = shown(sweep)
    assert found.notes == []
    table = found.tables["predictions"]
    for trial in sweep.plan.trials:
        for part, name in (("validation", "val/acc_best"), ("test", "test/acc")):
            rows = table[(table["key"] == trial.key) & (table["part"] == part)]
            assert np.mean(rows["predicted"] == rows["target"]) == sweep.summary(trial.key)[name]
            split = sweep.data[trial.data_key].division(trial.config.seed).split
            assert list(rows["example"]) == list(getattr(split, part))
    probable = [name for name in map(str, table) if name[0] == "p" and name[1:].isdigit()]
    if config.loss.output == "softmax":
        assert np.allclose(table[probable].sum(axis=1), 1)
        assert (table[probable].to_numpy().argmax(axis=1) == table["predicted"]).all()
    else:
        assert probable == []


def test_predicted_values_are_in_their_own_units(tmp_path: Path) -> None:
    sweep = swept(tmp_path / "one", repeats(regression(), 1))
    table = shown(sweep).tables["predictions"]
    rows = table[table["part"] == "test"]
    error = np.sqrt(np.mean((rows["p0"] - rows["target"]) ** 2))
    assert error == pytest.approx(sweep.summary(sweep.plan.trials[0].key)["test/rmse"], rel=1e-6)
    assert set(rows["target"]) <= {*range(25, 347)}
    several = shown(swept(tmp_path / "three", repeats(regression(dataset=Linnerud()), 1))).tables["predictions"]
    assert {"target0", "target2", "p0", "p2"} <= {*several}


def test_labels_that_do_not_exclude_each_other_have_a_probability_each(tmp_path: Path) -> None:
    sweep = swept(tmp_path, repeats(multi_label(), 1))
    table = shown(sweep).tables["predictions"]
    rows = table[table["part"] == "test"]
    right = (rows[["p0", "p1", "p2"]].to_numpy() > 0.5) == rows[["target0", "target1", "target2"]].to_numpy()
    assert right.mean() == pytest.approx(sweep.summary(sweep.plan.trials[0].key)["test/acc"], abs=1e-7)


def test_predictions_are_of_all_finished_repeats_of_the_best_configuration(moons: Swept) -> None:
    results = {key: each.result for key, each in moons.standing.items() if each.result is not None}
    best = leaderboard(moons.plan.trials, results)[0]
    assert {*shown(moons).tables["predictions"]["key"]} == {trial.key for trial in best.trials}


def test_regions_are_of_the_first_repeat_of_the_best_configuration_of_each_optimizer(moons: Swept) -> None:
    found = shown(moons)
    results = {key: each.result for key, each in moons.standing.items() if each.result is not None}
    rows = leaderboard(moons.plan.trials, results)
    wanted = {row.label.split()[0]: row.trials[0].key for row in reversed(rows)}
    regions = found.tables["regions"]
    assert {*regions["key"]} == {*wanted.values()}
    assert len(wanted) == 2
    assert len(regions) == 2 * 80 * 80
    assert regions["confidence"].between(0.5, 1).all()


def test_a_region_is_what_its_network_predicts_near_a_point(moons: Swept) -> None:
    found = shown(moons)
    table, regions = found.tables["predictions"], found.tables["regions"]
    points = found.tables["points"].set_index("example")
    assert len(points) == 60
    key = next(key for key in regions["key"] if key in {*table["key"]})
    region, agree = regions[regions["key"] == key], 0
    rows = table[table["key"] == key]
    for row in rows.itertuples():
        x, y = points.loc[row.example, ["x", "y"]]
        nearest = ((region["x"] - x) ** 2 + (region["y"] - y) ** 2).idxmin()
        agree += region.loc[nearest, "predicted"] == row.predicted
    assert agree >= len(rows) - 1  # one may lie next to the boundary
    assert {*points["part"]} == {"train", "validation", "test"}


def test_frames_are_of_the_training_that_was_recorded_and_stay_as_they_were_at_its_end(moons: Swept) -> None:
    found = shown(moons)
    assert found.notes == []
    frames, ends = found.tables["frames"], set()
    for key, rows in frames.groupby("key"):
        recorded = moons.histories[str(key)]
        accuracy = dict(zip(recorded.epochs, recorded.values["val/acc"], strict=True))
        last = recorded.epochs[-1]
        ends.add(last)
        assert (rows["val/acc"] == rows["epoch"].clip(upper=last).map(accuracy)).all()
        assert {*rows["epoch"]} == {*frames["epoch"]}
        assert (rows.groupby("epoch").size() == 40 * 40).all()
        held = rows[rows["epoch"] >= last].groupby(["row", "column"])["predicted"].nunique()
        assert (held == 1).all()
    assert len(ends) == 2  # one stopped early
    assert frames["epoch"].max() == max(ends)


def test_the_frame_of_the_best_epoch_is_what_the_kept_weights_predict(tmp_path: Path) -> None:
    sweep = swept(tmp_path, repeats(small(training=Training(epochs=9, batch_size=16), optimizer=SGD(lr=0.03)), 1))
    frames = shown(sweep).tables["frames"]
    assert sorted({*frames["epoch"]}) == list(range(1, 10))
    (key,) = sweep.standing
    network = Networks(sweep.folder, {key: sweep.abouts[0]}, sweep.standing).read(key)
    grid = Grid.around(np.asarray(network.data.rows[:, :2], np.float64), 40)
    predicted, _ = network.classify(grid.points, network.theta)
    best = frames[frames["epoch"] == sweep.summary(key)["epoch_best"]]
    assert (best["predicted"].to_numpy() == predicted).all()
    assert len({rows["predicted"].to_numpy().tobytes() for _, rows in frames.groupby("epoch")}) > 1


def test_frames_of_another_history_are_left_out(moons: Swept) -> None:
    def changed(key: str) -> History:
        history = moons.histories[key]
        losses = (*history.values["train/loss"][:-1], np.nextafter(history.values["train/loss"][-1], 9))
        return replace(history, values={**history.values, "train/loss": losses})

    found = portraits(moons.folder, moons.abouts, moons.standing, changed)
    assert "frames" not in found.tables
    assert len(found.tables["regions"])
    (note,) = found.notes
    assert note.startswith("no frames: trained once more, a network has another history than recorded")


def test_frames_that_would_take_long_are_left_out(moons: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "MOST_SECONDS", 0.0)
    found = shown(moons)
    assert "frames" not in found.tables
    assert found.notes[0].startswith("no frames: training 2 networks once more would take about")


def test_axes_that_choose_no_component_tell_regions_apart_too_but_not_too_many(tmp_path: Path) -> None:
    configs = [
        each
        for n in range(MOST_REGIONS + 2)
        for each in repeats(small(optimizer=Adam(lr=0.01 + n / 1e3)), 1, lr=str(n))
    ]
    found = shown(swept(tmp_path, configs))
    assert len({*found.tables["regions"]["key"]}) == MOST_REGIONS


def test_networks_of_other_datasets_than_the_best_ones_have_no_regions(tmp_path: Path) -> None:
    configs = [small(dataset=Moons(examples=60, noise=noise)) for noise in (0.01, 0.9)]
    found = shown(swept(tmp_path, list(itertools.chain(*(repeats(each, 1, lr=str(each)) for each in configs)))))
    assert len({*found.tables["regions"]["key"]}) == 1


def test_first_layer_weights_are_there_where_inputs_are_an_image(tmp_path: Path, moons: Swept) -> None:
    config = small(dataset=Digits(), training=Training(epochs=1), architecture=MLP(hidden=(70,)))
    sweep = swept(tmp_path, repeats(config, 1))
    found = shown(sweep)
    with np.load(trial_folder(sweep.folder, sweep.plan.trials[0].key) / "weights.npz") as weights:
        assert (found.tables["units"]["value"].to_numpy().reshape(64, 64) == weights["W1"][:64]).all()
    assert found.image == (8, 8)
    assert not {"regions", "points", "frames"} & {*found.tables}
    assert found.notes == []
    assert "units" not in shown(moons).tables


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_a_file_of_weights_that_is_lost_leaves_its_tables_out_and_says_so(tmp_path: Path, harm: str) -> None:
    sweep = swept(tmp_path, repeats(small(), 1))
    path = trial_folder(sweep.folder, sweep.plan.trials[0].key) / "weights.npz"
    path.unlink() if harm == "missing" else path.write_bytes(path.read_bytes()[:-1] + b"x")
    found = shown(sweep)
    assert found.tables == {}
    assert found.notes == [
        f"no {what}: weights.npz of seed=0 is {harm}"
        for what in ("predictions", "first-layer weights", "decision regions")
    ]


def test_data_that_have_changed_leave_the_tables_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = swept(tmp_path, repeats(small(), 1))
    load = Moons.load
    monkeypatch.setattr(Moons, "load", lambda self: replace(load(self), X=load(self).X + 1e-9))
    found = shown(sweep)
    assert found.tables == {}
    assert found.notes[0] == "no predictions: the data of seed=0 have changed since it was trained"


def test_another_networks_predictions_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = swept(tmp_path, repeats(small(), 1))
    forward = ACTIVATIONS["relu"].forward
    monkeypatch.setattr(ACTIVATIONS["relu"], "forward", lambda self, Z, spare: (forward(self, Z, spare), Z.fill(1))[0])
    (note, *_) = shown(sweep).notes
    assert note.startswith("no predictions: val/acc_best of predictions made again is 0.")


def test_a_sweep_without_any_score_has_no_portraits(tmp_path: Path) -> None:
    sweep = swept(tmp_path, repeats(small(optimizer=SGD(lr=1e30)), 1))
    assert shown(sweep) == Portraits()


def test_a_sweep_without_parts_to_predict_has_no_predictions(tmp_path: Path) -> None:
    config = small(
        dataset=Moons(examples=60, validation=0, test=0), objective=Objective(metric="train/loss", direction="minimize")
    )
    assert shown(swept(tmp_path, repeats(config, 1))).notes == [
        "no predictions: the data have neither a validation nor a test part"
    ]


@pytest.mark.parametrize("count", [1, 23, 24, 25, 40, 60, 100, 1000, 100_000])
def test_frames_are_spaced_ever_further_apart(count: int) -> None:
    epochs = range(1, count + 1)
    found = spaced(epochs, 24)
    assert (found[0], found[-1]) == (1, count)
    assert len(found) == min(count, 24) or 18 <= len(found) <= 24
    steps = np.diff(found)
    assert (steps > 0).all()
    if count >= 60:
        assert found[1] == 2
        assert steps[-1] == steps.max() > 1


def test_a_grid_goes_row_by_row_and_has_a_margin() -> None:
    grid = Grid.around(np.array([[0.0, 10.0], [1.0, 30.0]]), 3)
    assert grid.x == pytest.approx([-0.08, 0.5, 1.08])
    assert grid.y == pytest.approx([8.4, 20.0, 31.6])
    assert list(grid.columns["row"]) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert list(grid.columns["x"][:3]) == list(grid.x)
    assert set(grid.columns["y"][:3]) == {grid.y[0]}
