"""The settings of one trial: typed, complete and checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from nnexp.component import Component, settings
from nnexp.data.sources import Digits, Source
from nnexp.errors import ConfigError, choose, require
from nnexp.network.architecture import MLP
from nnexp.network.averaging import Averaging
from nnexp.network.clipping import Clip
from nnexp.network.constraints import MaxNorm
from nnexp.network.dropout import Dropout, InvertedDropout
from nnexp.network.initializers import HeNormal, Initializer
from nnexp.network.losses import CrossEntropy, Loss, LossOfClasses
from nnexp.network.normalization import Normalization
from nnexp.network.optimizers import Adam, Optimizer
from nnexp.network.penalties import L1, L2, Penalty
from nnexp.network.schedules import Constant, Schedule
from nnexp.network.stack import Blueprint
from nnexp.training.answers import gives_probabilities
from nnexp.training.metrics import (
    AVERAGED,
    CHEAP,
    CLASSIFICATION,
    METRICS,
    NORMS,
    REGRESSION,
    Direction,
    applicable,
    direction_of,
    raw,
)
from nnexp.training.stopping import EarlyStopping


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What chooses the best epoch and ranks trials; the first best epoch wins ties.

    Args: metric: a metric of the validation part, as val/acc; of averaged parameters on it, as val/ema_acc; or one
    that is recorded of the training part. direction: `maximize` or `minimize`, as the metric is read.
    Raises: ConfigError if the metric is unknown or the direction contradicts it.
    """

    metric: str = "val/acc"
    direction: Direction = "maximize"

    def __post_init__(self) -> None:
        if self.metric.startswith("test/"):
            raise ConfigError(f"objective.metric must not look at the test part, got {self.metric!r}")
        of_validation = _of_validation(METRICS, averages=True)
        choose("objective.metric", self.metric, {*CLASSIFICATION, *REGRESSION, *of_validation} - {*NORMS})
        choose("objective.direction", self.direction, ("maximize", "minimize"))
        natural = direction_of(self.metric)
        if self.direction != natural:
            raise ConfigError(f"objective.direction must be {natural} for {self.metric}, got {self.direction!r}")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How long and in which portions a network trains.

    Args: epochs: passes over the training part, >= 1. batch_size: examples a step, >= 1, or `full`; a last short batch
    is kept. shuffle: a new order each epoch. record_every: epochs between records, >= 1; the first and the last epoch
    are always recorded. metrics: what else is recorded of the validation part, from `nnexp.training.metrics`.
    evaluation_block: examples that are evaluated at once, at most, >= 1; a part is cut into blocks of one size. dtype:
    `float32` or `float64`.

    The last bits of what is recorded of an evaluation depend on the size of its blocks, as those of products and sums
    of blocks do; with it they depend on nothing else.
    Raises: ConfigError if a value is out of range.
    """

    epochs: int = 20
    batch_size: int | Literal["full"] = 64
    shuffle: bool = True
    record_every: int = 1
    metrics: tuple[str, ...] = ()
    evaluation_block: int = 256
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "training.epochs", ">= 1", self.epochs)
        if self.batch_size != "full":
            valid = isinstance(self.batch_size, int) and self.batch_size >= 1
            require(valid, "training.batch_size", "an integer >= 1 or full", self.batch_size)
        require(self.record_every >= 1, "training.record_every", ">= 1", self.record_every)
        require(isinstance(self.metrics, tuple), "training.metrics", "a tuple of names", self.metrics)
        for name in self.metrics:
            choose("training.metrics", name, {*METRICS} - {*CHEAP})
        once = len(set(self.metrics)) == len(self.metrics)
        require(once, "training.metrics", "a list of names, each once", list(self.metrics))
        require(self.evaluation_block >= 1, "training.evaluation_block", ">= 1", self.evaluation_block)
        choose("training.dtype", self.dtype, ("float32", "float64"))


def _of_validation(names: Iterable[str], *, averages: bool) -> set[str]:
    """Return metrics' names as those of the validation part, of averaged parameters too."""
    prefixes = ("val/", f"val/{AVERAGED}") if averages else ("val/",)
    return {f"{prefix}{name}" for prefix in prefixes for name in names}


def asked_for(training: Training, objective: Objective) -> tuple[str, ...]:
    """Return the metrics beside the cheap ones that are recorded of the validation part, in the table's order."""
    asked = {f"val/{name}" for name in training.metrics} | {raw(objective.metric)}
    return tuple(name for name in METRICS if name not in CHEAP and f"val/{name}" in asked)


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """Everything that determines a trial's numbers but the bytes of its data.

    Raises: ConfigError if settings contradict each other.
    """

    seed: int = 0
    architecture: MLP = field(default_factory=MLP)
    initializer: Initializer = field(default_factory=HeNormal)
    optimizer: Optimizer = field(default_factory=Adam)
    loss: Loss = field(default_factory=CrossEntropy)
    normalization: Normalization = field(default_factory=Normalization)
    dropout: Dropout = field(default_factory=InvertedDropout)
    l2: Penalty = field(default_factory=L2)
    l1: Penalty = field(default_factory=L1)
    max_norm: MaxNorm = field(default_factory=MaxNorm)
    clip: Clip = field(default_factory=Clip)
    schedule: Schedule = field(default_factory=Constant)
    averaging: Averaging = field(default_factory=Averaging)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    dataset: Source = field(default_factory=Digits)
    objective: Objective = field(default_factory=Objective)
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", ">= 0", self.seed)
        warmup, epochs = self.schedule.warmup, self.training.epochs
        require(warmup < epochs, "schedule.warmup", f"< training.epochs ({epochs})", warmup)
        self._check_layers()
        self._check_targets()
        self._check_metrics()

    def _check_layers(self) -> None:
        """Raise ConfigError if something that is set does not fit the network's layers."""
        hidden = self.architecture.hidden
        self.dropout.keeps(len(hidden))
        if self.normalization.scales and not hidden:
            raise ConfigError(f"normalization {self.normalization.name!r} needs a hidden layer, but hidden is []")
        if self.optimizer.rest is not None and not hidden:
            raise ConfigError(f"optimizer {self.optimizer.name!r} moves hidden layers' weights, but there are none")
        self.architecture.output_for(self.loss)
        if self.architecture.output == "softmax" and self._outputs == 1:
            raise ConfigError("architecture.output must not be softmax where there is one output: it would always be 1")

    def _check_targets(self) -> None:
        """Raise ConfigError if the loss does not learn what the dataset has."""
        classes, kind, name = self.dataset.classes, self.loss.target_kind, self.loss.name
        if kind != "values" and classes is None:
            raise ConfigError(f"loss {name!r} learns classes, but dataset {self.dataset.name!r} is a regression")
        if (kind == "multi") != (classes == 0):
            marks = "labels that do not exclude each other"
            learns, has = (marks, "exclusive classes") if kind == "multi" else ("classes or values", marks)
            raise ConfigError(f"loss {name!r} learns {learns}, but dataset {self.dataset.name!r} has {has}")
        given = self.loss.class_weight if isinstance(self.loss, LossOfClasses) else "none"
        if isinstance(given, tuple):
            require(len(given) == classes, "loss.class_weight", f"a number for each of {classes} classes", list(given))
        if kind == "binary" and classes != 2:
            raise ConfigError(f"loss {name!r} learns two classes, but dataset {self.dataset.name!r} has {classes}")

    def _check_metrics(self) -> None:
        """Raise ConfigError if a metric that is asked for does not apply."""
        classes, where = self.dataset.classes, f"(dataset {self.dataset.name})"
        recorded = {*(REGRESSION if classes is None else CLASSIFICATION)} - {*NORMS}
        metric, averages = self.objective.metric, self.averaging.keeps
        if metric != raw(metric) and not averages:
            name = self.averaging.name
            raise ConfigError(f"objective.metric {metric!r} needs an average, but averaging {name!r} keeps none")
        of_validation = _of_validation(applicable(classes), averages=averages)
        choose(f"objective.metric {where}", metric, recorded | of_validation)
        more = {*applicable(classes)} - {*CHEAP}
        if self.training.metrics and not more:
            raise ConfigError(f"training.metrics {where} must be empty: there are none beside loss and acc")
        for name in self.training.metrics:
            choose(f"training.metrics {where}", name, more)
        there = applicable(classes, probabilities=gives_probabilities(self.blueprint(1)))
        for name in asked_for(self.training, self.objective):
            if name not in there:
                raise ConfigError(f"val/{name} needs probabilities, but outputs under loss {self.loss.name!r} are none")
        if metric.startswith("val/") and not self.dataset.validation:
            raise ConfigError(f"objective.metric {metric!r} needs dataset.validation > 0")
        if self.training.metrics and not self.dataset.validation:
            raise ConfigError("training.metrics needs dataset.validation > 0")

    @property
    def _outputs(self) -> int:
        classes = self.dataset.classes
        return classes if classes and self.loss.target_kind != "binary" else self.dataset.targets

    def resolved(self) -> TrialConfig:
        """Return the config with what follows from the rest made plain, so that equal trials are equal configs."""
        architecture = replace(self.architecture, output=self.architecture.output_for(self.loss))
        asked = asked_for(self.training, self.objective)
        listed = tuple(name for name in asked if f"val/{name}" != raw(self.objective.metric))
        return replace(self, architecture=architecture, training=replace(self.training, metrics=listed))

    def describe(self) -> dict[str, Any]:
        """Return the config as plain data."""
        return self._plain(Component.describe.__name__)

    def identity(self) -> dict[str, Any]:
        """Return what of the config determines the trial's numbers, as plain data."""
        return self._plain(Component.identity.__name__)

    def _plain(self, way: str) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for name, value in vars(self).items():
            plain[name] = getattr(value, way)() if isinstance(value, Component) else value
        return plain | {"objective": settings(self.objective), "training": settings(self.training)}

    def blueprint(self, inputs: int, targets: int | None = None) -> Blueprint:
        """Return the shape of the trial's network for data with so many inputs.

        Args: targets: how many values or labels an example has, by default as the dataset says.
        """
        outputs = self._outputs if targets is None or self.dataset.classes else targets
        return self.architecture.blueprint(inputs, outputs, self.loss, self.training.dtype, self.normalization)
