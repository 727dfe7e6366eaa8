"""Plain data to typed objects: names are looked up in tables, types are checked strictly, unknown keys are errors."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from nnexp.component import Component, Table
from nnexp.config.sweep import Sweep
from nnexp.data.sources import DATASETS
from nnexp.errors import ConfigError, choose, require, unknown_setting
from nnexp.network.activations import ACTIVATIONS, Activation
from nnexp.network.architecture import ARCHITECTURES, MLP
from nnexp.network.averaging import AVERAGINGS
from nnexp.network.clipping import CLIPS
from nnexp.network.constraints import MAX_NORMS
from nnexp.network.dropout import DROPOUTS
from nnexp.network.initializers import INITIALIZERS
from nnexp.network.losses import LOSSES
from nnexp.network.normalization import NORMALIZATIONS
from nnexp.network.optimizers import OPTIMIZERS
from nnexp.network.penalties import L1_PENALTIES, L2_PENALTIES
from nnexp.network.schedules import SCHEDULES
from nnexp.training.metrics import direction_of
from nnexp.training.settings import Objective, Training, TrialConfig
from nnexp.training.stopping import EARLY_STOPPINGS

# The groups of conf/ whose choices are components, and the table each is looked up in.
TABLES: Mapping[str, Table[Any]] = {
    "architecture": ARCHITECTURES,
    "initializer": INITIALIZERS,
    "optimizer": OPTIMIZERS,
    "loss": LOSSES,
    "normalization": NORMALIZATIONS,
    "dropout": DROPOUTS,
    "l2": L2_PENALTIES,
    "l1": L1_PENALTIES,
    "max_norm": MAX_NORMS,
    "clip": CLIPS,
    "schedule": SCHEDULES,
    "averaging": AVERAGINGS,
    "early_stopping": EARLY_STOPPINGS,
    "dataset": DATASETS,
}

GROUPS: Mapping[str, type[Any]] = {"objective": Objective, "training": Training}  # settings without a choice

ACTIVATION_HINT = get_type_hints(MLP)["activation"]  # a component below a component: looked up by name too


# what loss=auto is, by the number of classes; for any other number it is cross_entropy
AUTO_LOSSES = {None: "mse", 0: "multi_label_cross_entropy"}


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Where stacks train, and what happens if that fails.

    Args: workers: processes, >= 1, or `auto`: one a core. on_error: after a trial has failed, `continue` with the
    others or `stop`. max_retries: of a trial that fails alone, >= 0. max_consecutive_failures: trials failing one after
    another that end the run, >= 1. trial_seconds: a trial's share of its stack's time, > 0, after which it is stopped.
    sweep_seconds: > 0, after which whatever is under way is stopped. memory_mb: of a worker, >= 64. None is no limit.
    Raises: ConfigError if a value is out of range.
    """

    workers: int | Literal["auto"] = "auto"
    on_error: Literal["continue", "stop"] = "continue"
    max_retries: int = 1
    max_consecutive_failures: int | None = None
    trial_seconds: float | None = None
    sweep_seconds: float | None = None
    memory_mb: int | None = None

    def __post_init__(self) -> None:
        if self.workers != "auto":
            require(int(self.workers) >= 1, "executor.workers", "an integer >= 1 or auto", self.workers)
        require(self.max_retries >= 0, "executor.max_retries", ">= 0", self.max_retries)
        most = self.max_consecutive_failures
        require(most is None or most >= 1, "executor.max_consecutive_failures", ">= 1 or null", most)
        for name in ("trial_seconds", "sweep_seconds"):
            seconds = getattr(self, name)
            require(seconds is None or 0 < seconds < float("inf"), f"executor.{name}", "> 0 or null", seconds)
        require(self.memory_mb is None or self.memory_mb >= 64, "executor.memory_mb", ">= 64 or null", self.memory_mb)


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Where MLflow records.

    Args: uri: None is MLFLOW_TRACKING_URI, else SQLite under the root. experiment: MLflow's. required: whether a store
    that cannot be used is an error before anything trains. every: seconds between deliveries, > 0.
    Raises: ConfigError if a value is out of range.
    """

    uri: str | None = None
    experiment: str = "nnexp"
    required: bool = False
    every: float = 2.0

    def __post_init__(self) -> None:
        require(bool(self.experiment.strip()), "tracking.experiment", "a name", self.experiment)
        require(self.experiment != "Default", "tracking.experiment", "a name of its own", self.experiment)
        require(0 < self.every < float("inf"), "tracking.every", "> 0", self.every)


@dataclass(frozen=True, kw_only=True)
class Screen:
    """What is printed while a sweep runs.

    Args: mode: `live` is a view that changes, `plain` a line every few seconds, `quiet` the end only, `json` a line of
    JSON for every event; `auto` is live on a terminal and in a notebook, else plain. every: seconds between plain
    lines, > 0.
    Raises: ConfigError if a value is out of range.
    """

    mode: Literal["auto", "live", "plain", "quiet", "json"] = "auto"
    every: float = 5.0

    def __post_init__(self) -> None:
        require(0 < self.every < float("inf"), "screen.every", "> 0", self.every)


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where everything is written. root: a folder."""

    root: str = "runs"

    def __post_init__(self) -> None:
        require(bool(self.root.strip()), "paths.root", "a folder", self.root)


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings that change no trial's numbers."""

    executor: Executor
    tracking: Tracking
    sweep: Sweep
    screen: Screen
    paths: Paths


T = TypeVar("T")


def build_trials(plains: Iterable[Mapping[str, Any]]) -> list[TrialConfig]:
    """Return the trials of composed configs; what several of them say is built once.

    Raises: ConfigError as build_trial does.
    """
    built: dict[tuple[str, str], Any] = {}
    trials: dict[str, TrialConfig] = {}
    found = []
    for plain in plains:
        said = repr({name: value for name, value in plain.items() if name != "seed"})  # tells 1, 1.0 and True apart
        if said in trials:
            found.append(replace(trials[said], seed=_check("seed", int, _given(plain, "seed"))))
        else:
            trials[said] = build_trial(plain, built)
            found.append(trials[said])
    return found


def build_trial(plain: Mapping[str, Any], built: dict[tuple[str, str], Any] | None = None) -> TrialConfig:
    """Return the trial of a composed config, with every `auto` replaced by what it stands for.

    Args: built: components by group and what was said of them, which grows.
    Raises: ConfigError, one line, if anything is missing, unknown, of the wrong type, out of range or contradictory.
    """
    known = {field.name for field in fields(TrialConfig)}
    _reject_unknown("", plain, known | {field.name for field in fields(RunSettings)})
    given = {name: _given(plain, name) for name in known}
    cache = {} if built is None else built

    def once(kind: str, value: Any) -> Any:
        said = kind, repr(value)
        if said not in cache:
            cache[said] = component(kind, value) if kind in TABLES else build(GROUPS[kind], kind, value)
        return cache[said]

    given |= _autos(given, once("dataset", given["dataset"]))
    trial = TrialConfig(
        seed=_check("seed", int, given["seed"]),
        **{name: once(name, value) for name, value in given.items() if name != "seed"},
    )
    return trial.resolved()


def without_auto(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a composed config with the loss and the objective that `auto` stands for, as conditions read it.

    Raises: ConfigError if there is no such dataset.
    """
    if "dataset" not in plain or not {"loss", "objective"} <= plain.keys():
        return dict(plain)
    return {**plain, **_autos(plain, component("dataset", plain["dataset"]))}


def _autos(plain: Mapping[str, Any], dataset: Any) -> dict[str, Any]:
    """Return loss and objective without `auto`."""
    objective = _auto(plain["objective"], "metric", "val/rmse" if dataset.classes is None else "val/acc")
    objective = _auto(objective, "direction", direction_of(str(_mapping("objective", objective).get("metric"))))
    return {
        "loss": _auto(plain["loss"], "name", AUTO_LOSSES.get(dataset.classes, "cross_entropy")),
        "objective": objective,
    }


def build_run(plain: Mapping[str, Any]) -> RunSettings:
    """Return the settings of a composed config that change no trial's numbers.

    Raises: ConfigError, one line, if anything is unknown, of the wrong type or out of range.
    """
    return RunSettings(
        executor=build(Executor, "executor", _given(plain, "executor")),
        tracking=build(Tracking, "tracking", _given(plain, "tracking")),
        sweep=build(Sweep, "sweep", _given(plain, "sweep")),
        screen=build(Screen, "screen", _given(plain, "screen")),
        paths=build(Paths, "paths", _given(plain, "paths")),
    )


def component(group: str, plain: Any) -> Component:
    """Return the component that a group's plain data names."""
    settings = dict(_mapping(group, plain))
    table = TABLES[group]
    name = choose(group, settings.pop("name", None), table)
    found: type[Component] = table[name]
    return build(found, group, settings)


def build(kind: type[T], path: str, plain: Any) -> T:
    """Return a dataclass made of plain data whose keys are its fields.

    Raises: ConfigError if a key is unknown or a value of the wrong type.
    """
    settings = _mapping(path, plain)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    name = getattr(kind, "name", None)
    _reject_unknown(path, settings, known, name if isinstance(name, str) else None)
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable, whatever its instances are
    return kind(**{key: _check(f"{path}.{key}", hints[key], value) for key, value in settings.items()})


def _check(path: str, hint: Any, value: Any) -> Any:
    if hint == ACTIVATION_HINT:
        return _activations(path, value)
    try:
        return _adapter(hint).validate_python(_tuples(value), strict=True)
    except ValidationError:
        raise ConfigError(f"{path} must be {_words(hint)}, got {value!r}") from None


def _activations(path: str, value: Any) -> Activation | tuple[Activation, ...]:
    """Return activations from a name, a name with settings ({name: leaky_relu, slope: 0.1}), or a list of such."""
    if isinstance(value, list | tuple):
        return tuple(_activation(path, each) for each in value)
    return _activation(path, value)


def _activation(path: str, value: Any) -> Activation:
    settings = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = choose(path, settings.pop("name", None), ACTIVATIONS)
    return build(ACTIVATIONS[name], path, settings)


def _given(plain: Mapping[str, Any], name: str) -> Any:
    if name not in plain:
        raise ConfigError(f"{name} is missing: it must have a value")
    return plain[name]


def _reject_unknown(path: str, plain: Mapping[str, Any], known: Any, name: str | None = None) -> None:
    for key in plain:
        if key not in known:
            raise ConfigError(unknown_setting(f"{path}.{key}" if path else key, known, name))


def _mapping(path: str, plain: Any) -> Mapping[str, Any]:
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{path} must be settings by name, got {plain!r}")
    return plain


def _auto(plain: Any, key: str, stands_for: str) -> Any:
    if isinstance(plain, Mapping) and plain.get(key) == "auto":
        return {**plain, key: stands_for}
    return plain


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _words(hint: Any) -> str:
    """Return a type as the user knows it."""
    simple = {int: "an integer", float: "a number", bool: "true or false", str: "a text", type(None): "null"}
    if hint in simple:
        return simple[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin is tuple:
        return {int: "a list of integers", float: "a list of numbers"}.get(arguments[0], "a list")
    if origin is Mapping:
        return "settings by name"
    if origin in (Union, types.UnionType):
        return " or ".join(_words(argument) for argument in arguments)
    return str(hint)
