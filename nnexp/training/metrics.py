"""The metrics of an epoch: their names, their directions, and how they follow from sums of losses and scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

NORMS = ("train/grad_norm", "train/weight_norm")
CLASSIFICATION = ("train/cost", "train/loss", "train/acc", "val/loss", "val/acc", *NORMS)
REGRESSION = ("train/cost", "train/loss", "train/rmse", "train/r2", "val/loss", "val/rmse", "val/r2", *NORMS)

Direction = Literal["maximize", "minimize"]


def direction_of(metric: str) -> Direction:
    """Return how a metric is read: larger is better for acc and r2."""
    return "maximize" if metric.rpartition("/")[2] in ("acc", "r2") else "minimize"


@dataclass(frozen=True)
class Scale:
    """What turns squared errors of standardised values into rmse and r2, one number a replica, (K,).

    spread: standard deviation by which values were divided. variation: sum of squared deviations of the standardised
    values from their mean over the part.
    """

    spread: NDArray[np.float64]
    variation: NDArray[np.float64]


def judge(
    losses: NDArray[np.float64], scores: NDArray[np.float64], examples: int, scale: Scale | None
) -> dict[str, NDArray[np.float64]]:
    """Return loss and acc, or loss, rmse and r2, from sums over a part's examples, (K,) each.

    loss = losses / m;  acc = scores / m;  rmse = spread sqrt(scores / m);  r2 = 1 - scores / variation
    rmse is in the units of the values as they came, the loss in standardised ones.
    """
    mean = {"loss": losses / examples}
    if scale is None:
        return mean | {"acc": scores / examples}
    return mean | {"rmse": scale.spread * np.sqrt(scores / examples), "r2": 1 - scores / scale.variation}
