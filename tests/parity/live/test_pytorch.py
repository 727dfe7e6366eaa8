"""The comparison with PyTorch itself. Run by `scripts/parity`, which installs it."""

from __future__ import annotations

import pytest
import torch

from tests.parity.cases import CASES
from tests.parity.draws import DRAWS, GAINS, assert_same_distribution, facts
from tests.parity.goldens import assert_same, ours, stored
from tests.parity.pytorch import gain, trajectory, weights

STORED = stored()


def test_the_stored_results_are_of_this_version_of_pytorch() -> None:
    assert torch.__version__.partition("+")[0] == STORED["torch"]


@pytest.mark.parametrize("name", CASES)
def test_a_training_is_that_of_pytorch_and_so_is_what_is_stored(name: str) -> None:
    live = trajectory(CASES[name])
    assert_same(ours(CASES[name]), live)
    assert_same(STORED["trajectories"][name], live)


@pytest.mark.parametrize("name", DRAWS)
def test_weights_are_distributed_as_those_of_pytorch_and_so_is_what_is_stored(name: str) -> None:
    theirs = weights(DRAWS[name])
    assert_same_distribution(DRAWS[name].weights(), facts(theirs))
    assert_same_distribution(theirs, STORED["draws"][name])


@pytest.mark.parametrize("name", GAINS)
def test_a_gain_is_that_of_pytorch_and_so_is_what_is_stored(name: str) -> None:
    activation, wanted = GAINS[name]
    assert gain(wanted) == STORED["gains"][name] == pytest.approx(activation.gain, rel=1e-15)
