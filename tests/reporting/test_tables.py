"""The tables of a report as files: what is in them reads back, and nothing in them runs."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

import pytest

from nnexp.reporting.document import Column, Interval, Table, Value
from nnexp.reporting.tables import csv_text, save, tex, tex_text

HOSTILE = (
    "<script>window.attacked = 1</script>",
    'quo"te, and comma',
    "line\nfeed",
    "carriage\r\nreturn",
    "pipe | back`tick",
    "\\input{/etc/passwd} $x$ 100 % #1 ~ ^ _ & {}",
    "{{ config }}",
    "[2ex] after a row",
    "*",
    "--flag",
    "שלום \u202e 👩‍🔬 \x1b\x00",
    " ",
    "",
)
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1+1", "＝1")


def table(*rows: tuple[Value, ...], shown: int = 20) -> Table:
    columns = (Column("arm"), Column("score", format="score"), Column("mean", unit="s", format="interval"))
    return Table("arms", "Arms", columns, rows, shown=shown)


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_csv_has_every_row_with_every_digit() -> None:
    rows = [("adam", 0.1 + 0.2, Interval(1 / 3, 0.0, math.inf)), ("sgd", None, None), ("muon", math.nan, 2.0)]
    assert csv_text(table(*rows, shown=1)).splitlines() == [
        "arm,score,mean (s),mean low (s),mean high (s)",
        "adam,0.30000000000000004,0.3333333333333333,0.0,inf",
        "sgd,,,,",
        "muon,nan,2.0,,",
    ]


def test_csv_quotes_what_needs_it_and_reads_back() -> None:
    text = csv_text(Table("texts", "Texts", (Column("it"),), tuple((each,) for each in HOSTILE)))
    expected = [[f"'{each}" if each == "--flag" else each] for each in HOSTILE]
    assert read(text) == [["it"], *expected]
    assert '"quo""te, and comma"\n' in text
    assert "line\nfeed" in text


@pytest.mark.parametrize("formula", FORMULAS)
def test_csv_marks_what_a_spreadsheet_would_run(formula: str) -> None:
    columns = (Column(formula), Column("value", format="number"))
    head, row = read(csv_text(Table("texts", "Texts", columns, ((formula, -1),))))
    assert head[0] == row[0] == f"'{formula}"
    assert row[1] == "-1"  # a number is one


def test_tex_is_a_tabular_as_printed() -> None:
    rows = [("adam_w", -0.5, Interval(0.5, 0.25, 0.75)), ("sgd", math.inf, None), ("more", 0.1, None)]
    assert tex_text(table(*rows, shown=2)).splitlines() == [
        r"% Arms: the first 2 of 3 rows. \usepackage{booktabs}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"arm & score & mean (s) \\",
        r"\midrule",
        r"adam\_w & $-$0.5000 & 0.5000 {[}0.2500, 0.7500{]} \\",
        r"sgd & $\infty$ & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


@pytest.mark.parametrize("text", [*HOSTILE, *FORMULAS])
def test_tex_leaves_nothing_of_a_text_that_acts(text: str) -> None:
    done = tex(text)
    plain = re.sub(r"\\(text[a-z]+\{\}|char\d+|[&%$#_{}])|\{[\[\]*-]\}|\$\\?[a-z-]+\$", "", done)
    assert not set(plain.replace("{}", "")) & set("\\&%$#_^~[]*|<>\"`'\n\r\t\x00")
    assert done.isprintable()


def test_tex_names_letters_that_not_every_latex_has() -> None:
    assert tex("né 👍") == "né {[}U+1F44D{]}"


def test_a_title_cannot_end_the_comment_that_it_stands_in() -> None:
    hostile = Table("texts", "Title\n\\input{x}\r\u2028\\input{y}", (Column("it"),), ())
    comment, begin, *_ = tex_text(hostile).split("\n")
    assert comment.startswith("% Title ")
    assert begin == r"\begin{tabular}{l}"


def test_both_files_are_written_whatever_is_in_the_table(tmp_path: Path) -> None:
    hostile = Table("texts", "half \ud800", (Column("it \ud800"),), (("half \ud800",),))
    paths = save(hostile, tmp_path / "made" / "tables")
    assert [path.name for path in paths] == ["texts.csv", "texts.tex"]
    assert paths[0].read_bytes() == b"it \\ud800\nhalf \\ud800\n"
