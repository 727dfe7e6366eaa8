"""What became of a trial, as plain data: its result, and its history epoch by epoch."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

ENDS = ("finished", "diverged", "failed")  # states after which a trial is not trained again unless told so


@dataclass(frozen=True)
class TrialResult:
    """What became of a trial, without its history.

    outcome: `finished`, `diverged` or `failed`. epoch: the last one. objective: at the best epoch, None if there was
    none. summary: metrics of the whole training. costs: by name. stack_width: replicas in its stack when it began.
    started_at, ended_at: seconds since 1970. code: digest of nnexp's own code that trained it. files: SHA-256 of each
    of its files, by name. reason: why it failed, in one line.
    """

    outcome: str
    epoch: int
    objective: float | None
    summary: Mapping[str, float]
    costs: Mapping[str, float]
    stack_width: int
    started_at: float
    ended_at: float
    code: str
    files: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> TrialResult:
        """Return the result that `describe` described. Names are shared: a sweep has thousands of results."""
        found = dict(plain)
        for name in ("summary", "costs", "files"):
            found[name] = {sys.intern(key): value for key, value in found[name].items()}
        return cls(**found)


@dataclass(frozen=True)
class History:
    """Records of a trial. epochs: of each record, ascending. times: when it was made, seconds since 1970. values: of
    each metric."""

    epochs: tuple[int, ...] = ()
    times: tuple[float, ...] = ()
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Return it as plain data."""
        # asdict would copy every number: three quarters of what saving a slice of many small networks takes
        return {"epochs": self.epochs, "times": self.times, "values": dict(self.values)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> History:
        """Return the history that `describe` described."""
        values = {sys.intern(name): tuple(each) for name, each in plain["values"].items()}
        return cls(tuple(plain["epochs"]), tuple(plain["times"]), values)

    def __add__(self, later: History) -> History:
        """Return this history and what came after it; a metric that one of them lacks is NaN there."""
        if not self.epochs or not later.epochs:
            return self if self.epochs else later
        lacking, lacking_later = ((math.nan,) * len(each.epochs) for each in (self, later))
        values = {
            name: self.values.get(name, lacking) + later.values.get(name, lacking_later)
            for name in {**self.values, **later.values}
        }
        return History(self.epochs + later.epochs, self.times + later.times, values)

    def after(self, epoch: int) -> History:
        """Return the records of later epochs."""
        return self._cut(sum(each <= epoch for each in self.epochs), None)

    def until(self, epoch: int) -> History:
        """Return the records up to an epoch."""
        return self._cut(0, sum(each <= epoch for each in self.epochs))

    def _cut(self, start: int, stop: int | None) -> History:
        place = slice(start, stop)
        values = {name: each[place] for name, each in self.values.items()}
        return History(self.epochs[place], self.times[place], values)
