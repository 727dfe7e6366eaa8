"""Schedules: the factor on lr at each step."""

from __future__ import annotations

import numpy as np
import pytest

from nnexp.network.schedules import SCHEDULES, Constant
from tests.variations import acting

STEPS = np.arange(1.0, 41.0)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_schedule_has_one_factor_a_step_and_none_is_negative(name: str) -> None:
    for schedule in (SCHEDULES[name](), acting(SCHEDULES[name])):
        factors = schedule.factors(STEPS, 40, 8)
        assert factors.shape == STEPS.shape
        assert factors.dtype == np.float64
        assert np.isfinite(factors).all()
        assert (factors >= 0).all()
        assert factors.max() > 0


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_step_has_the_same_factor_in_whatever_portion_it_is_asked_for(name: str) -> None:
    schedule = acting(SCHEDULES[name])
    whole = schedule.factors(STEPS, 40, 8).tolist()
    assert schedule.factors(STEPS[:13], 40, 8).tolist() + schedule.factors(STEPS[13:], 40, 8).tolist() == whole


def test_constant_leaves_lr_alone() -> None:
    assert Constant().factors(STEPS, 40, 8).tolist() == [1.0] * 40
