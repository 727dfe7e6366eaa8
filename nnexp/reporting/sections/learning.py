"""Learning curves: how training and validation scores grew, over epochs and over seconds, and the gap between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Block, Code, Omitted, Paragraph, Section, inline
from nnexp.reporting.figures.lines import Curve
from nnexp.reporting.figures.training import Course, curves, learning, norms
from nnexp.reporting.sections.leading import Leader, leaders
from nnexp.reporting.study import Configuration, Study, Vector

Band = tuple[Vector, Vector, Vector, Vector]  # epochs, median, lower and upper quartile


def learning_curves(study: Study, canvas: Canvas) -> Section:
    """Return the section."""
    return Section("learning", "Learning curves", tuple(_blocks(study, canvas)))


def _blocks(study: Study, canvas: Canvas) -> Iterator[Block]:
    shown = [each for each in leaders(study) if band(study, each.configuration, study.objective.metric) is not None]
    if not shown:
        yield Omitted("Learning curves", "No trial that finished has records.")
        return
    yield Paragraph(inline(
        "Each arm by its best configuration. Lines are medians over its seeds, bands reach from the lower to the upper "
        "quartile; where some seeds stopped early, the curve ends when fewer than half of them are left.",
    ))  # fmt: skip
    yield from _courses(study, canvas, shown)
    yield from _seconds(study, canvas, shown)
    yield from _gap(study, canvas, shown)


def measured(study: Study) -> tuple[str, str]:
    """Return the metric of the training and of the validation part that curves show: the objective's, else the loss."""
    named = study.objective.name
    there = study.snapshot.histories.columns
    return next(
        ((f"train/{name}", f"val/{name}") for name in (named, "loss") if {f"train/{name}", f"val/{name}"} <= {*there}),
        ("train/cost", study.objective.metric),
    )


def band(study: Study, configuration: Configuration, metric: str) -> Band | None:
    """Return median and quartiles of a metric over the seeds, at the epochs that at least half of them recorded."""
    histories = study.histories([each.key for each in configuration.finished])
    values: dict[int, list[float]] = {}
    for table in histories.values():
        if metric not in table:
            return None
        for epoch, value in zip(table["epoch"], table[metric], strict=True):
            if math.isfinite(value):
                values.setdefault(int(epoch), []).append(float(value))
    least = len(histories) / 2
    epochs = sorted(epoch for epoch, found in values.items() if len(found) >= least)
    if not epochs:
        return None
    quartiles = np.array([np.quantile(values[epoch], [0.5, 0.25, 0.75]) for epoch in epochs])
    return np.array(epochs, float), quartiles[:, 0], quartiles[:, 1], quartiles[:, 2]


def curve(leader: Leader, found: Band, factor: float = 1.0) -> Curve:
    """Return a leader's curve. factor: of the epochs, as seconds an epoch."""
    epochs, middle, low, high = found
    return Curve(leader.label, leader.place, epochs * factor, middle, low, high)


def _n(shown: Sequence[Leader]) -> str:
    counts = sorted({each.configuration.n for each in shown})
    return f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"


def _courses(study: Study, canvas: Canvas, shown: Sequence[Leader]) -> Iterator[Block]:
    train, validation = measured(study)
    courses = []
    for each in shown:
        pair = band(study, each.configuration, train), band(study, each.configuration, validation)
        if pair[0] is not None and pair[1] is not None:
            courses.append(Course(each.label, curve(each, pair[0]), curve(each, pair[1])))
    if not courses:
        yield Omitted("Training beside validation", inline("Records lack ", Code(train), " or ", Code(validation), "."))
        return
    yield canvas.figure(
        "learning",
        "Training and validation",
        learning(courses, validation.split("/", 1)[1]),
        caption=inline(
            Code(train), " (the mean over an epoch's mini-batches, with dropout) and ", Code(validation),
            f" over epochs; {_n(shown)} seeds an arm.",
        ),
        alt=f"{train} and {validation} over epochs, one panel for each of {len(courses)} arms",
    )  # fmt: skip


def _seconds(study: Study, canvas: Canvas, shown: Sequence[Leader]) -> Iterator[Block]:
    _, validation = measured(study)
    found = []
    for each in shown:
        seconds, line = seconds_an_epoch(each.configuration), band(study, each.configuration, validation)
        if line is not None and seconds > 0:
            found.append(curve(each, line, seconds))
    if not found:
        yield Omitted("Validation against seconds", "The trials' seconds are not recorded.")
        return
    yield canvas.figure(
        "learning-seconds",
        "Validation against seconds",
        curves(found, validation, "Seconds"),
        caption=inline(
            Code(validation), " against the trial's own seconds: its share of the time of its stack, "
            f"spread evenly over its epochs; {_n(shown)} seeds an arm. On one machine, and it shared the cores.",
        ),
        alt=f"{validation} over seconds, one line for each of {len(found)} arms",
    )  # fmt: skip


def seconds_an_epoch(configuration: Configuration) -> float:
    """Return the mean seconds that an epoch of a configuration's trials took; NaN if that is not known."""
    found = [each.costs["wall_seconds"] / each.epoch for each in configuration.finished
             if each.epoch and "wall_seconds" in each.costs]  # fmt: skip
    return math.fsum(found) / len(found) if found else math.nan


def _gap(study: Study, canvas: Canvas, shown: Sequence[Leader]) -> Iterator[Block]:
    train, validation = measured(study)
    found = []
    for each in shown:
        one, other = band(study, each.configuration, train), band(study, each.configuration, validation)
        if one is None or other is None:
            continue
        epochs, mine, theirs = np.intersect1d(one[0], other[0], return_indices=True)
        found.append(Curve(each.label, each.place, epochs, one[1][mine] - other[1][theirs]))
    if found and train.startswith("train/") and train.split("/")[1] == validation.split("/")[1]:
        yield canvas.figure(
            "gap",
            "The gap between training and validation",
            curves(found, f"{train} − {validation}", zero=True),
            caption=inline(
                "Median ", Code(train), " minus median ", Code(validation), f" over epochs; {_n(shown)} seeds an arm."
            ),
            alt=f"{train} minus {validation} over epochs, one line for each of {len(found)} arms",
        )  # fmt: skip


def norm_figure(study: Study, canvas: Canvas) -> Block:
    """Return the figure of the weights' and the gradients' norms over epochs."""
    found: dict[str, list[Curve]] = {"train/weight_norm": [], "train/grad_norm": []}
    for (name, lines), each in ((pair, leader) for leader in leaders(study) for pair in found.items()):
        line = band(study, each.configuration, name)
        if line is not None:
            lines.append(curve(each, line))
    if not all(found.values()):
        return Omitted("Norms of weights and gradients", "They are not recorded.")
    return canvas.figure(
        "norms",
        "Norms of weights and gradients",
        norms(found["train/weight_norm"], found["train/grad_norm"]),
        caption="Euclidean norms over epochs, of each arm's best configuration: of all weights without biases after an "
        "epoch, of the gradient at an epoch's first mini-batch. Medians over seeds.",
        alt=f"Norms of weights and gradients over epochs, one line for each of {len(leaders(study))} arms",
    )
