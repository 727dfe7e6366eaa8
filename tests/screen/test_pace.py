"""How long a sweep still takes, reckoned from its work."""

from __future__ import annotations

from math import inf

import pytest

from nnexp.screen.pace import Pace
from nnexp.sweeps.progress import Progress


def at(seconds: float, done: float) -> Progress:
    return Progress(8, work=100.0, work_done=done, seconds=seconds)


def test_the_time_left_follows_the_work_and_not_the_start_of_the_workers() -> None:
    pace = Pace()
    assert pace.left(at(3.0, 0.0)) == inf
    assert pace.left(at(7.0, 10.0)) == inf, "those were seconds of starting"
    assert pace.left(at(17.0, 30.0)) == pytest.approx(35.0)  # 20 in 10 seconds
    assert pace.left(at(27.0, 90.0)) == pytest.approx(2.5)  # 80 in 20 seconds


def test_moments_are_too_short_to_judge_by() -> None:
    pace = Pace()
    pace.left(at(7.0, 10.0))
    assert pace.left(at(7.01, 50.0)) == inf, "another worker's first slice"
    assert pace.left(at(9.0, 50.0)) == pytest.approx(2.5)


def test_nothing_is_left_at_the_end() -> None:
    assert Pace().left(at(7.0, 100.0)) == 0.0
    assert Pace().left(Progress(0)) == 0.0
