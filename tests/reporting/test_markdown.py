"""A report as Markdown: it reads well as it is, and no text in it is taken for markup."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from nnexp.reporting.document import (
    Bullets,
    Callout,
    Code,
    Column,
    Details,
    Document,
    Interval,
    Link,
    Omitted,
    Paragraph,
    Part,
    Reference,
    Section,
    Steps,
    Strong,
    Table,
    inline,
)
from nnexp.reporting.markdown import code, line, markdown_text, plain
from nnexp.reporting.printing import shown
from tests.reporting.documents import ATTACKS, hostile, sample
from tests.reporting.test_page import Page

TAGS = {
    *("h1", "h2", "h3", "h4", "p", "a", "ul", "ol", "li", "blockquote", "strong", "em", "code", "pre", "img"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


def rendered(text: str) -> Page:
    """Return Markdown as another program shows it that lets HTML through."""
    return Page(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


def body(*blocks: Paragraph | Table | Details | Bullets | Steps | Callout | Omitted) -> list[str]:
    """Return the lines after a section's title."""
    lines = markdown_text(Document("Report", "", (Section("only", "Only", blocks),))).splitlines()
    return lines[lines.index("## 1. Only") + 2 :]


def prose(*parts: Part) -> str:
    (only,) = body(Paragraph(inline(*parts)))
    return only


def test_a_table_reads_well_as_it_is() -> None:
    columns = (Column("arm"), Column("lr", format="number"), Column("mean", "val/acc", "interval", "higher"))
    rows = (("adam", 0.001, Interval(0.5, 0.25, 0.75)), ("sgd", 1e-5, None), ("a|b", -0.5, None))
    assert body(Table("arms", "Arms", columns, rows, note="n = 8.", shown=2)) == [
        '<a id="table-arms"></a>',
        "",
        "**Table 1. Arms.**",
        "",
        "| arm  |    lr |        mean (val/acc) ↑ |",
        "| ---- | ----: | ----------------------: |",
        "| adam | 0.001 | 0.5000 [0.2500, 0.7500] |",
        "| sgd  |  1e−5 |                       – |",
        "",
        "The first 2 of 3 rows; all are in [tables/arms.csv](tables/arms.csv). n = 8.",
    ]


def test_prose_reads_well_as_it_is() -> None:
    said = "Adam's mean is 0.97 [0.96, 0.98], p < 0.05 & n = 8 (train_loss, 100 %)."
    assert prose(said) == said
    assert prose(Code("lr=0.1"), " is ", Strong("best"), ".") == "`lr=0.1` is **best**."
    assert prose(Link("MLflow", "https://mlflow.org/a(b)")) == "[MLflow](https://mlflow.org/a%28b%29)"
    assert prose(Link("x", "javascript:y()")) == "x (`javascript:y()`)"
    assert prose(Reference("only"), ", ", Reference("gone", "runs")) == "[Section 1](#section-only), runs"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>", "&lt;b>"),
        ("&lt;", "&amp;lt;"),
        ("[a](b)", r"\[a\](b)"),
        ("[1](b)", r"\[1\](b)"),
        ("[1]", r"\[1\]"),
        ("![1][2]", r"!\[1\]\[2\]"),
        ("see!", r"see\!"),
        ("**a** _b_ ~~c~~ `d`", r"\*\*a\*\* \_b\_ \~\~c\~\~ \`d\`"),
        ("a | b", r"a \| b"),
        ("$x$", r"\$x\$"),
        ("back\\slash", r"back\\slash"),
        ("two\nlines", "two lines"),
        ("\x1b", r"\\x1b"),
    ],
)
def test_text_is_shown_as_it_is(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. one", r"1\. one"),
        ("2) two", r"2\) two"),
        ("3.", r"3\."),
        ("- a", r"\- a"),
        ("+ a", r"\+ a"),
        ("---", r"\---"),
        ("===", r"\==="),
        ("> a", r"\> a"),
        ("     code", "code"),
        ("0.97 is", "0.97 is"),
        ("-1 is", "-1 is"),
        ("12 is - b", "12 is - b"),
    ],
)
def test_a_line_begins_nothing_but_itself(text: str, expected: str) -> None:
    assert line(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "`a`"),
        ("a`b", "``a`b``"),
        ("`a", "`` `a ``"),
        ("", "`  `"),
        ("a\nb", r"`a\nb`"),
        ("a|<b>", r"<code>a\|&lt;b></code>"),
    ],
)
def test_code_ends_where_it_ends(text: str, expected: str) -> None:
    assert code(text) == expected


def test_two_codes_side_by_side_stay_two() -> None:
    assert prose(Code("a"), Code("b")) == "`a` `b`"


def test_blocks() -> None:
    assert body(Bullets(("a", "- b"))) == ["- a", r"- \- b"]
    assert body(Callout("refusal", "Unequal budgets.")) == ["> [!CAUTION]", "> **Refused.** Unequal budgets."]
    assert body(Omitted("Regions", "64 inputs.")) == ["*Left out: Regions.* 64 inputs."]
    assert body(Steps(("nnexp-run -m", "echo ```"))) == ["````sh", "nnexp-run -m", "echo ```", "````"]
    assert body(Details("More", (Paragraph("a"),))) == ["### More", "", "a"]


def test_hostile_texts_make_no_element() -> None:
    page = rendered(markdown_text(hostile()))
    assert {tag for tag, _ in page.tags} == TAGS
    assert {tuple(attributes) for tag, attributes in page.tags if tag not in ("a", "img")} <= {
        *((), ("class",), ("style",))  # the language of commands; which way a cell is aligned
    }
    hrefs = {str(each["href"]) for each in page.all("a") if "href" in each}
    assert all(re.match(r"https://127\.0\.0\.1:9/|#|tables/[a-z0-9-]+\.csv\Z", each) for each in hrefs)
    assert all(re.fullmatch(r"figures/[a-z0-9-]+\.png", str(each["src"])) for each in page.all("img"))


def test_hostile_texts_can_be_read() -> None:
    text = markdown_text(hostile())
    assert {each for each in text if not each.isprintable()} == {"\n", "\u200d"}
    whole = "".join(rendered(text).texts)
    for attack in ATTACKS:
        assert whole.count(shown(attack).strip()) >= 20, attack


def test_every_row_of_a_table_has_its_cells_whatever_they_hold() -> None:
    page = rendered(markdown_text(hostile()))
    tables = len(hostile().tables())
    assert [len(page.all(each)) for each in ("table", "th", "td")] == [tables, 3 * tables, 6 * tables]


def test_figures_are_files_beside_it() -> None:
    text = markdown_text(sample())
    assert "![eight curves that rise](figures/curves.png)\n\n**Figure 1. Validation accuracy by epoch.** Median" in text
    assert "figures/steps.png" in text
    assert "figures/steps-stills.png" in text
