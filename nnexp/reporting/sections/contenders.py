"""Contenders: the arms of an axis, each with the configuration that stands for it, tuned and at its defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

import numpy as np

from nnexp.component import Component
from nnexp.config.build import GROUPS, TABLES
from nnexp.errors import ConfigError
from nnexp.reporting.study import SWEEP, Arm, Axis, Configuration, Study, Value, Vector, told
from nnexp.training.settings import TrialConfig

MOST_ARMS = 14  # that are told apart by their looks
FEW_NUMBERS = 3  # values up to which those of a numeric axis are compared as arms
WITHOUT_SCORE = ("diverged", "failed")  # ends that count as worse than any score


@dataclass(frozen=True)
class Contender:
    """An arm that has a score. tuned: its best configuration by validation. defaults: the one in which all other swept
    parameters are what their components have by themselves; None if that was not swept."""

    arm: Arm
    tuned: Configuration
    defaults: Configuration | None

    @property
    def label(self) -> str:
        """The arm's value as it is told; that of a number with what it is of."""
        return f"{self.arm.axis.label}={self.arm.label}" if self.arm.axis.numeric else self.arm.label


def contenders(study: Study, axis: Axis) -> tuple[Contender, ...]:
    """Return the arms of an axis that have a score, in the order of its values."""
    found = []
    for arm in study.arms(axis):
        tuned = next((each for each in arm.configurations if each.n), None)
        if tuned is not None:
            found.append(Contender(arm, tuned, _defaults(arm)))
    return tuple(found)


def best_of(study: Study, found: Sequence[Contender]) -> Contender:
    """Return the contender whose tuned configuration stands first by validation."""
    return min(found, key=lambda each: study.configurations.index(each.tuned))


def is_tested(found: Sequence[Contender]) -> bool:
    """Whether all that stand for their arms have test scores."""
    return all(bool(np.isfinite(each.tuned.tests).all()) for each in found)


def outcomes_of(study: Study, configuration: Configuration, tested: bool) -> Vector:
    """Return a configuration's scores so that higher is better, -inf for repeats that ended without one, (n,)."""
    ended = [each for each in configuration.repeats if each.finished or each.state in WITHOUT_SCORE]
    scores = [(each.test if tested else each.score) if each.finished else None for each in ended]
    return np.array([-np.inf if score is None else study.objective.sign * score for score in scores])


def missing_defaults(contender: Contender) -> Iterator[tuple[str, str]]:
    """Yield which values a configuration of an arm at its defaults would have: name and value, `?` if unknown."""
    for name in _others(contender.arm):
        yield name, told(default_of(contender.tuned.config, name, "?"))


def default_of(config: Mapping[str, Any], name: str, unknown: Value = None) -> Value:
    """Return a parameter's own default in a config: its component's where it has one, else that of a trial.

    Args: config: a trial's, as plain data. name: `optimizer.lr`, or a choice as `optimizer`. unknown: if none is known.
    """
    group, *path = name.split(".")
    chosen = config.get(group)
    if not path:
        return _plain(_field_default(TrialConfig, group, unknown))
    kind = _class_of(group, chosen.get("name") if isinstance(chosen, Mapping) else None)
    for at, each in enumerate(path):
        if kind is None:
            return unknown
        value = _field_default(kind, each, unknown)
        if at == len(path) - 1 or value is unknown:
            return _plain(value)
        kind = type(value) if isinstance(value, Component) else None
    return unknown


def _class_of(group: str, name: str | None) -> type[Any] | None:
    if group in GROUPS:
        return GROUPS[group]
    try:
        return TABLES[group][name] if name is not None else None
    except (KeyError, ConfigError):  # of a package that is not installed here
        return None


def _field_default(kind: type[Any], name: str, unknown: Value) -> Value:
    field: Field[Any] | None = next((each for each in fields(kind) if each.name == name), None)
    if field is None:
        return unknown
    if field.default_factory is not MISSING:
        return field.default_factory()
    return unknown if field.default is MISSING else field.default


def _plain(value: Value) -> Value:
    """Return a component as configs call it."""
    return value.name if isinstance(value, Component) else value


def _defaults(arm: Arm) -> Configuration | None:
    there = [each for each in arm.configurations if each.n and _is_default(each, arm)]
    return min(there, key=lambda each: each.repeats[0].sweep, default=None)  # never the better one of two sweeps


def _is_default(configuration: Configuration, arm: Arm) -> bool:
    unknown = object()
    return all(
        told(default_of(configuration.config, name, unknown)) == told(configuration.parameters[name])
        for name in configuration.parameters
        if name not in (SWEEP, arm.axis.name)
    )


def _others(arm: Arm) -> list[str]:
    names = dict.fromkeys(name for each in arm.configurations for name in each.parameters)
    return [name for name in names if name not in (SWEEP, arm.axis.name)]
