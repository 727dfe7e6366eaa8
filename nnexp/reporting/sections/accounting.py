"""Accounting: what was planned and what became of it, the search space and what was spent on each arm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import (
    Block,
    Callout,
    Code,
    Column,
    Details,
    Inline,
    Paragraph,
    Section,
    Table,
    Value,
    inline,
)
from nnexp.reporting.fairness import Budget, Finding, budget, unequal
from nnexp.reporting.figures.costs import Ended
from nnexp.reporting.figures.costs import accounting as draw_outcomes
from nnexp.reporting.sections.leading import leading_axis
from nnexp.reporting.study import Axis, Configuration, Study, told

ENDS = ("finished", "diverged", "failed", "stopped", "missing")  # what becomes of planned trials


def accounting(study: Study, canvas: Canvas, found: Sequence[Finding]) -> Section:
    """Return the section: each planned trial is in one column, and what was found wrong is said first."""
    return Section("accounting", "Accounting", tuple(_blocks(study, canvas, found)))


def _blocks(study: Study, canvas: Canvas, found: Sequence[Finding]) -> Iterator[Block]:
    for each in found:
        yield Callout(each.kind, each.text)
    counts = outcomes(study.configurations)
    told_counts = " + ".join(f"{counts[end]:,} {end}" for end in ENDS)
    yield Paragraph(inline(f"{len(study.repeats):,} planned = {told_counts}."))
    yield _space(study)
    for axis in study.axes:
        yield _arms(study, axis)
        why = unequal(study.arms(axis))
        if why is not None:
            yield Callout("warning", inline("Unequal budgets of ", Code(axis.label), ": ", *why, "."))
    if any(not each.finished for each in study.repeats):
        yield _figure(study, canvas)
    ended_badly = [each for each in study.repeats if each.state in ("failed", "diverged")]
    if ended_badly:
        yield Details("Trials that diverged or failed", (_bad(study),))


def outcomes(configurations: Sequence[Configuration]) -> dict[str, int]:
    """Return how many trials came to each end; what did not begin, or was not ended, is missing."""
    states = [repeat.state for each in configurations for repeat in each.repeats]
    found = {end: states.count(end) for end in ENDS}
    return found | {"missing": sum(state not in ENDS for state in states)}


def _space(study: Study) -> Table:
    rows: list[tuple[Value, ...]] = [(axis.name, len(axis.values), _values(axis), _kind(axis)) for axis in study.axes]
    rows.append(("seed", len(study.seeds), ", ".join(map(str, study.seeds)), "repeats: averaged, never chosen from"))
    return Table(
        "search-space",
        "What was swept",
        (Column("axis", format="code"), Column("values", format="integer"), Column("which"), Column("kind")),
        tuple(rows),
        note=inline(*_made(study)),
        shown=40,
    )


def _values(axis: Axis) -> str:
    return ", ".join(map(told, axis.values))


def _kind(axis: Axis) -> str:
    return ("range, logarithmic" if axis.logarithmic else "range") if axis.numeric else "choices"


def _made(study: Study) -> Inline:
    parts = []
    for sweep in study.sweeps:
        for each in sweep.get("combinations", ()):
            text = f"{each['combinations']:,} combinations"
            removed = sum(each["removed"].values())
            text += f", {removed:,} removed by conditions" if removed else ""
            text += f", {each['collapsed']:,} merged" if each["collapsed"] else ""
            text += f", {each['sampled']:,} sampled" if each["sampled"] else ""
            parts.append(text)
    return inline("; ".join(parts), "." if parts else "")


def _arms(study: Study, axis: Axis) -> Table:
    rows = []
    for arm in study.arms(axis):
        counts, spent = outcomes(arm.configurations), budget(arm.configurations)
        rows.append((arm.label, *_spent(spent), *(counts[end] for end in ENDS)))
    columns = (
        Column(axis.label, format="code"), Column("configurations", format="integer"),
        Column("trials", format="integer"), Column("epochs trained", format="integer"),
        Column("training", format="seconds"), *(Column(end, format="integer") for end in ENDS),
    )  # fmt: skip
    return Table(
        f"budget-{name_of(axis)}", f"What was spent on each {axis.label}, and what became of it", columns, tuple(rows)
    )


def _figure(study: Study, canvas: Canvas) -> Block:
    axis = leading_axis(study)
    arms = (
        [("all", study.configurations)]
        if axis is None
        else [(arm.label, arm.configurations) for arm in study.arms(axis)]
    )
    rows = [Ended(label, **outcomes(configurations)) for label, configurations in arms]
    by = "" if axis is None else f", by {axis.label}"
    return canvas.figure(
        "outcomes", f"What became of the trials{by}", draw_outcomes(rows),
        caption=f"Shares of the {len(study.repeats):,} planned trials; drawn because not all of them finished.",
        alt=f"Shares of trials that finished, diverged, failed, were stopped or are missing{by}",
    )  # fmt: skip


def _spent(spent: Budget) -> tuple[Value, ...]:
    return spent.configurations, spent.trials, spent.epochs, spent.seconds


def _bad(study: Study) -> Table:
    rows = tuple(
        (each.label, each.state, each.epoch, each.note or "")
        for each in study.repeats
        if each.state in ("failed", "diverged")
    )
    columns = (
        Column("trial", format="code"),
        Column("end"),
        Column("epoch", format="integer"),
        Column("reason", format="code"),
    )
    return Table(
        "diverged-or-failed", "Trials that diverged or failed", columns, rows, note="Epoch: the last with records."
    )


def name_of(axis: Axis) -> str:
    """Return an axis's name as part of a file's."""
    return (
        "".join(each if each.isalnum() and each.isascii() else "-" for each in axis.label.lower()).strip("-") or "axis"
    )
