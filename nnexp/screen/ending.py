"""The end: the leaderboard or the trial, where the seconds went, and where everything is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnexp.screen.lines import say
from nnexp.screen.places import shown_path
from nnexp.screen.single import show_trial
from nnexp.screen.table import show_leaderboard
from nnexp.screen.wording import seconds_line

if TYPE_CHECKING:
    from nnexp.screen.events import Result


def show_result(result: Result) -> None:
    """Print what came of a sweep."""
    if result.trial is None:
        say()
        show_leaderboard(result.rows)
    elif result.trial[1] is not None:
        show_trial(result.trial[0], result.trial[1])
    say()
    if set(result.states) - {"finished"}:
        say(f"trials:  {', '.join(f'{count:,} {state}' for state, count in result.states.items() if count)}")
    if result.seconds:
        say(f"seconds: {seconds_line(result.seconds)}; total {result.total_seconds:.1f} s")
    for note in result.notes:
        say(note)
    say(f"files:   {shown_path(result.folder)}")
    for name, line in zip(("look:", ""), result.look, strict=False):
        say(f"{name:<8} {line}")
    if result.again:
        say(f"go on:   {result.again}")
