"""Dropout: who stays, how often, and what those who stay are multiplied by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nnexp.arrays import Floats
from nnexp.data.prepared import from_arrays
from nnexp.data.sources import Moons
from nnexp.network.architecture import MLP
from nnexp.network.dropout import DROPOUTS, Dropout, Fates, InvertedDropout, Mask
from nnexp.network.optimizers import SGD
from nnexp.testing.trials import small
from nnexp.testing.variations import acting
from nnexp.training import Objective, Training, train

SHAPE = (40, 50)  # units, examples


def masks(
    dropouts: Sequence[Dropout], seeds: Sequence[int], *, epoch: int = 1, draws: int = 1, layer: int = 0
) -> list[Floats]:
    """Return each replica's `kept` (n, B) after so many draws in a network of two hidden layers."""
    fates = Fates(dropouts, seeds, 2)
    mask = Mask(fates, layer, (len(seeds), *SHAPE), np.dtype("float64"))
    fates.begin(epoch)
    for _ in range(draws):
        mask.draw()
    return list(mask.kept)


@pytest.mark.parametrize("keep", [0.9, 0.5, 0.1, 0.0005])
def test_units_stay_with_the_probability_keep_and_are_scaled_by_its_inverse(keep: float) -> None:
    kept = np.stack(masks([InvertedDropout(keep=keep)] * 20, list(range(20))))
    assert set(kept.ravel().tolist()) == {0.0, 2**16 / round(2**16 * keep)}
    deviation = np.sqrt((1 - keep) / keep / kept.size)
    assert abs(kept.mean() - 1) < 4 * deviation


@pytest.mark.parametrize("keep", [2.0**-16, 2.4 * 2.0**-16, 0.25, 0.8, 1 - 2.0**-16, 1.0])
def test_of_all_draws_those_stay_that_keep_says(keep: float, monkeypatch: pytest.MonkeyPatch) -> None:
    every = np.arange(2**16, dtype=np.uint16)[None]
    monkeypatch.setattr(Fates, "draw", lambda fates, layer, count: every)
    mask = Mask(Fates([InvertedDropout(keep=keep)], [0], 1), 0, (1, 2**8, 2**8), np.dtype("float64"))
    mask.draw()
    assert np.count_nonzero(mask.kept) == round(keep * 2**16)
    np.testing.assert_allclose(mask.kept.mean(), 1, rtol=1e-12)


def test_keep_1_drops_nobody_beside_a_replica_that_drops() -> None:
    everyone, some = masks([InvertedDropout(keep=1.0), InvertedDropout(keep=0.5)], [0, 0])
    assert (everyone == 1).all()
    assert (some == 0).any()


def test_replicas_with_one_seed_share_their_draws_and_others_do_not() -> None:
    half, most, other = masks([InvertedDropout(keep=keep) for keep in (0.5, 0.8, 0.5)], [3, 3, 4])
    assert ((half > 0) <= (most > 0)).all(), "who stays at 0.5 stays at 0.8"
    assert ((half > 0) != (other > 0)).any()


@pytest.mark.parametrize("seeds", [(1, 7, 7, 2), (1, 2, 5, 7), (7, 5, 2, 1), (2, 7, 1, 5), (7, 7, 7, 7), (3, 1, 3, 1)])
def test_a_mask_does_not_depend_on_neighbours(seeds: tuple[int, ...]) -> None:
    drops = [InvertedDropout(keep=0.5), InvertedDropout(keep=0.3), Dropout(), InvertedDropout(keep=0.5)]
    together = masks([*drops], [*seeds], draws=3)
    for drop, seed, beside in zip(drops, seeds, together, strict=True):
        if drop.keeps(2)[0] < 1:
            (alone,) = masks([drop], [seed], draws=3)
            assert alone.tobytes() == beside.tobytes()
        else:
            assert (beside == 1).all()


def test_an_epochs_draws_can_be_repeated_and_all_others_are_new() -> None:
    drop = [InvertedDropout(keep=0.5)]
    first = masks(drop, [7])[0]
    assert (first == masks(drop, [7])[0]).all()
    for fresh in (masks(drop, [7], epoch=2), masks(drop, [7], draws=2), masks(drop, [7], layer=1), masks(drop, [8])):
        agreement = ((fresh[0] > 0) == (first > 0)).mean()
        assert 0.4 < agreement < 0.6, "not independent"


def test_keep_may_differ_from_layer_to_layer() -> None:
    drop = InvertedDropout(keep=(1.0, 0.5))
    assert drop.keeps(2) == (1.0, 0.5)
    assert Fates([drop], [0], 2).drops == [False, True, False]
    assert set(masks([drop], [0], layer=1)[0].ravel().tolist()) == {0.0, 2.0}


def test_inputs_are_dropped_from_a_stream_of_their_own() -> None:
    both = Fates([InvertedDropout(keep=0.5, input_keep=0.5), InvertedDropout(input_keep=0.9)], [0, 0], 1)
    alone = Fates([InvertedDropout(input_keep=0.5)], [0], 1)
    assert both.drops == [True, True]
    assert alone.drops == [False, True]
    for fates in (both, alone):
        fates.begin(3)
    hidden, inputs = both.draw(0, 12), both.draw(1, 12)
    assert not np.array_equal(hidden, inputs)
    assert np.array_equal(inputs[1], inputs[0])
    assert np.array_equal(alone.draw(1, 12)[0], inputs[0])
    alone.begin(4)
    assert not np.array_equal(alone.draw(1, 12)[0], inputs[0]), "an epoch like the one before"


def test_each_replica_drops_inputs_of_its_own_and_scales_the_rest() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 3))
    data = from_arrays((X, np.arange(8) % 2), classes=2, dtype="float64")
    training = Training(epochs=1, batch_size="full", dtype="float64", shuffle=False)
    trial = small(architecture=MLP(hidden=()), optimizer=SGD(lr=1.0), training=training)
    trial = replace(trial, objective=Objective(metric="train/acc"), dataset=Moons())
    trials = [replace(trial, dropout=InvertedDropout(input_keep=keep)) for keep in (1.0, 0.5)]
    start = {"W1": np.zeros((2, 3)), "b1": np.zeros(2)}
    whole, dropped = train(trials, data, initial=[start, start])
    fates = Fates([InvertedDropout(input_keep=0.5)], [0], 0)
    fates.begin(1)
    D = 2.0 * (fates.draw(0, 24).reshape(8, 3) <= 2**15 - 1)
    dZ = (0.5 - np.eye(2)[np.arange(8) % 2]) / 8
    assert whole.last is not None
    assert dropped.last is not None
    np.testing.assert_allclose(whole.last["W1"], -dZ.T @ X, rtol=1e-12)
    np.testing.assert_allclose(dropped.last["W1"], -dZ.T @ (X * D), rtol=1e-12)
    np.testing.assert_allclose(dropped.last["b1"], whole.last["b1"], rtol=1e-12)


@pytest.mark.parametrize("name", sorted(DROPOUTS))
def test_every_dropout_has_a_probability_for_each_layer(name: str) -> None:
    for dropout in (DROPOUTS[name](), acting(DROPOUTS[name])):
        for layers in (0, 1, 3):
            assert len(dropout.keeps(layers)) == layers
            assert all(0 < keep <= 1 for keep in dropout.keeps(layers))
