"""What is about to run, in lines."""

from __future__ import annotations

from collections.abc import Iterator

from nnexp.screen.events import Planned
from nnexp.screen.wording import counted


def planned_lines(planned: Planned) -> Iterator[str]:
    """Yield what a sweep is, what of it is there already, and how the rest is trained."""
    if not planned.single:
        yield f"sweep {planned.sweep}: {_size(planned)}"
    if planned.done:
        there = f"{planned.done:,} of {counted(planned.trials, 'trial')} {_are(planned.done)} in the ledger already"
        yield f"  {there} and {_are(planned.done)} not trained again"
    if planned.failed:
        yield f"  {planned.failed:,} failed before; sweep.rerun=failed tries {_them(planned.failed)} again"
    if planned.reused:
        trained = f"another sweep in this ledger has trained {_them(planned.reused)}"
        yield f"  {planned.reused:,} {_are(planned.reused)} reused: {trained}"
    if planned.resumed:
        go_on = "goes on from its" if planned.resumed == 1 else "go on from their"
        yield f"  {counted(planned.resumed, 'stack')} {go_on} last saved slice"
    if planned.to_train and not planned.single:
        yield f"  training {planned.to_train:,} in {_stacks(planned)}"


def _size(planned: Planned) -> str:
    size = f"{counted(planned.trials, 'trial')} of {counted(planned.configurations, 'configuration')}"
    removed = f", {counted(planned.removed, 'combination')} removed" if planned.removed else ""
    merged = f", {counted(planned.merged, 'repeated combination')} merged" if planned.merged else ""
    return size + removed + merged


def _stacks(planned: Planned) -> str:
    widths, used = planned.widths, min(planned.workers, len(planned.widths))
    wide = f"{min(widths)} to {max(widths)}" if min(widths) < max(widths) else str(widths[0])
    return f"{counted(len(widths), 'stack')} of {wide} on {counted(used, 'worker')}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"
