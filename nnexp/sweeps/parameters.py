"""What a planned trial's axes chose, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def values_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each axis chose, as the config has it: numbers are numbers, a component is its name, a list a tuple.

    Args: about: a trial as it was planned, as plain data.
    """
    return {name: _value(about["config"], name, text) for name, text in about["chosen"].items()}


def _value(config: Any, name: str, text: str) -> Any:
    """Return the value of a dotted path; the text if the config has none."""
    node = config
    for part in name.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return text
        node = node[part]
    return node.get("name", text) if isinstance(node, Mapping) else _tuples(node)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
