"""Make `trajectories.json`: what small trials gave, in float64, under the version of the numerics it names.

    .venv/bin/python -m tests.goldens.make

To be run again only together with a raised NUMERICS_VERSION, or when a case is added.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

from nnexp.data.sources import BreastCancer, Diabetes, Digits, Moons, Spirals
from nnexp.network.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from nnexp.network.architecture import MLP
from nnexp.network.clipping import ClipNorm, ClipValue
from nnexp.network.constraints import UnitMaxNorm
from nnexp.network.dropout import InvertedDropout
from nnexp.network.initializers import GlorotNormal, Random
from nnexp.network.losses import BinaryCrossEntropy, MeanAbsoluteError, MeanSquaredError
from nnexp.network.optimizers import OPTIMIZERS, SGD, Adam, Momentum, RMSprop
from nnexp.network.penalties import L1, L2
from nnexp.network.schedules import SCHEDULES, ReduceOnPlateau, Step
from nnexp.numerics import NUMERICS_VERSION
from nnexp.training import Objective, Training, TrialConfig, train
from nnexp.training.metrics import CHEAP

FILE = Path(__file__).with_name("trajectories.json")
TRAINING = Training(epochs=3, batch_size=64, dtype="float64")
REGULARIZATION: dict[str, dict[str, Any]] = {
    "plain": {},
    "regularized": {"dropout": InvertedDropout(keep=0.8), "l2": L2(strength=0.5)},
}
HELD: dict[str, dict[str, Any]] = {
    **{f"{name} after a warm-up": {"schedule": cls(warmup=1.5)} for name, cls in SCHEDULES.items()},
    "step": {"schedule": Step(every=1.5)},
    "plateau": {"schedule": ReduceOnPlateau(patience=0, threshold=0.5, cooldown=1)},
    "l1, l2 and max-norm": {"l1": L1(strength=0.2), "l2": L2(strength=0.5), "max_norm": UnitMaxNorm(limit=1.0)},
    "clipped by norm": {"clip": ClipNorm(limit=0.2), "l2": L2(strength=0.5)},
    "clipped by value": {"clip": ClipValue(limit=0.05)},
}
RMSE = Objective(metric="val/rmse", direction="minimize")


def cases() -> dict[str, TrialConfig]:
    """Return the trials by name. What is not spelled out is a default, and one that moves is noticed here, too."""
    found = {
        f"digits {optimizer} {name}": TrialConfig(
            seed=1, dataset=Digits(), architecture=MLP(hidden=(16,)), optimizer=cls(), training=TRAINING, **regular
        )
        for (optimizer, cls), (name, regular) in product(OPTIMIZERS.items(), REGULARIZATION.items())
    }
    found["moons binary, two activations"] = TrialConfig(
        seed=2,
        dataset=Moons(examples=200, split_seed="trial"),
        architecture=MLP(hidden=(8, 4), activation=(Tanh(), LeakyReLU())),
        loss=BinaryCrossEntropy(),
        initializer=GlorotNormal(),
        optimizer=Adam(lr=0.01),
        dropout=InvertedDropout(keep=(0.9, 1.0)),
        training=TRAINING,
    )
    found["diabetes squared"] = TrialConfig(
        seed=3,
        dataset=Diabetes(),
        architecture=MLP(hidden=(8,), activation=ReLU()),
        loss=MeanSquaredError(),
        optimizer=Momentum(lr=0.05, beta1=0.9),
        objective=RMSE,
        training=TRAINING,
    )
    found["diabetes absolute, sigmoid"] = TrialConfig(
        seed=4,
        dataset=Diabetes(split_seed=7),
        architecture=MLP(hidden=(8,), activation=Sigmoid()),
        loss=MeanAbsoluteError(),
        initializer=Random(scale=0.5),
        optimizer=RMSprop(lr=0.01),
        objective=RMSE,
        training=TRAINING,
    )
    found["spirals as values, full batch"] = TrialConfig(
        dataset=Spirals(examples=100, standardize=False),
        architecture=MLP(hidden=(6,), activation=Tanh(), output="sigmoid"),
        loss=MeanSquaredError(),
        optimizer=SGD(lr=0.5),
        training=Training(epochs=3, batch_size="full", dtype="float64"),
    )
    found["breast cancer, linear"] = TrialConfig(
        dataset=BreastCancer(),
        architecture=MLP(hidden=()),
        loss=BinaryCrossEntropy(),
        optimizer=SGD(lr=0.1),
        l2=L2(strength=1.0),
        training=Training(epochs=3, batch_size=32, shuffle=False, dtype="float64"),
    )
    return found | {
        f"moons {name}": TrialConfig(
            dataset=Moons(examples=100),
            architecture=MLP(hidden=(6,)),
            optimizer=SGD(lr=0.5),
            training=Training(epochs=4, batch_size=32, dtype="float64"),
            **held,
        )
        for name, held in HELD.items()
    }


def trajectory(trial: TrialConfig) -> dict[str, Any]:
    """Return a trial's metrics, by epoch and of the whole training.

    Without those that leap where a class or a rank changes: scikit-learn is their oracle.
    """
    (result,) = train([trial])
    kept = {"epoch", *CHEAP}
    summary = {name: v for name, v in result.summary.items() if name.rpartition("/")[2].removesuffix("_best") in kept}
    return {"history": {name: values.tolist() for name, values in result.history.items()}, "summary": summary}


def main() -> None:
    """Write the file."""
    content = {
        "comment": "nnexp's own trajectories, made by tests/goldens/make.py",
        "numerics_version": NUMERICS_VERSION,
        "trajectories": {name: trajectory(trial) for name, trial in cases().items()},
    }
    FILE.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
