"""Sensitivity: how the score follows each number that was swept, which parameters move it, and what seeds do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Block, Code, FigureBlock, Inline, Omitted, Section, inline
from nnexp.reporting.figures.parameters import BANDS, Response
from nnexp.reporting.figures.parameters import sensitivity as drawn
from nnexp.reporting.sections.accounting import name_of
from nnexp.reporting.sections.contenders import WITHOUT_SCORE
from nnexp.reporting.sections.contrasts import listed
from nnexp.reporting.sections.interactions import interaction_blocks
from nnexp.reporting.sections.leading import leading_axis
from nnexp.reporting.sections.seeds import seed_blocks
from nnexp.reporting.sections.stretches import Stretch, stretches_of
from nnexp.reporting.sections.variance import share_blocks, shares_of
from nnexp.reporting.study import SWEEP, Axis, Configuration, Study, told

MOST_AXES = 8  # that have a figure


def sensitivity(study: Study, canvas: Canvas) -> Section:
    """Return the section."""
    return Section("sensitivity", "Sensitivity", tuple(_blocks(study, canvas)))


def _blocks(study: Study, canvas: Canvas) -> Iterator[Block]:
    if not any(each.n for each in study.configurations):
        yield Omitted("Sensitivity", "No trial has a score.")
        return
    if not study.axes:
        yield Omitted("Sensitivity to parameters", "Nothing was swept but the seed.")
        yield from seed_blocks(study)
        return
    numeric = [axis for axis in study.axes if axis.numeric and axis.name != SWEEP]
    for axis in numeric[:MOST_AXES]:
        yield _figure(study, canvas, axis)
    if not numeric:
        yield Omitted("Score against a parameter", "No number was swept.")
    if left := numeric[MOST_AXES:]:
        names = inline(*listed([each.name for each in left]))
        yield Omitted(
            "Score against further parameters",
            inline(f"A figure each have the first {MOST_AXES} axes, not ", *names, "."),
        )
    decided = shares_of(study)
    yield from share_blocks(study, canvas, decided)
    yield from interaction_blocks(study, canvas, decided)
    yield from seed_blocks(study)


def _figure(study: Study, canvas: Canvas, axis: Axis) -> FigureBlock:
    objective, lines = study.objective, _lines(study)
    stretches = stretches_of(axis)
    found = responses(study, axis, lines, stretches)
    by = f", by {lines.label}" if lines is not None else ""
    figure = drawn(found, axis.name, objective.metric, log=axis.logarithmic, better=objective.better)
    return canvas.figure(
        f"sensitivity-{name_of(axis)}", f"{objective.metric} against {axis.label}{by}", figure,
        caption=_caption(study, axis, lines, found, stretches), alt=_alt(study, axis, found),
    )  # fmt: skip


def _lines(study: Study) -> Axis | None:
    """Return the axis that has a line for each of its values; None for one line."""
    axis = leading_axis(study)
    return axis if axis is not None and not axis.numeric else None


def responses(study: Study, axis: Axis, lines: Axis | None, stretches: Sequence[Stretch]) -> list[Response]:
    """Return the line of each arm: means over its trials at each place, with the range of the seeds' means."""
    place_of = {told(value): at for at, stretch in enumerate(stretches) for value in stretch.values}
    if lines is None:
        groups = [("all", 0, study.configurations)]
    else:
        groups = [(each.label, each.place, each.configurations) for each in study.arms(lines)]
    found = [_response(label, place, there, axis, stretches, place_of) for label, place, there in groups]
    return [each for each in found if len(each.x)]


def _response(
    label: str,
    place: int,
    configurations: Sequence[Configuration],
    axis: Axis,
    stretches: Sequence[Stretch],
    place_of: dict[str, int],
) -> Response:
    there: dict[int, list[Configuration]] = {}
    for each in configurations:
        if axis.name in each.parameters:
            there.setdefault(place_of[told(each.parameters[axis.name])], []).append(each)
    at = sorted(there)
    rows = [_over_seeds(there[each]) for each in at]
    middle, low, high = np.array(rows).reshape(-1, 3).T
    lost = [sum(each.state in WITHOUT_SCORE for one in there[place] for each in one.repeats) for place in at]
    return Response(label, place, np.array([stretches[each].place for each in at]), middle, low, high, lost)


def _over_seeds(configurations: Sequence[Configuration]) -> tuple[float, float, float]:
    """Return the mean, the least and the greatest of the seeds' means over configurations, NaN without any score."""
    by_seed: dict[int, list[float]] = {}
    for configuration in configurations:
        for each in configuration.finished:
            by_seed.setdefault(each.seed, []).append(each.score)
    if not by_seed:
        return math.nan, math.nan, math.nan
    means = [math.fsum(each) / len(each) for each in by_seed.values()]
    return math.fsum(means) / len(means), min(means), max(means)


def _caption(
    study: Study, axis: Axis, lines: Axis | None, found: Sequence[Response], stretches: Sequence[Stretch]
) -> Inline:
    others = [each.name for each in study.axes if each is not axis and each is not lines]
    over = inline(" and over ", *listed(others)) if others else ()
    lost = sum(sum(each.lost) for each in found)
    parts = [f" over {len(study.seeds)} seeds"]
    band = (
        " Bands reach from the worst to the best seed."
        if len(found) <= BANDS and len(study.seeds) > 1
        else f" Bands are left out: more than {BANDS} would hide each other."
        if len(found) > BANDS
        else ""
    )
    crosses = f" Crosses: {lost:,} trials that diverged or failed; means are of the others." if lost else ""
    each = len(axis.values) / len(stretches)
    places = f" Each point is of about {each:.0f} neighbouring values." if each > 1 else ""
    return inline("Mean ", Code(study.objective.metric), *parts, over, f".{band}{crosses}{places}")


def _alt(study: Study, axis: Axis, found: Sequence[Response]) -> str:
    sign = study.objective.sign
    points = [(sign * y, x, each.label) for each in found for x, y in zip(each.x, each.middle, strict=True) if y == y]
    lines = "One line" if len(found) == 1 else f"{len(found)} lines"
    if not points:
        return f"{lines} of {study.objective.metric} against {axis.label}, without a score."
    best, x, label = max(points, key=lambda each: each[0])
    of = "" if len(found) == 1 else f" for {label}"
    return (
        f"{lines} of {study.objective.metric} against {axis.label}; the best mean is {sign * best:.4g} at {x:.4g}{of}."
    )
