"""The canvas: where a report's figures are drawn, and the blocks that show them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.reporting.document import FigureBlock, Text
from nnexp.reporting.drawing import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Canvas:
    """Where figures go. folder: of their files."""

    folder: Path

    def figure(
        self, name: str, title: str, drawn: Figure, *, caption: Text, alt: str, wide: bool = False
    ) -> FigureBlock:
        """Write a figure's files and return the block that shows it."""
        return FigureBlock(name, title, caption, alt, save(drawn, self.folder, name).svg, wide)
