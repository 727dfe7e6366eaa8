"""What a budget is expected to buy: the best score of so many trials, or of so many seconds, for each arm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Block, Column, Omitted, Table, inline
from nnexp.reporting.figures.lines import Curve, expected_best
from nnexp.reporting.sections.accounting import name_of
from nnexp.reporting.sections.contenders import WITHOUT_SCORE, Contender
from nnexp.reporting.study import Arm, Axis, Repeat, Study, Vector
from nnexp.statistics.budgets import expected_best as of_trials
from nnexp.statistics.budgets import expected_best_in

ORDERS = 200  # that are drawn for a seed and an arm
PLACES = 24  # at which seconds are looked at
MOST_PLACES = 40  # numbers of trials that are drawn
TOLD = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # numbers of trials in the table


@dataclass(frozen=True)
class Tries:
    """An arm's trials by seed: each seed has tried its configurations once. size: trials of a seed. scores: oriented,
    -inf where there is none, (seeds, size). seconds: what they took, NaN where it is not known."""

    arm: Arm
    scores: Vector = field(repr=False)
    seconds: Vector = field(repr=False)

    @property
    def size(self) -> int:
        """How many trials a seed has."""
        return int(self.scores.shape[1])


def budget_blocks(study: Study, canvas: Canvas, axis: Axis, found: Sequence[Contender]) -> Iterator[Block]:
    """Yield the expected best score of each arm against trials and against seconds."""
    what = f"Expected best score of a budget by {axis.label}"
    if max(len(each.arm.configurations) for each in found) < 2:
        yield Omitted(what, "Each arm has one configuration: there is nothing to choose from.")
        return
    tries = [made for each in found if (made := _tries(study, each.arm)) is not None]
    if len(tries) < len(found):
        yield Omitted(what, "Of some arms no seed has tried all configurations.")
        return
    there = np.concatenate([each.scores[np.isfinite(each.scores)] for each in tries])
    if not len(there):
        yield Omitted(what, "At the seeds that have tried all configurations no trial has a score.")
        return
    floor = float(there.min())
    by_trials = [_by_trials(study, each, floor) for each in tries]
    yield _trials_figure(study, canvas, axis, tries, by_trials)
    yield _table(study, axis, tries, by_trials)
    if all(bool((each.seconds > 0).all()) for each in tries):
        yield _seconds_figure(study, canvas, axis, tries, floor)
    else:
        yield Omitted(f"{what}, against seconds", "Of some trials it is not known how long they took.")


def _tries(study: Study, arm: Arm) -> Tries | None:
    """Return an arm's trials at the seeds at which all of its configurations have ended; None if there is none."""
    by_seed: dict[int, list[Repeat]] = {}
    for each in arm.repeats:
        if each.finished or each.state in WITHOUT_SCORE:
            by_seed.setdefault(each.seed, []).append(each)
    whole = [by_seed[seed] for seed in sorted(by_seed) if len(by_seed[seed]) == len(arm.configurations)]
    if not whole:
        return None
    scores = [[study.objective.sign * each.score if each.finished else -math.inf for each in row] for row in whole]
    seconds = [[each.costs.get("wall_seconds", math.nan) for each in row] for row in whole]
    return Tries(arm, np.array(scores), np.array(seconds))


def _by_trials(study: Study, tries: Tries, floor: float) -> Curve:
    spread = np.geomspace(1, tries.size, MOST_PLACES).round().astype(np.int64)
    numbers = np.unique(np.concatenate([spread, [each for each in TOLD if each <= tries.size]]))
    return _curve(study, tries, numbers.astype(np.float64), [of_trials(row, numbers, floor) for row in tries.scores])


def _by_seconds(study: Study, tries: Tries, floor: float) -> Curve:
    """Return the curve from where the longest trial has ended to where all have, at every seed."""
    start, end = float(tries.seconds.max()), float(tries.seconds.sum(axis=1).min())
    budgets = np.geomspace(min(start, end), end, PLACES)
    found = []
    for place, (row, seconds) in enumerate(zip(tries.scores, tries.seconds, strict=True)):
        rng = study.generator(5, study.axes.index(tries.arm.axis), tries.arm.place, place)
        found.append(expected_best_in(row, seconds, budgets, rng, floor=floor, orders=ORDERS).expected)
    return _curve(study, tries, budgets, found)


def _curve(study: Study, tries: Tries, x: Vector, rows: Sequence[Vector]) -> Curve:
    """Return the mean over seeds with the range of the seeds."""
    found = study.objective.sign * np.array(rows)
    band = (found.min(axis=0), found.max(axis=0)) if len(found) > 1 else (np.empty(0), np.empty(0))
    return Curve(tries.arm.label, tries.arm.place, x, found.mean(axis=0), *band)


def _trials_figure(study: Study, canvas: Canvas, axis: Axis, tries: Sequence[Tries], curves: Sequence[Curve]) -> Block:
    objective = study.objective
    drawn = expected_best(curves, objective.metric, "Trials (configurations tried)", objective.better)  # type: ignore[arg-type]
    return canvas.figure(
        f"budget-trials-{name_of(axis)}", f"What so many trials are expected to find, by {axis.label}", drawn,
        caption=inline(
            f"Expected best {objective.metric} of so many configurations of an arm, drawn at random without "
            f"replacement and tried once: the unbiased estimator, at each seed by itself; lines are means over seeds "
            f"(n = {_seeds(tries)}), bands reach from the worst to the best seed. {_diverged(tries)}"
        ),
        alt=_alt(axis, curves, "the number of trials"),
    )  # fmt: skip


def _seconds_figure(study: Study, canvas: Canvas, axis: Axis, tries: Sequence[Tries], floor: float) -> Block:
    objective, curves = study.objective, [_by_seconds(study, each, floor) for each in tries]
    return canvas.figure(
        f"budget-seconds-{name_of(axis)}", f"What so many seconds are expected to find, by {axis.label}",
        expected_best(curves, objective.metric, "Seconds", objective.better),  # type: ignore[arg-type]
        caption=inline(
            "The same against the seconds of training, if the trials run one after another in a random order: means "
            f"over {ORDERS:,} drawn orders (all of them up to 7 trials) at each seed and over seeds "
            f"(n = {_seeds(tries)}); bands from the worst to the best seed. Lines begin when the longest trial alone "
            "would have ended. Seconds are a trial's share of its stack's, and so depend on what trained beside it."
        ),
        alt=_alt(axis, curves, "seconds"),
    )  # fmt: skip


def _diverged(tries: Sequence[Tries]) -> str:
    lost = sum(int(np.isinf(each.scores).sum()) for each in tries)
    all = sum(each.scores.size for each in tries)
    return f"{lost:,} of {all:,} trials diverged or failed and count as the worst score that there is." if lost else ""


def _seeds(tries: Sequence[Tries]) -> str:
    sizes = sorted({len(each.scores) for each in tries})
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"


def _alt(axis: Axis, curves: Sequence[Curve], against: str) -> str:
    return f"The expected best score against {against}, a rising line for each of {len(curves)} values of {axis.label}."


def _table(study: Study, axis: Axis, tries: Sequence[Tries], curves: Sequence[Curve]) -> Table:
    most = max(each.size for each in tries)
    wanted = [each for each in TOLD if each < most] + [most]
    rows = tuple(
        (each.label, *(_at(each, number) for number in wanted), float(made.seconds.sum(axis=1).mean()))
        for each, made in zip(curves, tries, strict=True)
    )
    better = study.objective.better
    columns = (
        Column(axis.label, format="code"),
        *(Column(f"best of {each}", format="score", better=better) for each in wanted),  # type: ignore[arg-type]
        Column("all of them take", format="seconds"),
    )
    return Table(
        f"budget-trials-{name_of(axis)}", f"Expected best {study.objective.metric} of so many trials, by {axis.label}",
        columns, rows, note="Means over seeds; what all configurations of an arm take is the mean of the seeds' sums.",
    )  # fmt: skip


def _at(curve: Curve, number: int) -> float | None:
    """Return a curve's height at a number of trials; None where it was not looked at: the arm has fewer."""
    there = np.flatnonzero(curve.x == number)
    return float(curve.y[there[0]]) if len(there) else None
