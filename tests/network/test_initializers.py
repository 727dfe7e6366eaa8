"""Initializers: the spread of what they draw, and files of weights."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnexp.arrays import Floats
from nnexp.errors import ConfigError
from nnexp.network.activations import SELU, Sigmoid, Tanh
from nnexp.network.architecture import MLP
from nnexp.network.initializers import (
    INITIALIZERS,
    Constant,
    Drawn,
    File,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    Random,
    Scaled,
    Uniform,
    Zeros,
)
from nnexp.network.layout import Layout
from nnexp.network.losses import CrossEntropy, MeanSquaredError
from nnexp.network.normalization import LayerNorm
from nnexp.randomness import Purpose, stream
from nnexp.sweeps.plan import keys
from nnexp.testing.trials import small
from nnexp.testing.variations import usable, weight_files
from nnexp.training import train

FAN_OUT, FAN_IN = 300, 200
MEAN = 2 / (FAN_IN + FAN_OUT)
VARIANCES: list[tuple[Drawn, float]] = [
    (Zeros(), 0.0),
    (Random(), 1e-4),
    (Random(scale=3.0), 9.0),
    (Uniform(bound=0.3), 0.3**2 / 3),
    (HeNormal(), 2 / FAN_IN),
    (HeUniform(), 2 / FAN_IN),
    (GlorotNormal(), MEAN),
    (GlorotUniform(), MEAN),
    (LecunNormal(), 1 / FAN_IN),
    (LecunUniform(), 1 / FAN_IN),
    (GlorotUniform(gain=3.0), 9 * MEAN),
    (Orthogonal(gain=2.0), 4 / FAN_OUT),
    (HeNormal(gain="activation"), 25 / FAN_IN),
    (LecunUniform(gain="activation"), 25 / FAN_IN),
]
BOUNDS = [
    (Uniform(bound=0.3), 0.3),
    (HeUniform(), np.sqrt(6 / FAN_IN)),
    (GlorotUniform(), np.sqrt(6 / (FAN_IN + FAN_OUT))),
    (LecunUniform(), np.sqrt(3 / FAN_IN)),
]


def draw(initializer: Drawn, seed: int = 0, gain: float = 5.0) -> Floats:
    return initializer.weights(FAN_OUT, FAN_IN, gain, stream(seed, Purpose.INIT))


@pytest.mark.parametrize(("initializer", "variance"), VARIANCES, ids=repr)
def test_weights_have_mean_0_and_the_variance_of_the_source(initializer: Drawn, variance: float) -> None:
    W = draw(initializer)
    assert W.shape == (FAN_OUT, FAN_IN)
    assert abs(W.mean()) <= 4 * np.sqrt(variance / W.size)
    assert W.var() == pytest.approx(variance, rel=0.03)


def test_every_initializer_that_draws_is_looked_at() -> None:
    looked_at = {type(initializer) for initializer, _ in VARIANCES}
    assert {*INITIALIZERS.values()} == {*looked_at, Constant, File}


@pytest.mark.parametrize(("initializer", "bound"), BOUNDS, ids=repr)
def test_uniform_weights_fill_their_bounds(initializer: Drawn, bound: float) -> None:
    assert 0.999 * bound < np.abs(draw(initializer)).max() <= bound


@pytest.mark.parametrize("initializer", [HeNormal(), GlorotNormal(), LecunNormal()], ids=repr)
def test_normal_weights_go_beyond_the_bounds_of_uniform_ones(initializer: Drawn) -> None:
    W = draw(initializer)
    assert np.abs(W).max() > 1.5 * np.sqrt(3 * W.var())


def test_a_constant_is_the_same_for_every_weight() -> None:
    assert np.unique(draw(Constant(value=-0.5))).tolist() == [-0.5]


@pytest.mark.parametrize(("rows", "columns"), [(5, 3), (3, 5), (4, 4), (1, 6), (6, 1)])
def test_an_orthogonal_matrix_keeps_lengths_along_its_shorter_side(rows: int, columns: int) -> None:
    W = Orthogonal(gain=2.0).weights(rows, columns, 1.0, np.random.default_rng(0))
    product = W @ W.T if rows <= columns else W.T @ W
    np.testing.assert_allclose(product, 4 * np.eye(min(rows, columns)), atol=1e-14)


def test_no_sign_is_preferred_in_an_orthogonal_matrix() -> None:
    rng = np.random.default_rng(1)
    corners = [np.diagonal(Orthogonal().weights(3, 3, 1.0, rng)) for _ in range(400)]
    assert np.abs(np.mean(corners, axis=0)).max() < 0.1  # LAPACK's own signs give means of about a half


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_the_same_stream_gives_the_same_weights_and_biases_start_at_0(name: str) -> None:
    layout, initializer = Layout((2, 5, 4, 2)), usable(INITIALIZERS[name])
    theta = start(initializer, layout, 5)
    assert theta.tobytes() == start(initializer, layout, 5).tobytes()
    if name != "file":
        assert (theta[layout.weight_mask(theta.dtype) == 0] == 0).all()
    if name != "zeros":
        assert (theta[layout.weight_mask(theta.dtype) == 1] != 0).all()
    if name not in ("zeros", "constant", "file"):
        assert theta.tobytes() != start(initializer, layout, 6).tobytes()


def start(initializer: Initializer, layout: Layout, seed: int) -> Floats:
    return initializer.start(layout, (1.0,) * len(layout.shapes), stream(seed, Purpose.INIT))


def test_initializers_of_one_distribution_are_paired_by_their_seed() -> None:
    normal = draw(Random(scale=1.0))
    for other in (HeNormal(), GlorotNormal(), LecunNormal()):
        np.testing.assert_allclose(draw(other) / draw(other).std(), normal / normal.std(), rtol=1e-12)


@pytest.mark.parametrize("cls", [cls for cls in INITIALIZERS.values() if issubclass(cls, Scaled)])
def test_a_gain_from_the_activation_is_that_of_each_layers_own(cls: type[Scaled]) -> None:
    mlp = MLP(hidden=(5, 4), activation=(Tanh(), SELU()), output="sigmoid")
    blueprints = [mlp.blueprint(3, 2, MeanSquaredError(), "float64"), MLP().blueprint(3, 2, CrossEntropy(), "float64")]
    assert [blueprint.gains for blueprint in blueprints] == [(5 / 3, 3 / 4, Sigmoid().gain), (2**0.5, 2**0.5, 1.0)]
    layout = blueprints[0].layout
    one, own = (
        cls(gain=gain).start(layout, (5 / 3, 3 / 4, 7.0), stream(0, Purpose.INIT)) for gain in (1.0, "activation")
    )
    for plain, scaled, gain in zip(layout.views(one), layout.views(own), (5 / 3, 3 / 4, 7.0), strict=True):
        np.testing.assert_allclose(scaled, gain * plain, rtol=1e-15)


# files


def test_a_training_starts_from_the_arrays_of_a_file(tmp_path: Path) -> None:
    (before,) = train([small()])
    np.savez(tmp_path / "w.npz", **before.best)  # type: ignore[arg-type]
    named = replace(small(), initializer=File(path=str(tmp_path / "w.npz")), seed=3)
    (from_file,), (given,) = train([named]), train([replace(small(), seed=3)], initial=[before.best])
    assert from_file.best["W1"].tobytes() == given.best["W1"].tobytes()
    assert from_file.history["train/cost"].tolist() == given.history["train/cost"].tolist()


def test_a_file_may_leave_out_what_a_normalization_adds() -> None:
    layout = Layout((2, 5, 4, 2), LayerNorm())
    assert start(File(path=weight_files()[0]), layout, 0).shape == (layout.total,)


def test_a_key_names_what_a_file_holds_and_not_where_it_lies(tmp_path: Path) -> None:
    one, another = weight_files()
    arrays = dict(np.load(one))
    np.savez_compressed(tmp_path / "copy.npz", **dict(reversed(arrays.items())))
    trials = [small(initializer=File(path=path)) for path in (one, str(tmp_path / "copy.npz"), another)]
    found = [keys(trial, "") for trial in trials]
    assert found[0] == found[1] != found[2]
    assert trials[0].describe()["initializer"] == {"name": "file", "path": one}
    drawn = small()
    assert drawn.identity() == drawn.describe()


def test_a_file_that_changes_later_changes_no_number_of_what_was_read(tmp_path: Path) -> None:
    path, (one, another) = tmp_path / "w.npz", weight_files()
    path.write_bytes(Path(one).read_bytes())
    initializer = File(path=str(path))
    before, key = start(initializer, Layout((2, 5, 4, 2)), 0), initializer.identity()
    path.write_bytes(Path(another).read_bytes())
    os.utime(path, ns=(1, 1))
    later = pickle.loads(pickle.dumps(initializer))
    assert start(later, Layout((2, 5, 4, 2)), 0).tobytes() == before.tobytes()
    assert later.identity() == key != File(path=str(path)).identity()


def save(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b""), "not an .npz file"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "not an .npz file"),
        (lambda path: path.write_bytes(pickle.dumps({"W1": 1})), "not an .npz file"),
        (lambda path: save(path, W1=np.array([[None]], object)), "Object arrays cannot be loaded"),
        (lambda path: save(path, W1=np.array([[np.nan]])), "W1 must hold finite numbers"),
        (lambda path: save(path, W1=np.array([["a"]])), "W1 must hold finite numbers"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(
    write: Callable[[Path], Any], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.npz"
    write(path)
    with pytest.raises(ConfigError) as caught:
        File(path=str(path))
    wanted = f"initializer.path must be an .npz file of weights, got {str(path)!r}: {reason}"
    assert str(caught.value).startswith(wanted)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("hidden", "words"),
    [((5, 3), r"W2 \(3, 5\), got \(4, 5\)"), ((5,), r"must be W1, b1, W2, b2, got W1, W2, W3, b1, b2, b3")],
)
def test_a_file_that_does_not_fit_the_network_is_refused_before_any_training(
    hidden: tuple[int, ...], words: str
) -> None:
    path = weight_files()[0]
    with pytest.raises(
        ConfigError, match=f"^initializer.path {re.escape(repr(path))} does not fit the network: .*{words}"
    ):
        train([small(initializer=File(path=path), architecture=MLP(hidden=hidden))])


def test_a_file_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"^initializer.path must be the .npz file of a network's weights, got ''$"):
        train([small(initializer=File())])
