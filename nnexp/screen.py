"""What commands print: progress, the leaderboard, where the seconds went, and where everything is."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what prints help needs no NumPy
    from nnexp.sweeps.estimate import Estimate
    from nnexp.sweeps.execution import Progress
    from nnexp.sweeps.leaderboard import Row
    from nnexp.sweeps.old_ledger import TrialResult
    from nnexp.sweeps.plan import Plan, Trial

SECONDS_BETWEEN_LINES = 5.0


def say(line: str = "") -> None:
    """Print a line at once. Where nobody reads any more (`| head`), go on in silence."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # until the process ends


class Ticker:
    """Says how far a sweep is: a line every few seconds, on a terminal one line that changes."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._terminal = sys.stdout.isatty()
        self._width = 0

    def show(self, progress: Progress) -> None:
        """Say it if it is time to."""
        now = time.monotonic()
        if now - self._last < (0.2 if self._terminal else SECONDS_BETWEEN_LINES):
            return
        self._last = now
        share = progress.epochs_done / max(progress.epochs, 1)
        left = (now - self._began) * (1 - share) / share if share else float("inf")
        diverged = f", {progress.diverged} diverged" if progress.diverged else ""
        done = f"{progress.trials_done} of {progress.trials} trials{diverged}, {share:.0%} of the epochs"
        line = f"  {done}, {left:.0f} s left"
        if self._terminal:
            print("\r" + line.ljust(self._width), end="", flush=True)
            self._width = len(line)
        else:
            say(line)

    def close(self) -> None:
        """Clear the line that changes."""
        if self._terminal and self._width:
            print("\r" + " " * self._width + "\r", end="", flush=True)


def agrees(question: str) -> bool:
    """Ask a person at the terminal; anything but yes is no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def show_plan(plan: Plan, estimate: Estimate) -> None:
    """Print what a plan would do and take."""
    say("dry run: nothing is trained and nothing is created")
    trials, configurations = len(plan.trials), len(plan.configurations)
    say(f"sweep {plan.id}: {counted(trials, 'trial')} of {counted(configurations, 'configuration')}")
    for axis, values in plan.axes.items():
        say(f"  axis     {axis}: {listed(values)}")
    for made in plan.made:
        for line in how_made(made):
            say(line)
    if plan.merges:
        merges = [f"{each.label!r} is {plan.trials[each.into].label!r}" for each in plan.merges]
        say(f"  merged   {counted(len(merges), 'repeated combination')}: {listed(merges, 3, '; ')}")
    for stacks in estimate.stacks:
        sizes, each = "-".join(map(str, stacks.shape)), sorted({*stacks.widths})
        wide = f"{each[0]} to {each[-1]}" if len(each) > 1 else str(each[0])
        seconds = f"{duration(stacks.seconds)} of work" + ("" if stacks.calibrated else " by its operations")
        say(f"  stacks   {len(stacks.widths)} of {wide} on {stacks.dataset}, {sizes}: {seconds}")
    workers = counted(estimate.workers, "worker")
    say(f"  time     about {duration(estimate.train_seconds)} of training on {workers}, without starting and MLflow")
    say(f"  disk     about {estimate.disk_bytes / 1e6:,.1f} MB with a local MLflow")


def how_made(made: Mapping[str, Any]) -> Iterator[str]:
    """Yield how a grid's combinations came about, as lines."""
    grid = " ".join(f"{key}={value}" for key, value in made["grid"].items())
    yield f"  grid     {counted(made['combinations'], 'combination')}{f' of {grid}' if grid else ''}"
    for condition, count in made["absent"].items():
        yield f"  only_if  {condition}: left out of {counted(count, 'combination')}"
    if made["collapsed"]:
        yield f"  merged   {counted(made['collapsed'], 'combination')} that became the same without"
    for condition, count in made["removed"].items():
        yield f"  where    {condition}: removed {counted(count, 'combination')}"
    if made["sampled"]:
        found, size = made["sampled"]
        yield f"  sample   {found} of {'endlessly many' if size is None else f'{size:,}'} configurations"


def counted(count: int, thing: str) -> str:
    """Return `1 trial`, `2 trials`."""
    return f"{count:,} {thing}{'s' * (count != 1)}"


def listed(texts: Sequence[str], most: int = 12, between: str = ", ") -> str:
    """Return texts one after another, and how many more there are."""
    more = f"{between}… ({len(texts)})" if len(texts) > most else ""
    return between.join(texts[:most]) + more


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def show_leaderboard(rows: Sequence[Row], top: int = 12) -> None:
    """Print the best configurations as a table, mean ± standard deviation over seeds."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nnexp.sweeps.leaderboard import cell, columns, counts

    names, counted = columns(rows), ["n", *counts(rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rank", justify="right")
    table.add_column("configuration", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for name in counted:
        table.add_column(name, justify="right")
    for rank, row in enumerate(rows[:top], start=1):
        cells = [*(cell(row, name) for name in names), *(str(getattr(row, name)) for name in counted)]
        table.add_row(str(rank), Text(row.label), *cells)  # a text as it is: [relu,tanh] is no style
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(table)
    if len(rows) > top:
        say(f"… and {len(rows) - top} more; all of them are in leaderboard.csv")


def seconds_line(stages: Mapping[str, float]) -> str:
    """Return where the seconds went: `start 0.4 s, compose 0.2 s, …`."""
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.items())


def show_trial(trial: Trial, result: TrialResult) -> None:
    """Print how a single trial went."""
    objective = trial.config.objective.metric
    if result.outcome == "diverged":
        say(f"diverged in epoch {result.epoch} of {trial.config.training.epochs}: its cost or a metric is not finite")
        return
    best = int(result.summary["epoch_best"])
    at_best = result.history[objective][result.epochs.index(best)]
    early = f" (stopped early, of {trial.config.training.epochs})" if "epoch_stopped" in result.summary else ""
    say(f"best epoch by {objective}: {best} of {result.epoch}{early}, {objective} {at_best:.4f}")
    for name, value in result.summary.items():
        if name.startswith("test/"):
            say(f"  {name} {value:.4f}")
    say(f"  {result.costs['parameters']:.0f} parameters, {result.costs['wall_seconds']:.2f} s of training")


def shown_path(path: Path) -> str:
    """Return a path as short as the current folder allows."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def how_to_look(uri: str, experiment_id: str) -> tuple[str, str]:
    """Return the command that starts MLflow's UI on a store, and the link to the runs in it."""
    view = f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    if uri.startswith(("http://", "https://")):
        return f"open {uri}", f"{uri.rstrip('/')}{view}"
    mlflow = shown_path(Path(sys.executable).with_name("mlflow"))
    if uri.startswith("sqlite:///"):
        uri = f"sqlite:///{shown_path(Path(uri.removeprefix('sqlite:///')))}"
    return (
        f"{shlex.quote(mlflow)} ui --workers 1 --backend-store-uri {shlex.quote(uri)}",
        f"http://127.0.0.1:5000{view}",
    )
