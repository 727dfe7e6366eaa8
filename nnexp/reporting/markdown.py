"""A report as Markdown, as GitHub reads it: figures and full tables are files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nnexp.reporting.document import (
    Animation,
    Block,
    Bullets,
    Callout,
    Code,
    Column,
    Details,
    Document,
    FigureBlock,
    Link,
    Omitted,
    Paragraph,
    Part,
    Reference,
    Section,
    Steps,
    Strong,
    Table,
    Text,
    inline,
)
from nnexp.reporting.places import Places
from nnexp.reporting.printing import Cell, address, exactly, shown, shown_columns

CALLED = {"answer": "IMPORTANT", "warning": "WARNING", "note": "NOTE", "refusal": "CAUTION"}
SAID = {"answer": "Answer.", "warning": "Warning.", "note": "Note.", "refusal": "Refused."}

# What may act within a line: brackets around numbers alone do not, neither do _ within a word, a lone &, a < before a
# space. What ends a text counts, since another may follow.
ACTS = re.compile(
    r"(?P<interval>\[(?=[^\]]*\d)[-−+\d.,∞–e ]+\](?![(\[:]|$))"
    r"|(?P<entity>&(?=[#\w]|$)|<(?! ))"
    r"|(?P<word>(?<=[^\W_])_(?=[^\W_]))"
    r"|(?P<escape>[\\`*_\[\]#~|$]|!$)"
)
ENTITIES = {"&": "&amp;", "<": "&lt;"}
BEGINS = re.compile(r"(?P<before>\d{0,9})(?P<mark>[.)](?=\s|$)|(?<!\d)(?:[-+](?=\s|$)|>|(?:-+|=+)\s*$))")  # a block


def markdown_text(document: Document) -> str:
    """Return the Markdown of a document; the same document gives the same text."""
    return "\n".join(_Writer(Places.of(document)).document(document)).encode(errors="backslashreplace").decode() + "\n"


def plain(text: str) -> str:
    """Return text that Markdown, with HTML in it, shows as it is within a line; an address may become a link."""
    return ACTS.sub(_escaped, shown(text))


def _escaped(found: re.Match[str]) -> str:
    kind, text = str(found.lastgroup), found[0]
    return {"entity": ENTITIES.get(text, text), "escape": f"\\{text}"}.get(kind, text)


def line(text: str) -> str:
    """Return what is shown within a line as one that begins no list, quotation, heading or code."""
    text = text.strip(" ")
    found = BEGINS.match(text)
    return f"{found['before']}\\{text[found.start('mark') :]}" if found else text


def code(text: str) -> str:
    """Return text as code, in a fence that is longer than any in it; a pipe in it ends no cell."""
    text = exactly(text)
    fence = "`" * (max((len(each) for each in re.findall("`+", text)), default=0) + 1)
    space = " " if text[:1] in ("`", " ", "") or text[-1:] in ("`", " ") else ""
    if "|" in text:  # a backslash before a pipe would show outside of a table, so it is code as HTML has it
        return f"<code>{plain(text)}</code>"
    return f"{fence}{space}{text}{space}{fence}"


@dataclass(frozen=True)
class _Writer:
    """What writes blocks that may refer to others. places: what these are called."""

    places: Places

    def document(self, document: Document) -> list[str]:
        """Return the lines of it all."""
        lines = [f"# {plain(document.title)}", ""]
        if document.subtitle:
            lines += [plain(document.subtitle), ""]
        lines += [f"- {line(plain(name))}: {self.prose(value)}" for name, value in document.facts]
        lines += ["", "## Contents", ""] if document.facts else ["## Contents", ""]
        for at, section in enumerate(document.sections, 1):
            lines.append(f"{at}. [{plain(section.title)}](#section-{section.id})")
        for at, section in enumerate(document.sections, 1):
            lines += ["", *self.section(at, section)]
        return lines

    def section(self, at: int, section: Section) -> list[str]:
        """Return the lines of a section."""
        anchor = f'<a id="section-{section.id}"></a>'
        return [anchor, "", f"## {at}. {plain(section.title)}", "", *self.blocks(section.blocks, 3)]

    def blocks(self, blocks: Sequence[Block], level: int) -> list[str]:
        """Return the lines of blocks, an empty one between them. level: of a heading among them."""
        lines: list[str] = []
        for block in blocks:
            lines += ["", *self.block(block, level)] if lines else self.block(block, level)
        return lines

    def block(self, block: Block, level: int) -> list[str]:
        """Return the lines of one block."""
        match block:
            case Paragraph(content):
                return [self.prose(content)]
            case Callout(kind, content):
                return [f"> [!{CALLED[kind]}]", f"> **{SAID[kind]}** {self.prose(content)}"]
            case Bullets(items):
                return [f"- {self.prose(item)}" for item in items]
            case Steps(commands):
                return _fenced(commands)
            case Omitted(what, why):
                return [f"*Left out: {plain(what)}.* {self.prose(why)}"]
            case Details(title, inner):
                return [f"{'#' * min(level, 6)} {plain(title)}", "", *self.blocks(inner, level + 1)]
            case Table():
                return self.table(block)
            case FigureBlock():
                return self.figure(block)
            case Animation():
                return [*self.figure(block), "", *self.figure(block.stills)]

    def figure(self, block: FigureBlock | Animation) -> list[str]:
        """Return a figure's picture and its caption."""
        place = self.places.figures[block.name]
        picture = f"![{plain(block.alt)}](figures/{block.name}.png)"
        caption = f"**{place.called}. {plain(block.title)}.** {self.prose(block.caption)}".rstrip()
        return [f'<a id="{place.anchor}"></a>', "", picture, "", caption]

    def table(self, table: Table) -> list[str]:
        """Return a table's caption, its rows as a reader sees them and its note."""
        place = self.places.tables[table.name]
        rows = min(table.shown, len(table.rows))
        under = [self.prose(table.note)] if table.note else []
        if rows < len(table.rows):
            where = f"[tables/{table.name}.csv](tables/{table.name}.csv)"
            under = [f"The first {rows} of {len(table.rows)} rows; all are in {where}.", *under]
        caption = f"**{place.called}. {plain(table.title)}.**"
        lines = [f'<a id="{place.anchor}"></a>', "", caption, "", *_rows(table)]
        return [*lines, "", " ".join(under)] if under else lines

    def prose(self, text: Text) -> str:
        """Return a text as a line."""
        whole = ""
        for each in inline(text):
            following = self.part(each)  # two codes side by side would be one
            whole += f" {following}" if whole.endswith("`") and following.startswith("`") else following
        return line(whole)

    def part(self, part: Part) -> str:
        """Return a part of a text."""
        match part:
            case str():
                return plain(part)
            case Code(text):
                return code(text)
            case Strong(text):
                return f"**{plain(text.strip())}**" if text.strip() else ""
            case Reference(name, text):
                return self.reference(name, text)
            case Link(text, href):
                return f"[{plain(text)}]({address(href)})" if part.leads else f"{plain(text)} ({code(href)})"

    def reference(self, name: str, text: str) -> str:
        """Return a text and what it refers to, if that is there."""
        place = self.places.find(name)
        if place is None:
            return plain(text or name)
        where = f"[{place.called}](#{place.anchor})"
        return f"{plain(text)} ({where})" if text else where


def _rows(table: Table) -> list[str]:
    columns = [_printed(*each) for each in zip(table.columns, shown_columns(table), strict=True)]
    widths = [max(3, *map(len, column)) for column in columns]
    lines = [_line(texts, table, widths) for texts in zip(*columns, strict=True)]
    rules = (
        f"{'-' * (width - 1)}:" if column.numeric else "-" * width
        for column, width in zip(table.columns, widths, strict=True)
    )
    return [lines[0], f"| {' | '.join(rules)} |", *lines[1:]]


def _printed(column: Column, found: Sequence[Cell]) -> list[str]:
    show = code if column.format == "code" else plain
    arrow = {"higher": " ↑", "lower": " ↓", None: ""}[column.better]
    head = plain(column.title) + (f" ({plain(column.unit)})" if column.unit else "") + arrow
    return [head, *(show(cell.text) if cell.key is None else cell.text for cell in found)]


def _line(texts: Iterable[str], table: Table, widths: Sequence[int]) -> str:
    aligned = (
        text.rjust(width) if column.numeric else text.ljust(width)
        for text, column, width in zip(texts, table.columns, widths, strict=True)
    )
    return f"| {' | '.join(aligned)} |"


def _fenced(commands: Sequence[str]) -> list[str]:
    lines = [exactly(line) for command in commands for line in command.split("\n")]
    longest = max((len(each) for line in lines for each in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}sh", *lines, fence]
