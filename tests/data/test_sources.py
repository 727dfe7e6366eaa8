"""Sources: what they hold, and what refuses to be asked for."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from nnexp.data.sources import DATASETS, Blobs, Circles, Generated, Iris, Moons, Source, Spirals
from nnexp.errors import ConfigError
from nnexp.testing.variations import other

GENERATED = sorted(name for name, cls in DATASETS.items() if issubclass(cls, Generated))
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_source_holds_finite_inputs_and_a_target_for_each(name: str) -> None:
    source = DATASETS[name]()
    examples = source.load()
    assert examples.X.dtype == np.float64
    assert examples.X.ndim == 2
    assert examples.y.shape in {(len(examples.X),), (len(examples.X), source.targets)}
    assert np.isfinite(examples.X).all()
    if source.classes is None:
        assert examples.y.dtype == np.float64
        assert np.unique(examples.y).size > 10
    elif source.classes == 0:
        assert np.unique(examples.y).tolist() == [0, 1]
    else:
        assert examples.y.dtype == np.intp
        assert np.unique(examples.y).tolist() == list(range(source.classes))


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_source_holds_the_same_each_time(name: str) -> None:
    one, another = DATASETS[name]().load(), DATASETS[name]().load()
    assert one.X.tobytes() == another.X.tobytes()
    assert one.y.tobytes() == another.y.tobytes()


@pytest.mark.parametrize("name", GENERATED)
def test_every_field_that_shapes_generated_points_acts(name: str) -> None:
    source = DATASETS[name](examples=50)  # type: ignore[call-arg]
    divided = {field.name for field in fields(Source)}
    for field in fields(source):
        changed = other(source, field.name)
        same = changed.load().X.tobytes() == source.load().X.tobytes()
        assert same == (field.name in divided), field.name


@pytest.mark.parametrize("name", GENERATED)
def test_generated_points_are_as_many_as_asked_and_balanced(name: str) -> None:
    source = DATASETS[name](examples=61)  # type: ignore[call-arg]
    y = source.load().y
    assert len(y) == 61
    counts = np.bincount(y)
    assert counts.max() - counts.min() <= 1


def test_points_without_noise_lie_on_their_curves() -> None:
    moons, circles = Moons(noise=0, examples=50).load(), Circles(noise=0, factor=0.3, examples=50).load()
    upper, lower = moons.X[moons.y == 0], moons.X[moons.y == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1)
    np.testing.assert_allclose(np.hypot(lower[:, 0] - 1, lower[:, 1] - 0.5), 1)
    np.testing.assert_allclose(np.hypot(*circles.X.T), np.where(circles.y == 0, 1, 0.3))
    blobs = Blobs(noise=0, centers=4, examples=40).load()
    np.testing.assert_allclose(np.hypot(*blobs.X.T), 2)
    assert np.unique(blobs.X.round(9), axis=0).shape == (4, 2)
    spirals = Spirals(noise=0, examples=50).load()
    assert np.hypot(*spirals.X.T).max() <= 1


def test_noise_is_the_standard_deviation_of_each_coordinate() -> None:
    quiet, noisy = Moons(noise=0, examples=4000).load(), Moons(noise=0.3, examples=4000).load()
    assert (noisy.X - quiet.X).std() == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize(
    ("cls", "field", "value", "message"),
    [
        *[(Iris, "validation", value, "dataset.validation must be in [0, 1)") for value in (-0.1, 1.0, NAN, INF)],
        *[(Iris, "test", value, "dataset.test must be in [0, 1)") for value in (-0.1, 1.0, NAN, INF)],
        (Iris, "test", 0.8, "dataset.validation + dataset.test must be < 1"),
        (Iris, "split_seed", -1, "dataset.split_seed must be an integer >= 0 or trial"),
        (Iris, "split_seed", "half", "dataset.split_seed must be an integer >= 0 or trial"),
        (Iris, "split_seed", 0.5, "dataset.split_seed must be an integer >= 0 or trial"),
        (Moons, "examples", 9, "dataset.examples must be >= 10"),
        *[(Moons, "noise", value, "dataset.noise must be >= 0") for value in (-0.1, NAN, INF)],
        (Moons, "seed", -1, "dataset.seed must be >= 0"),
        *[(Circles, "factor", value, "dataset.factor must be in (0, 1)") for value in (0.0, 1.0, NAN)],
        *[(Spirals, "turns", value, "dataset.turns must be > 0") for value in (0.0, -1.0, NAN, INF)],
        (Blobs, "centers", 1, "dataset.centers must be >= 2"),
    ],
)
def test_a_value_out_of_range_is_refused(cls: type[Source], field: str, value: Any, message: str) -> None:
    shown = 1.0 if "+" in message else value
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{message}, got {shown!r}')}$"):
        cls(**{field: value})


def test_blobs_have_as_many_classes_as_centers() -> None:
    assert Blobs(centers=5).classes == 5
    assert replace(Blobs(), centers=2).load().y.max() == 1
