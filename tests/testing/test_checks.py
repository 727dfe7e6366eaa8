"""`check_component` accepts nnexp's own components and rejects a broken twin of every kind, in words that say why."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from nnexp.component import Component
from nnexp.config.registration import KINDS
from nnexp.data.sources import Examples, Iris
from nnexp.errors import ConfigError
from nnexp.network.activations import LeakyReLU, ReLU, Tanh
from nnexp.network.architecture import MLP
from nnexp.network.averaging import EMA
from nnexp.network.clipping import ClipNorm
from nnexp.network.constraints import UnitMaxNorm
from nnexp.network.dropout import InvertedDropout
from nnexp.network.initializers import File, Random
from nnexp.network.losses import CrossEntropy, MeanSquaredError
from nnexp.network.normalization import LayerNorm
from nnexp.network.optimizers import SGD, Adam
from nnexp.network.penalties import L1, L2
from nnexp.network.schedules import Exponential, ReduceOnPlateau
from nnexp.testing import check_component, small
from nnexp.training.stopping import Patience

BUILTIN = [
    pytest.param(kind, cls, id=f"{kind}-{cls.name}")
    for kind, table in KINDS.items()
    for cls in table.builtin.values()
    if cls not in (ReduceOnPlateau, File)  # its threshold_mode acts in few trainings; it is nothing without a file
]


@pytest.mark.parametrize(("kind", "cls"), BUILTIN)
def test_nnexps_own_components_keep_every_contract(kind: str, cls: type[Component]) -> None:
    check_component(cls, kind)


# twins


def twin(base: type[Any], doc: str, **members: Any) -> type[Any]:
    """Return a broken twin of a component, as if it were written in this module."""
    name = f"twin{sum(each.startswith('twin') for each in globals())}"
    annotations = members.pop("__annotations__", {})
    made = type(
        name, (base,), {"name": name, "__doc__": doc, "__module__": __name__, "__annotations__": annotations, **members}
    )
    globals()[name] = dataclass(frozen=True, kw_only=True)(made)
    return globals()[name]  # type: ignore[no-any-return]


def _nothing(self: Any, *given: Any, **named: Any) -> None:
    pass


def _mixing_forward(self: Any, Z: Any, spare: Any) -> None:
    np.tanh(Z, out=Z)
    if len(Z) > 1:
        Z[0, 0] = np.nextafter(Z[0, 0], Z.dtype.type(9))


def _layer_forward(self: Any, Z: Any, spare: Any) -> None:
    Z -= Z.max(axis=2, keepdims=True)
    np.tanh(Z, out=Z)


def _first_lr(self: Any, field: Any, lr: Any, t: Any) -> Any:
    return (np.broadcast_to(lr[:, :1], lr.shape),)


def _fixed_lr(self: Any, field: Any, lr: Any, t: Any) -> Any:
    return (np.full_like(lr, 0.1),)


STEPS = [0]


def _counting(self: Any, theta: Any, grad: Any, slots: Any, c: Any, spare: Any) -> None:
    STEPS[0] += 1
    theta -= grad * theta.dtype.type(0.1 / STEPS[0])


def _doubled(cls: type[Any]) -> Any:
    def backward(self: Any, Z: Any, targets: Any, desk: Any) -> None:
        cls.backward(self, Z, targets, desk)
        Z *= 2

    return backward


def _naive(self: Any, Z: Any, targets: Any, desk: Any) -> None:
    CrossEntropy.forward(self, Z, targets, desk)
    with np.errstate(all="ignore"):
        np.log(np.exp(desk.losses), out=desk.losses)


def _unseeded(self: Any, fan_out: int, fan_in: int, gain: float, rng: Any) -> Any:
    return np.random.default_rng().normal(size=(fan_out, fan_in))


def _narrow(self: Any, fan_out: int, fan_in: int, gain: float, rng: Any) -> Any:
    return Random.weights(self, fan_out, fan_in, gain, rng).astype(np.float32)


def _relative(self: Any, time: Any, end: float, tick: float) -> Any:
    return 0.9 ** (time - time[0])


def _negative(self: Any, time: Any, end: float, tick: float) -> Any:
    return 0.5 - time


def _noisy(self: Any) -> Examples:
    found = Iris.load(self)
    return replace(found, X=found.X + np.random.default_rng().normal(size=found.X.shape))


def _missing(self: Any) -> Examples:
    found = Iris.load(self)
    return replace(found, y=np.minimum(found.y, 1))


def _wrong_gradient(self: Any, scales: Any, shape: Any) -> Any:
    found = LayerNorm.normalizer(self, scales, shape)
    right = found.backward

    def backward(dZ: Any) -> None:
        right(dZ)
        dZ *= dZ.dtype.type(1.5)

    found.backward = backward  # type: ignore[method-assign]
    return found


TWINS: list[tuple[str, type[Any], str]] = [
    ("optimizer", twin(SGD, "Takes the lr of its first replica for all.", coefficients=_first_lr), "stacked against"),
    ("optimizer", twin(SGD, "Has an lr that does nothing.", coefficients=_fixed_lr), r"twin\d+.lr does nothing"),
    ("optimizer", twin(SGD, "Counts outside of its state.", update=_counting), "differs in"),
    ("optimizer", twin(Adam, "Takes any value.", __post_init__=_nothing), "was not rejected"),
    ("optimizer", twin(SGD, "", __doc__=None), "has no docstring"),
    ("activation", twin(ReLU, "Lets the whole gradient through.", backward=_nothing), "gradient"),
    ("activation", twin(Tanh, "Sees its stack.", forward=_mixing_forward), "stacked against alone"),
    ("activation", twin(Tanh, "Sees the batch.", forward=_layer_forward), "sees the units beside one"),
    ("activation", twin(LeakyReLU, "Takes any slope.", __post_init__=_nothing), "was not rejected"),
    ("loss", twin(MeanSquaredError, "Has twice its gradient.", backward=_doubled(MeanSquaredError)), "gradient"),
    ("loss", twin(CrossEntropy, "Overflows.", forward=_naive), "losses"),
    ("initializer", twin(Random, "Draws from a stream of its own.", weights=_unseeded), "from the same stream"),
    ("initializer", twin(Random, "Draws in float32.", weights=_narrow), "draws float32"),
    ("schedule", twin(Exponential, "Counts from where it is asked.", course=_relative), "in other slices"),
    ("schedule", twin(Exponential, "Goes back.", course=_negative), "has factors"),
    ("l2", twin(L2, "Costs nothing.", l2=property(lambda self: 0.0)), "strength does nothing"),
    ("l1", twin(L1, "Costs nothing.", l1=property(lambda self: 0.0)), "strength does nothing"),
    ("max_norm", twin(UnitMaxNorm, "Binds nothing.", bound=property(lambda self: np.inf)), "limit does nothing"),
    ("clip", twin(ClipNorm, "Clips nothing.", norm=property(lambda self: np.inf)), "limit does nothing"),
    ("averaging", twin(EMA, "Forgets at once.", weight=lambda self, step: 1.0), "decay does nothing"),
    ("early_stopping", twin(Patience, "Never ends.", ends=lambda self, memory: False), "patience does nothing"),
    (
        "dropout",
        twin(InvertedDropout, "Drops no unit.", keeps=lambda self, layers: (1.0,) * layers),
        "keep does nothing",
    ),
    ("normalization", twin(LayerNorm, "Has another gradient.", normalizer=_wrong_gradient), "gradient"),
    ("dataset", twin(Iris, "Draws its inputs anew.", load=_noisy), "other inputs each time"),
    ("dataset", twin(Iris, "Lacks a class.", load=_missing), r"labels are \[0, 1\] for 3 classes"),
    (
        "architecture",
        twin(MLP, "Has one hidden layer.", blueprint=lambda self, *given: MLP(hidden=(3,)).blueprint(*given)),
        "hidden does nothing",
    ),
]


def test_every_kind_has_a_broken_twin() -> None:
    assert {kind for kind, _, _ in TWINS} == set(KINDS)


@pytest.mark.parametrize(("kind", "cls", "said"), TWINS, ids=[f"{kind}-{cls.__doc__}" for kind, cls, _ in TWINS])
def test_a_broken_twin_is_rejected(kind: str, cls: type[Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_component(cls, kind)


class Undecorated(SGD):
    """No dataclass of its own."""

    name = "undecorated"


Local = twin(SGD, "Cannot be found again.")
Local.__qualname__ = "nowhere.Local"


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (Undecorated, "must be made by @dataclass"),
        (twin(SGD, "Has nnexp's name.", name="adam"), "'adam' is nnexp's own"),
        (Local, "cannot be sent to a worker"),
        (twin(SGD, "Hides its lr.", describe=lambda self: {"name": self.name}), "is described as"),
    ],
)
def test_a_class_of_another_form_is_rejected(cls: type[Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_component(cls)


def test_a_class_that_is_no_component_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no component"):
        check_component(int)


def test_a_field_that_acts_in_another_trial_is_accepted_with_it() -> None:
    slow = twin(
        Exponential, "Falls after a hundred epochs.", course=lambda self, time, end, tick: self.gamma ** (time > 50)
    )
    with pytest.raises(AssertionError, match="gamma does nothing"):
        check_component(slow)
    training = replace(small().training, epochs=60)
    check_component(slow, trial=small(training=training))


def test_the_helpers_need_no_test_runner() -> None:
    code = "import nnexp.testing, sys; sys.exit('pytest' in sys.modules or '_pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
