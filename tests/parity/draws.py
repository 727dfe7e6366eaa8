"""The initializers' distributions: nnexp's settings, and the function of torch.nn.init that draws the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnexp.network.activations import SELU, Activation, Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from nnexp.network.initializers import (
    Constant,
    Drawn,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    Random,
    Uniform,
    Zeros,
)
from tests.parity.words import Call, call

SHARES = np.arange(1, 100) / 100
SHAPES = ((300, 500), (500, 300))  # fan_out, fan_in


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One layer's weights, drawn by both; activation: the layer's own. reason: as of `tests.parity.cases.Case`."""

    ours: Drawn
    theirs: Call
    activation: Activation = field(default_factory=Tanh)
    shape: tuple[int, int] = SHAPES[0]
    reason: str = ""

    def weights(self) -> NDArray[np.float64]:
        """Return what nnexp draws."""
        drawn = self.ours.weights(*self.shape, self.activation.gain, np.random.default_rng(3))
        return np.asarray(drawn, np.float64)


LECUN = "PyTorch has none of this name; compared with the one of this variance"
LINEAR = {"nonlinearity": "linear"}

DRAWS: dict[str, Draw] = {
    "zeros": Draw(ours=Zeros(), theirs=call("zeros_")),
    "constant": Draw(ours=Constant(value=0.3), theirs=call("constant_", val=0.3)),
    "random": Draw(ours=Random(scale=0.2), theirs=call("normal_", std=0.2)),
    "uniform": Draw(ours=Uniform(bound=0.2), theirs=call("uniform_", a=-0.2, b=0.2)),
    "he_normal": Draw(ours=HeNormal(), theirs=call("kaiming_normal_", nonlinearity="relu")),
    "he_uniform": Draw(ours=HeUniform(), theirs=call("kaiming_uniform_", nonlinearity="relu")),
    "glorot_normal": Draw(ours=GlorotNormal(), theirs=call("xavier_normal_")),
    "glorot_uniform": Draw(ours=GlorotUniform(), theirs=call("xavier_uniform_")),
    "lecun_normal": Draw(ours=LecunNormal(), theirs=call("kaiming_normal_", **LINEAR), reason=LECUN),
    "lecun_uniform": Draw(ours=LecunUniform(), theirs=call("kaiming_uniform_", **LINEAR), reason=LECUN),
    "orthogonal": Draw(ours=Orthogonal(), theirs=call("orthogonal_")),
    "he_normal, gain": Draw(
        ours=HeNormal(gain="activation"),
        theirs=call("kaiming_normal_", nonlinearity="leaky_relu", a=0.2),
        activation=LeakyReLU(slope=0.2),
    ),
    "he_uniform, gain": Draw(
        ours=HeUniform(gain="activation"), theirs=call("kaiming_uniform_", nonlinearity="tanh"), activation=Tanh()
    ),
    "glorot_normal, gain": Draw(ours=GlorotNormal(gain=2.5), theirs=call("xavier_normal_", gain=2.5)),
    "glorot_uniform, gain": Draw(ours=GlorotUniform(gain=2.5), theirs=call("xavier_uniform_", gain=2.5)),
    "lecun_normal, gain": Draw(
        ours=LecunNormal(gain="activation"),
        theirs=call("kaiming_normal_", nonlinearity="selu"),
        activation=SELU(),
        reason=LECUN,
    ),
    "lecun_uniform, gain": Draw(
        ours=LecunUniform(gain="activation"),
        theirs=call("kaiming_uniform_", nonlinearity="sigmoid"),
        activation=Sigmoid(),
        reason=LECUN,
    ),
    "orthogonal, gain": Draw(ours=Orthogonal(gain=2.5), theirs=call("orthogonal_", gain=2.5), shape=SHAPES[1]),
}

# What torch.nn.init.calculate_gain is asked, by activation.
GAINS: dict[str, tuple[Activation, Call]] = {
    "identity": (Identity(), call("calculate_gain", nonlinearity="linear")),
    "sigmoid": (Sigmoid(), call("calculate_gain", nonlinearity="sigmoid")),
    "tanh": (Tanh(), call("calculate_gain", nonlinearity="tanh")),
    "relu": (ReLU(), call("calculate_gain", nonlinearity="relu")),
    "leaky_relu": (LeakyReLU(slope=0.2), call("calculate_gain", nonlinearity="leaky_relu", param=0.2)),
    "selu": (SELU(), call("calculate_gain", nonlinearity="selu")),
}

Facts = dict[str, Any]


def facts(W: NDArray[np.float64]) -> Facts:
    """Return what tells distributions apart: moments, quantiles, extremes."""
    moments = {"mean": float(W.mean()), "std": float(W.std()), "least": float(W.min()), "most": float(W.max())}
    return {**moments, "quantiles": np.quantile(W, SHARES).tolist()}


def assert_same_distribution(W: NDArray[np.float64], theirs: Facts) -> None:
    """Weights are distributed as the others are, by five standard deviations of what two draws differ by."""
    n, std = W.size, np.float64(theirs["std"])
    assert abs(W.mean() - theirs["mean"]) <= 5 * std * np.sqrt(2 / n)
    if std == 0:
        assert W.min() == W.max() == theirs["most"]
        return
    assert abs(W.std() / std - 1) <= 5 * np.sqrt(1 / n)  # of a normal sample; a uniform one's varies less
    below = np.searchsorted(np.sort(W, axis=None), theirs["quantiles"]) / n
    assert (np.abs(below - SHARES) <= 5 * np.sqrt(2 * SHARES * (1 - SHARES) / n)).all()
    bound = np.sqrt(3) * std
    uniform = max(abs(np.float64(theirs["least"])), abs(np.float64(theirs["most"]))) < 1.02 * bound
    assert (np.abs(W).max() < 1.02 * bound) == uniform
