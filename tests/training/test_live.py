"""Invariant 2: everything that can be set acts, or is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from nnexp.component import Component
from nnexp.data.sources import DATASETS, Generated, Source
from nnexp.network.activations import ACTIVATIONS
from nnexp.network.architecture import ARCHITECTURES, MLP
from nnexp.network.averaging import AVERAGINGS
from nnexp.network.clipping import CLIPS
from nnexp.network.constraints import MAX_NORMS
from nnexp.network.dropout import DROPOUTS, InvertedDropout
from nnexp.network.initializers import INITIALIZERS, Random
from nnexp.network.losses import LOSSES, Loss
from nnexp.network.normalization import NORMALIZATIONS
from nnexp.network.optimizers import OPTIMIZERS, SGD
from nnexp.network.penalties import L1_PENALTIES, L2, L2_PENALTIES
from nnexp.network.schedules import SCHEDULES, ReduceOnPlateau
from nnexp.testing.contracts import assert_live
from nnexp.testing.trials import VALUE_LOSSES, multi_label, overfitting, regression, small, unbalanced
from nnexp.testing.variations import acting, components, other, others, tables, usable
from nnexp.training import Objective, Training, TrialConfig
from nnexp.training.stopping import EARLY_STOPPINGS

PLACES: dict[str, Mapping[str, type[Component]]] = {
    "architecture": ARCHITECTURES,
    "initializer": INITIALIZERS,
    "optimizer": OPTIMIZERS,
    "loss": LOSSES,
    "normalization": NORMALIZATIONS,
    "dropout": DROPOUTS,
    "l2": L2_PENALTIES,
    "l1": L1_PENALTIES,
    "max_norm": MAX_NORMS,
    "clip": CLIPS,
    "schedule": SCHEDULES,
    "averaging": AVERAGINGS,
    "early_stopping": EARLY_STOPPINGS,
    "dataset": DATASETS,
}
PLACED = [pytest.param(place, name, id=f"{place}-{name}") for place, table in PLACES.items() for name in sorted(table)]
FIELDS = [
    pytest.param(place, name, field.name, id=f"{place}-{name}-{field.name}")
    for place, table in PLACES.items()
    for name, cls in sorted(table.items())
    for field in fields(cls)
]
FLOAT64 = Training(epochs=6, batch_size=16, dtype="float64")  # sees what a rounded number might hide


def base(place: str, component: Component) -> TrialConfig:
    """Return a small trial with a component in its place."""
    if isinstance(component, Generated):
        component = replace(component, examples=60)
    if isinstance(component, Source):
        make = {None: regression, 0: multi_label}.get(component.classes, small)
        return make(dataset=component, training=Training(epochs=2, batch_size=64))
    if isinstance(component, Loss) and component.target_kind != "values":
        return small(training=FLOAT64, loss=component, dataset=unbalanced(component))
    if place == "early_stopping":
        return overfitting(early_stopping=component)
    if place == "schedule":
        return converging(schedule=component)
    if place in ("clip", "max_norm"):
        return small(initializer=Random(scale=5.0), training=FLOAT64, **{place: component})  # beyond any limit
    return (regression if component.name in VALUE_LOSSES else small)(training=FLOAT64, **{place: component})


def test_every_component_has_a_place_in_a_trial() -> None:
    placed = [cls for table in [*PLACES.values(), ACTIVATIONS] for cls in table.values()]
    assert set(components()) == set(placed)
    assert len(tables()) == len(PLACES) + 1


@pytest.mark.parametrize(("place", "name", "field"), FIELDS)
def test_every_field_of_every_component_acts(place: str, name: str, field: str) -> None:
    trial = base(place, usable(PLACES[place][name]))
    for changed in others(getattr(trial, place), field):
        assert_live(trial, **{place: changed})


@pytest.mark.parametrize(("place", "name", "field"), FIELDS)
def test_every_field_acts_beside_others_than_the_defaults(place: str, name: str, field: str) -> None:
    component = PLACES[place][name]()
    trial = base(place, component if isinstance(component, Source | MLP) else _beside(type(component)))
    assert_live(trial, **{place: other(getattr(trial, place), field)})


@pytest.mark.parametrize("name", sorted(name for name, cls in ACTIVATIONS.items() if fields(cls)))
def test_every_field_of_every_activation_acts(name: str) -> None:
    trial = small(architecture=MLP(hidden=(5,), activation=ACTIVATIONS[name]()), training=FLOAT64)
    for field in fields(ACTIVATIONS[name]):
        for changed in others(ACTIVATIONS[name](), field.name):
            assert_live(trial, architecture=MLP(hidden=(5,), activation=changed))


@pytest.mark.parametrize(("place", "name"), PLACED)
def test_every_choice_of_a_table_trains_unlike_all_others(place: str, name: str) -> None:
    table = PLACES[place]
    trial = base(place, _on(table[name]))
    for another in sorted(set(table) - {name}):
        assert_live(trial, **{place: _on(table[another])})


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_trains_unlike_all_others(name: str) -> None:
    mlp = MLP(hidden=(5,), activation=ACTIVATIONS[name]())
    for another in sorted(set(ACTIVATIONS) - {name}):
        assert_live(small(architecture=mlp), architecture=replace(mlp, activation=ACTIVATIONS[another]()))


def converging(**changes: Any) -> TrialConfig:
    """Return a trial whose objective comes to rest slowly, so that any threshold of a plateau is passed in its time."""
    chosen: dict[str, Any] = {
        "architecture": MLP(hidden=()),
        "optimizer": SGD(lr=0.075),
        "l2": L2(strength=5.0),
        "objective": Objective(metric="train/cost", direction="minimize"),
        "training": Training(epochs=80, batch_size=9, shuffle=False, dtype="float64"),
    }
    return small(**(chosen | changes))


def _beside(cls: type[Component]) -> Component:
    component = acting(cls)
    if isinstance(component, ReduceOnPlateau):
        return replace(component, end=0.01)  # with a least factor above the others nothing else would act
    return component


def _on(cls: type[Component]) -> Component:
    """Return a component that is not off, as dropout and penalties are by default."""
    component = usable(cls)
    return replace(component, examples=60) if isinstance(component, Generated) else _louder(component)


QUIET = {*DROPOUTS, *L2_PENALTIES, *L1_PENALTIES}  # with their default values they do nothing


def _louder(component: Component) -> Component:
    return acting(type(component)) if component.name in QUIET else component


@pytest.mark.parametrize("field", [field.name for field in fields(Training)])
def test_every_field_of_the_training_acts(field: str) -> None:
    trial = small(training=Training(epochs=4, batch_size=16, evaluation_block=3, metrics=("ece",)))
    for training in others(trial.training, field):
        assert_live(trial, training=training)


@pytest.mark.parametrize("field", sorted({field.name for field in fields(TrialConfig)} - set(PLACES)))
def test_every_other_field_of_a_trial_acts(field: str) -> None:
    changes: dict[str, Any] = {"seed": 1, "objective": Objective(metric="train/cost", direction="minimize")}
    changes["training"] = Training(epochs=4, batch_size=16)
    long = Training(epochs=30, batch_size=8)  # the accuracy is at its best long before the cost is
    assert_live(small(training=long), **{field: changes[field]})


@pytest.mark.parametrize("output", sorted(set(ACTIVATIONS) - {"identity"}))
@pytest.mark.parametrize("loss", VALUE_LOSSES)
def test_the_output_of_a_network_acts_on_values(loss: str, output: str) -> None:
    trial = regression(loss=LOSSES[loss]())
    assert_live(trial, architecture=replace(trial.architecture, output=output))


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_activation_of_a_single_layer_acts(layer: int) -> None:
    mixed = [ACTIVATIONS["relu"]()] * 3
    mixed[layer] = ACTIVATIONS["tanh"]()
    assert_live(
        small(architecture=MLP(hidden=(5, 4, 3), activation=ACTIVATIONS["relu"]())),
        architecture=MLP(hidden=(5, 4, 3), activation=tuple(mixed)),
    )


@pytest.mark.parametrize("keep", [(0.5, 1.0), (1.0, 0.5)])
def test_the_keep_probability_of_a_single_layer_acts(keep: tuple[float, ...]) -> None:
    assert_live(small(), dropout=InvertedDropout(keep=keep))
    assert_live(small(dropout=InvertedDropout(keep=0.5)), dropout=InvertedDropout(keep=keep))


def test_settings_that_are_off_train_like_nothing() -> None:
    with pytest.raises(AssertionError, match="trains like"):
        assert_live(small(), dropout=DROPOUTS["none"]())
    with pytest.raises(AssertionError, match="trains like"):
        assert_live(small(), l2=L2_PENALTIES["none"]())
