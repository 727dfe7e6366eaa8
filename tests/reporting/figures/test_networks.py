"""Networks in figures: animations that repeat, their stills, and regions that are seen without colours."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nnexp.reporting.figures.networks import Points, Region, animate, chosen_frames, regions

GRID = np.linspace(-1, 1, 20)


def frame(slope: float) -> Figure:
    """Return regions with a border of a slope."""
    classes = (np.add.outer(GRID, slope * GRID) > 0).astype(np.int64)
    points = Points(GRID, GRID[::-1], np.arange(20) % 2)
    return regions([Region("sgd", GRID, GRID, classes)], points, ["a", "b"], f"Slope {slope}")


def test_an_animation_shows_each_frame_repeats_and_rests_on_the_last() -> None:
    with Image.open(io.BytesIO(animate([frame(slope) for slope in (-1, 0, 1)], seconds=3, rest=2))) as image:
        assert (image.n_frames, image.info["loop"]) == (3, 0)  # type: ignore[attr-defined]
        durations, seen = [], []
        for at in range(3):
            image.seek(at)
            durations.append(image.info["duration"])
            seen.append(np.asarray(image.convert("RGB")))
    assert durations == [1000, 1000, 3000]
    assert (seen[0] != seen[1]).any()
    assert (seen[1] != seen[2]).any()


def test_the_first_and_the_last_frame_are_stills_and_more_early_ones_than_late() -> None:
    chosen = chosen_frames(list(range(1, 51)))
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 49, 6)
    assert sum(each < 25 for each in chosen) > sum(each >= 25 for each in chosen)
    assert chosen_frames([1, 2, 3]) == [0, 1, 2]


@pytest.mark.parametrize(("slope", "borders"), [(1.0, 1), (0.0, 1)])
def test_a_border_is_drawn_between_regions(slope: float, borders: int) -> None:
    (axes,) = frame(slope).axes
    assert len([each for each in axes.collections if np.size(each.get_paths()[0].vertices)]) == borders


def test_a_network_that_predicts_one_class_has_no_border() -> None:
    panel = Region("sgd", GRID, GRID, np.zeros((20, 20), dtype=np.int64))
    (axes,) = regions([panel], Points(GRID, GRID, np.arange(20) % 2), ["a", "b"]).axes
    assert list(axes.collections) == []
