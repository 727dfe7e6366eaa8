"""The arms of an axis beside each other: the best configuration of each, and what it has at its defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Block, Code, Column, Inline, Interval, Omitted, Part, Table, Value, inline
from nnexp.reporting.figures.scores import Scored, ScoredArm, arms
from nnexp.reporting.printing import score
from nnexp.reporting.sections.accounting import name_of
from nnexp.reporting.sections.contenders import Contender, best_of, is_tested, missing_defaults
from nnexp.reporting.study import Axis, Configuration, Study, Vector
from nnexp.statistics.intervals import t_interval

NONE = np.empty(0)


def arm_blocks(study: Study, canvas: Canvas, axis: Axis, found: Sequence[Contender]) -> Iterator[Block]:
    """Yield the figure and the table of an axis's arms, and which have no configuration at their defaults."""
    rows = [_scored_arm(each) for each in found]
    drawn = arms(rows, study.objective.metric, study.objective.better)
    yield canvas.figure(
        f"arms-{name_of(axis)}", f"The best configuration of each {axis.label}", drawn,
        caption=_caption(study, axis, found), alt=_alt(study, axis, found),
    )  # fmt: skip
    yield _table(study, axis, found)
    lacking = [each for each in found if each.defaults is None]
    if lacking:
        yield Omitted(f"{axis.label} at defaults{'' if len(lacking) == len(found) else ', of some'}", _why(lacking))


def _scored_arm(contender: Contender) -> ScoredArm:
    defaults = contender.defaults
    return ScoredArm(
        contender.label,
        contender.arm.place,
        _scored(contender.tuned),
        None if defaults is None or defaults is contender.tuned else _scored(defaults),
    )


def _scored(configuration: Configuration) -> Scored:
    bounds = t_interval(configuration.scores) if configuration.n > 1 else None
    low, high = (bounds.low, bounds.high) if bounds is not None else (math.nan, math.nan)
    tests = configuration.tests[np.isfinite(configuration.tests)]
    return Scored(configuration.label, configuration.scores, tests, configuration.mean, low, high)


def _caption(study: Study, axis: Axis, found: Sequence[Contender]) -> Inline:
    sizes = sorted({len(each.arm.configurations) for each in found})
    of = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    parts: list[Part] = [
        f"Of the {of} configurations of each arm the one with the best mean ", Code(study.objective.metric),
        f" (named under it). Filled: validation, one mark a seed ({seeds_told([each.tuned for each in found])}), with "
        "the mean and its 95 % t interval; hollow: test.",
    ]  # fmt: skip
    if any(each.defaults is not None and each.defaults is not each.tuned for each in found):
        parts.append(" Grey: the same arm with every other swept parameter at its own default.")
    return inline(*parts)


def seeds_told(configurations: Sequence[Configuration]) -> str:
    """Return `n = 8`, or `n = 5 to 8`: how many repeats of configurations have a score."""
    numbers = sorted({each.n for each in configurations})
    return f"n = {numbers[0]}" if len(numbers) == 1 else f"n = {numbers[0]} to {numbers[-1]}"


def _alt(study: Study, axis: Axis, found: Sequence[Contender]) -> str:
    best = best_of(study, found)
    worst = max(found, key=lambda each: study.configurations.index(each.tuned))
    return (
        f"Dots for the scores of the best configuration of each of {len(found)} values of {axis.label}. Highest in "
        f"rank is {best.label} with a mean {study.objective.metric} of {score(best.tuned.mean)}, lowest "
        f"{worst.label} with {score(worst.tuned.mean)}."
    )


def _table(study: Study, axis: Axis, found: Sequence[Contender]) -> Table:
    objective, tested = study.objective, is_tested(found)
    rows = tuple(_row(each, tested) for each in found)
    better = objective.better
    columns = [
        Column(axis.label, format="code"), Column("best configuration", format="code"),
        Column("configurations", format="integer"), Column("n", format="integer"),
        Column("diverged", format="integer"),
        Column(f"{objective.metric} (95 % t interval)", format="interval", better=better),  # type: ignore[arg-type]
    ]  # fmt: skip
    shown = objective.test if tested else objective.metric
    if tested:
        columns.append(Column(f"{shown} (95 % t interval)", format="interval", better=better))  # type: ignore[arg-type]
    columns += [
        Column(f"{shown} at defaults", format="interval", better=better),  # type: ignore[arg-type]
        Column("tuned minus defaults", format="difference"),
    ]
    note = (
        "Best configuration: by mean validation score, so its validation score is a little too good; the test part "
        "selected nothing. n: its repeats with a score; diverged: those without."
    )
    if not tested:
        note = "There is no test part: all scores are of the examples that selected the configurations, and too good."
    return Table(f"arms-{name_of(axis)}", f"Each {axis.label}, tuned and at defaults", tuple(columns), rows, note=note)


def _row(contender: Contender, tested: bool) -> tuple[Value, ...]:
    tuned, defaults = contender.tuned, contender.defaults
    cells: list[Value] = [
        contender.label, tuned.label, len(contender.arm.configurations), tuned.n, tuned.count("diverged"),
        _interval(tuned.scores),
    ]  # fmt: skip
    if tested:
        cells.append(_interval(tuned.tests))
    plain = _interval(_of(defaults, tested)) if defaults is not None else None
    gain = _interval(_of(tuned, tested)).middle - plain.middle if plain is not None else None
    return (*cells, plain, gain)


def _of(configuration: Configuration, tested: bool) -> Vector:
    return configuration.tests if tested else configuration.scores


def _interval(scores: Vector) -> Interval:
    if len(scores) < 2:
        return Interval(float(scores[0]) if len(scores) else math.nan, math.nan, math.nan)
    bounds = t_interval(scores)
    return Interval(bounds.estimate, bounds.low, bounds.high)


def _why(lacking: Sequence[Contender]) -> Inline:
    parts: list[Part] = []
    for contender in lacking:
        wanted = ", ".join(f"{name}={value}" for name, value in missing_defaults(contender))
        parts += ["; " if parts else "No configuration that was swept has, with a score, ", Code(contender.label),
                  " and ", Code(wanted)]  # fmt: skip
    return inline(*parts, ".")
