"""What a report is made of: sections of blocks that hold plain text and plain values, never markup.

Every renderer (page, markdown, tables) shows the same document; whatever a name or a message holds, it is shown as it
is. Titles and names of columns are text, as are the strings of prose; what a config, a user or an exception said stands
in `Code`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

SHOWN = 20  # rows of a table that a reader sees; its files have all
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}\Z")  # of what becomes a file or an anchor
ADDRESS = re.compile(r"(https?://|mailto:|#)|[^:/?#\\\s][^:?#\\\s]*\Z")  # elsewhere, in the report, or a file beside it

CalloutKind = Literal["warning", "note", "refusal", "answer"]
Format = Literal[
    "text", "code", "integer", "number", "score", "difference", "p", "percent", "seconds", "bytes", "interval", "bounds"
]
Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Code:
    """Text as a machine has it: a name, a setting, a command, a message."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Text that stands out."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """Text that leads somewhere: to https://…, #an-anchor or a file beside the report; other addresses only show."""

    text: str
    href: str

    @property
    def leads(self) -> bool:
        """Whether the address is one that a reader may be sent to: never one that runs something, as javascript:."""
        return ADDRESS.match(self.href) is not None


@dataclass(frozen=True, slots=True)
class Reference:
    """A figure, table or section by its name: `text (Figure 3)`, or the text alone where the report lacks it."""

    name: str
    text: str = ""


Part: TypeAlias = str | Code | Strong | Link | Reference
Inline: TypeAlias = tuple[Part, ...]
Text: TypeAlias = Part | Inline


def inline(*parts: Text) -> Inline:
    """Return parts, and the parts of parts, one after another."""
    return tuple(one for each in parts for one in (each if isinstance(each, tuple) else (each,)))


@dataclass(frozen=True, slots=True)
class Interval:
    """A value between its bounds."""

    middle: float
    low: float
    high: float


Value: TypeAlias = str | bool | int | float | Interval | None


@dataclass(frozen=True)
class Paragraph:
    """Prose."""

    content: Text


@dataclass(frozen=True)
class Callout:
    """Prose that must not be missed: what the sweep answers, a warning, what is refused, a note."""

    kind: CalloutKind
    content: Text


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Steps:
    """Commands, to be given one after another."""

    commands: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A column of a table. unit: said in its head. better: which of its values one wants.

    How values are printed: `score` with 4 decimals or 4 digits, alike down the column; `difference` too, with its sign;
    `interval` as `middle [low, high]` (as every column does that holds intervals), `bounds` as `[low, high]`, beside a
    column of the middles; `percent` from fractions; `seconds` and `bytes` with the unit that suits; `integer` whole;
    `p` as `0.031` or `< 0.001`; `number` with up to 4 digits.
    A text in a column of numbers is shown as it is.
    """

    title: str
    unit: str = ""
    format: Format = "text"
    better: Better | None = None

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers, which stand on the right."""
        return self.format not in ("text", "code")


@dataclass(frozen=True)
class Table:
    """Rows of plain values. name: of its files. None is what is not known or does not apply.

    title: what it shows, without a full stop. shown: how many rows a reader sees, from the first. note: under it.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: Text = ""
    shown: int = SHOWN

    def __post_init__(self) -> None:
        _check_name(self.name)
        wrong = {len(row) for row in self.rows} - {len(self.columns)}
        if wrong:
            raise ValueError(f"table {self.name}: rows of {sorted(wrong)} values for {len(self.columns)} columns")


@dataclass(frozen=True)
class FigureBlock:
    """A figure whose files are drawn already. name: of its files; alt: what it shows, for who cannot see it.

    title: a short text without a full stop; caption: what to see in it and how it was made (n, what the bands are).
    svg: None where only the files beside the report have it. wide: needs more than the width of the text.
    """

    name: str
    title: str
    caption: Text
    alt: str
    svg: bytes | None
    wide: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclass(frozen=True)
class Animation:
    """A figure that moves, and its stills, which print and which who wants no motion sees instead. png: an APNG."""

    name: str
    title: str
    caption: Text
    alt: str
    png: bytes
    stills: FigureBlock

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclass(frozen=True)
class Omitted:
    """A figure or a table that does not apply. what: `Learning curves`; why: a sentence."""

    what: str
    why: Text


@dataclass(frozen=True)
class Details:
    """Blocks that few readers need: folded on a page until asked for, open on paper."""

    title: str
    blocks: tuple[Block, ...]


Block: TypeAlias = Paragraph | Callout | Bullets | Steps | Table | FigureBlock | Animation | Omitted | Details
Figure: TypeAlias = FigureBlock | Animation


@dataclass(frozen=True)
class Section:
    """A part of the report. id: of its anchor."""

    id: str
    title: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        _check_name(self.id)


@dataclass(frozen=True)
class Document:
    """A whole report. facts: what stands at its top, by name."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    facts: tuple[tuple[str, Text], ...] = ()

    def __post_init__(self) -> None:
        for kind, names in (
            ("section", [each.id for each in self.sections]),
            ("figure", [each.name for each in self.figures()]),
            ("table", [each.name for each in self.tables()]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two of a name: {kind} {', '.join(twice)}")

    def figures(self) -> tuple[Figure, ...]:
        """Return all figures in their order, the stills of an animation after it."""
        return tuple(each for each in self._all() if isinstance(each, FigureBlock | Animation))

    def tables(self) -> tuple[Table, ...]:
        """Return all tables in their order."""
        return tuple(each for each in self._all() if isinstance(each, Table))

    def _all(self) -> Iterator[Block]:
        return (each for section in self.sections for each in _within(section.blocks))


def _within(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Details):
            yield from _within(block.blocks)
        elif isinstance(block, Animation):
            yield block.stills


def _check_name(name: str) -> None:
    if not NAME.match(name):
        raise ValueError(f"not a name for a file and an anchor: {name!r} (small letters, digits, - and _)")


def is_missing(value: Value) -> bool:
    """Whether there is no value: None, not a number, an interval without a middle."""
    number = value.middle if isinstance(value, Interval) else value
    return number is None or (isinstance(number, float) and math.isnan(number))
