"""Which combinations of a grid's axes there are: pairs, conditions, samples and repeats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import product
from typing import Any

import numpy as np

from nnexp.config.axes import Axis
from nnexp.config.expressions import Settings
from nnexp.config.sweep import Sweep
from nnexp.errors import UsageError
from nnexp.randomness import Purpose, stream

MOST = 1_000_000  # combinations that are looked at one by one; a sample can be of more
TRIES = 100  # draws for each wanted combination, and for the first of them, before a sample is given up

Place = tuple[int | None, ...]  # for each axis the number of its value, None where a combination has no such axis
Look = Callable[[Place], tuple[dict[str, Any], Settings]]


@dataclass
class Account:
    """How a grid's combinations came about.

    grid: what a union says of it. combinations: looked at. absent: how many had no such axis, by axis and condition.
    collapsed: how many were the same as one before for that reason. removed: how many each filter took out. sampled:
    configurations that were chosen, of how many there are to choose from (None: endlessly many).
    """

    grid: Mapping[str, Any] = field(default_factory=dict)
    combinations: int = 0
    absent: dict[str, int] = field(default_factory=dict)
    collapsed: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    sampled: tuple[int, int | None] | None = None

    def said(self) -> str:
        """Return what was removed, in words."""
        return ", ".join(f"{text!r} removed {count}" for text, count in self.removed.items() if count) or "none"


@dataclass(frozen=True)
class Chosen:
    """A combination, and its config where that was looked at already."""

    at: Place
    plain: dict[str, Any] | None


class Chooser:
    """Chooses combinations of a grid's axes as the `sweep` settings say.

    Args: number: of the grid in its union. grid: what the union says of it.
    Attributes: conditional: axes that not every combination has. account: of what was chosen last.
    Raises: UsageError if the settings contradict the axes or each other.
    """

    def __init__(self, axes: Sequence[Axis], settings: Sweep, number: int = 0, grid: Mapping[str, Any] | None = None):
        self.axes, self.settings, self.number, self.grid = axes, settings, number, dict(grid or {})
        self.dimensions = self._dimensions()
        conditions = [(self._named(name, "only_if"), each) for name, each in settings.conditions.items()]
        self._conditions = {axis: each for axis, each in conditions if axis is not None}
        self.conditional = self._in_order()
        self.filters = settings.filters
        self.account = Account()

    def places(self, look: Look) -> Iterator[Chosen]:
        """Yield the combinations, in Hydra's order; those with intervals in the order they were drawn.

        Args: look: returns the config of a combination, and its settings for conditions.
        """
        self.account = Account(self.grid, removed={each.text: 0 for each in self.filters})
        self.account.absent = {f"{self.axes[axis].name} if {each.text}": 0 for axis, each in self._conditions.items()}
        self._decided: dict[Place, frozenset[int]] = {}
        self._seen: set[Place] = set()
        if self.settings.sample is not None:
            yield from self._sampled(look)
            return
        size = math.prod(self._size(each) for each in self.dimensions)
        if size > MOST:
            raise UsageError(f"{size:,} combinations are too many to look at: sweep.sample=n draws n of them")
        for at in self._every(range(len(self.dimensions))):
            yield from self._kept(at, look)

    def _dimensions(self) -> list[tuple[int, ...]]:
        """Return the axes that change together, in the order of the first of each."""
        together: dict[int, tuple[int, ...]] = {}
        for names in self.settings.zipped:
            found = {name: self._named(name, "zip") for name in names}
            axes = [axis for axis in found.values() if axis is not None]
            if not axes:
                continue  # of another grid of the union
            if len(axes) < len(found):
                missing = next(name for name, axis in found.items() if axis is None)
                raise UsageError(f"sweep.zip pairs {self.axes[axes[0]].name} with {missing}, which is not swept")
            self._check_zipped(axes, together)
            together |= dict.fromkeys(axes, tuple(axes))
        return list(dict.fromkeys(together.get(axis, (axis,)) for axis in range(len(self.axes))))

    def _check_zipped(self, axes: Sequence[int], before: Mapping[int, Any]) -> None:
        first = self.axes[axes[0]]
        for number in axes:
            axis = self.axes[number]
            if number in before or axes.count(number) > 1:
                raise UsageError(f"sweep.zip names {axis.name} twice")
            if axis.interval is not None:
                raise UsageError(f"sweep.zip pairs lists, but {axis.name} is an interval")
            if len(axis.values) != len(first.values):
                raise UsageError(
                    f"sweep.zip pairs {first.name} with {axis.name}, "
                    f"but they have {len(first.values)} and {len(axis.values)} values"
                )

    def _named(self, name: str, where: str) -> int | None:
        """Return the axis of a name, or of a name's end; None if there is none."""
        exact = [number for number, axis in enumerate(self.axes) if axis.name == name]
        found = exact or [number for number, axis in enumerate(self.axes) if axis.name.endswith(f".{name}")]
        if len(found) > 1:
            many = ", ".join(self.axes[number].name for number in found)
            raise UsageError(f"sweep.{where} names {name!r}, which may be any of: {many}")
        return found[0] if found else None

    def _in_order(self) -> list[int]:
        """Return the conditional axes, each after those that its condition reads."""
        waits: dict[int, list[int]] = {}
        for axis, condition in self._conditions.items():
            read = {self._named(name, "only_if") for name in condition.names}
            waits[axis] = [each for each in sorted(self._conditions) if each in read]
        try:
            return list(TopologicalSorter({axis: waits[axis] for axis in sorted(waits)}).static_order())
        except CycleError as error:
            names = " and ".join(dict.fromkeys(self.axes[axis].name for axis in error.args[1]))
            raise UsageError(f"sweep.only_if: whether there is {names} depends on itself") from None

    def _size(self, dimension: Sequence[int]) -> int:
        return len(self.axes[dimension[0]].values)

    def _every(self, dimensions: Iterable[int], fixed: Mapping[int, int] | None = None) -> Iterator[Place]:
        """Yield the places of some dimensions' combinations, the last changing fastest; the others are fixed."""
        varied = list(dimensions)
        for chosen in product(*(range(self._size(self.dimensions[each])) for each in varied)):
            at = {**(fixed or {}), **dict(zip(varied, chosen, strict=True))}
            place: list[int | None] = [None] * len(self.axes)
            for dimension, value in at.items():
                for axis in self.dimensions[dimension]:
                    place[axis] = value
            yield tuple(place)

    def _kept(self, at: Place, look: Look) -> Iterator[Chosen]:
        """Yield a combination, without the axes that it does not have, if it is new and every filter lets it pass."""
        self.account.combinations += 1
        at = self._collapsed(at, look)
        if at in self._seen:
            self.account.collapsed += 1
            return
        self._seen.add(at)
        if not self.filters:
            yield Chosen(at, None)
            return
        plain, settings = look(at)
        for condition in self.filters:
            if not condition.holds(settings):
                self.account.removed[condition.text] += 1
                return
        yield Chosen(at, plain)

    def _collapsed(self, at: Place, look: Look) -> Place:
        if not self.conditional:
            return at
        without: list[int | None] = [None if axis in self._conditions else each for axis, each in enumerate(at)]
        for axis in self.conditional:
            condition = self._conditions[axis]
            known = (*without, axis)
            if known not in self._decided:
                self._decided[known] = frozenset([axis] if condition.holds(look(tuple(without))[1]) else [])
            if self._decided[known]:
                without[axis] = at[axis]
            else:
                self.account.absent[f"{self.axes[axis].name} if {condition.text}"] += 1
        return tuple(without)

    def _sampled(self, look: Look) -> Iterator[Chosen]:
        """Yield the repeats of so many configurations, each drawn once."""
        repeats = [number for number, axes in enumerate(self.dimensions) if self._repeats(axes)]
        varied = [number for number in range(len(self.dimensions)) if number not in repeats]
        rng = stream(self.settings.sample_seed, Purpose.SAMPLE, self.number)
        endless = any(self.axes[axis].interval for number in varied for axis in self.dimensions[number])
        wanted = self.settings.sample or 0
        found: list[list[Chosen]] = []
        size = None if endless else math.prod(self._size(self.dimensions[number]) for number in varied)
        draws = self._draws(varied, rng) if size is None else self._without_repetition(varied, size, rng)
        for number, fixed in enumerate(draws):
            kept = [each for at in self._every(repeats, fixed) for each in self._kept(at, look)]
            if kept:
                found.append(kept)
            if len(found) == wanted or number >= TRIES * (wanted + 1):
                break
        self._check_found(len(found), wanted)
        self.account.sampled = (len(found), size)
        chosen = [each for kept in found for each in kept]
        yield from chosen if endless else sorted(chosen, key=lambda each: [-1 if at is None else at for at in each.at])

    def _repeats(self, axes: Sequence[int]) -> bool:
        """Return whether a dimension is that of the seeds: every configuration has all of them."""
        return [self.axes[axis].name for axis in axes if not self.axes[axis].interval] == ["seed"] and len(axes) == 1

    def _draws(self, varied: Sequence[int], rng: np.random.Generator) -> Iterator[dict[int, int]]:
        while True:
            yield {number: self.axes[self.dimensions[number][0]].draw(rng) for number in varied}

    def _without_repetition(
        self, varied: Sequence[int], size: int, rng: np.random.Generator
    ) -> Iterator[dict[int, int]]:
        """Yield a grid's configurations in a random order; the first of a larger sample are those of a smaller."""
        sizes = [self._size(self.dimensions[number]) for number in varied]
        if size <= MOST:
            for index in rng.permutation(size).tolist():
                yield dict(zip(varied, map(int, np.unravel_index(index, sizes)) if sizes else (), strict=True))
            return
        yield from self._draws(varied, rng)  # so many that the same is hardly drawn again; if so, it is not new

    def _check_found(self, found: int, wanted: int) -> None:
        if found < wanted:
            removed = f" ({self.account.said()})" if any(self.account.removed.values()) else ""
            raise UsageError(
                f"sweep.sample must be at most as many configurations as there are, got {wanted}: "
                f"{found} were found in {self.account.combinations} combinations{removed}"
            )
