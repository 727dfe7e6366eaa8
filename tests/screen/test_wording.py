"""Numbers and texts in words."""

from __future__ import annotations

from nnexp.screen.wording import seconds_line


def test_where_the_seconds_went_is_one_line() -> None:
    assert seconds_line({"start": 0.44, "train": 12.0}) == "start 0.4 s, train 12.0 s"
