"""A user's own components: announced by installed packages through entry points, or registered in a notebook.

Their names are known from what packages announce, without importing any. A class is imported where it is asked for, and
looked at then: what is wrong with it is one line that names the package.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# What each kind of component is called in configs, and the entry points that announce one for its table.
ENTRY_POINTS: Mapping[str, str] = {
    "architecture": "nnexp.architectures",
    "activation": "nnexp.activations",
    "initializer": "nnexp.initializers",
    "optimizer": "nnexp.optimizers",
    "loss": "nnexp.losses",
    "normalization": "nnexp.normalizations",
    "dropout": "nnexp.dropouts",
    "l2": "nnexp.l2_penalties",
    "l1": "nnexp.l1_penalties",
    "max_norm": "nnexp.max_norms",
    "clip": "nnexp.clips",
    "schedule": "nnexp.schedules",
    "averaging": "nnexp.averagings",
    "early_stopping": "nnexp.early_stoppings",
    "dataset": "nnexp.datasets",
}

NOT_NAMES = ("auto", "null", "true", "false")  # mean something else where a choice is written

REGISTERED: dict[str, dict[str, type]] = {kind: {} for kind in ENTRY_POINTS}  # in this process, by kind and name


# names


@dataclass(frozen=True)
class Announced:
    """What a package announces: a component of a kind, by name."""

    kind: str
    entry: EntryPoint

    @property
    def package(self) -> str:
        """Name and version of the package."""
        return "unknown" if self.entry.dist is None else f"{self.entry.dist.name} {self.entry.dist.version}"

    def __str__(self) -> str:
        return f"package {self.package} announces {self.kind} {self.entry.name!r} ({self.entry.value})"

    def load(self, base: type) -> type:
        """Return the class.

        Raises: ConfigError if it cannot be imported or is no component below the base.
        """
        try:
            found = self.entry.load()
        except Exception as error:  # importing somebody's module may raise anything
            raise ConfigError(f"{self}, which cannot be imported: {_short(error)}") from error
        if problem := flaw(found, base):
            raise ConfigError(f"{self}, which {problem}")
        if found.name != self.entry.name:
            raise ConfigError(f"{self}, which calls itself {found.name!r}")
        return found  # type: ignore[no-any-return]  # a class below the base


def announced(kind: str) -> dict[str, Announced]:
    """Return what installed packages announce of a kind, by name.

    Raises: ConfigError if two of them announce the same name.
    """
    found: dict[str, Announced] = {}
    for entry in _entries().get(ENTRY_POINTS[kind], ()):
        each = Announced(kind, entry)
        if entry.name in found:
            raise ConfigError(f"{each}, and so does package {found[entry.name].package}: only one of them can be used")
        found[entry.name] = each
    return found


def names(kind: str) -> list[str]:
    """Return the names of all own components of a kind."""
    return [*announced(kind), *REGISTERED[kind]]


@cache
def _entries() -> dict[str, list[EntryPoint]]:
    """Return nnexp's groups of entry points, looked for once."""
    if not _any_announced():
        return {}
    from importlib.metadata import entry_points

    found = entry_points()
    return {group: sorted(found.select(group=group), key=lambda entry: entry.name) for group in ENTRY_POINTS.values()}


def _any_announced() -> bool:
    """Return whether any package announces anything; importlib.metadata takes 10 times as long to say no."""
    for folder in map(Path, sys.path):
        for pattern in ("*.dist-info/entry_points.txt", "*.egg-info/entry_points.txt"):
            for path in folder.glob(pattern):
                if b"[nnexp." in path.read_bytes():
                    return True
    return False


# classes


def flaw(found: Any, base: type) -> str | None:
    """Return what keeps something from being a component of its kind, as the end of a sentence; else None."""
    if not isinstance(found, type) or not issubclass(found, base):
        return f"is no class below {base.__module__}.{base.__qualname__}"
    name = getattr(found, "name", None)
    if not isinstance(name, str) or not name.isidentifier() or name in NOT_NAMES:
        return f"needs a name of letters, digits and _, got {name!r}"
    made = vars(found).get("__dataclass_params__")
    if made is None or not made.frozen or not all(field.kw_only for field in fields(found)):  # type: ignore[arg-type]
        return "must be made by @dataclass(frozen=True, kw_only=True)"
    lacking = [each for each in dir(found) if getattr(getattr(found, each), "__isabstractmethod__", False)]
    if lacking:
        return f"lacks {', '.join(lacking)}"
    try:
        described = found().describe()  # type: ignore[attr-defined]
    except Exception as error:  # whatever its checks may raise
        return f"cannot be made with its defaults: {_short(error)}"
    odd = [field for field, value in described.items() if not _is_plain(value)]
    return f"has defaults that no config can hold: {', '.join(odd)}" if odd else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
    return value is None or type(value) in (str, int, float, bool)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".removesuffix(": ")
