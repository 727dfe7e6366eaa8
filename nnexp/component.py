"""What every component is: a frozen dataclass whose fields are its hyperparameters, found by name in a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar


@dataclass(frozen=True, kw_only=True)
class Component:
    """A choice and its hyperparameters. `name` is what configs, messages and tables call it."""

    name: ClassVar[str]

    def describe(self) -> dict[str, Any]:
        """Return the component as plain data: its name and its hyperparameters."""
        return {"name": self.name, **settings(self)}


def settings(config: Any) -> dict[str, Any]:
    """Return a dataclass's fields as plain data: lists for tuples, and for components what they describe."""
    return {field.name: _plain(getattr(config, field.name)) for field in fields(config)}


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return value.describe() if fields(value) else value.name
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


C = TypeVar("C", bound=Component)


def table(*classes: type[C]) -> Mapping[str, type[C]]:
    """Return the classes by name."""
    return {each.name: each for each in classes}
