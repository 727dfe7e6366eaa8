"""Time to a target: how many epochs and seconds the arms of an axis take to the same validation score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Block, Code, Column, Details, Inline, Omitted, Paragraph, Table, inline
from nnexp.reporting.figures.lines import Curve, performance_profile, time_to_target
from nnexp.reporting.printing import score
from nnexp.reporting.sections.accounting import name_of
from nnexp.reporting.sections.contenders import WITHOUT_SCORE, Contender
from nnexp.reporting.study import Axis, Configuration, Repeat, Study, Vector
from nnexp.statistics.targets import profile_scores, profiles, ratios, share_arrived
from nnexp.statistics.targets import time_to_target as first_reached

UPTO = 4.0  # times the fastest: where AlgoPerf's score ends


@dataclass(frozen=True)
class Race:
    """How the arms' best configurations came to a target.

    epochs, seconds: of each arm's trials that ended, by label and seed; inf where they missed it. seeds: those of which
    all arms have such a trial.
    """

    axis: Axis
    contenders: Sequence[Contender]
    target: float
    epochs: Mapping[str, Mapping[int, float]] = field(repr=False)
    seconds: Mapping[str, Mapping[int, float]] = field(repr=False)

    @property
    def seeds(self) -> list[int]:
        """The seeds that all arms have."""
        return sorted(set.intersection(*(set(each) for each in self.epochs.values())))

    def matrix(self, times: Mapping[str, Mapping[int, float]]) -> Vector:
        """Return the times of the common seeds, (seeds, arms)."""
        return np.array([[times[each.label][seed] for each in self.contenders] for seed in self.seeds])


def target_blocks(study: Study, canvas: Canvas, axis: Axis, found: Sequence[Contender]) -> Iterator[Block]:
    """Yield how fast the arms reach a target, and what cannot be said of it."""
    race = _race(study, axis, found)
    if race is None:
        yield Omitted(f"Time to target by {axis.label}", "The records of the epochs are not there.")
        return
    yield Paragraph(_explained(study, race))
    if all(math.isinf(time) for times in race.epochs.values() for time in times.values()):
        yield Omitted(f"Time to target by {axis.label}", "No trial of these configurations has it at any epoch.")
        return
    yield _arrivals(study, canvas, race)
    yield _table(race)
    if len(race.seeds) > 1:
        yield Details(f"Performance profile ({axis.label})", (_profile(canvas, race),))
    else:
        yield Omitted(f"Performance profile of {axis.label}", "The arms have fewer than two seeds in common.")


def target_of(study: Study, found: Sequence[Contender]) -> float:
    """Return the mean validation score of the median arm's best configuration; of an even number the worse one's."""
    means = sorted((study.objective.sign * each.tuned.mean for each in found), reverse=True)
    return study.objective.sign * means[len(means) // 2]


def _race(study: Study, axis: Axis, found: Sequence[Contender]) -> Race | None:
    target = target_of(study, found)
    epochs = {each.label: _epochs(study, each.tuned, target) for each in found}
    if not all(epochs.values()):
        return None
    seconds = {
        each.label: {
            repeat.seed: _seconds(repeat, epochs[each.label][repeat.seed])
            for repeat in each.tuned.repeats
            if repeat.seed in epochs[each.label]
        }
        for each in found
    }
    return Race(axis, found, target, epochs, seconds)


def _epochs(study: Study, configuration: Configuration, target: float) -> dict[int, float]:
    """Return the epoch at which each trial that ended had the target for the first time; inf if it did not finish."""
    sign, metric = study.objective.sign, study.objective.metric
    records = study.histories([each.key for each in configuration.repeats])
    found = {each.seed: math.inf for each in configuration.repeats if each.state in WITHOUT_SCORE}
    for repeat in configuration.finished:
        if repeat.key in records and metric in records[repeat.key]:
            table = records[repeat.key]
            scores = sign * table[metric].to_numpy(dtype=np.float64)
            found[repeat.seed] = first_reached(scores, sign * target, table["epoch"].to_numpy(dtype=np.float64))
    return found


def _seconds(repeat: Repeat, epochs: float) -> float:
    """Return a trial's share of its stack's seconds up to an epoch."""
    if math.isinf(epochs):
        return math.inf
    return repeat.costs.get("wall_seconds", math.nan) * epochs / max(repeat.epoch, 1)


def _told_target(study: Study, race: Race) -> str:
    sign = "≥" if study.objective.direction == "maximize" else "≤"
    return f"{study.objective.metric} {sign} {score(race.target)}"


def _explained(study: Study, race: Race) -> Inline:
    even = " (of the two in the middle the worse one)" if len(race.contenders) % 2 == 0 else ""
    return inline(
        "Time to target: the target is ", Code(_told_target(study, race)),
        f", the mean that the best configuration of the median {race.axis.label} has at its best epochs{even}. A trial "
        "that never has it, or diverged, misses it: its time is infinite, and counts so.",
    )  # fmt: skip


def _arrivals(study: Study, canvas: Canvas, race: Race) -> Block:
    curves = []
    for each in race.contenders:
        steps = share_arrived(list(race.epochs[each.label].values()))
        curves.append(Curve(each.label, each.arm.place, steps.at, steps.share))
    last = max(repeat.epoch for each in race.contenders for repeat in each.tuned.repeats)
    reached = sum(bool(len(each.x)) for each in curves)
    return canvas.figure(
        f"to-target-{name_of(race.axis)}",
        f"How soon each {race.axis.label} reaches the target",
        time_to_target(curves, _told_target(study, race), float(last)),
        caption=inline(
            "Share of the trials of each arm's best configuration that had the target by an epoch "
            f"(n = {_counts(race)} trials an arm); a line that ends below 1 has misses."
        ),
        alt=f"Steps that rise with the epochs, one line for each of {len(curves)} values of {race.axis.label}; "
        f"{reached} of them reach the target with at least one trial.",
    )


def _counts(race: Race) -> str:
    sizes = sorted({len(each) for each in race.epochs.values()})
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"


def _table(race: Race) -> Table:
    by_epochs, by_seconds = _profile_scores(race, race.epochs), _profile_scores(race, race.seconds)
    rows = []
    for place, each in enumerate(race.contenders):
        times, seconds = (list(kind[each.label].values()) for kind in (race.epochs, race.seconds))
        arrived = sum(math.isfinite(time) for time in times)
        rows.append(
            (each.label, each.tuned.label, f"{arrived} of {len(times)}", float(np.median(times)),
             float(np.median(seconds)), by_epochs[place], by_seconds[place])
        )  # fmt: skip
    columns = (
        Column(race.axis.label, format="code"), Column("best configuration", format="code"), Column("reached"),
        Column("median epochs", format="number"), Column("median time", format="seconds"),
        Column("profile score, epochs", format="score", better="higher"),
        Column("profile score, seconds", format="score", better="higher"),
    )  # fmt: skip
    note = (
        "Medians over seeds, misses as infinite. Seconds are a trial's share of its stack's. Profile score: the area "
        "under the performance profile from 1 to 4 times the fastest, as in AlgoPerf, over 3, with the seeds as the "
        "problems; 1 for an arm that is the fastest at every seed. It depends on which arms are compared."
    )
    return Table(
        f"to-target-{name_of(race.axis)}", f"Time to target of each {race.axis.label}", columns, tuple(rows), note=note
    )


def _profile_scores(race: Race, times: Mapping[str, Mapping[int, float]]) -> Sequence[float | None]:
    matrix = race.matrix(times) if race.seeds else np.empty((0, 0))
    if not len(matrix) or np.isnan(matrix).any() or (matrix <= 0).any():
        return [None] * len(race.contenders)
    return [float(each) for each in profile_scores(matrix, UPTO)]


def _profile(canvas: Canvas, race: Race) -> Block:
    matrix = race.matrix(race.epochs)
    curves = [
        Curve(each.label, each.arm.place, steps.at, steps.share)
        for each, steps in zip(race.contenders, profiles(matrix), strict=True)
    ]
    factors = ratios(matrix)
    end = max(UPTO, float(factors[np.isfinite(factors)].max(initial=1.0)))
    solved = int(np.isfinite(matrix).any(axis=1).sum())
    return canvas.figure(
        f"profile-{name_of(race.axis)}",
        f"Performance profile of each {race.axis.label}",
        performance_profile(curves, x_max=end),
        caption=inline(
            f"Share of problems in which an arm's best configuration has the target within a factor of the epochs of "
            f"the fastest arm. The problems are the {len(race.seeds)} common seeds of one task, not different tasks: "
            f"at {solved} of them some arm reached the target."
        ),
        alt=f"Steps that rise with the factor of the fewest epochs to the target, a line for each of {len(curves)} "
        f"values of {race.axis.label}.",
    )
