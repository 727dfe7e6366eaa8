"""Initializers: the spread of what they draw."""

from __future__ import annotations

import numpy as np
import pytest

from nnexp.arrays import Floats
from nnexp.network.initializers import INITIALIZERS, Glorot, He, Initializer, Random, Zeros
from nnexp.network.layout import Layout
from nnexp.randomness import Purpose, stream
from tests.variations import acting

FAN_OUT, FAN_IN = 300, 200
VARIANCES = [
    (Zeros(), 0.0),
    (Random(), 1e-4),
    (Random(scale=3.0), 9.0),
    (He(), 2 / FAN_IN),
    (He(distribution="uniform"), 2 / FAN_IN),
    (Glorot(), 2 / (FAN_IN + FAN_OUT)),
    (Glorot(distribution="uniform"), 2 / (FAN_IN + FAN_OUT)),
]


def draw(initializer: Initializer, seed: int = 0) -> Floats:
    return initializer.weights(FAN_OUT, FAN_IN, stream(seed, Purpose.INIT))


@pytest.mark.parametrize(("initializer", "variance"), VARIANCES)
def test_weights_have_mean_0_and_the_variance_of_the_source(initializer: Initializer, variance: float) -> None:
    W = draw(initializer)
    assert W.shape == (FAN_OUT, FAN_IN)
    assert abs(W.mean()) <= 4 * np.sqrt(variance / W.size)
    assert W.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("cls", [He, Glorot])
def test_uniform_weights_fill_their_bounds_and_normal_ones_go_beyond(cls: type[He] | type[Glorot]) -> None:
    uniform, normal = draw(cls(distribution="uniform")), draw(cls())
    bound = np.sqrt(3 * (2 / FAN_IN if cls is He else 2 / (FAN_IN + FAN_OUT)))
    assert 0.999 * bound < np.abs(uniform).max() <= bound
    assert np.abs(normal).max() > 1.5 * bound


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_the_same_stream_gives_the_same_weights_and_biases_start_at_0(name: str) -> None:
    layout, initializer = Layout((3, 4, 2)), acting(INITIALIZERS[name])
    theta = layout.draw(initializer, stream(5, Purpose.INIT))
    assert theta.tobytes() == layout.draw(initializer, stream(5, Purpose.INIT)).tobytes()
    assert (theta[layout.weight_mask(theta.dtype) == 0] == 0).all()
    if name != "zeros":
        assert (theta[layout.weight_mask(theta.dtype) == 1] != 0).all()
        assert theta.tobytes() != layout.draw(initializer, stream(6, Purpose.INIT)).tobytes()


def test_initializers_of_one_distribution_are_paired_by_their_seed() -> None:
    np.testing.assert_allclose(draw(He()) * np.sqrt(FAN_IN / 2), draw(Random(scale=1.0)), rtol=1e-12)
