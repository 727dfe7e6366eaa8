"""Networks of a sweep as they were trained: made again of their configs, their data and their files of weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Floats
from nnexp.config.build import build_trial
from nnexp.data.prepared import Data, Division, prepare
from nnexp.data.sources import Source
from nnexp.errors import DataError
from nnexp.network.stack import predict
from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.kept import Standing
from nnexp.sweeps.results import TrialResult
from nnexp.training.answers import gives_probabilities
from nnexp.training.settings import TrialConfig
from nnexp.training.stacking import form_problem
from nnexp.training.state import Problem


@dataclass(frozen=True)
class Network:
    """A trained network. problem: it alone. theta: parameters and statistics of its best epoch, (P + S,)."""

    key: str
    config: TrialConfig
    problem: Problem
    theta: Floats
    result: TrialResult

    @property
    def data(self) -> Data:
        """What it was trained on."""
        return self.problem.data

    @property
    def division(self) -> Division:
        """The parts of the data, as this network saw them."""
        return self.data.division(self.config.seed)

    def classify(self, X: NDArray[np.float64], theta: Floats) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the most probable classes of inputs as the data are stored, (B, n), and their probabilities, (B,).

        Those are NaN where outputs are none. Args: theta: the network's at any epoch.
        """
        blueprint, division = self.problem.blueprint, self.division
        rows = ((X - division.shift) / division.scale).astype(theta.dtype)
        P = predict(blueprint, theta, rows).astype(np.float64)
        probable = gives_probabilities(blueprint)
        if P.shape[1] == 1:
            P = np.hstack([1 - P, P] if probable else [-P, P])
        predicted = P.argmax(axis=1)
        confidence = np.take_along_axis(P, predicted[:, None], axis=1)[:, 0]
        return predicted, confidence if probable else np.full(len(P), np.nan)


@dataclass
class Networks:
    """The networks of a sweep, each read once. folder: the sweep's."""

    folder: Path
    abouts: Mapping[str, Mapping[str, Any]]
    standing: Mapping[str, Standing]
    _read: dict[str, Network] = field(default_factory=dict)
    _data: dict[tuple[Source, str, int | None], Data] = field(default_factory=dict)

    def read(self, key: str) -> Network:
        """Return a network.

        Raises: DataError if its weights are not as they were written or its data have changed; what its components
        raise.
        """
        if key not in self._read:
            self._read[key] = self._made(key)
        return self._read[key]

    def _made(self, key: str) -> Network:
        about, result = self.abouts[key], self.standing[key].result
        assert result is not None, "networks of finished trials alone are read"
        weights = self._weights(key, result)
        config = build_trial(about["config"])
        data = self._prepared(config)
        if data.division(config.seed).digest != about["data"]:
            raise DataError(f"the data of {about['label']} have changed since it was trained")
        problem, _ = form_problem([config], data)
        theta = problem.blueprint.layout.pack(weights).astype(config.training.dtype)
        return Network(key, config, problem, theta, result)

    def _weights(self, key: str, result: TrialResult) -> dict[str, Floats]:
        """Return the parameters of the best epoch by name."""
        path, label = trial_folder(self.folder, key) / "weights.npz", self.abouts[key]["label"]
        if not path.is_file():
            raise DataError(f"weights.npz of {label} is missing")
        if hashlib.sha256(path.read_bytes()).hexdigest() != result.files["weights.npz"]:
            raise DataError(f"weights.npz of {label} is damaged")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def _prepared(self, config: TrialConfig) -> Data:
        source, dtype = config.dataset, config.training.dtype
        which = source, dtype, config.seed if source.split_seed == "trial" else None
        if which not in self._data:
            self._data[which] = prepare(source, [config.seed], dtype)
        return self._data[which]
