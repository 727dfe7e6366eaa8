"""A component from a notebook, for as long as its process lives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnexp.component import Component, Table
from nnexp.config.build import TABLES
from nnexp.errors import ConfigError, choose
from nnexp.network.activations import ACTIVATIONS

KINDS: Mapping[str, Table[Any]] = {**TABLES, "activation": ACTIVATIONS}


def register(cls: type[Component], kind: str | None = None) -> None:
    """Add a class to the table of its kind, as if it were nnexp's: to its choices, messages and files.

    A class of the same name that was registered before is replaced, so that a cell of a notebook can run again.

    Args: cls: a component. kind: `optimizer`, `activation`, …; needed where the class is below what two tables hold.
    Raises: ConfigError if it is no component of any kind, or its name is taken by nnexp or an installed package.
    """
    if kind is None:
        kind = kind_of(cls)
    KINDS[choose("kind", kind, KINDS)].register(cls)


def kind_of(cls: type[Component]) -> str:
    """Return the kind of component that a class is."""
    found = [kind for kind, table in KINDS.items() if isinstance(cls, type) and issubclass(cls, table.base)]
    if not found:
        bases = ", ".join(dict.fromkeys(table.base.__name__ for table in KINDS.values()))
        raise ConfigError(f"{cls!r} is no component: a component's class is below one of {bases}")
    if len(found) > 1:
        raise ConfigError(f"{cls.__name__} may be of the kinds {', '.join(found)}: register(cls, kind) names one")
    return found[0]
