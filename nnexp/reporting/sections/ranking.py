"""The leaderboard: every configuration, its repeats aggregated."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import (
    Better,
    Block,
    Callout,
    Code,
    Column,
    Interval,
    Paragraph,
    Section,
    Table,
    Value,
    inline,
)
from nnexp.reporting.study import Configuration, Study, told
from nnexp.statistics.intervals import Interval as Bounds
from nnexp.statistics.intervals import bootstrap, deviation, iqm, median, t_interval

BOOTSTRAPPED = 100  # configurations, from the first
RESAMPLES = 1999


def leaderboard(study: Study, canvas: Canvas, *, ranked: bool) -> Section:
    """Return the section. ranked: whether configurations may be ranked; else they stand as planned, without a rank."""
    return Section("leaderboard", "Leaderboard", tuple(_blocks(study, canvas, ranked)))


def _blocks(study: Study, canvas: Canvas, ranked: bool) -> Iterator[Block]:
    if not ranked:
        yield Callout(
            "refusal", inline("Not ranked, for the reasons above: configurations stand in the order of the plan.")
        )
    objective = study.objective
    yield Paragraph(inline(
        "By the mean over repeats of ", Code(objective.metric), f" at the best epoch ({objective.better} is better). "
        "Configurations that miss repeats come after those that do not, those without a score last. ",
        "A score at the best of many epochs is a little too good, for every configuration alike: the test part tells.",
    ))  # fmt: skip
    yield _table(study, ranked)


def _table(study: Study, ranked: bool) -> Table:
    configurations = study.configurations if ranked else as_planned(study)
    rows = tuple(
        ((place if ranked else None), *_cells(study, each, place <= BOOTSTRAPPED))
        for place, each in enumerate(configurations, start=1)
    )
    better: Better = "higher" if study.objective.sign > 0 else "lower"
    columns = (
        Column("rank", format="integer"),
        *(Column(axis.label, format="number" if axis.numeric else "code") for axis in study.axes),
        Column("n", format="integer"),
        Column(f"{study.objective.metric} mean", format="score", better=better),
        Column("deviation", format="score"), Column("95 % t interval", format="bounds"),
        Column("95 % bootstrap interval", format="bounds"), Column("median", format="score"),
        Column("IQM", format="score"), Column("best seed", format="text"), Column("worst seed", format="text"),
        Column(f"{study.objective.test} mean", format="score", better=better),
        Column("test 95 % t interval", format="bounds"),
        Column("epochs to best", format="number"), Column("to best", format="seconds"),
        Column("diverged", format="integer"),
    )  # fmt: skip
    unbounded = "" if len(rows) <= BOOTSTRAPPED else f" Bootstrapped are the first {BOOTSTRAPPED}."
    note = (
        f"Bootstrap: BCa of {RESAMPLES:,} resamples (percentile where BCa is undefined). For few seeds it is too "
        f"narrow: of 5 normal values it holds the mean in 84 % of cases; take the t interval.{unbounded} IQM: mean of "
        "the middle half. To best: means up to the best epoch; seconds are a trial's share of its stack's."
    )
    return Table("leaderboard", "Configurations", columns, rows, note=note)


def as_planned(study: Study) -> list[Configuration]:
    """Return configurations in the order of the plan."""
    positions = dict(zip(study.snapshot.trials["key"], study.snapshot.trials["position"], strict=True))
    return sorted(study.configurations, key=lambda each: min(int(positions[one.key]) for one in each.repeats))


def _cells(study: Study, configuration: Configuration, bootstrapped: bool) -> tuple[Value, ...]:
    given = (configuration.parameters.get(axis.name) for axis in study.axes)
    parameters = [
        value if axis.numeric or value is None else told(value) for axis, value in zip(study.axes, given, strict=True)
    ]
    scores, n = configuration.scores, configuration.n
    if not n:
        return (*parameters, 0, *[None] * 11, configuration.count("diverged"))
    resampled = bootstrap(scores, study.generator(2), resamples=RESAMPLES) if bootstrapped and n > 1 else None
    tests = configuration.tests[np.isfinite(configuration.tests)]
    ordered = sorted(configuration.finished, key=lambda each: -study.objective.sign * each.score)
    return (
        *parameters, n, configuration.mean, deviation(scores) if n > 1 else None, _interval(t_interval(scores)),
        None if resampled is None else _interval(resampled), median(scores), iqm(scores),
        f"{ordered[0].score:.4f} ({ordered[0].seed})", f"{ordered[-1].score:.4f} ({ordered[-1].seed})",
        t_interval(tests).estimate if len(tests) else None, _interval(t_interval(tests)) if len(tests) > 1 else None,
        *_to_best(configuration), configuration.count("diverged"),
    )  # fmt: skip


def _interval(bounds: Bounds) -> Interval | None:
    return Interval(bounds.estimate, bounds.low, bounds.high) if bounds.known else None


def _to_best(configuration: Configuration) -> tuple[float, float]:
    """Return the mean number of epochs, and of seconds, until the best epoch."""
    epochs = [each.summary.get("epoch_best", math.nan) for each in configuration.finished]
    seconds = [
        each.costs.get("wall_seconds", math.nan) * best / max(each.epoch, 1)
        for each, best in zip(configuration.finished, epochs, strict=True)
    ]
    return math.fsum(epochs) / len(epochs), math.fsum(seconds) / len(seconds)
