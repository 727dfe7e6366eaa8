"""The comparison figure: a PNG that can be looked at, where there is something to see."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from nnexp.reporting.figures.comparison import SHOWN, comparison
from nnexp.sweeps.leaderboard import Row, leaderboard
from nnexp.sweeps.results import TrialResult
from tests.sweeps.test_leaderboard import board, diverged, result


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of a PNG."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.rstrip().endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def drawn(path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[Row], results: dict[str, TrialResult]) -> Any:
    """Return the axes of the comparison."""
    kept: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *given: Any, **more: Any) -> None:
        kept.append(figure)
        save(figure, *given, **more)

    monkeypatch.setattr(Figure, "savefig", keep)
    assert comparison(rows, results, path)
    (figure,) = kept
    (axes,) = figure.axes
    return axes


@pytest.mark.parametrize("configurations", [1, 5, 60])
def test_a_comparison_is_a_png_as_tall_as_its_rows(tmp_path: Path, configurations: int) -> None:
    plan, results = board(*[[result(number / 100), result(number / 90)] for number in range(configurations)])
    assert comparison(leaderboard(plan.trials, results), results, tmp_path / "comparison.png")
    width, height = size_of(tmp_path / "comparison.png")
    assert 800 <= width <= 1600
    assert 130 * 0.3 * min(configurations, SHOWN) < height < 1400


def test_nothing_is_drawn_where_nothing_finished(tmp_path: Path) -> None:
    plan, results = board([diverged(), diverged()])
    assert not comparison(leaderboard(plan.trials, results), results, tmp_path / "comparison.png")
    assert not comparison([], {}, tmp_path / "comparison.png")
    assert list(tmp_path.iterdir()) == []


def test_every_repeat_that_finished_is_a_dot_and_the_mean_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, results = board([result(0.5), result(0.7)], [result(0.9), diverged()], [diverged()])
    axes = drawn(tmp_path / "comparison.png", monkeypatch, leaderboard(plan.trials, results), results)
    dots, mean, other_dots, other_mean = axes.lines
    assert list(dots.get_xdata()) == [0.5, 0.7]
    assert list(mean.get_xdata()) == pytest.approx([0.6, 0.6])
    assert list(other_dots.get_xdata()) == [0.9]
    assert list(other_mean.get_xdata()) == [0.9, 0.9]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lr=1", "lr=2 (1 diverged)"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the best on top


def test_the_axis_says_what_is_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, results = board([result(0.5)])
    axes = drawn(tmp_path / "comparison.png", monkeypatch, leaderboard(plan.trials, results), results)
    assert axes.get_xlabel() == "val/acc at the best epoch (higher is better)"


def test_only_the_best_are_drawn_and_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, results = board(*[[result(number / 100)] for number in range(SHOWN + 5)])
    axes = drawn(tmp_path / "comparison.png", monkeypatch, leaderboard(plan.trials, results), results)
    assert len(axes.lines) == 2 * SHOWN
    assert f"best {SHOWN} of {SHOWN + 5}" in axes.get_title(loc="left")
    assert axes.get_yticklabels()[0].get_text() == f"lr={SHOWN + 5}"
