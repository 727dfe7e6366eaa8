"""The leaderboard: every configuration, its repeats aggregated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

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
from nnexp.reporting.figures import scores
from nnexp.reporting.study import Configuration, Study, told
from nnexp.statistics.intervals import Interval as Bounds
from nnexp.statistics.intervals import bootstrap, deviation, iqm, median, t_interval

SHOWN = 20  # configurations in the figure
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
    drawn = [each for each in study.configurations if each.n]
    if drawn and ranked:
        yield _figure(study, canvas, drawn)


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


def _figure(study: Study, canvas: Canvas, drawn: Sequence[Configuration]) -> Block:
    shown = [_scored(each) for each in drawn[:SHOWN]]
    objective, some = (
        study.objective,
        f"the first {SHOWN} of {len(drawn):,}" if len(drawn) > SHOWN else f"all {len(drawn)}",
    )
    return canvas.figure(
        "leaderboard", "Configurations by their mean score",
        scores.leaderboard(shown, objective.metric, objective.better, len(drawn)),
        caption=inline(
            f"Of {some} configurations: ", Code(objective.metric), " at the best epoch, one filled dot a seed, with "
            "the mean "
            "and its 95 % t interval; hollow dots are the same networks on the test part.",
        ),
        alt=f"{objective.metric} of {len(shown)} configurations with their intervals",
    )  # fmt: skip


def _scored(configuration: Configuration) -> scores.Scored:
    tests, diverged = configuration.tests, configuration.count("diverged")
    bounds = t_interval(configuration.scores)
    low, high = (bounds.low, bounds.high) if bounds.known else (math.nan, math.nan)
    note = f"{diverged} diverged" if diverged else ""
    return scores.Scored(
        configuration.label, configuration.scores, tests[np.isfinite(tests)], bounds.estimate, low, high, note
    )


def as_planned(study: Study) -> list[Configuration]:
    """Return configurations in the order of the plan."""
    positions = dict(zip(study.snapshot.trials["key"], study.snapshot.trials["position"], strict=True))
    return sorted(study.configurations, key=lambda each: min(int(positions[one.key]) for one in each.repeats))


def _cells(study: Study, configuration: Configuration, bootstrapped: bool) -> tuple[Value, ...]:
    given = (configuration.parameters.get(axis.name) for axis in study.axes)
    parameters = [
        value if axis.numeric or value is None else told(value) for axis, value in zip(study.axes, given, strict=True)
    ]
    found, n = configuration.scores, configuration.n
    if not n:
        return (*parameters, 0, *[None] * 12, configuration.count("diverged"))
    resampled = bootstrap(found, study.generator(2), resamples=RESAMPLES) if bootstrapped and n > 1 else None
    tests = configuration.tests[np.isfinite(configuration.tests)]
    ordered = sorted(configuration.finished, key=lambda each: -study.objective.sign * each.score)
    return (
        *parameters, n, configuration.mean, deviation(found) if n > 1 else None, _interval(t_interval(found)),
        None if resampled is None else _interval(resampled), median(found), iqm(found),
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
