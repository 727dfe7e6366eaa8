"""Some faults of the matrix, once each: scripts/faults runs all of them, many times."""

from __future__ import annotations

from pathlib import Path

import pytest
from faultmatrix.bench import Bench
from faultmatrix.matrix import ROWS, Tally, as_markdown, lacking, run

IN_CI = (1, 3, 4, 5, 14, 20)  # the others cost more, or tests of their own meet them too


def test_every_row_that_is_asked_for_is_there() -> None:
    assert sorted(ROWS) == [*range(1, 21), 22, 23, 25, 27, 28]


def test_a_row_that_cannot_run_is_told_as_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert lacking(ROWS[2]) == "no strace"
    table = as_markdown([Tally(ROWS[2], skipped="no strace")])
    assert "skipped: no strace | 0 | –" in table
    assert "0 rows, 0 cases, 0 injections, 0 violations; 1 rows not run." in table


def test_whatever_interrupts_a_sweep_the_same_command_ends_as_if_nothing_had(tmp_path: Path) -> None:
    said: list[str] = []
    bench = Bench(tmp_path / "faults", short=True)
    try:
        tallies = run(bench, IN_CI, None, jobs=2, say=said.append)
    finally:
        bench.close()
    assert sum(tally.violations for tally in tallies) == 0, "\n".join(said)
    assert all(tally.cases for tally in tallies if not tally.skipped)
