"""`check_component`: every contract that a component's kind must keep, on one class."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from nnexp import own
from nnexp.component import Component, Table
from nnexp.config.build import build
from nnexp.config.registration import KINDS, kind_of
from nnexp.data.prepared import Data, from_arrays, prepare
from nnexp.data.sources import Blobs, Diabetes, Moons, MultiLabel, Source
from nnexp.network.activations import Activation, Tanh
from nnexp.network.architecture import MLP
from nnexp.network.initializers import Drawn, Initializer
from nnexp.network.layout import Layout
from nnexp.network.losses import Loss
from nnexp.network.schedules import Schedule
from nnexp.randomness import Purpose, stream
from nnexp.testing.contracts import (
    activate,
    assert_alone,
    assert_dtype_kept,
    assert_finite_loss,
    assert_gradient,
    assert_live,
    assert_partition,
    assert_rejected,
    assert_slices,
)
from nnexp.testing.trials import multi_label, overfitting, regression, small, unbalanced
from nnexp.testing.variations import acting, broken, other, others, ready, usable
from nnexp.training import Objective, Training, TrialConfig, train
from nnexp.training.stacking import OWN, form_problem, same_stack

Class = type[Component]
FLOAT64 = Training(epochs=3, batch_size=16, dtype="float64")  # sees what a rounded number might hide
WITH_GRADIENT = ("activation", "loss", "normalization", "dropout", "l2", "l1")


def check_component(cls: type[Any], kind: str | None = None, *, trial: TrialConfig | None = None) -> None:
    """Check that a class keeps every contract of its kind: the same that nnexp's own components keep.

    Its form, the ranges of its fields, that each of them acts, that a replica's numbers depend neither on its stack nor
    on slices, that they are of the training's type; gradients, finite losses, factors and draws where it has such. Most
    take a second.

    Args: cls: a component. kind: `optimizer`, `activation`, …; needed where the class is below what two tables hold.
    trial: in which every field acts, where it does not in the small ones that are tried otherwise.
    Raises: AssertionError, which says what does not hold; ConfigError if the class is of no kind.
    """
    kind = kind_of(cls) if kind is None else kind
    assert_form(cls, kind)
    assert_ranges(cls)
    for check in SPECIAL.get(kind, ()):
        check(cls)
    if kind in WITH_GRADIENT:
        assert_gradients(cls, kind)
    assert_trains(cls, kind)
    assert_fields_act(cls, kind, trial)


# form


def assert_form(cls: Class, kind: str) -> None:
    """A component is a frozen, keyword-only dataclass with a name, a docstring and defaults that a config can hold."""
    table: Table[Any] = KINDS[kind]
    problem = own.flaw(cls, table.base)
    assert problem is None, f"{cls.__name__} {problem}"
    builtin = table.builtin.get(cls.name)
    assert builtin in (None, cls), f"{kind} {cls.name!r} is nnexp's own: {cls.__name__} needs another name"
    text = vars(cls).get("__doc__") or f"{cls.__name__}("
    assert not text.startswith(f"{cls.__name__}("), f"{cls.__name__} has no docstring"  # a dataclass makes up one
    made = cls()
    try:
        copy = pickle.loads(pickle.dumps(made))
    except Exception as error:  # pickle raises several
        raise AssertionError(f"{cls.__name__} cannot be sent to a worker: {error}") from error
    assert copy == made, f"{cls.__name__} does not equal its pickle"
    assert hash(copy) == hash(made), f"the pickle of {cls.__name__} has another hash"
    described = made.describe()
    assert list(described) == ["name", *(field.name for field in fields(cls))], f"{made} is described as {described}"
    settings = {key: value for key, value in described.items() if key != "name"}
    assert build(cls, kind, settings) == made, f"{cls.__name__} does not equal what its description builds"
    for field in fields(cls):
        changed = other(made, field.name)
        assert changed.describe() != described, f"{cls.__name__}.{field.name} is not described"


def assert_ranges(cls: Class) -> None:
    """A value out of range is refused with a ConfigError of one line that names the field and the value."""
    for field in fields(cls):
        for value in broken(cls(), field.name):
            shown = list(value) if isinstance(value, tuple) else value
            assert_rejected(partial(cls, **{field.name: value}), field.name, repr(shown))


# training


def placed(kind: str, component: Any, **changes: Any) -> TrialConfig:
    """Return a small trial with a component in its place."""
    if isinstance(component, Source):
        changes = {"dataset": component, "training": Training(epochs=4, batch_size=64), **changes}
        return {None: regression, 0: multi_label}.get(component.classes, small)(**changes)
    if kind == "activation":
        return small(architecture=MLP(hidden=(5, 4), activation=component), **changes)
    if kind in ("early_stopping", "schedule"):
        return overfitting(**{kind: component, **changes})
    if kind == "architecture":
        return regression(architecture=component, **changes)
    if isinstance(component, Loss):
        return small(dataset=unbalanced(component), **{kind: component, **changes})
    return small(**{kind: component, **changes})


def assert_trains(cls: Class, kind: str) -> None:
    """A stack of the component and of nnexp's own of its kind trains as each trial alone, and in any slices."""
    dtypes: tuple[Literal["float32", "float64"], ...] = ("float32", "float64")
    for dtype in dtypes:
        training = Training(epochs=4, batch_size=64 if issubclass(cls, Source) else 16, dtype=dtype)
        trials = _stack(cls, kind, training)
        assert_alone(trials)
        shared = trials[0]
        data = prepare(shared.dataset, [trial.seed for trial in trials], shared.training.dtype)
        result = train([shared], data)[0]
        assert_dtype_kept(result.best, shared.training.dtype)
        problem, _ = form_problem(trials, data)
        assert_slices(problem, [1, 2])


def _stack(cls: Class, kind: str, training: Training) -> list[TrialConfig]:
    if kind not in OWN:
        return [placed(kind, cls(), seed=seed, training=training) for seed in (0, 1, 0)]
    forms = [cls(), acting(cls), *(other(cls(), field.name) for field in fields(cls))]
    mine = [placed(kind, form, seed=seed, training=training) for seed in (0, 1) for form in forms]
    beside = [replace(mine[0], **{kind: usable(each)}) for each in KINDS[kind].builtin.values()]
    return [*mine, *[each for each in beside if same_stack([mine[0], each])][:4]]


def assert_fields_act(cls: Class, kind: str, trial: TrialConfig | None = None) -> None:
    """Some other value of each field changes what training gives, beside the defaults or beside others than those."""
    for field in fields(cls):
        starts = [ready(each, field.name) for each in ([cls()] if issubclass(cls, Source) else [cls(), acting(cls)])]
        changes = ((start, changed) for start in starts for changed in others(start, field.name))
        assert any(_differ(kind, *change, trial) for change in changes), f"{cls.__name__}.{field.name} does nothing"


def _differ(kind: str, one: Component, another: Component, trial: TrialConfig | None) -> bool:
    """Return whether a component with other settings trains otherwise."""
    own_length = kind in ("early_stopping", "schedule", "dataset")
    changes: dict[str, Any] = {} if own_length else {"training": FLOAT64}
    trials = [
        _put(trial, kind, each) if trial is not None else placed(kind, each, **changes) for each in (one, another)
    ]
    try:
        assert_live(trials[0], **vars(trials[1]))
    except AssertionError:
        return False
    return True


def _put(trial: TrialConfig, kind: str, component: Any) -> TrialConfig:
    if kind == "activation":
        return replace(trial, architecture=replace(trial.architecture, activation=component))
    return replace(trial, **{kind: component})


# gradient


def assert_gradients(cls: Class, kind: str) -> None:
    """The gradient is the slope of the cost, with each value of each field."""
    for form in _forms(cls):
        for source in _sources(form):
            parts: dict[str, Any] = {kind: form} if kind != "activation" else {}
            parts["architecture"] = MLP(hidden=(5, 4), activation=form if isinstance(form, Activation) else Tanh())
            objective = Objective(metric="train/loss", direction="minimize")
            assert_gradient(TrialConfig(dataset=source, objective=objective, seed=2, **parts), _batch(source))


def _forms(cls: Class) -> Iterator[Component]:
    yield cls()
    if fields(cls):
        yield acting(cls)
    for field in fields(cls):
        yield from others(cls(), field.name)


def _sources(component: Component) -> list[Source]:
    several: tuple[type[Source], ...] = (Blobs, Moons, Diabetes, MultiLabel)
    classes, two, values, marks = (cls(validation=0.0, test=0.0) for cls in several)
    if not isinstance(component, Loss) or component.target_kind == "labels":
        return [classes]
    return {"binary": [two], "multi": [marks]}.get(component.target_kind, [classes, values])


def _batch(source: Source) -> Data:
    """Seven examples with three inputs."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(7, 3))
    if source.classes == 0:
        marks = rng.integers(0, 2, (7, source.targets))
        return from_arrays((X, marks), classes=None, multi_label=True, dtype="float64")
    y = rng.normal(size=7) if source.classes is None else np.arange(7) % source.classes
    return from_arrays((X, y), classes=source.classes, dtype="float64")


# what a kind has of its own


def assert_elementwise(cls: type[Activation]) -> None:
    """An activation that says so works each unit for itself, and keeps the type of what it is given."""
    Z = np.linspace(-6, 6, 49)
    for activation in (cls(), acting(cls)):
        for dtype in ("float32", "float64"):
            A = activate(activation, Z, dtype)
            assert A.dtype == dtype, f"{activation} gives {A.dtype} for {dtype}"
            assert np.isfinite(A).all(), f"{activation} of {Z} is {A}"
            if activation.elementwise:
                alone = [activate(activation, [z], dtype)[0] for z in Z]
                assert alone == A.tolist(), f"{activation} sees the units beside one"


def assert_finite(cls: type[Loss]) -> None:
    """A loss and its gradient are finite for outputs of any size, and of their type."""
    if cls.target_kind == "values":
        sizes = [(1.0, 1), (1e3, 3)]
    else:
        sizes = [(size, 1 if cls.target_kind == "binary" else 3) for size in (1.0, 1e3, 1e30)]
    rng = np.random.default_rng(7)
    for dtype in ("float32", "float64"):
        for size, outputs in sizes:
            Z = (size * rng.normal(size=(outputs, 40))).astype(dtype)
            classes = 2 if cls.target_kind == "binary" else outputs
            y: Any = np.arange(40) % classes
            if cls.target_kind in ("values", "multi"):
                y = rng.normal(size=Z.shape) if cls.target_kind == "values" else rng.integers(0, 2, Z.shape)
            for loss in (cls(), acting(cls)):
                assert_finite_loss(loss, Z, y)


def assert_factors(cls: type[Schedule]) -> None:
    """A schedule has one finite factor >= 0 a step, the same in whatever portion of the training it is asked for."""
    steps = np.arange(1.0, 41.0)
    for schedule in (cls(), acting(cls)):
        whole = schedule.factors(steps, 40, 8)
        assert whole.shape == steps.shape, f"{schedule} has {whole.shape} factors for {steps.shape} steps"
        assert whole.dtype == np.float64, f"{schedule} has factors of {whole.dtype}"
        assert np.isfinite(whole).all(), f"{schedule} has factors {whole}"
        assert (whole >= 0).all(), f"{schedule} has factors {whole}"
        assert whole.max() > 0, f"{schedule} never moves"
        parts = schedule.factors(steps[:13], 40, 8).tolist() + schedule.factors(steps[13:], 40, 8).tolist()
        assert parts == whole.tolist(), f"{schedule} has other factors in other slices"


def assert_reproducible(cls: type[Initializer]) -> None:
    """An initializer gives finite parameters in float64, the same from the same stream; weights (fan_out, fan_in)."""
    layout = Layout((2, 5, 4, 2))
    gains = (1.0,) * len(layout.shapes)
    for initializer in (cls(), acting(cls)):
        if isinstance(initializer, Drawn):
            W = initializer.weights(7, 5, 1.0, stream(3, Purpose.INIT))
            assert W.shape == (7, 5), f"{initializer} draws weights {W.shape} for fan_out 7 and fan_in 5"
            assert W.dtype == np.float64, f"{initializer} draws {W.dtype}"
        theta, again = (initializer.start(layout, gains, stream(5, Purpose.INIT)) for _ in range(2))
        assert theta.shape == (layout.total,), f"{initializer} gives {theta.shape} parameters, not {(layout.total,)}"
        assert theta.dtype == np.float64, f"{initializer} gives {theta.dtype}"
        assert np.isfinite(theta).all(), f"{initializer} gives {theta}"
        assert theta.tobytes() == again.tobytes(), f"{initializer} gives other weights from the same stream"


def assert_loads(cls: type[Source]) -> None:
    """A source gives the same finite examples each time, with labels from 0 below its classes, or values."""
    source = cls()
    one, another = source.load(), source.load()
    assert one.X.tobytes() == another.X.tobytes(), f"{source} gives other inputs each time"
    assert one.y.tobytes() == another.y.tobytes(), f"{source} gives other targets each time"
    assert one.X.ndim == 2, f"X is {one.X.shape}, not (examples, inputs)"
    assert one.X.dtype == np.float64, f"X is {one.X.dtype}, not float64"
    assert np.isfinite(one.X).all(), "X is not finite"
    shapes = {one.X.shape[:1], (len(one.X), source.targets)}
    assert one.y.shape in shapes, f"y is {one.y.shape} for X {one.X.shape} and {source.targets} targets"
    if not source.classes:
        assert np.isfinite(one.y).all(), "y is not finite"
    else:
        labels = sorted(set(one.y.tolist()))
        assert labels == list(range(source.classes)), f"labels are {labels} for {source.classes} classes"
    for division in prepare(source, [0], "float32").divisions.values():
        assert_partition(division.split, len(one.X))


SPECIAL: Mapping[str, tuple[Callable[[Any], None], ...]] = {
    "activation": (assert_elementwise,),
    "loss": (assert_finite,),
    "schedule": (assert_factors,),
    "initializer": (assert_reproducible,),
    "dataset": (assert_loads,),
}
