"""A report's page as text: texts stay texts, the policy fits, the same document gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nnexp.reporting.document import Column, Document, Link, Paragraph, Reference, Section, Table, Value
from nnexp.reporting.page import html_text
from nnexp.reporting.printing import shown
from tests.reporting.documents import ATTACKS, hostile, sample

PROJECT = Path(__file__).resolve().parents[2]
# What a page is made of; anything else got in through a text.
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "a", "header", "h1", "h2", "p", "dl", "div", "dt", "dd", "nav"),
    *("ol", "ul", "li", "main", "section", "strong", "code", "pre", "figure", "figcaption", "img", "table", "thead"),
    *("tbody", "tr", "th", "td", "span", "small", "details", "summary", "script"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "href", "id", "aria-label", "aria-labelledby"),
    *("aria-hidden", "role", "tabindex", "alt", "src", "scope", "title", "open", "colspan"),
    *("data-value", "data-missing", "data-better"),
}


class Page(HTMLParser):
    """What is in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a kind."""
        return [attributes for each, attributes in self.tags if each == tag]


def document(*blocks: Paragraph | Table) -> Document:
    return Document("Report", "", (Section("only", "Only", blocks),))


def table(*values: Value, shown: int = 20) -> Table:
    return Table("scores", "Scores", (Column("it", format="score"),), tuple((each,) for each in values), shown=shown)


def test_the_policy_allows_the_pages_own_style_and_script_and_images_in_it_alone() -> None:
    text = html_text(sample())
    (policy,) = [each["content"] for each in Page(text).all("meta") if each.get("http-equiv")]
    hashes = []
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        hashes.append(base64.b64encode(hashlib.sha256(content.encode()).digest()).decode())
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert text.index("Content-Security-Policy") < text.index("<style")


def test_the_script_and_the_style_are_the_same_whatever_is_reported() -> None:
    plain, attacked = (html_text(each) for each in (document(), hostile()))
    for tag in ("style", "script"):
        (first,), (second,) = (re.findall(f"<{tag}>.*?</{tag}>", each, re.DOTALL) for each in (plain, attacked))
        assert first == second


def test_hostile_texts_make_no_element_and_no_attribute() -> None:
    page = Page(html_text(hostile()))
    assert {tag for tag, _ in page.tags} <= TAGS
    assert {name for _, attributes in page.tags for name in attributes} <= ATTRIBUTES
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_hostile_texts_can_be_read() -> None:
    text = "".join(Page(html_text(hostile())).texts)
    for attack in ATTACKS:
        assert shown(attack).strip() in text


def test_links_lead_to_the_web_and_within_the_report_only() -> None:
    hrefs = {str(each["href"]) for each in Page(html_text(hostile())).all("a")}
    assert all(re.match(r"https?://|#|(tables|figures)/[a-z0-9_-]+\.|mailto:", each) for each in hrefs)
    assert all(re.fullmatch(r"[!-~]+", each) for each in hrefs)
    assert not any("script:" in each.partition("/")[0] for each in hrefs)


def test_images_are_in_the_page() -> None:
    sources = [str(each["src"]) for each in Page(html_text(sample())).all("img")]
    assert len(sources) == 4
    assert all(re.match(r"data:image/(png|svg\+xml);base64,[A-Za-z0-9+/=]+\Z", each) for each in sources)
    assert all(each["alt"] for each in Page(html_text(sample())).all("img"))


def test_every_anchor_that_is_linked_to_is_there_once() -> None:
    for each in (sample(), hostile()):
        page = Page(html_text(each))
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        within = {str(one["href"])[1:] for one in page.all("a") if str(one["href"]).startswith("#")}
        named = {str(one["aria-labelledby"]) for _, one in page.tags if "aria-labelledby" in one}
        assert within | named <= set(ids)


def test_cells_say_what_sorts_them_and_all_of_their_digits() -> None:
    text = html_text(document(table(0.123456, 0.5, None, float("-inf"), "never")))
    assert '<td class="numeric" data-value="0.123456" title="0.123456">0.1235</td>' in text
    assert '<td class="numeric" data-value="0.5">0.5000</td>' in text
    assert '<td class="numeric" data-missing>–</td>' in text
    assert '<td class="numeric" data-value="-Infinity">−∞</td>' in text
    assert '<td class="numeric">never</td>' in text


def test_a_long_table_shows_its_first_rows_and_says_where_the_others_are() -> None:
    page = Page(html_text(document(table(*(0.1 * at for at in range(9)), shown=4))))
    assert len(page.all("td")) == 4
    assert "The first 4 of 9 rows; all are in tables/scores.csv." in "".join(page.texts)
    assert "There are no rows." in html_text(document(table()))


def test_references_say_the_number_or_nothing() -> None:
    found = "".join(
        Page(
            html_text(document(table(), Paragraph(("See ", Reference("scores"), "; ", Reference("gone", "runs")))))
        ).texts
    )
    assert "See Table 1; runs" in found


def test_a_link_that_must_not_be_followed_is_shown() -> None:
    text = html_text(document(Paragraph(Link("there", "javascript:attack()"))))
    assert "<p>there (<code>javascript:attack()</code>)</p>" in text


@pytest.mark.parametrize(
    "there",
    [
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "2", "TZ": "UTC", "LC_ALL": "C.utf8"},
    ],
)
def test_the_same_document_gives_the_same_bytes_in_every_place(there: dict[str, str], tmp_path: Path) -> None:
    script = (
        "import hashlib, locale; locale.setlocale(locale.LC_ALL, '')\n"
        "from tests.reporting.test_page import digests; print(digests())"
    )
    environment = {**os.environ, **there, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digests()


def digests() -> str:
    """Return what every text of a hostile document and of a plain one hashes to."""
    from nnexp.reporting.markdown import markdown_text
    from nnexp.reporting.tables import csv_text, tex_text

    digest = hashlib.sha256()
    for each in (hostile(), document(table(1 / 3, None), Paragraph("."))):
        texts = [html_text(each), markdown_text(each)]
        texts += [write(one) for one in each.tables() for write in (csv_text, tex_text)]
        for text in texts:
            digest.update(text.encode(errors="backslashreplace"))
    return digest.hexdigest()
