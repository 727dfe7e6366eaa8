"""The `sweep` settings: what Hydra's grammar of sweeps lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nnexp.config.expressions import Condition, parse
from nnexp.errors import ConfigError, require

LANGUAGE = ("zip", "union", "where", "only_if", "sample", "seeds")  # what makes trials, and needs a sweep

Text = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep is called, which combinations it has, and how large it may be.

    Args: name: letters, digits, `_`, `-`, `.`; None is the experiment's, else `adhoc`. zip: axes that go together, a
    list of their names or several. union: grids beside each other, each by key and what it takes. where: expressions
    that every trial fulfils. only_if: axes, each with the expression under which there is one. sample: combinations to
    draw of each grid, >= 1. sample_seed: of the draws, >= 0. seeds: repeats of each configuration, >= 1. dry_run: say
    what would be done, and do nothing. max_trials: >= 1; more are an error. confirm_above: trials, >= 0, above which a
    new sweep is asked for again; None never asks. rerun: `failed`, `all` or the beginnings of keys, at least 6 digits
    each: trials that have ended and are to be trained again.
    Raises: ConfigError if a value is out of range.
    """

    name: str | None = None
    zip: tuple[str, ...] | tuple[tuple[str, ...], ...] = ()
    union: tuple[Mapping[str, Text], ...] = ()
    where: str | tuple[str, ...] = ()
    only_if: Mapping[str, str] | None = None
    sample: int | None = None
    sample_seed: int = 0
    seeds: int | None = None
    dry_run: bool = False
    max_trials: int | None = None
    confirm_above: int | None = 1000
    rerun: str | tuple[str, ...] = ()

    def __post_init__(self) -> None:
        allowed = self.name is None or (self.name.strip("._-") and all(c.isalnum() or c in "._-" for c in self.name))
        require(bool(allowed), "sweep.name", "made of letters, digits, '_', '-' and '.'", self.name)
        for axes in self.zipped:
            require(len(axes) > 1, "sweep.zip", "two axes or more that go together", list(axes))
        require(len(self.union) != 1, "sweep.union", "two grids or more", list(self.union))
        for least, names in ((1, ("sample", "seeds", "max_trials")), (0, ("sample_seed", "confirm_above"))):
            for name in names:
                value = getattr(self, name)
                require(value is None or value >= least, f"sweep.{name}", f">= {least}", value)
        for begins in () if self.rerun in ("failed", "all") else self.rerun_keys:
            known = len(begins) >= 6 and set(begins) <= set("0123456789abcdef")
            require(known, "sweep.rerun", "failed, all or beginnings of keys (6 or more of 0-9 and a-f)", begins)
        self.filters, self.conditions  # noqa: B018  # so that they are read before anything is composed

    @property
    def zipped(self) -> tuple[tuple[str, ...], ...]:
        """The groups of axes that go together."""
        if all(isinstance(each, str) for each in self.zip):
            return (self.zip,) if self.zip else ()  # type: ignore[return-value]
        return self.zip  # type: ignore[return-value]

    @property
    def filters(self) -> list[Condition]:
        """What every trial fulfils."""
        return [parse("sweep.where", each) for each in ([self.where] if isinstance(self.where, str) else self.where)]

    @property
    def conditions(self) -> dict[str, Condition]:
        """Under what there is an axis."""
        return {axis: parse(f"sweep.only_if of {axis}", text) for axis, text in (self.only_if or {}).items()}

    @property
    def rerun_keys(self) -> tuple[str, ...]:
        """The beginnings of the keys to train again, where it is not `failed` or `all`."""
        return (self.rerun,) if isinstance(self.rerun, str) else self.rerun

    def language(self) -> dict[str, object]:
        """Return what of it makes trials, and is not as it is without."""
        return {name: getattr(self, name) for name in LANGUAGE if getattr(self, name) not in (None, (), {})}

    def without_a_sweep(self) -> Sweep:
        """Return it for a single trial. Raises: ConfigError if it says something of combinations."""
        for name in self.language():
            raise ConfigError(f"sweep.{name} needs a sweep: add -m")
        return self
