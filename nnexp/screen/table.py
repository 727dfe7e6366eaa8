"""The leaderboard as a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnexp.screen.lines import say, write
from nnexp.screen.wording import counted, printable

if TYPE_CHECKING:
    from nnexp.sweeps.leaderboard import Row

ENDLESS = 10_000  # columns of a file or a pipe: there is no margin to fold lines at


def show_leaderboard(rows: Sequence[Row], top: int = 12) -> None:
    """Print the best configurations as a table: the mean over repeats, and half of its 95 % interval."""
    from nnexp.sweeps.leaderboard import columns, legend

    say(f"{counted(len(rows), 'configuration')}: {legend(rows, columns(rows))}")
    write(_table(rows, top))
    if len(rows) > top:
        say(f"… and {len(rows) - top:,} more; all of them are in leaderboard.csv")


def _table(rows: Sequence[Row], top: int) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nnexp.sweeps.leaderboard import cell, columns, counts, repeats

    names, found = columns(rows), counts(rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rank", justify="right")
    table.add_column("configuration", overflow="fold")
    for title in (*names, "n", *(name.replace("_", " ") for name in found)):
        table.add_column(title, justify="right", no_wrap=True)
    for rank, row in enumerate(rows[:top], start=1):
        cells = [*(cell(row, name) for name in names), repeats(row), *(str(getattr(row, name)) for name in found)]
        table.add_row(str(rank), Text(printable(row.label)), *cells)  # a text as it is: [relu,tanh] is no style
    console = Console(highlight=False, width=None if sys.stdout.isatty() else ENDLESS)
    with console.capture() as captured:
        console.print(table)
    return captured.get()
