"""The study: a snapshot as typed configurations, axes and arms, in the order in which a report speaks of them."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.reporting.snapshot import Snapshot

if TYPE_CHECKING:
    from pandas import DataFrame

Value = Any  # of an axis: a number, a name, a truth value, a tuple, None
Vector = NDArray[np.float64]

SAME = re.compile(r"\[([^\[\],\s]+)(?:,\s*\1){2,}\]")  # a list of one value, three times or more
SWEEP = "sweep"  # the axis of studies of several sweeps
FEW = 6  # pairs without which no two-sided rank test can reach 0.05
LOGARITHMIC_RATIO = 2.5  # of neighbours, from which on a swept range is read as logarithmic


@dataclass(frozen=True)
class Repeat:
    """A trial as the repeat of a configuration, one for each seed.

    score: the objective at the best epoch, as it was measured; NaN unless finished. test: the same on the test part.
    epochs: that it was planned to train. parameters: what the axes chose.
    """

    key: str
    sweep: str
    seed: int
    label: str
    state: str
    note: str | None
    epoch: int
    epochs: int
    score: float
    test: float
    summary: Mapping[str, float] = field(repr=False)
    costs: Mapping[str, float] = field(repr=False)
    parameters: Mapping[str, Value] = field(repr=False)

    @property
    def finished(self) -> bool:
        """Whether it has a score."""
        return self.state == "finished"


@dataclass(frozen=True)
class Configuration:
    """Trials that differ in their seed only. repeats: in the order of the seeds. parameters: what the axes but the seed
    chose. config: all of it but the seed, as plain data."""

    id: str
    label: str
    parameters: Mapping[str, Value]
    repeats: tuple[Repeat, ...] = field(repr=False)
    config: Mapping[str, Any] = field(repr=False)

    @cached_property
    def finished(self) -> tuple[Repeat, ...]:
        """The repeats that have a score."""
        return tuple(each for each in self.repeats if each.finished)

    @property
    def whole(self) -> bool:
        """Whether all repeats finished."""
        return len(self.finished) == len(self.repeats)

    @cached_property
    def scores(self) -> Vector:
        """The validation scores of those that finished, (n,)."""
        return np.array([each.score for each in self.finished])

    @cached_property
    def tests(self) -> Vector:
        """Their test scores, (n,)."""
        return np.array([each.test for each in self.finished])

    @property
    def n(self) -> int:
        """How many repeats finished."""
        return len(self.finished)

    @property
    def mean(self) -> float:
        """The mean validation score; NaN if none finished."""
        return math.fsum(self.scores) / self.n if self.n else math.nan

    def count(self, state: str) -> int:
        """How many repeats are in a state."""
        return sum(each.state == state for each in self.repeats)

    def total(self, cost: str) -> float:
        """The sum of a cost over the repeats that ended."""
        return math.fsum(each.costs[cost] for each in self.repeats if cost in each.costs)


@dataclass(frozen=True)
class Axis:
    """What was swept. values: in ascending order if all are numbers, else as planned."""

    name: str
    label: str
    values: tuple[Value, ...]

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(isinstance(each, int | float) and not isinstance(each, bool) for each in self.values)

    @property
    def logarithmic(self) -> bool:
        """Whether it is a range of numbers above 0 that grow by factors; a 0 in front of them does not count."""
        if not self.numeric:
            return False
        above = [each for each in self.values if each > 0]
        if len(above) < 2 or any(each < 0 for each in self.values):
            return False
        ratios = [b / a for a, b in pairwise(above)]
        even = len(above) > 2 and min(ratios) >= 1.5 and max(ratios) <= 1.01 * min(ratios)  # as 8, 16, 32
        return even or min(ratios) >= LOGARITHMIC_RATIO or (len(above) > 2 and above[-1] / above[0] >= 100)


@dataclass(frozen=True)
class Arm:
    """The configurations that share one value of an axis. place: of the value on its axis, which gives its colour."""

    axis: Axis
    value: Value
    place: int
    configurations: tuple[Configuration, ...] = field(repr=False)

    @property
    def label(self) -> str:
        """The value, as it is told."""
        return told(self.value)

    @property
    def repeats(self) -> Iterator[Repeat]:
        """All of its trials."""
        return (repeat for each in self.configurations for repeat in each.repeats)


@dataclass(frozen=True)
class Objective:
    """What ranks. metric: as it is recorded each epoch, as val/acc."""

    metric: str
    direction: Literal["maximize", "minimize"]

    @property
    def sign(self) -> float:
        """What turns scores so that higher is better."""
        return 1.0 if self.direction == "maximize" else -1.0

    @property
    def name(self) -> str:
        """The metric without its part: `acc`."""
        return self.metric.split("/", 1)[1]

    @property
    def test(self) -> str:
        """The same on the test part."""
        return f"test/{self.name}"

    @property
    def better(self) -> str:
        """`higher` or `lower`."""
        return "higher" if self.direction == "maximize" else "lower"


@dataclass(frozen=True)
class Study:
    """A snapshot, ready to be analysed.

    configurations: ranked, the best first by the mean over their repeats; those that miss repeats come after those that
    do not, those without any score last. axes: what was swept but for the seed; `sweep` first where there are several.
    """

    snapshot: Snapshot = field(repr=False)
    objective: Objective
    axes: tuple[Axis, ...]
    configurations: tuple[Configuration, ...]

    @property
    def sweeps(self) -> tuple[Mapping[str, Any], ...]:
        """The sweeps, as plain data."""
        return self.snapshot.sweeps

    @property
    def title(self) -> str:
        """The names of its sweeps."""
        return ", ".join(dict.fromkeys(str(each["name"]) for each in self.sweeps))

    @cached_property
    def repeats(self) -> tuple[Repeat, ...]:
        """All trials, in the order of their configurations."""
        return tuple(repeat for each in self.configurations for repeat in each.repeats)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """All seeds, ascending."""
        return tuple(sorted({each.seed for each in self.repeats}))

    @property
    def best(self) -> Configuration | None:
        """The selected configuration: the first that has a score."""
        return next((each for each in self.configurations if each.n), None)

    @cached_property
    def entropy(self) -> int:
        """What seeds the bootstraps: made of the sorted keys, so that it depends on nothing else."""
        keys = "".join(sorted(each.key for each in self.repeats))
        return int.from_bytes(hashlib.sha256(keys.encode()).digest()[:8], "big")

    def generator(self, *purpose: int) -> np.random.Generator:
        """Return a stream of random numbers for a purpose."""
        return np.random.default_rng([self.entropy, *purpose])

    def axis(self, name: str) -> Axis:
        """Return an axis by its name."""
        return next(each for each in self.axes if each.name == name)

    def arms(self, axis: Axis) -> tuple[Arm, ...]:
        """Return the arms of an axis; a configuration that lacks it (as momentum under sgd) is in none."""
        there: dict[str, list[Configuration]] = {}
        for each in self.configurations:
            if axis.name in each.parameters:
                there.setdefault(told(each.parameters[axis.name]), []).append(each)
        values = [(place, value, there.get(told(value))) for place, value in enumerate(axis.values)]
        return tuple(Arm(axis, value, place, tuple(found)) for place, value, found in values if found)

    def histories(self, keys: Sequence[str]) -> dict[str, DataFrame]:
        """Return the records of some trials, by key."""
        wanted = self._by_key
        return {key: wanted[key] for key in keys if key in wanted}

    @cached_property
    def _by_key(self) -> dict[str, DataFrame]:
        table = self.snapshot.histories
        return {} if table.empty else {str(key): part for key, part in table.groupby("key", sort=False)}


def make_study(snapshot: Snapshot) -> Study:
    """Return the study of a snapshot.

    Raises: UsageError if its sweeps have different objectives.
    """
    from nnexp.errors import UsageError

    objectives = {json.dumps(each["objective"], sort_keys=True): each["objective"] for each in snapshot.sweeps}
    if len(objectives) > 1:
        names = ", ".join(sorted(str(each["metric"]) for each in objectives.values()))
        raise UsageError(f"sweeps with different objectives cannot be compared: {names}")
    (plain,) = objectives.values()
    objective = Objective(plain["metric"], plain["direction"])
    several = len(snapshot.sweeps) > 1
    configurations = _configurations(snapshot, objective, several)
    axes = _axes(snapshot, configurations, several)
    return Study(snapshot, objective, axes, _ranked(configurations, objective))


def rows_of(table: DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows as plain data, by column."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def told(value: Value) -> str:
    """Return an axis's value in as few characters as tell it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple | list):
        runs = [(one, len(tuple(same))) for one, same in groupby(map(told, value))]
        return f"[{', '.join(f'{one} × {n}' if n > 2 else ', '.join([one] * n) for one, n in runs)}]"
    return str(value)


def shortened(label: str) -> str:
    """Return a trial's label with long lists of equal values as an axis tells them: `hidden=[32 × 12]`."""
    return SAME.sub(lambda found: f"[{found[1]} × {found[0].count(found[1] + ',') + 1}]", label)


def _configurations(snapshot: Snapshot, objective: Objective, several: bool) -> list[Configuration]:
    names = {each["id"]: each["name"] for each in snapshot.sweeps}
    found: dict[tuple[str, str], list[tuple[dict[str, Any], Repeat]]] = {}
    for row in rows_of(snapshot.trials):
        repeat = _repeat(row, objective)
        found.setdefault((row["sweep"] if several else "", row["configuration"]), []).append((row, repeat))
    made = []
    for (sweep, id), pairs in found.items():
        row, first = pairs[0]
        parameters = {name: value for name, value in first.parameters.items() if name != "seed"}
        label = shortened(str(row["configuration_label"]))
        if several:
            parameters, label = {SWEEP: sweep, **parameters}, f"{names[sweep]}: {label}"
        repeats = tuple(sorted((repeat for _, repeat in pairs), key=lambda each: each.seed))
        made.append(Configuration(id, label, parameters, repeats, json.loads(row["config"])))
    return made


def _repeat(row: Mapping[str, Any], objective: Objective) -> Repeat:
    summary, costs = (
        {
            name.removeprefix(prefix): float(value)
            for name, value in row.items()
            if name.startswith(prefix) and value is not None and not math.isnan(value)
        }
        for prefix in ("summary/", "cost/")
    )
    finished = row["state"] == "finished"
    score = row["objective"]
    parameters = {name: _tuples(value) for name, value in json.loads(row["parameters"]).items()}
    return Repeat(
        key=row["key"],
        sweep=row["sweep"],
        seed=int(row["seed"]),
        label=shortened(str(row["label"])),
        state=row["state"],
        note=row["note"] if isinstance(row["note"], str) else None,
        epoch=int(row["epoch"]),
        epochs=int(json.loads(row["config"])["training"]["epochs"]),
        score=float(score) if finished and score is not None else math.nan,
        test=summary.get(objective.test, math.nan) if finished else math.nan,
        summary=summary,
        costs=costs,
        parameters=parameters,
    )


def _axes(snapshot: Snapshot, configurations: Sequence[Configuration], several: bool) -> tuple[Axis, ...]:
    names = dict.fromkeys(name for each in snapshot.sweeps for name in each["axes"] if name != "seed")
    found = []
    for name in ([SWEEP] if several else []) + list(names):
        values: dict[str, Value] = {}
        for each in configurations:
            if name in each.parameters:
                values.setdefault(told(each.parameters[name]), each.parameters[name])
        if len(values) > 1:
            axis = Axis(name, name, tuple(values.values()))
            found.append(Axis(name, _short(name, names), tuple(sorted(axis.values)) if axis.numeric else axis.values))
    return tuple(found)


def _short(name: str, names: Mapping[str, None]) -> str:
    """Return the last part of an axis's name: its group where it is a strength, all of it where two end alike."""
    group, _, last = name.rpartition(".")
    if last == "strength":
        return group
    return name if sum(each.rpartition(".")[2] == last for each in names) > 1 else last


def _ranked(configurations: Sequence[Configuration], objective: Objective) -> tuple[Configuration, ...]:
    return tuple(
        sorted(
            configurations,
            key=lambda each: (not each.n, not each.whole, -objective.sign * each.mean if each.n else 0.0),
        )
    )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
