"""What a ledger keeps, as plain data: planned sweeps and trials, how they stand, saved slices, what MLflow has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnexp.sweeps.results import ENDS, History, TrialResult
from nnexp.training.settings import Objective

OWN_RUN = ""  # the key of a sweep's own run, where trials have theirs


@dataclass(frozen=True)
class PlannedSweep:
    """A sweep as it was planned. head: what plan.json begins with. settings: store (an URI without credentials),
    experiment, single (whether its one trial is a run of its own), argv."""

    id: str
    name: str
    hash: str
    code: str
    planned_at: float
    trials: int
    head: Mapping[str, Any]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class PlannedTrial:
    """What a leaderboard needs to know of a planned trial."""

    key: str
    position: int
    configuration: str
    label: str
    configuration_label: str
    objective: Objective

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> PlannedTrial:
        """Return it of a planned trial as plain data."""
        names = ("key", "position", "configuration", "label", "configuration_label")
        return cls(**{name: about[name] for name in names}, objective=Objective(**about["config"]["objective"]))


@dataclass(frozen=True)
class Standing:
    """How a trial stands.

    attempts: how often its training was begun or gone on with. generation: grows when records are replaced by others.
    epoch: the last one whose records are saved. note: why it failed or stopped. reused_from: the sweep that trained it.
    """

    key: str
    state: str = "planned"
    attempts: int = 0
    generation: int = 0
    epoch: int = 0
    note: str | None = None
    reused_from: str | None = None
    result: TrialResult | None = None

    @property
    def ended(self) -> bool:
        """Whether it is not trained again unless told so."""
        return self.state in ENDS


@dataclass(frozen=True)
class SavedStack:
    """A stack under way. keys: of its trials, in the order that formed it. file: of its checkpoint, in the sweep's
    folder. more: plain data that go on with it."""

    id: str
    keys: tuple[str, ...]
    epoch: int
    file: str
    sha256: str
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedSlice:
    """What a slice changes, by trials' keys. epochs: the last one trained of those that go on. over: stacks that are no
    longer needed, by id."""

    records: Mapping[str, History] = field(default_factory=dict)
    results: Mapping[str, TrialResult] = field(default_factory=dict)
    epochs: Mapping[str, int] = field(default_factory=dict)
    stacks: Sequence[SavedStack] = ()
    over: Sequence[str] = ()


@dataclass(frozen=True)
class Delivered:
    """What MLflow has of a trial or, under the key '', of a sweep's own run.

    store: where, an URI without credentials and the experiment. epoch: of the last record. state: that it was told.
    aggregated: whether it has its configuration's aggregate.
    """

    store: str
    run: str
    generation: int = 0
    epoch: int = 0
    state: str = "running"
    aggregated: bool = False
