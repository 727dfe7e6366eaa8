"""The losses by name."""

from __future__ import annotations

from nnexp.component import table
from nnexp.network.class_losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    LossOfClasses,
    MultiLabelCrossEntropy,
    SmoothedLoss,
)
from nnexp.network.loss import Desk, Loss, TargetKind, Targets, assess
from nnexp.network.value_losses import Huber, MeanAbsoluteError, MeanSquaredError

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Desk",
    "Hinge",
    "Huber",
    "Loss",
    "LossOfClasses",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MultiLabelCrossEntropy",
    "SmoothedLoss",
    "TargetKind",
    "Targets",
    "assess",
]

LOSSES = table(
    "loss",
    *(CrossEntropy, BinaryCrossEntropy, MultiLabelCrossEntropy, Hinge),
    *(MeanSquaredError, MeanAbsoluteError, Huber),
)
