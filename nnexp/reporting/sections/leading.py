"""The leading arms: whose curves, networks and costs stand beside each other."""

from __future__ import annotations

from dataclasses import dataclass

from nnexp.reporting.study import SWEEP, Axis, Configuration, Study

MOST = 14  # arms that can be told apart


@dataclass(frozen=True)
class Leader:
    """An arm's best configuration. place: of the arm, which gives its look."""

    label: str
    place: int
    configuration: Configuration


def leading_axis(study: Study) -> Axis | None:
    """Return the axis whose arms are shown: the first of choices, else the first with few enough values."""
    few = [axis for axis in study.axes if len(axis.values) <= MOST]
    named = [axis for axis in few if not axis.numeric and axis.name != SWEEP]
    return next(iter([*named, *few]), None)


def leaders(study: Study) -> list[Leader]:
    """Return the best configuration of each arm of the leading axis; without such an axis the selected one."""
    axis = leading_axis(study)
    if axis is None:
        return [] if study.best is None else [Leader(study.best.label, 0, study.best)]
    found = []
    for arm in study.arms(axis):
        best = next((each for each in arm.configurations if each.n), None)  # they are ranked
        if best is not None:
            found.append(Leader(arm.label, arm.place, best))
    return found
