"""The axes of a sweep, read from overrides in Hydra's grammar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, Transformer

from nnexp.config.compose import Composer
from nnexp.config.sweep import Sweep
from nnexp.errors import ConfigError, UsageError

RUN_TIME = ("executor", "paths", "screen", "sweep", "tracking")  # set once for all of a sweep's trials
DIGITS = 6  # of a drawn number: enough for any setting, and short in a label


@dataclass(frozen=True)
class Interval:
    """Numbers from start up to, but not including, end; whole ones if both are. log: their logarithms are uniform."""

    start: float
    end: float
    log: bool

    def at(self, share: float) -> float:
        """Return the number at a share of the way, in [0, 1)."""
        whole = isinstance(self.start, int) and isinstance(self.end, int)
        if self.log:
            found = math.exp(math.log(self.start) + share * (math.log(self.end) - math.log(self.start)))
        else:
            found = self.start + share * (self.end - self.start)
        if whole:
            return min(max(math.floor(found), int(self.start)), int(self.end) - 1)
        short = float(f"{found:.{DIGITS}g}")
        return short if self.start <= short < self.end else min(max(found, self.start), self.end)


@dataclass(frozen=True)
class Axis:
    """A setting or group that is swept, and the overrides and values it takes.

    given: its values as they were written. interval: where its values are drawn from; then they grow as they are drawn.
    """

    key: str
    given: tuple[str, ...]
    values: list[Any]
    override: Override
    interval: Interval | None = None
    _places: dict[Any, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The key without the signs of Hydra's grammar."""
        return self.key.lstrip("+~")

    @property
    def path(self) -> list[str]:
        """Where in the config it belongs."""
        return self.name.replace("/", ".").split(".")

    def text(self, at: int) -> str:
        """Return the override that takes a value."""
        return f"{self.key}={self.values[at] if self.interval else self.given[at]}"

    def draw(self, rng: np.random.Generator) -> int:
        """Return the place of a value drawn at random."""
        if self.interval is None:
            return int(rng.integers(len(self.values)))
        value = self.interval.at(float(rng.random()))
        if value not in self._places:
            self._places[value] = len(self.values)
            self.values.append(value)
        return self._places[value]


def read(
    composer: Composer, overrides: Sequence[str], more: Mapping[str, Any] | None = None, settings: Sweep | None = None
) -> list[str | Axis]:
    """Return overrides and axes, in the order they were given.

    Args: more: what a grid of a union takes; each is an axis, also of one value, since grids differ in it. settings:
    what repeats there are, and whether intervals may be drawn from.
    Raises: ConfigError or UsageError if something cannot be swept.
    """
    parser = OverridesParser.create(config_loader=composer.loader)
    last = {each.get_key_element(): each for each in parser.parse_overrides(list(overrides))}
    for key, value in (more or {}).items():
        if not isinstance(value, str | int | float | bool | None):
            raise ConfigError(f'sweep.union: {key} must be a text like "a,b" or "[1],[2]", got {value!r}')
        override = parser.parse_override(f"{key}={'null' if value is None else value}")
        last.pop(override.get_key_element(), None)  # a grid's own axes come after the shared ones
        last[override.get_key_element()] = override
    own = {
        each.get_key_element() for each in last.values() if each.input_line and each.get_key_element() in (more or {})
    }
    if settings is not None and settings.seeds is not None:
        if any(key.lstrip("+~") == "seed" for key in last):
            raise UsageError("sweep.seeds repeats every configuration with its own seeds, but seed is given too")
        last["seed"] = parser.parse_override(f"seed=range({settings.seeds})")
    given: list[str | Axis] = []
    for key, override in last.items():
        swept = override.is_sweep_override() or (key in own and not override.is_delete())
        given.append(_axis(override, settings) if swept else override.input_line or "")
    return given


def _axis(override: Override, settings: Sweep | None) -> Axis:
    key = override.get_key_element()
    name = key.lstrip("+~")
    if name.split(".")[0].split("/")[0] in RUN_TIME:
        raise UsageError(f"{name} cannot be swept: it is set once for all trials")
    if not override.is_sweep_override():
        text = (override.input_line or "").partition("=")[2]
        return Axis(key, (text,), [Override._convert_value(override.value())], override)  # type: ignore[arg-type]
    if override.is_interval_sweep():
        return _interval_axis(key, override, settings)
    if not override.is_discrete_sweep():
        raise UsageError(f"{key} must be swept over a list, choice(…) or range(…), got {override.get_value_string()}")
    given = tuple(override.sweep_string_iterator())
    values = [Override._convert_value(value) for value in override.sweep_iterator(Transformer.identity)]
    if not values:
        raise UsageError(f"{key} is swept over nothing: {override.get_value_string()}")
    return Axis(key, given, values, override)


def _interval_axis(key: str, override: Override, settings: Sweep | None) -> Axis:
    sweep, text = override.value(), override.get_value_string()
    assert isinstance(sweep, IntervalSweep)
    if settings is not None and settings.sample is None:
        raise UsageError(
            f"{key} must be swept over a list, choice(…) or range(…), got {text}; sweep.sample=n draws n combinations"
        )
    start, end = sweep.start, sweep.end
    assert start is not None
    assert end is not None
    if unknown := sorted(sweep.tags - {"log"}):
        raise UsageError(f"{key}: an interval can be tagged log only, got {', '.join(unknown)}")
    if not (math.isfinite(start) and math.isfinite(end) and start < end):
        raise UsageError(f"{key}: an interval must begin below its end, got {text}")
    log = "log" in sweep.tags
    if log and start <= 0:
        raise UsageError(f"{key}: an interval tagged log must begin above 0, got {text}")
    return Axis(key, (text,), [], override, Interval(start, end, log))
