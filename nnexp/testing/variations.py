"""Valid and invalid values for any field of any component, found from its type: no test keeps a list of fields."""

from __future__ import annotations

import atexit
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from functools import cache
from itertools import chain
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

import nnexp.data
import nnexp.network
import nnexp.training
from nnexp.component import Component, Table
from nnexp.errors import ConfigError
from nnexp.network.initializers import File
from nnexp.network.layout import Layout

T = TypeVar("T")

SIGNED = {("Constant", "value")}  # may be below 0


@cache
def tables() -> dict[str, Mapping[str, type[Component]]]:
    """Return every component table of the rooms that train, by the name of its variable."""
    found: dict[str, Mapping[str, type[Component]]] = {}
    for room in (nnexp.network, nnexp.data, nnexp.training):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            for name, value in vars(importlib.import_module(module.name)).items():
                if name.isupper() and isinstance(value, Table):
                    found[name] = value.builtin
    return found


def components() -> list[type[Component]]:
    """Return the classes of all tables."""
    return [cls for _, table in sorted(tables().items()) for _, cls in sorted(table.items())]


@cache
def weight_files() -> tuple[str, str]:
    """Return two files of weights for the network of `nnexp.testing.trials.small`."""
    folder, layout, rng = Path(mkdtemp(prefix="nnexp-")), Layout((2, 5, 4, 2)), np.random.default_rng(8)
    atexit.register(rmtree, folder)
    for name in ("one", "another"):
        np.savez(folder / f"{name}.npz", **layout.unpack(rng.normal(size=layout.size)))  # type: ignore[arg-type]
    return str(folder / "one.npz"), str(folder / "another.npz")


def usable(cls: type[T]) -> T:
    """Return a component with its defaults, and with what it cannot do without."""
    return acting(cls) if cls is File else cls()


def acting(cls: type[T]) -> T:
    """Return a component with another value than the default in each field, so that what is off by default is on."""
    component = cls()
    for field in fields(component):  # type: ignore[arg-type]
        component = other(component, field.name)
    return component


def other(config: T, field: str) -> T:
    """Return the config with another valid value in one field."""
    return next(others(config, field))


def others(config: T, field: str) -> Iterator[T]:
    """Yield the config with other valid values in one field; fail if there is none."""
    found, config = 0, ready(config, field)
    for changed in _valid(config, field):
        found += 1
        yield changed
    assert found, f"no other valid value is known for {type(config).__name__}.{field} = {getattr(config, field)!r}"


def ready(config: T, field: str) -> T:
    """Return the config, with others before a field changed if only then the field may be."""
    for each in fields(config):  # type: ignore[arg-type]
        if any(_valid(config, field)):
            break
        config = next(_valid(config, each.name), config)
    return config


def _valid(config: T, field: str) -> Iterator[T]:
    for value in _candidates(config, field):
        if value != getattr(config, field):
            with suppress(ConfigError):
                yield replace(config, **{field: value})  # type: ignore[type-var]


def broken(config: Any, field: str) -> list[Any]:
    """Return values that no field of this type may take."""
    value = getattr(config, field)
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        return [-1]
    if isinstance(value, float):
        below = [] if (type(config).__name__, field) in SIGNED else [-1.0]
        return [float("nan"), float("inf"), float("-inf"), *below]
    if isinstance(value, str):
        return ["nonsense", ""] if value else ["nonsense"]
    if isinstance(value, tuple) and value and all(isinstance(each, int) for each in value):
        return [(*value, 0), (-1,)]
    return []


def _candidates(config: Any, field: str) -> Iterator[Any]:
    value = getattr(config, field)
    if field == "path":
        yield from weight_files()
    yield from _literals(get_type_hints(type(config))[field])
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, float):
        yield from (value / 2, value * 2, 0.5, 0.25, 0.75, 0.9)
    elif isinstance(value, str) and float in get_args(get_type_hints(type(config))[field]):
        yield from (0.5, 2.0)
    elif isinstance(value, str):
        yield from chain.from_iterable(tables().values())
    elif isinstance(value, Component):
        for table in tables().values():
            if type(value) in table.values():
                yield from (cls() for _, cls in sorted(table.items()))
                yield from (other(value, each.name) for each in fields(value))
    elif get_type_hints(type(config))[field] == tuple[str, ...]:
        yield from (value[1:], (*value, "f1_macro"))
    elif isinstance(value, tuple) and value:
        yield (value[0] + 1, *value[1:])


def _literals(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Literal:
        yield from get_args(hint)
    else:
        for each in get_args(hint):
            yield from _literals(each)
