"""What a report is made of: names that become files, values a table may hold, places that text can refer to."""

from __future__ import annotations

import math

import pytest

from nnexp.reporting.document import (
    Animation,
    Code,
    Column,
    Details,
    Document,
    FigureBlock,
    Interval,
    Link,
    Paragraph,
    Section,
    Strong,
    Table,
    inline,
    is_missing,
)
from nnexp.reporting.places import Place, Places

COLUMNS = (Column("arm"), Column("score", format="score"))


def table(name: str = "arms") -> Table:
    return Table(name, "Arms", COLUMNS, (("adam", 0.9),))


def figure(name: str) -> FigureBlock:
    return FigureBlock(name, "Curves", "Medians.", "curves that rise", b"<svg/>")


def test_inline_joins_parts_and_parts_of_parts() -> None:
    assert inline("a", inline("b", Code("c")), Strong("d")) == ("a", "b", Code("c"), Strong("d"))
    assert inline() == ()
    assert len({Code("a"), Strong("a")}) == 2


@pytest.mark.parametrize("name", ["", "../up", "a/b", "A", "a b", "a.b", "-a", "a\n", "é", "a" * 101])
def test_a_name_that_is_no_file_and_anchor_is_refused(name: str) -> None:
    for make in (table, figure, lambda it: Section(it, "Title", ())):
        with pytest.raises(ValueError, match="not a name for a file"):
            make(name)


def test_rows_have_a_value_for_each_column() -> None:
    with pytest.raises(ValueError, match=r"table arms: rows of \[1, 3\] values for 2 columns"):
        Table("arms", "Arms", COLUMNS, (("adam",), ("sgd", 0.1), ("muon", 0.2, 3)))


def test_two_of_a_name_are_refused_also_where_one_is_folded_or_stills() -> None:
    moving = Animation("moves", "Moves", "", "dots", b"", figure("curves"))
    for blocks in ((table(), Details("More", (table(),))), (figure("curves"), moving)):
        with pytest.raises(ValueError, match=r"two of a name: (table arms|figure curves)"):
            Document("Report", "", (Section("one", "One", blocks),))
    with pytest.raises(ValueError, match="two of a name: section one"):
        Document("Report", "", (Section("one", "One", ()), Section("one", "Two", ())))


def test_places_are_numbered_in_order_through_all_sections() -> None:
    moving = Animation("moves", "Moves", "", "dots", b"", figure("stills"))
    first = Section("one", "One", (Paragraph("."), figure("curves"), Details("More", (table(), moving))))
    places = Places.of(Document("Report", "", (first, Section("two", "Two", (figure("last"), table("costs"))))))
    assert [each.called for each in places.figures.values()] == ["Figure 1", "Figure 2", "Figure 3", "Figure 4"]
    assert list(places.figures) == ["curves", "moves", "stills", "last"]
    assert places.find("costs") == Place("Table 2", "table-costs")
    assert places.find("two") == Place("Section 2", "section-two")
    assert places.find("nowhere") is None


@pytest.mark.parametrize(
    "href", ["https://mlflow.org/a?b=c", "http://127.0.0.1:5000/#/runs", "#table-arms", "tables/arms.csv"]
)
def test_a_link_leads_to_the_web_an_anchor_or_a_file_of_the_report(href: str) -> None:
    assert Link("there", href).leads


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,<script>",
        "file:///etc/passwd",
        "//elsewhere.example/x",
        "/etc/passwd",
        "\\\\elsewhere\\x",
        "",
        "a?javascript:",
    ],
)
def test_a_link_leads_nowhere_else(href: str) -> None:
    assert not Link("there", href).leads


def test_what_is_missing() -> None:
    assert all(is_missing(each) for each in (None, math.nan, Interval(math.nan, 0, 1)))
    assert not any(is_missing(each) for each in ("", 0, 0.0, False, math.inf, Interval(0, math.nan, math.nan)))
