"""Costs: seconds, operations and memory of each arm, and what accuracy they buy."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Block, Code, Column, Omitted, Paragraph, Section, Table, inline
from nnexp.reporting.figures.costs import Spent, pareto
from nnexp.reporting.sections.accounting import name_of
from nnexp.reporting.sections.leading import leading_axis
from nnexp.reporting.study import Axis, Configuration, Study, told


def costs(study: Study, canvas: Canvas) -> Section:
    """Return the section."""
    return Section("costs", "Costs", tuple(_blocks(study, canvas)))


def _blocks(study: Study, canvas: Canvas) -> Iterator[Block]:
    yield Paragraph(inline(
        "Seconds are a trial's share of its stack's time, which the machine's other work lengthens; operations are "
        "counted from the network's shape, and so the same everywhere. Arrays are what a trial adds to its stack's "
        "memory.",
    ))  # fmt: skip
    for axis in study.axes:
        yield _table(study, axis)
    for cost, name, unit in (("flops", "pareto-operations", "floating-point operations"),
                             ("wall_seconds", "pareto-seconds", "seconds")):  # fmt: skip
        yield _pareto(study, canvas, cost, name, unit)


def _mean(configurations: tuple[Configuration, ...], cost: str) -> float | None:
    """Return the mean of a cost over the trials that have it."""
    found = [repeat.costs[cost] for each in configurations for repeat in each.repeats if cost in repeat.costs]
    return math.fsum(found) / len(found) if found else None


def _table(study: Study, axis: Axis) -> Table:
    names = ("wall_seconds", "cpu_seconds", "flops", "steps", "parameters", "array_bytes")
    rows = tuple(
        (arm.label, *(_mean(arm.configurations, name) for name in names), _total(arm.configurations))
        for arm in study.arms(axis)
    )
    columns = (
        Column(axis.label, format="code"), Column("seconds a trial", format="seconds"),
        Column("processor", format="seconds"), Column("operations", format="number"),
        Column("steps", format="integer"), Column("parameters", format="integer"),
        Column("arrays", format="bytes"), Column("all trials", format="seconds"),
    )  # fmt: skip
    return Table(f"costs-{name_of(axis)}", f"Mean costs of a trial, by {axis.label}", columns, rows)


def _total(configurations: tuple[Configuration, ...]) -> float:
    return math.fsum(each.total("wall_seconds") for each in configurations)


def _pareto(study: Study, canvas: Canvas, cost: str, name: str, unit: str) -> Block:
    axis = leading_axis(study)
    spent = []
    for each in study.configurations:
        amount = _mean((each,), cost)
        if each.n and amount:
            place, arm = _arm(axis, each)
            spent.append(Spent(each.label, arm, place, amount, each.mean))
    if len({each.cost for each in spent}) < 2:
        return Omitted(f"Score against {unit}", f"All configurations take the same number of {unit}, or none is known.")
    objective = study.objective
    return canvas.figure(
        name,
        f"Score against {unit}",
        pareto(spent, f"{unit.capitalize()} a trial", objective.metric, objective.better),
        caption=inline(
            "Each dot is a configuration: its mean ", Code(objective.metric), f" and its mean {unit} a trial. Those "
            "that no cheaper one beats are joined and numbered.",
        ),
        alt=f"Mean {objective.metric} of {len(spent)} configurations against {unit}, with the Pareto front",
    )  # fmt: skip


def _arm(axis: Axis | None, configuration: Configuration) -> tuple[int, str]:
    """Return the place and the name of the arm that a configuration is in."""
    if axis is None or axis.name not in configuration.parameters:
        return 0, "all"
    value = told(configuration.parameters[axis.name])
    return [told(each) for each in axis.values].index(value), value
