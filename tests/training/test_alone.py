"""Invariant 1: a trial's numbers do not depend on its stack, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nnexp.data.prepared import from_arrays, prepare, store
from nnexp.data.sources import DATASETS, Blobs, Digits, Moons
from nnexp.network.activations import ACTIVATIONS, Tanh
from nnexp.network.architecture import MLP
from nnexp.network.clipping import CLIPS
from nnexp.network.constraints import MAX_NORMS
from nnexp.network.dropout import DROPOUTS, InvertedDropout
from nnexp.network.initializers import INITIALIZERS, File, HeNormal, Random, Zeros
from nnexp.network.losses import LOSSES
from nnexp.network.optimizers import OPTIMIZERS, SGD, Adam, Momentum, RAdam, RMSprop
from nnexp.network.penalties import L1, L1_PENALTIES, L2, L2_PENALTIES
from nnexp.network.schedules import SCHEDULES
from nnexp.testing.contracts import assert_alone, assert_equal_numbers, numbers
from nnexp.testing.trials import VALUE_LOSSES, multi_label, regression, small, suited
from nnexp.testing.variations import acting
from nnexp.training import Objective, Training, TrialConfig, train
from nnexp.training.stacking import OWN
from nnexp.training.stopping import EARLY_STOPPINGS

DTYPES = ["float32", "float64"]
TABLES: dict[str, Mapping[str, type[Any]]] = {
    "initializer": INITIALIZERS,
    "optimizer": OPTIMIZERS,
    "dropout": DROPOUTS,
    "l2": L2_PENALTIES,
    "l1": L1_PENALTIES,
    "max_norm": MAX_NORMS,
    "clip": CLIPS,
    "schedule": SCHEDULES,
    "early_stopping": EARLY_STOPPINGS,
}
OWNED = [pytest.param(field, name, id=f"{field}-{name}") for field, table in TABLES.items() for name in sorted(table)]


def mixed(trial: TrialConfig, count: int = 6) -> list[TrialConfig]:
    """Return the trial with every component a replica may have for itself, in turn, and with few seeds."""
    rows: dict[str, list[Any]] = {
        field: [make for cls in table.values() if cls is not File for make in (cls(), acting(cls))]
        for field, table in TABLES.items()
    }  # a file fits one shape only
    if not trial.architecture.hidden:
        rows["optimizer"] = [each for each in rows["optimizer"] if each.rest is None]  # what moves hidden layers
    turns = {field: cycle(options) for field, options in rows.items()}
    return [
        replace(trial, seed=(0, 1, 0)[k % 3], **{field: next(turn) for field, turn in turns.items()})
        for k in range(count)
    ]


def test_the_tables_are_those_of_what_a_replica_has_for_itself() -> None:
    assert {"seed", "averaging", *TABLES} == set(OWN)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("field", "name"), OWNED)
def test_a_component_trains_in_a_mixed_stack_as_alone(field: str, name: str, dtype: Any) -> None:
    trial = small(training=Training(epochs=2, batch_size=16, dtype=dtype))
    mine = [replace(trial, seed=seed, **{field: acting(TABLES[field][name])}) for seed in (0, 1)]
    assert_alone([*mine, *mixed(trial, 4)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_an_activation_and_a_loss_train_in_a_stack_as_alone(activation: str, loss: str, dtype: Any) -> None:
    trial = small(
        dataset=suited(LOSSES[loss]()),
        architecture=MLP(hidden=(5, 4), activation=acting(ACTIVATIONS[activation])),
        loss=LOSSES[loss](),
        training=Training(epochs=2, batch_size=16, dtype=dtype),
    )
    assert_alone([replace(trial, seed=seed) for seed in (0, 1, 2)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_loss_with_any_settings_and_weights_trains_in_a_stack_as_alone(loss: str, dtype: Any) -> None:
    rng, source = np.random.default_rng(0), suited(LOSSES[loss]())
    X, weights = rng.normal(size=(40, 2)), rng.uniform(0, 2, 40)
    y = rng.integers(0, 2, (40, 3)) if source.classes == 0 else rng.integers(0, source.classes or 2, 40)
    data = from_arrays(
        (X[:30], y[:30]),
        (X[30:], y[30:]),
        classes=source.classes or None,
        multi_label=source.classes == 0,
        weights=(weights[:30], weights[30:]),
        dtype=dtype,
    )
    training = Training(epochs=3, batch_size=7, dtype=dtype)
    for each in (LOSSES[loss](), acting(LOSSES[loss])):
        assert_alone([small(loss=each, dataset=source, seed=seed, training=training) for seed in (0, 1, 0)], data)


@pytest.mark.parametrize("output", sorted(ACTIVATIONS))
@pytest.mark.parametrize("loss", VALUE_LOSSES)
def test_an_output_of_values_trains_in_a_stack_as_alone(loss: str, output: str) -> None:
    make = regression if output != "softmax" else small  # which wants several outputs
    trial = make(loss=LOSSES[loss](), architecture=MLP(hidden=(4,), output=output))
    assert_alone([replace(trial, seed=seed) for seed in (0, 1)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [1, 5, 7, 16, 35, 36, 1000, "full"])
def test_any_batch_size_trains_in_a_stack_as_alone(batch_size: Any, dtype: Any) -> None:
    # of 36 examples: single ones, a last batch of 1 at 5, 7 and 35, none short at 36, all at once beyond
    trial = small(training=Training(epochs=2, batch_size=batch_size, dtype=dtype))
    assert_alone(mixed(trial, 5))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", [(), (1,), (1, 1), (33,), (3, 1, 6), (16, 16)])
def test_any_shape_trains_in_a_stack_as_alone(hidden: tuple[int, ...], dtype: Any) -> None:
    trial = small(architecture=MLP(hidden=hidden), training=Training(epochs=2, batch_size=16, dtype=dtype))
    assert_alone(mixed(trial, 5))


@pytest.mark.parametrize("split_seed", [0, "trial"])
@pytest.mark.parametrize("name", sorted(DATASETS))
def test_any_dataset_trains_in_a_stack_as_alone(name: str, split_seed: Any) -> None:
    base = {None: regression, 0: multi_label}.get(DATASETS[name]().classes, small)
    trial = base(dataset=DATASETS[name](split_seed=split_seed), training=Training(epochs=2, batch_size=64))
    assert_alone([replace(trial, seed=seed) for seed in (0, 1, 0)])


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("split_seed", [0, "trial"])
@pytest.mark.parametrize("seeds", [(0, 0, 0), (0, 1, 0, 1), (0, 1, 1), (2, 1, 0), (0, 1, 2, 0, 1)])
def test_replicas_that_share_an_order_or_a_split_train_as_alone(
    seeds: tuple[int, ...], split_seed: Any, shuffle: bool
) -> None:
    training = Training(epochs=2, batch_size=16, shuffle=shuffle)
    trial = small(dataset=Moons(examples=60, split_seed=split_seed), training=training)
    trial = replace(trial, dropout=InvertedDropout(keep=0.5))
    assert_alone([replace(trial, seed=seed, optimizer=Adam(lr=0.01 * (1 + k))) for k, seed in enumerate(seeds)])


def test_each_layers_keep_probability_is_a_replicas_own() -> None:
    keeps: list[Any] = [1.0, 0.5, (1.0, 0.7), (0.3, 1.0), (0.9, 0.2), (1.0, 1.0)]
    trials = [small(seed=seed, dropout=InvertedDropout(keep=keep)) for keep in keeps for seed in (0, 1)]
    assert_alone(trials)


def test_a_network_larger_than_a_block_of_the_update_trains_as_alone() -> None:
    trial = small(
        dataset=Digits(validation=0.4, test=0.4),
        architecture=MLP(hidden=(450,)),
        training=Training(epochs=1, batch_size=100),
    )
    assert trial.blueprint(64).layout.size > 2**15
    assert_alone([replace(trial, l2=L2(strength=0.0)), replace(trial, seed=1, l2=L2(strength=0.5))])


def test_more_small_networks_than_fit_a_block_of_the_update_train_as_alone() -> None:
    trial = small(architecture=MLP(hidden=(40, 40)), training=Training(epochs=1, batch_size=36))
    count = 2**15 // trial.blueprint(2).layout.size + 3
    trials = [replace(trial, seed=k, l2=L2(strength=0.1 * (k % 2))) for k in range(count)]
    data = prepare(trial.dataset, [0], "float32")
    for k, result in list(enumerate(train(trials, data)))[:: count // 4]:
        (alone,) = train([trials[k]], data)
        assert_equal_numbers(numbers(result), numbers(alone), f"trial {k}")


def test_a_stack_of_every_combination_trains_as_alone() -> None:
    assert_alone(mixed(small(), 24))
    assert_alone(mixed(small(dataset=Moons(examples=60, split_seed="trial")), 8))


def test_replicas_of_one_optimizer_with_different_options_train_as_alone() -> None:
    classes: list[type[Any]] = [Momentum, RMSprop, Adam, RAdam]
    optimizers = [each for cls in classes for each in (cls(), acting(cls), cls(weight_decay=0.3))]
    optimizers += [RMSprop(centered=True), RMSprop(momentum=0.5), RMSprop(eps_inside=False), Adam(amsgrad=True)]
    assert_alone(
        [small(seed=k % 2, optimizer=optimizer) for k, optimizer in enumerate([*optimizers, *optimizers[::-1]])]
    )


def test_the_order_of_a_stacks_trials_does_not_matter() -> None:
    trials = mixed(small(), 8)
    shuffled = [trials[k] for k in (3, 7, 0, 2, 6, 1, 5, 4)]
    found = {result.config: numbers(result) for result in train(shuffled)}
    for result in train(trials):
        assert_equal_numbers(found[result.config], numbers(result), "a trial in another place")


COMPONENTS: dict[str, st.SearchStrategy[Any]] = {
    field: st.sampled_from([make for cls in table.values() if cls is not File for make in (cls(), acting(cls))])
    for field, table in TABLES.items()
}


@settings(max_examples=30)
@given(data=st.data())
def test_any_stack_at_all_trains_as_alone(data: st.DataObject) -> None:
    draw = data.draw
    layers = draw(st.integers(0, 2))
    activations = [cls() for cls in ACTIVATIONS.values()]
    trial = small(
        dataset=Blobs(examples=draw(st.integers(30, 60)), split_seed=draw(st.sampled_from([0, "trial"]))),
        architecture=MLP(
            hidden=tuple(draw(st.integers(1, 9)) for _ in range(layers)),
            activation=tuple(draw(st.sampled_from(activations)) for _ in range(layers)),
        ),
        training=Training(
            epochs=2, batch_size=draw(st.integers(1, 40)), dtype=draw(st.sampled_from(["float32", "float64"]))
        ),
    )
    own: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({"seed": st.integers(0, 2), **COMPONENTS})
    chosen = draw(st.lists(own, min_size=2, max_size=5))
    assume(layers or all(each["optimizer"].rest is None for each in chosen))  # what moves hidden layers needs some
    assert_alone([replace(trial, **each) for each in chosen])


# replicas that leave


def diverging(**changes: Any) -> TrialConfig:
    return regression(optimizer=SGD(lr=1e6), training=Training(epochs=6, batch_size=64), **changes)


def test_a_replica_that_diverges_leaves_and_the_others_do_not_notice() -> None:
    calm = [diverging(seed=seed) for seed in (0, 1)]
    calm = [replace(trial, optimizer=optimizer) for trial in calm for optimizer in (SGD(lr=0.01), Adam(lr=0.01))]
    wild = [diverging(seed=0), diverging(seed=1)]
    trials = [wild[0], *calm[:2], wild[1], *calm[2:]]
    assert [result.outcome for result in train(trials)] == [
        *("diverged", "finished", "finished", "diverged", "finished", "finished")
    ]
    assert_alone(trials)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("record_every", [1, 4])
def test_replicas_that_diverge_at_different_epochs_leave_one_by_one(record_every: int, dtype: Any) -> None:
    training = Training(epochs=12, batch_size=64, record_every=record_every, dtype=dtype)
    trial = replace(diverging(), architecture=MLP(hidden=()), training=training)
    rates = (1e12, 1e6, 1e3, 4.0, 0.6, 0.01)
    trials = [replace(trial, optimizer=SGD(lr=lr), dropout=InvertedDropout(keep=1.0)) for lr in rates]
    data = prepare(trial.dataset, [0], dtype)
    ends = [(result.outcome, int(result.epochs[-1]) if result.epochs.size else 0) for result in train(trials, data)]
    assert len(set(ends)) >= 3, f"they leave together: {ends}"
    assert ends[-1] == ("finished", 12)
    assert_alone(trials, data)


def test_a_network_that_is_not_finite_does_not_change_how_its_neighbours_ties_are_judged() -> None:
    trial = small(architecture=MLP(hidden=(4,)), training=Training(epochs=1, batch_size=8))
    tied = replace(trial, initializer=Zeros(), optimizer=SGD(lr=1e-45))  # both logits stay equal
    lost = replace(trial, initializer=Random(scale=10.0), optimizer=SGD(lr=1e38))
    assert [result.outcome for result in train([tied, lost])] == ["finished", "diverged"]
    assert_alone([tied, lost])


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_a_network_at_the_end_of_its_type_trains_beside_a_penalised_one_as_alone(penalty: float) -> None:
    trial = small(architecture=MLP(hidden=(4,), activation=Tanh()), training=Training(epochs=6, record_every=5))
    trials = [
        replace(trial, seed=seed, optimizer=SGD(lr=lr), l2=L2(strength=strength))
        for lr, seed in ((1e18, 0), (1e30, 0), (3e37, 1))
        for strength in (0.0, penalty)
    ]
    assert_alone(trials)


def test_a_network_with_an_infinite_bias_trains_beside_a_penalised_one_as_alone() -> None:
    training = Training(epochs=6, record_every=5, batch_size="full")
    trial = small(architecture=MLP(hidden=(4,), activation=Tanh()), training=training)
    X, y = np.zeros((40, 2)), np.arange(40) % 2  # of which biases alone learn
    data = from_arrays((X[:30], y[:30]), (X[30:], y[30:]), classes=2)
    trials = [replace(trial, seed=seed, initializer=Random(scale=700.0), optimizer=SGD(lr=6e36)) for seed in range(3)]
    assert_alone([*trials, replace(trial, optimizer=SGD(), l2=L2(strength=0.5), l1=acting(L1))], data)


# where data lie


@pytest.mark.parametrize("split_seed", [0, "trial"])
@pytest.mark.parametrize("base", [small, regression])
def test_stored_and_mapped_data_give_the_bits_of_data_in_memory(base: Any, split_seed: Any, tmp_path: Path) -> None:
    trial = base()
    source = Digits(split_seed=split_seed) if base is small else replace(trial.dataset, split_seed=split_seed)
    trials = [replace(trial, dataset=source, seed=seed) for seed in (0, 1)]
    data = prepare(source, [0, 1], "float32")
    mapped = store(data, tmp_path / "data")
    assert isinstance(mapped.rows.base, np.memmap)
    for one, another in zip(train(trials, data), train(trials, mapped), strict=True):
        assert_equal_numbers(numbers(another), numbers(one), "with mapped data, a trial")


def test_explicit_orders_and_starts_train_in_a_stack_as_alone() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 2)), np.arange(20) % 2
    data = from_arrays((X, y), classes=2)
    objective = Objective(metric="train/acc")
    trials = [small(objective=objective, initializer=HeNormal(), seed=seed) for seed in (0, 1)]
    order = np.stack([rng.permutation(20) for _ in range(3)])
    assert_alone(trials, data, order=order)
    layout = trials[0].blueprint(2).layout
    start = layout.unpack(rng.normal(size=layout.size))
    stacked = train(trials, data, order=order, initial=[start, start])
    for trial, result in zip(trials, stacked, strict=True):
        (alone,) = train([trial], data, order=order, initial=[start])
        assert_equal_numbers(numbers(result), numbers(alone), "with a given start, a trial")
    one, another = stacked
    assert numbers(one) == numbers(another), "the seed acts where everything it draws is given"
