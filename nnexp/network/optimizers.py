"""The optimizers by name."""

from __future__ import annotations

from nnexp.component import table
from nnexp.network.adam import Adam, Adamax, AdamW, NAdam, RAdam
from nnexp.network.adaptive import Adadelta, Adagrad, RMSprop
from nnexp.network.descent import SGD, Lion, Momentum, Nesterov
from nnexp.network.muon import Muon
from nnexp.network.optimizer import Column, Field, Optimizer

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Column",
    "Field",
    "Lion",
    "Momentum",
    "Muon",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "RAdam",
    "RMSprop",
]

OPTIMIZERS = table(
    "optimizer", SGD, Momentum, Nesterov, Adagrad, Adadelta, RMSprop, Adam, Adamax, NAdam, RAdam, AdamW, Lion, Muon
)
