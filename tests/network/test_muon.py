"""Muon through `train`, against its formula written out for each matrix and AdamW's for the rest."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnexp.data.prepared import Data, prepare
from nnexp.errors import ConfigError
from nnexp.network.architecture import MLP
from nnexp.network.muon import Muon, orthogonal
from nnexp.network.normalization import BatchNorm
from nnexp.network.optimizers import SGD, Adam
from nnexp.network.schedules import Constant
from nnexp.testing.contracts import Float64s, assert_alone
from nnexp.testing.trials import Ramp, small
from nnexp.training import Training, TrialConfig, train

STEPS = 6
WHOLE = Training(epochs=STEPS, batch_size="full", shuffle=False, dtype="float64")
Named = dict[str, Float64s]


def gradient(trial: TrialConfig, data: Data, named: Named) -> Named:
    """Return the gradient at some parameters: what one step of gradient descent with lr = 1 takes away."""
    step = replace(trial, optimizer=SGD(lr=1.0), schedule=Constant(), training=replace(WHOLE, epochs=1))
    (result,) = train([step], data, initial=[named])
    assert result.last is not None
    return {name: named[name] - result.last[name] for name in named}


def direction(o: Muon, g: Float64s, memory: Named, name: str) -> Float64s:
    """Return the orthogonalised step of a matrix."""
    m = memory[name] = o.momentum * memory.get(name, np.zeros_like(g)) + (1 - o.momentum) * g
    u = o.momentum * m + (1 - o.momentum) * g if o.nesterov else m
    X = u.T if u.shape[0] > u.shape[1] else u
    X = X / max(float(np.linalg.norm(X)), 1e-7)
    for _ in range(o.ns_steps):
        G = X @ X.T
        X = 3.4445 * X + (-4.7750 * G + 2.0315 * G @ G) @ X
    rows, columns = g.shape
    squared = max(1, rows / columns) if o.adjust_lr_fn == "original" else 0.04 * max(rows, columns)
    return math.sqrt(squared) * (X.T if u.shape[0] > u.shape[1] else X)


def adamw(o: Muon, g: Float64s, memory: Named, name: str, t: int) -> Float64s:
    zero = np.zeros_like(g)
    m = memory[f"{name} m"] = o.adamw_beta1 * memory.get(f"{name} m", zero) + (1 - o.adamw_beta1) * g
    v = memory[f"{name} v"] = o.adamw_beta2 * memory.get(f"{name} v", zero) + (1 - o.adamw_beta2) * g**2
    return m / (1 - o.adamw_beta1**t) / (np.sqrt(v / (1 - o.adamw_beta2**t)) + o.adamw_eps)


def reference(trial: TrialConfig, data: Data, named: Named) -> Named:
    """Return the parameters after the trial's steps."""
    o, memory = trial.optimizer, Named()
    assert isinstance(o, Muon)
    factors = trial.schedule.factors(np.arange(1.0, STEPS + 1), STEPS, 1)
    matrices = [f"W{layer}" for layer in range(1, len(trial.architecture.hidden) + 1)]
    for t, factor in enumerate(factors, start=1):
        for name, g in gradient(trial, data, named).items():
            lr = factor * (o.lr if name in matrices else o.adamw_lr)
            step = direction(o, g, memory, name) if name in matrices else adamw(o, g, memory, name, t)
            named = named | {name: named[name] * (1 - lr * o.weight_decay) - lr * step}
    return named


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": Muon(lr=0.1)},
        {"optimizer": Muon(lr=0.1, adamw_lr=0.02, adamw_beta1=0.5, adamw_beta2=0.9, adamw_eps=0.01)},
        {"optimizer": Muon(lr=0.1, nesterov=False, ns_steps=2, momentum=0.5)},
        {"optimizer": Muon(lr=0.1, adjust_lr_fn="match_rms_adamw", weight_decay=0.0)},
        {"optimizer": Muon(lr=0.1, momentum=0.0), "schedule": Ramp()},
        {"optimizer": Muon(lr=0.1), "normalization": BatchNorm()},
        {"optimizer": Muon(lr=0.1), "architecture": MLP(hidden=(1, 3))},
    ],
)
def test_muon_takes_the_steps_of_its_formula(changes: dict[str, Any]) -> None:
    trial = small(training=WHOLE, **changes)
    data = prepare(trial.dataset, [0], "float64")
    layout = trial.blueprint(data.inputs).layout
    drawn = layout.unpack(np.random.default_rng(5).normal(size=layout.total))
    named = {name: array.astype(float) for name, array in drawn.items() if name[0] in "Wbg"}  # no statistics
    (result,) = train([trial], data, initial=[named])
    assert result.last is not None
    for name, expected in reference(trial, data, named).items():
        np.testing.assert_allclose(result.last[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_singular_values_come_near_1() -> None:
    X = np.random.default_rng(1).normal(size=(2, 6, 9))
    found = orthogonal(X.copy(), 1e-7, 5, np.empty((3, *X.shape)))
    values = np.linalg.svd(found, compute_uv=False)
    assert ((values > 0.5) & (values < 1.3)).all()
    U, _, V = np.linalg.svd(X, full_matrices=False)
    assert np.abs(found - U @ V).max() < 0.5


def test_a_matrix_without_a_gradient_stays() -> None:
    zeros = np.zeros((1, 2, 3))
    assert not orthogonal(zeros, 1e-7, 5, np.empty((3, 1, 2, 3))).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [(1,), (33, 7), (200, 190)])
def test_muon_beside_others_trains_as_alone(hidden: tuple[int, ...], dtype: Any) -> None:
    # 200 x 190 is larger than a block, 33 x 2 is tall, 7 x 33 is wide
    training = Training(epochs=1, batch_size=16, dtype=dtype)
    optimizers = [Muon(lr=0.01), Muon(lr=0.02, momentum=0.5, weight_decay=0.3), Muon(nesterov=False), Adam()]
    trial = small(architecture=MLP(hidden=hidden), training=training)
    assert_alone([replace(trial, optimizer=optimizer, seed=k % 2) for k, optimizer in enumerate(optimizers)])


def test_a_network_without_hidden_layers_is_refused() -> None:
    message = "optimizer 'muon' moves hidden layers' weights, but there are none"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        small(optimizer=Muon(), architecture=MLP(hidden=()))
