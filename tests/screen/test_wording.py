"""Numbers and texts in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.screen.lines import encodable
from nnexp.screen.wording import duration, printable, seconds_line


def test_where_the_seconds_went_is_one_line() -> None:
    assert seconds_line({"start": 0.44, "train": 12.0}) == "start 0.4 s, train 12.0 s"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (119.4, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h")],
)
def test_a_duration_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@given(st.text())
def test_what_is_printed_holds_nothing_that_acts_on_a_terminal(text: str) -> None:
    assert printable(text).isprintable()


@given(st.text(st.characters(exclude_categories=("C", "Zs", "Zl", "Zp"))))
def test_what_is_shown_anyway_is_printed_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_what_acts_on_a_terminal_is_printed_as_its_escape() -> None:
    assert printable("a\x1b[2Jb\nc\x9bd\u202ee") == r"a\x1b[2Jb\nc\x9bd\u202ee"


def test_an_encoding_that_lacks_a_character_gets_its_escape() -> None:
    assert encodable("1 ± 2 …", "ascii") == r"1 \xb1 2 \u2026"
    assert encodable("1 ± 2 …", "utf-8") == encodable("1 ± 2 …", None) == "1 ± 2 …"
