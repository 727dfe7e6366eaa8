"""Plans and keys: a key is made of everything that determines a trial's numbers, and of nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.config.build import build_trial
from nnexp.config.grid import assignments, expand
from nnexp.data.sources import Moons
from nnexp.errors import DataError, UsageError
from nnexp.network.dropout import InvertedDropout
from nnexp.network.losses import MeanSquaredError
from nnexp.network.optimizers import SGD, Adam
from nnexp.numerics import NUMERICS_VERSION
from nnexp.sweeps import plan as plans
from nnexp.sweeps.plan import Plan, code_digest, digest, keys, make_plan
from nnexp.testing.trials import regression, small
from nnexp.testing.variations import other
from nnexp.training import Objective, Training, TrialConfig
from tests.compositions import composing

DATA = "d" * 64
RUN: dict[str, dict[str, Any]] = {"executor": {}, "tracking": {}, "sweep": {}, "screen": {}, "paths": {}}


def planned(*overrides: str) -> Plan:
    """Return the plan of a sweep's overrides."""
    with composing() as composer:
        points = expand(composer, ["dataset=moons", "dataset.examples=60", *overrides]).points
    return make_plan("name", [(build_trial(each.plain), dict(assignments(each.chosen))) for each in points])[0]


def shuffled(plain: Any, rng: random.Random) -> Any:
    """Return plain data with the keys of every mapping in another order."""
    if isinstance(plain, Mapping):
        return {key: shuffled(plain[key], rng) for key in rng.sample(list(plain), len(plain))}
    return [shuffled(each, rng) for each in plain] if isinstance(plain, list) else plain


# keys


@given(st.randoms(use_true_random=False))
def test_a_key_does_not_depend_on_the_order_of_settings(rng: random.Random) -> None:
    trial = small(dropout=InvertedDropout(keep=(0.5, 0.75))).resolved()
    again = build_trial(shuffled(trial.describe() | RUN, rng))
    assert keys(again, DATA) == keys(trial, DATA)
    assert digest(shuffled(trial.describe(), rng)) == digest(trial.describe())


def leaves(plain: Mapping[str, Any], *path: str) -> list[tuple[str, ...]]:
    """Return the paths of all settings."""
    found = []
    for name, value in plain.items():
        found += leaves(value, *path, name) if isinstance(value, Mapping) else [(*path, name)]
    return found


BASE = TrialConfig(dataset=Moons(), loss=MeanSquaredError()).resolved()


def changed(path: tuple[str, ...]) -> TrialConfig:
    """Return the base with another valid value in one setting."""
    first, *rest = path
    if not rest:
        return replace(BASE, **{first: getattr(BASE, first) + 1})
    if first == "objective":  # metric and direction go together
        return replace(BASE, objective=Objective(metric="val/loss", direction="minimize"))
    if rest == ["name"]:
        return other(BASE, first)
    return replace(BASE, **{first: other(getattr(BASE, first), rest[0])})


@pytest.mark.parametrize(
    "path",
    [path for path in leaves(BASE.describe()) if path != ("architecture", "name")],
    ids=".".join,
)
def test_a_key_changes_with_every_setting_of_a_trial(path: tuple[str, ...]) -> None:
    key, configuration = keys(BASE, DATA)
    assert keys(changed(path), DATA)[0] != key
    assert (keys(changed(path), DATA)[1] == configuration) == (path == ("seed",))


def test_a_key_changes_with_the_bytes_of_the_data_and_the_configuration_does_not() -> None:
    trial = small()
    assert keys(trial, "a")[0] != keys(trial, "b")[0]
    assert keys(trial, "a")[1] == keys(trial, "b")[1]


def test_keys_change_with_the_version_of_the_numerics(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(small(), DATA)
    monkeypatch.setattr(plans, "NUMERICS_VERSION", NUMERICS_VERSION + 1)
    after = keys(small(), DATA)
    assert before[0] != after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("dropout.keep=1", "dropout.keep=1.0"),
        ("optimizer.lr=1", "optimizer.lr=1.0"),
        ("optimizer.lr=1e-2", "optimizer.lr=0.010"),
        ("architecture.output=auto", "architecture.output=softmax"),
        ("loss=auto", "loss=cross_entropy"),
        ("objective=auto", "objective=val_acc"),
        ("optimizer=adam", "optimizer.beta1=0.9"),
    ],
)
def test_two_ways_to_say_the_same_have_one_key(first: str, second: str) -> None:
    assert [trial.key for trial in planned(first).trials] == [trial.key for trial in planned(second).trials]


def test_settings_that_change_no_number_are_in_no_key() -> None:
    changes = ("executor.workers=7", "tracking.experiment=e", "tracking.uri=http://h", "sweep.name=s", "paths.root=p")
    assert planned(*changes).hash == planned().hash


def test_a_key_is_what_it_was_yesterday() -> None:
    """Keys are for ever: whoever changes this one changes the version of the numerics too, and says why."""
    described = {"config": {"seed": 0, "lr": 0.1, "names": ["é", None, True]}, "data": "d", "numerics": 1}
    assert digest(described) == "eaaaf6c3d6efbdbfb02d28e18bfc4146c1b37515ccb7ee1cb34d60b3753ff282"


def test_what_is_not_a_number_has_no_digest() -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest({"lr": float("nan")})


# plans


def test_combinations_that_are_the_same_trial_are_merged_into_the_first() -> None:
    plan = planned("dropout.keep=1,1.0,0.5", "optimizer=adam,adam", "seed=0,1")
    assert len(plan.trials) == 4
    assert plan.merged == 8
    assert [trial.position for trial in plan.trials] == [0, 1, 2, 3]
    assert [trial.chosen["dropout.keep"] for trial in plan.trials] == ["1", "1", "0.5", "0.5"]


def test_repeats_are_the_trials_that_differ_in_their_seed_alone() -> None:
    plan = planned("optimizer=sgd,adam", "seed=range(3)")
    assert [len(repeats) for repeats in plan.configurations.values()] == [3, 3]
    for repeats in plan.configurations.values():
        assert [trial.config.seed for trial in repeats] == [0, 1, 2]
        assert len({replace(trial.config, seed=0) for trial in repeats}) == 1


def test_repeats_stay_repeats_where_each_seed_divides_the_data_anew() -> None:
    plan = planned("dataset.split_seed=trial", "seed=range(3)")
    assert len({trial.data for trial in plan.trials}) == 3
    assert len(plan.configurations) == 1


def test_the_same_trials_in_another_order_are_another_plan_of_the_same_keys() -> None:
    one, another = planned("seed=0,1"), planned("seed=1,0")
    assert {trial.key for trial in one.trials} == {trial.key for trial in another.trials}
    assert one.hash != another.hash
    assert one.id.startswith("name-")
    assert one.id == f"name-{one.hash[:8]}"


def test_labels_say_what_differs() -> None:
    plan = planned("optimizer=sgd,adam", "l2.strength=0.1", "dropout.keep=1,0.8", "l2.strength=0,0.1", "seed=3,4")
    assert plan.trials[0].label == "sgd l2=0 keep=1 seed=3"
    assert plan.trials[-1].label == "adam l2=0.1 keep=0.8 seed=4"
    assert plan.trials[-1].configuration_label == "adam l2=0.1 keep=0.8"
    assert len({trial.label for trial in plan.trials}) == len(plan.trials)
    assert planned().trials[0].label == "trial"


def test_labels_name_the_group_where_two_settings_have_one_name() -> None:
    (trial, *_) = planned("dataset.seed=5,6", "dataset.split_seed=7,8", "seed=1,2").trials
    assert trial.label == "dataset.seed=5 split_seed=7 seed=1"


def test_labels_name_the_group_of_choices_and_settings_that_say_too_little_alone() -> None:
    swept = (
        "clip=norm,value",
        "clip.limit=1,2",
        "normalization=none,batch_norm",
        "averaging=ema",
        "averaging.decay=0.5,0.9",
    )
    (trial, *_) = planned(*swept, "dataset=moons,blobs", "l1.strength=1e-3,0").trials
    assert trial.label == "moons clip=norm clip.limit=1 normalization=none decay=0.5 l1=0.001"


def test_labels_show_activations_with_settings_and_one_a_layer() -> None:
    swept = "architecture.activation={name: elu, alpha: 0.5},[relu,{name: leaky_relu, slope: 0.2}]"
    assert [trial.label for trial in planned(swept).trials] == [
        "activation=elu(alpha=0.5)",
        "activation=[relu,leaky_relu(slope=0.2)]",
    ]


def test_trials_of_one_sweep_have_one_objective() -> None:
    ranked: list[tuple[TrialConfig, dict[str, str]]] = [
        (small(), {}),
        (small(objective=Objective(metric="val/loss", direction="minimize")), {}),
    ]
    with pytest.raises(UsageError, match=r"objective\.metric .* val/acc, val/loss"):
        make_plan("mixed", ranked)
    with pytest.raises(UsageError, match=r"objective\.metric .* val/acc, val/rmse"):
        make_plan("mixed", [(small(), {}), (regression(), {})])


def test_trials_that_read_the_same_data_share_them() -> None:
    trials = [small(seed=seed, optimizer=optimizer) for seed in (0, 1) for optimizer in (SGD(), Adam())]
    trials.append(small(training=Training(epochs=1, dtype="float64")))
    plan, data = make_plan("shared", [(trial, {}) for trial in trials])
    assert set(data) == {(Moons(examples=60), "float32"), (Moons(examples=60), "float64")}
    for trial in plan.trials:
        assert trial.data == data[trial.data_key].division(trial.config.seed).digest


def test_a_set_that_cannot_be_divided_is_no_plan() -> None:
    with pytest.raises(DataError, match="too small"):
        make_plan("bad", [(small(dataset=Moons(examples=10, validation=0.01)), {})])


# the frozen file


def test_a_frozen_plan_is_json_with_every_trials_whole_config(tmp_path: Path) -> None:
    plan = planned("optimizer=sgd,adam", "seed=0,1")
    plan.freeze(tmp_path / "new" / "folder")
    text = (tmp_path / "new" / "folder" / "plan.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert found["hash"] == plan.hash
    assert found["code"] == code_digest()
    assert text.count("\n") > 10 * len(plan.trials)  # for people to read
    assert [trial["key"] for trial in found["trials"]] == [trial.key for trial in plan.trials]
    for described, trial in zip(found["trials"], plan.trials, strict=True):
        assert build_trial(described["config"] | RUN) == trial.config
        assert keys(build_trial(described["config"] | RUN), described["data"])[0] == described["key"]


def test_what_is_written_in_pieces_is_what_a_plan_describes() -> None:
    plan = planned("optimizer=sgd,adam,adam", "seed=0,1", "dropout.keep=1,0.5")
    assert json.loads("".join(plan.pieces())) == plan.describe()
    for trial in plan.trials:
        assert (trial.key, trial.configuration) == keys(trial.config, trial.data)
    assert [(merge.label, merge.into) for merge in plan.merges[:2]] == [
        ("adam seed=0 keep=1", 4),
        ("adam seed=0 keep=0.5", 5),
    ]


def test_a_plan_is_frozen_once(tmp_path: Path) -> None:
    planned("seed=0,1").freeze(tmp_path)
    before = (tmp_path / "plan.json").read_bytes()
    planned("seed=0,1,2").freeze(tmp_path)
    assert (tmp_path / "plan.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_the_digest_of_the_code_covers_its_files() -> None:
    package = Path(plans.__file__).parents[1]
    assert len(code_digest()) == 64
    assert code_digest() == code_digest()
    assert len(list(package.rglob("*.py"))) > 30
