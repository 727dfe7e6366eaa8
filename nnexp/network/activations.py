"""The activations by name."""

from __future__ import annotations

from nnexp.component import table
from nnexp.network.activation import Activation, Sloped, Spare, sigmoid
from nnexp.network.rectifiers import ELU, GELU, SELU, LeakyReLU, Mish, ReLU, SiLU, Softplus
from nnexp.network.sigmoids import HardSigmoid, Identity, Sigmoid, Softmax, Softsign, Tanh

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "HardSigmoid",
    "Identity",
    "LeakyReLU",
    "Mish",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Sloped",
    "Softmax",
    "Softplus",
    "Softsign",
    "Spare",
    "Tanh",
    "sigmoid",
]

ACTIVATIONS = table(
    "activation",
    *(Identity, Sigmoid, Tanh, ReLU, LeakyReLU, ELU, SELU, GELU, SiLU, Softplus, Mish, Softsign, HardSigmoid, Softmax),
)
