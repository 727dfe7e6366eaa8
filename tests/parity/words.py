"""The words in which a case says what both sides train."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from nnexp.component import Component
from nnexp.data.sources import Blobs, Diabetes, Linnerud, Moons, MultiLabel, Source
from nnexp.network.activations import Tanh
from nnexp.network.architecture import MLP
from nnexp.network.losses import CrossEntropy
from nnexp.network.optimizers import SGD
from nnexp.training import Objective, Training, TrialConfig
from tests.parity.problem import EPOCHS, HIDDEN, Kind

Settings = dict[str, Any]

# Trainings that differ in more than their rounding differ by more.
TOLERANCE: Settings = {"rtol": 1e-10, "atol": 1e-10}


@dataclass(frozen=True)
class Call:
    """A class of PyTorch by its name and the arguments it gets; a lower-case name is a formula of the reference."""

    name: str
    settings: Settings = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in self.settings.items())})"


def call(name: str, **settings: Any) -> Call:
    """Return a call with these arguments."""
    return Call(name, settings)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A training in PyTorch's words.

    l2, l1: lambda of the penalties that are added to the mean loss as nnexp's formulas have them.
    """

    activation: Call = Call("Tanh")
    output: Call | None = None
    loss: Call = Call("CrossEntropyLoss")
    optimizer: Call = field(default_factory=lambda: call("SGD", lr=0.1))
    schedule: Call | None = None
    normalization: Call | None = None
    clip: Call | None = None
    constraint: Call | None = None
    averaging: Call | None = None
    l2: float = 0.0
    l1: float = 0.0

    def __str__(self) -> str:
        changed = [getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default]
        return ", ".join(map(str, changed)) or "the same network"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One training, in the words of both.

    group: what it is about. ours: what differs from `trial`'s. weighted: whether examples have weights. reason: where
    PyTorch's component of this name does something else, what that is, and what the training is compared with instead.
    off: it shows that what is off does nothing, so that its numbers are another case's.
    """

    group: str
    ours: Settings
    theirs: Reference
    kind: Kind = "classes"
    weighted: bool = False
    batch_size: int | None = None
    reason: str = ""
    off: bool = False

    @property
    def trial(self) -> TrialConfig:
        """The training in nnexp's words: 20 steps of full batches if it does not say otherwise."""
        training = Training(epochs=EPOCHS, batch_size=self.batch_size or "full", dtype="float64")
        chosen: Settings = {
            "architecture": MLP(hidden=HIDDEN, activation=Tanh()),
            "optimizer": SGD(lr=0.1),
            "loss": CrossEntropy(),
            "objective": Objective(metric="val/loss", direction="minimize"),
            "dataset": SOURCES[self.kind],
            "training": training,
        }
        return TrialConfig(**(chosen | self.ours))

    @property
    def component(self) -> Component:
        """What it is about."""
        trial = self.trial
        if self.group == "activation":
            return trial.architecture.activations[0]
        found = getattr(trial, self.group)
        assert isinstance(found, Component)
        return found


# Not loaded: they say what kind of target the data have.
SOURCES: dict[Kind, Source] = {
    "classes": Blobs(centers=3),
    "binary": Moons(),
    "values": Diabetes(),
    "several": Linnerud(),
    "multi": MultiLabel(labels=3),
    "probabilities": Blobs(centers=3),
}
