"""Fairness: what a ranking must not rest on, found in the numbers themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nnexp.reporting.document import Code, Inline, inline
from nnexp.reporting.study import Arm, Axis, Configuration, Study, told

UNEQUAL = 1.1  # ratio of budgets from which on a ranking is refused
HOLES = ("failed", "stopped", "running", "planned")  # states of trials that no ranking has
LEAST_RANGE = 3  # values from which on the first and the last are the edges of a range


@dataclass(frozen=True)
class Finding:
    """Something that a reader must know before a ranking. kind: whether it forbids it."""

    kind: Literal["refusal", "warning", "note"]
    text: Inline


@dataclass(frozen=True)
class Budget:
    """What was spent on some configurations. epochs: that were trained; planned_epochs: that were to be."""

    configurations: int
    trials: int
    planned_epochs: int
    epochs: int
    seconds: float


def budget(configurations: Sequence[Configuration]) -> Budget:
    """Return what was planned for and spent on some configurations."""
    repeats = [repeat for each in configurations for repeat in each.repeats]
    return Budget(
        configurations=len(configurations),
        trials=len(repeats),
        planned_epochs=sum(each.epochs for each in repeats),
        epochs=sum(each.epoch for each in repeats),
        seconds=sum(each.total("wall_seconds") for each in configurations),
    )


def findings(study: Study) -> list[Finding]:
    """Return all that a reader must know before the ranking of configurations."""
    found = [*_holes(study), *_repeats(study), *_mixed(study), *_edges(study), *_selection(study), *_lengths(study)]
    return sorted(found, key=lambda each: ("refusal", "warning", "note").index(each.kind))


def is_refused(found: Sequence[Finding]) -> bool:
    """Whether something forbids a ranking."""
    return any(each.kind == "refusal" for each in found)


def unequal(arms: Sequence[Arm]) -> Inline | None:
    """Return why arms must not be ranked: one had more to choose from, or more epochs, than another; None if none."""
    for what, amounts in (
        ("trials", [budget(each.configurations).trials for each in arms]),
        ("planned epochs", [budget(each.configurations).planned_epochs for each in arms]),
    ):
        if amounts and max(amounts) > UNEQUAL * min(amounts):
            most, least = arms[amounts.index(max(amounts))], arms[amounts.index(min(amounts))]
            return inline(
                Code(most.label), f" had {max(amounts):,} {what}, ", Code(least.label), f" {min(amounts):,}: ",
                f"{max(amounts) / max(min(amounts), 1):.2g} times as many",
            )  # fmt: skip
    return None


def _holes(study: Study) -> Iterator[Finding]:
    counts = {state: sum(each.state == state for each in study.repeats) for state in HOLES}
    there = [f"{count} {_called(state)}" for state, count in counts.items() if count]
    if there:
        text = f"Of {len(study.repeats):,} trials {', '.join(there)}: means over the others would be a choice."
        yield Finding("refusal", inline(text))


def _called(state: str) -> str:
    return {"planned": "missing", "running": "not ended"}.get(state, state)


def _repeats(study: Study) -> Iterator[Finding]:
    numbers = sorted({len(each.repeats) for each in study.configurations})
    if len(numbers) > 1 and numbers[-1] > UNEQUAL * numbers[0]:
        yield Finding("refusal", inline(f"Configurations have from {numbers[0]} to {numbers[-1]} repeats."))
    seeds = {tuple(each.seed for each in one.repeats) for one in study.configurations}
    if len(seeds) > 1 and len(numbers) == 1:
        yield Finding("warning", inline("Configurations were trained with different seeds: few of them pair."))
    if numbers and numbers[-1] == 1:
        text = "One seed only: nothing tells a better configuration from a luckier seed."
        yield Finding("warning", inline(text))
    epochs = {each.epochs for each in study.repeats}
    if len(epochs) > 1 and not any(each.name == "training.epochs" for each in study.axes):
        text = f"Configurations were planned for {min(epochs)} to {max(epochs)} epochs."
        yield Finding("refusal", inline(text))


def _mixed(study: Study) -> Iterator[Finding]:
    digests: dict[str, set[str]] = {}
    for config, data in zip(study.snapshot.trials["config"], study.snapshot.trials["data"], strict=True):
        dataset = json.loads(config)["dataset"]
        if dataset.get("split_seed") != "trial":  # else each seed divides the examples anew
            digests.setdefault(json.dumps(dataset, sort_keys=True), set()).add(data)
    if any(len(each) > 1 for each in digests.values()):
        yield Finding("refusal", inline("The same dataset has different contents in different trials."))
    numerics = {each["numerics"] for each in study.sweeps}
    if len(numerics) > 1:
        versions = ", ".join(map(str, sorted(numerics)))
        yield Finding("refusal", inline(f"Trials are from different versions of the numerics: {versions}."))
    codes = sorted(study.snapshot.trials["code"].dropna().unique())
    if len(codes) > 1:
        told_codes = ", ".join(each[:8] for each in codes)
        text = f"Trials were trained by {len(codes)} versions of nnexp's code ({told_codes}) with the same numerics."
        yield Finding("note", inline(text))


def _edges(study: Study) -> Iterator[Finding]:
    best = study.best
    for axis in study.axes if best is not None else ():
        if axis.numeric and len(axis.values) >= LEAST_RANGE and best is not None and axis.name in best.parameters:
            value = best.parameters[axis.name]
            end = "lower" if value == axis.values[0] else "upper" if value == axis.values[-1] else None
            if end is not None and not _bounded(axis, value):
                yield Finding(
                    "warning",
                    inline("The best configuration is at the ", end, " edge of ", Code(axis.name), ": ",
                           Code(told(value)), ". Better ones may lie beyond; sweep further."),
                )  # fmt: skip


def _bounded(axis: Axis, value: float) -> bool:
    """Whether nothing lies beyond: a strength of 0 is off, as is a keep probability of 1."""
    return value == 0 or (axis.name.endswith("keep") and value == 1)


def _selection(study: Study) -> Iterator[Finding]:
    metric = study.objective.metric
    if metric.startswith("test/"):
        yield Finding("refusal", inline("The objective ", Code(metric), " looks at the test part."))
    elif not metric.startswith("val/"):
        yield Finding("warning", inline("The objective ", Code(metric), " is of the training part."))


def _lengths(study: Study) -> Iterator[Finding]:
    finished = [each for each in study.repeats if each.finished]
    early = [each for each in finished if each.epoch < each.epochs]
    if early and len(early) < len(finished):
        text = f"{len(early):,} of {len(finished):,} trials stopped early; the others trained to their last epoch."
        yield Finding("note", inline(text))
