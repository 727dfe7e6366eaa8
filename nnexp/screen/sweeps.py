"""What is printed of a ledger's sweeps: all of them in a table, or one in full."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.screen.lines import say, write
from nnexp.screen.places import shown_path
from nnexp.screen.table import ENDLESS, show_leaderboard
from nnexp.screen.wording import counted, listed, printable

if TYPE_CHECKING:
    from nnexp.sweeps.leaderboard import Row
    from nnexp.sweeps.survey import Disk, Survey

MOST = 12  # trials that are told one by one
STATES = ("finished", "diverged", "failed", "stopped", "running", "planned")


def show_sweeps(surveys: Sequence[Survey]) -> None:
    """Print a table of sweeps."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("sweep", "planned", "trials", "best configuration"):
        table.add_column(title, overflow="fold")
    for title in ("mean", "size", "pending"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("worked on by", overflow="fold")
    for each in surveys:
        label, mean = ("", "") if each.best is None else (printable(each.best.label), _mean(each.best))
        trials = "damaged" if each.damage else states_line(each.states)
        size = size_text(each.disk.total)
        cells = [each.sweep.id, day(each.sweep.planned_at), trials, label, mean, size, str(each.pending)]
        table.add_row(*(Text(cell) for cell in (*cells, each.holder or "")))
    drawn, terminal = StringIO(), sys.stdout.isatty()
    console = Console(file=drawn, force_terminal=terminal, force_jupyter=False, highlight=False)
    if not terminal:
        console.width = ENDLESS
    console.print(table)
    write("".join(f"{line.rstrip()}\n" for line in drawn.getvalue().splitlines()))


def show_sweep(survey: Survey, folder: Path, others: Sequence[str], in_ledger: int) -> None:
    """Print a sweep. Args: others: ids of others with its name. in_ledger: bytes that it has there."""
    for line in _about(survey, others):
        say(line)
    if survey.damage:
        say(f"damaged:  {survey.damage}; the command that trains it mends it")
    for title, lines in (("failed", _failures(survey)), ("not ended", _under_way(survey))):
        for line in [f"{title}:", *(f"  {each}" for each in lines)] if lines else ():
            say(line)
    if survey.rows:
        say()
        show_leaderboard(survey.rows)
        say()
    for line in disk_lines(survey.disk, folder, in_ledger):
        say(line)


def _about(survey: Survey, others: Sequence[str]) -> Iterator[str]:
    sweep = survey.sweep
    head, settings = sweep.head, sweep.settings
    yield f"sweep     {sweep.id}"
    yield f"planned:  {day(sweep.planned_at)} by nnexp {head.get('nnexp')}, numerics {head.get('numerics')}"
    yield f"command:  nnexp-run {shlex.join(settings.get('argv', ()))}"
    for title, (key, values) in zip(_titles("axes"), head.get("axes", {}).items(), strict=False):
        yield f"{title}{key} = {listed(values)}"
    fixed = [each for each in head.get("overrides", ()) if each.partition("=")[0] not in head.get("axes", {})]
    if fixed:
        yield f"settings: {shlex.join(fixed)}"
    configurations = {trial.configuration for trial in survey.trials}
    yield (
        f"trials:   {counted(sweep.trials, 'trial')} of {counted(len(configurations), 'configuration')}: "
        f"{states_line(survey.states)}"
    )
    for origin, count in Counter(each.reused_from for each in survey.standing.values() if each.reused_from).items():
        yield f"reused:   {count:,} from {origin}"
    told = f"{survey.pending:,} pending" if survey.pending else "nothing pending"
    yield f"tracked:  {settings.get('store')}, experiment {settings.get('experiment')}; {told}"
    if survey.holder:
        yield f"worked on by {survey.holder}"
    if others:
        yield f"more:     {', '.join(others)} {'has' if len(others) == 1 else 'have'} the same name"


def _titles(first: str) -> Iterator[str]:
    yield f"{first + ':':10}"
    while True:
        yield " " * 10


def _failures(survey: Survey) -> list[str]:
    labels = {trial.key: trial.label for trial in survey.trials}
    failed = [each for each in survey.standing.values() if each.state == "failed"]
    lines = [f"{labels[each.key]} ({each.key[:8]}): {each.note}" for each in failed[:MOST]]
    return [*lines, f"… and {len(failed) - MOST:,} more"] if len(failed) > MOST else lines


def _under_way(survey: Survey) -> list[str]:
    """Return configurations that have not ended, with their repeats by state."""
    found: dict[str, Counter[str]] = {}
    for trial in survey.trials:
        found.setdefault(trial.configuration_label, Counter())[survey.standing[trial.key].state] += 1
    under_way = {label: states for label, states in found.items() if {"stopped", "running", "planned"} & states.keys()}
    if len(under_way) == len(found) and not any(each.epoch for each in survey.standing.values()):
        return []  # none has begun, as the line of states says
    lines = [f"{label}: {states_line(states)}" for label, states in list(under_way.items())[:MOST]]
    return [*lines, f"… and {len(under_way) - MOST:,} more"] if len(under_way) > MOST else lines


def disk_lines(disk: Disk, folder: Path, in_ledger: int) -> Iterator[str]:
    """Yield what a sweep has on disk, and what deleting it would free."""
    parts = ", ".join(f"{part} {size_text(size)}" for part, size in disk.parts.items() if size)
    yield f"files:    {shown_path(folder)}: {size_text(disk.total)}" + (f" ({parts})" if parts else "")
    shared = f" ({size_text(disk.shared)} of them is shared with other sweeps and stays)" if disk.shared else ""
    yield (
        f"deleting: frees {size_text(disk.freed)} of files{shared}, and room for {size_text(in_ledger)} in the ledger; "
        "MLflow marks its runs as deleted"
    )


def states_line(states: Mapping[str, int]) -> str:
    """Return `40 finished, 8 stopped`."""
    return ", ".join(f"{states[name]:,} {name}" for name in STATES if states.get(name)) or "none"


def _mean(row: Row) -> str:
    from nnexp.sweeps.leaderboard import cell, columns

    names = columns([row])
    return f"{names[0].removesuffix('_best')} {cell(row, names[0])}" if names else ""


def day(seconds: float) -> str:
    """Return a time of day as people read it."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"


def size_text(count: int) -> str:
    """Return bytes as people read them."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= one:
            return f"{count / one:.1f} {unit}"
    return f"{count} B"
