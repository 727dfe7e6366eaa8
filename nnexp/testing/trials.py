"""Small trials, quick to train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nnexp.data.sources import Blobs, BreastCancer, Diabetes, Moons, MultiLabel, Source, Wine
from nnexp.network.architecture import MLP
from nnexp.network.losses import LOSSES, Loss, MeanSquaredError, MultiLabelCrossEntropy
from nnexp.network.optimizers import Adam
from nnexp.network.schedules import Schedule
from nnexp.training import Objective, Training, TrialConfig

VALUE_LOSSES = sorted(name for name, cls in LOSSES.items() if cls.target_kind == "values")


@dataclass(frozen=True, kw_only=True)
class Ramp(Schedule):
    """A schedule in which every step has its own factor: lr_t = lr top t / steps."""

    name: ClassVar[str] = "ramp"
    top: float = 1.0

    def course(self, time: NDArray[np.float64], end: float, tick: float) -> NDArray[np.float64]:
        return self.top * (time + tick) / end


def small(**changes: Any) -> TrialConfig:
    """Return a trial on 60 points: 36 to train on, in steps of 16, 16 and 4."""
    chosen: dict[str, Any] = {
        "dataset": Moons(examples=60),
        "architecture": MLP(hidden=(5, 4)),
        "optimizer": Adam(lr=0.01),
        "training": Training(epochs=3, batch_size=16),
    }
    return TrialConfig(**(chosen | changes))


def regression(**changes: Any) -> TrialConfig:
    """Return a small trial on values: 442 patients, 266 of them to train on."""
    chosen: dict[str, Any] = {
        "dataset": Diabetes(),
        "architecture": MLP(hidden=(5,)),
        "loss": MeanSquaredError(),
        "objective": Objective(metric="val/rmse", direction="minimize"),
        "training": Training(epochs=3, batch_size=64),
    }
    return small(**(chosen | changes))


def overfitting(**changes: Any) -> TrialConfig:
    """Return a trial whose validation loss falls and then rises."""
    chosen: dict[str, Any] = {
        "optimizer": Adam(lr=0.05),
        "objective": Objective(metric="val/loss", direction="minimize"),
        "training": Training(epochs=40, batch_size=16, dtype="float64"),
    }
    return small(**(chosen | changes))


def suited(loss: Loss) -> Source:
    """Return a source that a loss can learn: three classes, or two or labels where it wants them."""
    if loss.target_kind == "multi":
        return MultiLabel(examples=60, features=4, labels=3)
    return Moons(examples=60) if loss.target_kind == "binary" else Blobs(examples=60)


def unbalanced(loss: Loss) -> Source:
    """Return a source that a loss can learn, whose classes are not equally large."""
    return {"binary": BreastCancer(), "labels": Wine()}.get(loss.target_kind, suited(loss))


def multi_label(**changes: Any) -> TrialConfig:
    """Return a small trial on labels that do not exclude each other."""
    loss = MultiLabelCrossEntropy()
    return small(**({"loss": loss, "dataset": suited(loss)} | changes))
