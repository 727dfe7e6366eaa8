"""The stored results of PyTorch: `tests/goldens/pytorch.json`, and how nnexp's are compared with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.training import train
from tests.parity.problem import problem
from tests.parity.words import TOLERANCE, Case

FILE = Path(__file__).parents[1] / "goldens" / "pytorch.json"
Trajectory = dict[str, Any]


def stored() -> dict[str, Any]:
    """Return the file's content: the version of PyTorch, and what it gave for each case."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def ours(case: Case) -> Trajectory:
    """Train a case with nnexp; return what `tests.parity.pytorch.trajectory` returns."""
    given = problem(case.kind)
    (result,) = train([case.trial], given.data(weighted=case.weighted), initial=[given.start], order=given.order)
    assert result.last is not None, "the training diverged"
    watched = ("train/cost", "val/loss", *(["val/ema_loss"] if "val/ema_loss" in result.history else []))
    return {**{name: result.history[name] for name in watched}, "last": result.last}


def assert_same(found: Trajectory, expected: Trajectory) -> None:
    """Two trajectories are equal up to their rounding."""
    assert set(found) == set(expected)
    assert set(found["last"]) == set(expected["last"])
    for name, values in flat(expected).items():
        np.testing.assert_allclose(flat(found)[name], values, **TOLERANCE, err_msg=name)


def flat(trajectory: Trajectory) -> Trajectory:
    """Return a trajectory with each parameter beside the metrics."""
    return {**{name: values for name, values in trajectory.items() if name != "last"}, **trajectory["last"]}
