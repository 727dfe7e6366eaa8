"""Interactions: the mean score over pairs of axes that act together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Block, FigureBlock, Omitted, inline
from nnexp.reporting.figures.heat import interaction
from nnexp.reporting.sections.accounting import name_of
from nnexp.reporting.sections.answer import ALPHA
from nnexp.reporting.sections.contenders import WITHOUT_SCORE
from nnexp.reporting.sections.stretches import stretches_of
from nnexp.reporting.sections.variance import Decided, label_of
from nnexp.reporting.study import Axis, Study, Vector, told

MOST_PAIRS = 3
LEAST_SHARE = 0.01  # of an interaction that has a figure
MOST_COLUMNS, MOST_ROWS = 20, 28
NONE_FOUND = (
    f"No two parameters have an interaction of {100 * LEAST_SHARE:.0f} % of the variance that is more than seeds make "
    f"(F test, p ≤ {ALPHA})."
)


def interaction_blocks(study: Study, canvas: Canvas, decided: Decided) -> Iterator[Block]:
    """Yield the heat maps of the pairs of axes with the largest interactions."""
    what = "Interactions of pairs"
    if len(study.axes) < 2:
        yield Omitted(what, "Only one parameter was swept.")
        return
    pairs = _pairs(study, decided)
    if not pairs:
        yield Omitted(what, NONE_FOUND)
        return
    for one, other, share in pairs[:MOST_PAIRS]:
        across, down = _sides(one, other)
        if len(stretches_of(across)) > MOST_COLUMNS or len(stretches_of(down)) > MOST_ROWS:
            yield Omitted(f"{what}: {one.label} and {other.label}", "They have too many values for a map.")
        else:
            yield _figure(study, canvas, across, down, share)


def _pairs(study: Study, decided: Decided) -> list[tuple[Axis, Axis, float]]:
    """Return pairs with the share of their interaction, the largest first; without shares (NaN) the first ones."""
    if decided.shares is None:
        return [(study.axis(one), study.axis(other), math.nan) for one, other in combinations(decided.order, 2)]
    pairs = [each for each in decided.shares.terms if len(each.factors) == 2 and each.share >= LEAST_SHARE]
    found = [each for each in pairs if each.p is None or each.p <= ALPHA]
    ordered = sorted(found, key=lambda each: -each.share)
    return [(study.axis(each.factors[0]), study.axis(each.factors[1]), each.share) for each in ordered]


def _sides(one: Axis, other: Axis) -> tuple[Axis, Axis]:
    """Return which axis goes across and which down: numbers across, else the one with fewer values."""
    if one.numeric != other.numeric:
        return (one, other) if one.numeric else (other, one)
    return (one, other) if len(one.values) <= len(other.values) else (other, one)


def cells_of(study: Study, across: Axis, down: Axis) -> tuple[Vector, Vector]:
    """Return the mean score of each cell, NaN where there is none, and how many of its trials have no score."""
    columns, rows = (
        {told(value): at for at, stretch in enumerate(stretches_of(axis)) for value in stretch.values}
        for axis in (across, down)
    )
    sums, counts, lost = np.zeros((3, len(stretches_of(down)), len(stretches_of(across))))
    for each in study.configurations:
        if across.name in each.parameters and down.name in each.parameters:
            at = rows[told(each.parameters[down.name])], columns[told(each.parameters[across.name])]
            sums[at] += math.fsum(each.scores)
            counts[at] += each.n
            lost[at] += sum(repeat.state in WITHOUT_SCORE for repeat in each.repeats)
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return means, lost


def _figure(study: Study, canvas: Canvas, across: Axis, down: Axis, share: float) -> FigureBlock:
    objective = study.objective
    means, lost = cells_of(study, across, down)
    figure = interaction(
        [each.label for each in stretches_of(across)], [each.label for each in stretches_of(down)], means, lost,
        x=across.name, y=down.name, metric=objective.metric, better=objective.better,
    )  # fmt: skip
    total, empty = int(lost.sum()), int(np.isnan(means).sum())
    trials = sum(each.n for each in study.configurations)
    caption = [
        f"Mean {objective.metric} over all other parameters and seeds ({trials:,} trials with a score). "
        f"Brighter is better ({objective.better} values)."
    ]
    if not math.isnan(share):
        both = label_of(study, [across.name, down.name])
        caption.append(f" The interaction {both} is {100 * share:.1f} % of the variance of the score.")
    else:
        caption.append(" How large their interaction is is not known; shown are the parameters that come first.")
    if total:
        caption.append(f" Numbers with × count trials that diverged or failed ({total:,}); means are of the others.")
    if empty:
        caption.append(" Hatched: no score.")
    return canvas.figure(
        f"interaction-{name_of(down)}-{name_of(across)}", f"{down.label} and {across.label} together", figure,
        caption=inline(*caption), alt=_alt(study, across, down, means),
    )  # fmt: skip


def _alt(study: Study, across: Axis, down: Axis, means: Vector) -> str:
    ranked = np.where(np.isnan(means), -np.inf, study.objective.sign * means)
    row, column = np.unravel_index(int(np.argmax(ranked)), ranked.shape)
    return (
        f"Map of the mean {study.objective.metric} with {len(across.values)} values of {across.label} across and "
        f"{len(down.values)} of {down.label} down; the best cell is {down.label}={stretches_of(down)[row].label}, "
        f"{across.label}={stretches_of(across)[column].label} with {means[row, column]:.4g}."
    )
