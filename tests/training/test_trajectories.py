"""nnexp's own trajectories: no number moves unless the version of the numerics is raised."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from nnexp.numerics import NUMERICS_VERSION
from tests.goldens.make import FILE, cases, trajectory

STORED: dict[str, Any] = json.loads(FILE.read_text())
HELP = "A trial's numbers moved. If on purpose: raise NUMERICS_VERSION, then run python -m tests.goldens.make."


def test_the_trajectories_belong_to_this_version_of_the_numerics() -> None:
    assert STORED["numerics_version"] == NUMERICS_VERSION, "run python -m tests.goldens.make"
    assert list(STORED["trajectories"]) == list(cases()), "run python -m tests.goldens.make for what is new"


@pytest.mark.parametrize("name", sorted(STORED["trajectories"]))
def test_a_trajectory_is_as_it_was(name: str) -> None:
    stored, found = STORED["trajectories"][name], trajectory(cases()[name])
    for kind in ("history", "summary"):
        assert set(found[kind]) == set(stored[kind]), HELP
        for metric, values in stored[kind].items():
            np.testing.assert_allclose(found[kind][metric], values, rtol=1e-9, atol=1e-12, err_msg=f"{HELP} {metric}")


def test_a_trajectory_moves_with_its_seed() -> None:
    name, trial = next(iter(cases().items()))
    moved = trajectory(type(trial)(**{**vars(trial), "seed": trial.seed + 1}))
    assert moved["history"]["train/cost"] != pytest.approx(
        STORED["trajectories"][name]["history"]["train/cost"], rel=1e-6
    )
