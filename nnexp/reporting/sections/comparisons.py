"""Comparisons: for each swept choice its arms beside each other, at their best and at their defaults."""

from __future__ import annotations

from collections.abc import Iterator

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Block, Callout, Code, Omitted, Paragraph, Reference, Section, Strong, inline
from nnexp.reporting.fairness import unequal
from nnexp.reporting.sections.accounting import name_of
from nnexp.reporting.sections.arms import arm_blocks
from nnexp.reporting.sections.budgets import budget_blocks
from nnexp.reporting.sections.contenders import FEW_NUMBERS, MOST_ARMS, Contender, contenders
from nnexp.reporting.sections.contrasts import Contrasts, adjusted, contrast_blocks, contrasts, improvement_blocks
from nnexp.reporting.sections.targets import target_blocks
from nnexp.reporting.study import Axis, Study


def comparisons(study: Study, canvas: Canvas, *, ranked: bool, allow_unequal: bool = False) -> Section:
    """Return the section.

    Args: ranked: whether anything may be ranked at all. allow_unequal: rank also arms that had unequal budgets.
    """
    return Section("comparisons", "Comparisons", tuple(_blocks(study, canvas, ranked, allow_unequal)))


def _blocks(study: Study, canvas: Canvas, ranked: bool, allow_unequal: bool) -> Iterator[Block]:
    if not ranked:
        yield Callout("refusal", "Arms are not compared, for the reasons that stand in the accounting.")
        return
    if not study.axes:
        yield Omitted("Comparisons", "Nothing was swept but the seed: there is one configuration.")
        return
    if (several := _datasets(study)) > 1:
        yield Callout("refusal", inline(f"Arms are not compared: at a seed trials have up to {several} different data, "
                                        "and a score on one says nothing of a score on another."))  # fmt: skip
        return
    fields = {axis.name: () if _too_many(axis) else contenders(study, axis) for axis in study.axes}
    compared = [axis for axis in study.axes if _why_not(study, axis, fields[axis.name], allow_unequal) is None]
    made = adjusted([contrasts(study, axis, fields[axis.name]) for axis in compared])
    told = {each.axis.name: each for each in made}
    for axis in study.axes:
        why_not = _why_not(study, axis, fields[axis.name], allow_unequal)
        if why_not is not None:
            yield why_not
        else:
            yield from _axis(study, canvas, fields[axis.name], told[axis.name])


def _axis(study: Study, canvas: Canvas, found: tuple[Contender, ...], made: Contrasts) -> Iterator[Block]:
    axis = made.axis
    scoreless = len(study.arms(axis)) - len(found)
    without = f" {scoreless} of its values have no trial with a score and are not shown." if scoreless else ""
    yield Paragraph(inline(Strong(f"By {axis.label}."), f" {len(found)} values of ", Code(axis.name), f".{without}"))
    yield from arm_blocks(study, canvas, axis, found)
    yield from contrast_blocks(study, canvas, made)
    if not axis.numeric:  # how numbers act is one line each in the section on sensitivity
        yield from improvement_blocks(study, canvas, axis, found)
        yield from target_blocks(study, canvas, axis, found)
        yield from budget_blocks(study, canvas, axis, found)


def _too_many(axis: Axis) -> bool:
    return len(axis.values) > (FEW_NUMBERS if axis.numeric else MOST_ARMS)


def _why_not(study: Study, axis: Axis, found: tuple[Contender, ...], allow_unequal: bool) -> Block | None:
    """Return what stands in the place of a comparison that is not made; None if it is."""
    what = f"Arms of {axis.label}"
    if axis.numeric and _too_many(axis):
        why = f"Its {len(axis.values)} values are a range of numbers: how the score follows them is shown under "
        return Omitted(what, inline(why, Reference("sensitivity", "Sensitivity"), "."))
    if _too_many(axis):
        why = f"It has {len(axis.values)} values; more than {MOST_ARMS} cannot be told apart in a figure: see "
        return Omitted(what, inline(why, Reference("leaderboard", "the leaderboard"), "."))
    if len(found) < 2:
        return Omitted(what, "Fewer than two of its values have a trial with a score.")
    reason = None if allow_unequal else unequal([each.arm for each in found])
    if reason is not None:
        budget = Reference(f"budget-{name_of(axis)}", "what was spent on each")
        refused = inline("The values of ", Code(axis.name), " are not compared: ", *reason, "; ", budget)
        return Callout("refusal", inline(*refused, ". --allow-unequal compares them all the same."))
    return None


def _datasets(study: Study) -> int:
    """Return how many different data trials of one seed were trained on, at most."""
    trials = study.snapshot.trials
    return int(trials.groupby("seed")["data"].nunique().max())
