"""The leaderboard as a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from nnexp.screen.lines import say, write
from nnexp.screen.wording import printable

if TYPE_CHECKING:
    from rich.table import Table

    from nnexp.sweeps.leaderboard import Row

ENDLESS = 10_000  # columns of a file or a pipe: there is no margin to fold lines at
LABEL = 24  # characters of a configuration that stand in one line at least, as long as a column can make room


def show_leaderboard(rows: Sequence[Row], top: int = 12) -> None:
    """Print the best configurations as a table: the mean over repeats, and half of its 95 % interval.

    On a narrow terminal it has fewer metrics.
    """
    from nnexp.sweeps.leaderboard import columns, legend

    names = columns(rows)
    say(legend(rows, names))
    write(_drawn(rows[:top], names))
    if len(rows) > top:
        say(f"… and {len(rows) - top:,} more; all of them are in leaderboard.csv")


def _drawn(rows: Sequence[Row], names: Sequence[str]) -> str:
    from rich.cells import cell_len
    from rich.console import Console

    terminal, drawn = sys.stdout.isatty(), StringIO()
    console = Console(file=drawn, force_terminal=terminal, force_jupyter=False, highlight=False)
    if not terminal:
        console.width = ENDLESS
    foldable = max((cell_len(printable(row.label)) - LABEL for row in rows), default=0)
    while True:
        table = _table(rows, names)
        natural = console.measure(table, options=console.options.update(width=ENDLESS)).maximum
        if len(names) < 2 or natural - max(foldable, 0) <= console.width:
            break
        names = names[:-1]
    console.print(table)
    return drawn.getvalue()


def _table(rows: Sequence[Row], names: Sequence[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from nnexp.sweeps.leaderboard import cell, counts, repeats

    found = counts(rows)
    labels = [Text(printable(row.label)) for row in rows]  # texts as they are: [relu,tanh] is no style
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("configuration", overflow="fold")
    for title in (*names, "n", *(name.replace("_", " ") for name in found)):
        table.add_column(title, justify="right", no_wrap=title in (*names, "n"))
    for rank, (row, label) in enumerate(zip(rows, labels, strict=True), start=1):
        cells = [*(cell(row, name) for name in names), repeats(row), *(str(getattr(row, name)) for name in found)]
        table.add_row(str(rank), label, *cells)
    return table
