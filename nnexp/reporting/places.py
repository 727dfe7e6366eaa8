"""What a report's sections, figures and tables are called: numbered in their order, found by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnexp.reporting.document import Document


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. called: `Figure 3`."""

    called: str
    anchor: str


@dataclass(frozen=True)
class Places:
    """What everything numbered is called, by kind and name."""

    sections: dict[str, Place]
    figures: dict[str, Place]
    tables: dict[str, Place]

    @classmethod
    def of(cls, document: Document) -> Places:
        """Number a document's sections, figures and tables."""
        sections = [each.id for each in document.sections]
        figures = [each.name for each in document.figures()]
        tables = [each.name for each in document.tables()]
        return cls(_places("Section", sections), _places("Figure", figures), _places("Table", tables))

    def find(self, name: str) -> Place | None:
        """Return where a name leads: to a figure, else to a table, else to a section."""
        return self.figures.get(name) or self.tables.get(name) or self.sections.get(name)


def _places(kind: str, names: Sequence[str]) -> dict[str, Place]:
    return {name: Place(f"{kind} {at}", f"{kind.lower()}-{name}") for at, name in enumerate(names, 1)}
