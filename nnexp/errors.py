"""Every exception that nnexp raises on purpose, and the checks that raise them.

NnexpError              exit code 1: something went wrong while working
├── UsageError          exit code 2: what was asked for cannot be done
│   └── ConfigError     a setting is unknown, of the wrong type, out of range or contradicts another
├── DataError           exit code 3: the data cannot be used
└── TrackingError       exit code 1: MLflow's store cannot be used
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class NnexpError(Exception):
    """The root: its text is one clear line for the user."""

    exit_code = 1


class UsageError(NnexpError):
    """What was asked for cannot be done."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type, out of range or contradicts another."""


class DataError(NnexpError):
    """The data cannot be used."""

    exit_code = 3


class TrackingError(NnexpError):
    """MLflow's store cannot be used."""


def require(holds: bool, thing: str, demand: str, value: Any) -> None:
    """Raise ConfigError `<thing> must be <demand>, got <value>` unless it holds."""
    if not holds:
        raise ConfigError(f"{thing} must be {demand}, got {value!r}")


def choose(kind: str, name: Any, choices: Iterable[str]) -> str:
    """Return the name if it is one of the choices, else raise ConfigError that lists them."""
    known = sorted(choices)
    if name not in known:
        raise ConfigError(f"{kind} {name!r} is not one of: {', '.join(known)}")
    return str(name)


def unknown_setting(path: str, known: Iterable[str], name: str | None = None) -> str:
    """Return the line that says which settings there are where an unknown one was given."""
    group, _, key = path.rpartition(".")
    where = f"{group} ({name})" if name else group
    choices = ", ".join(sorted(known))
    if not group:
        return f"{key!r} is not a setting; there are: {choices}"
    return f"{key!r} is not a setting of {where}; it has: {choices}" if choices else f"{where} has no setting {key!r}"
