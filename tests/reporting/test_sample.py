"""The sample report in the documentation is what its snapshot gives, byte for byte."""

from __future__ import annotations

from pathlib import Path

from nnexp.reporting.build import check

SAMPLE = Path(__file__).parents[2] / "docs" / "sample-report"


def test_the_sample_report_is_what_its_snapshot_gives() -> None:
    difference = check(SAMPLE)
    assert difference is None, f"{difference}; `nnexp-report --check docs/sample-report` says so too"
