"""The limits of every range: the first value outside is refused in one line, the last one inside is not."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest

from nnexp.component import Component
from nnexp.errors import ConfigError, NnexpError, UsageError
from nnexp.network.activations import ELU, GELU, LeakyReLU, ReLU, Tanh
from nnexp.network.architecture import MLP
from nnexp.network.clipping import ClipNorm, ClipValue
from nnexp.network.constraints import UnitMaxNorm
from nnexp.network.dropout import InvertedDropout
from nnexp.network.initializers import INITIALIZERS, Random, Scaled, Uniform
from nnexp.network.initializers import Constant as ConstantWeights
from nnexp.network.losses import LOSSES
from nnexp.network.optimizers import OPTIMIZERS, RAdam
from nnexp.network.penalties import L1, L2
from nnexp.network.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    InverseTime,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Step,
)
from nnexp.testing.contracts import assert_rejected

NAN, INF = float("nan"), float("inf")
ENDS = [(cls, "end") for cls in (Polynomial, Cosine, CosineRestarts, OneCycle, ReduceOnPlateau)]


def with_fields(*names: str) -> list[tuple[type[Component], str]]:
    """Return the optimizers that have any of the fields, with the field."""
    return [(cls, field.name) for _, cls in sorted(OPTIMIZERS.items()) for field in fields(cls) if field.name in names]


FRACTIONS = [
    each
    for each in with_fields("beta1", "beta2", "rho", "momentum", "adamw_beta1", "adamw_beta2")
    if each != (RAdam, "beta2")
]

OUTSIDE: list[tuple[type[Component], str, Any, str]] = [
    *[
        (cls, "lr", value, f"{name}: lr must be > 0, got {value}")
        for name, cls in sorted(OPTIMIZERS.items())
        for value in (0.0, -1.0, NAN, INF)
    ],
    *[
        (cls, field, value, f"{cls.name}: {field} must be in [0, 1), got {value}")
        for cls, field in FRACTIONS
        for value in (1.0, 1.5, -1e-9, NAN)
    ],
    *[
        (cls, field, value, f"{cls.name}: {field} must be > 0, got {value}")
        for cls, field in with_fields("eps", "adamw_lr", "adamw_eps")
        for value in (0.0, -1e-8, NAN, INF)
    ],
    *[
        (cls, field, value, f"{cls.name}: {field} must be >= 0, got {value}")
        for cls, field in with_fields("weight_decay", "momentum_decay")
        for value in (-1e-9, NAN, INF)
    ],
    *[(RAdam, "beta2", value, f"radam: beta2 must be in (2/3, 1), got {value}") for value in (2 / 3, 1.0, NAN)],
    *[
        (cls, "decoupled", True, f"{cls.name}: decoupled must be false without weight_decay, got True")
        for cls, _ in with_fields("decoupled")
    ],
    *[(Random, "scale", value, f"random: scale must be > 0, got {value}") for value in (0.0, -0.01, NAN, INF)],
    *[(Uniform, "bound", value, f"uniform: bound must be > 0, got {value}") for value in (0.0, -0.01, NAN, INF)],
    *[(ConstantWeights, "value", value, f"constant: value must be finite, got {value}") for value in (NAN, INF, -INF)],
    *[
        (cls, "gain", value, f"{name}: gain must be > 0, or activation, got {value!r}")
        for name, cls in sorted(INITIALIZERS.items())
        if issubclass(cls, Scaled)
        for value in (0.0, -1.0, NAN, INF, "relu")
    ],
    *[(L2, "strength", value, f"l2: strength must be >= 0, got {value}") for value in (-1.0, NAN, INF)],
    *[
        (InvertedDropout, "keep", value, f"inverted: keep must be in [2^-16, 1], got {value}")
        for value in (0.0, 1e-5, 1.0000001, -0.5, NAN, INF)
    ],
    (InvertedDropout, "keep", (0.5, 0.0), "inverted: keep must be in [2^-16, 1], got 0.0"),
    *[(LeakyReLU, "slope", value, f"leaky_relu: slope must be in [0, 1], got {value}") for value in (-0.01, 1.01, NAN)],
    *[(ELU, "alpha", value, f"elu: alpha must be > 0, got {value}") for value in (0.0, -1.0, NAN, INF)],
    (GELU, "approximate", "erf", "gelu: approximate 'erf' is not one of: none, tanh"),
    *[(L1, "strength", value, f"l1: strength must be >= 0, got {value}") for value in (-1.0, NAN, INF)],
    *[
        (cls, "limit", value, f"{thing}: limit must be > 0, got {value}")
        for cls, thing in ((ClipNorm, "clip norm"), (ClipValue, "clip value"), (UnitMaxNorm, "max_norm"))
        for value in (0.0, -1.0, NAN, INF)
    ],
    *[
        (cls, "warmup", value, f"{name}: warmup must be >= 0, got {value}")
        for name, cls in sorted(SCHEDULES.items())
        for value in (-1.0, NAN, INF)
    ],
    *[
        (cls, field, value, f"{cls.name}: {field} must be in [0, 1], got {value}")
        for cls, field in (*ENDS, (Constant, "warmup_start"), (OneCycle, "start"))
        for value in (-0.01, 1.01, NAN)
    ],
    *[
        (cls, field, value, f"{cls.name}: {field} must be > 0, got {value}")
        for cls, field in ((Step, "every"), (InverseTime, "rate"), (Polynomial, "power"))
        for value in (0.0, -1.0, NAN, INF)
    ],
    *[
        (cls, "gamma", value, f"{cls.name}: gamma must be in (0, 1], got {value}")
        for cls in (Step, Exponential)
        for value in (0.0, 1.01, NAN)
    ],
    (CosineRestarts, "period", 0.0009, "cosine_restarts: period must be >= 0.001, got 0.0009"),
    *[
        (CosineRestarts, "growth", value, f"cosine_restarts: growth must be in [1, 100], got {value}")
        for value in (0.99, 101.0, NAN)
    ],
    *[(OneCycle, "rise", value, f"one_cycle: rise must be in (0, 1), got {value}") for value in (0.0, 1.0, NAN)],
    (OneCycle, "anneal", "cosine", "one_cycle: anneal 'cosine' is not one of: cos, linear"),
    *[
        (ReduceOnPlateau, "factor", value, f"reduce_on_plateau: factor must be in (0, 1), got {value}")
        for value in (0.0, 1.0, NAN)
    ],
    *[
        (ReduceOnPlateau, field, -1, f"reduce_on_plateau: {field} must be >= 0, got -1")
        for field in ("patience", "threshold", "cooldown")
    ],
    (ReduceOnPlateau, "threshold_mode", "x", "reduce_on_plateau: threshold_mode 'x' is not one of: abs, rel"),
    (MLP, "hidden", (4, 0), "architecture.hidden must be a list of units, each >= 1, got [4, 0]"),
]

INSIDE: list[tuple[type[Component], str, Any]] = [
    *[(cls, "lr", value) for _, cls in sorted(OPTIMIZERS.items()) for value in (1e-30, 1e30)],
    *[(cls, field, 0.0) for cls, field in [*FRACTIONS, *with_fields("weight_decay", "momentum_decay")]],
    (RAdam, "beta2", 0.67),
    *[(ConstantWeights, "value", value) for value in (-1.0, 0.0)],
    *[(L2, "strength", value) for value in (0.0, 1e9)],
    *[(InvertedDropout, "keep", value) for value in (2**-16, 1.0, (1.0, 0.5))],
    *[(LeakyReLU, "slope", value) for value in (0.0, 1.0)],
    *[(L1, "strength", value) for value in (0.0, 1e9)],
    *[(cls, "limit", value) for cls in (ClipNorm, ClipValue, UnitMaxNorm) for value in (1e-30, 1e30)],
    *[(cls, field, value) for cls, field in (*ENDS, (OneCycle, "start")) for value in (0.0, 1.0)],
    *[(cls, "gamma", 1.0) for cls in (Step, Exponential)],
    *[(CosineRestarts, field, value) for field, value in (("period", 0.001), ("growth", 1.0), ("growth", 100.0))],
    *[(ReduceOnPlateau, field, 0) for field in ("patience", "threshold", "cooldown")],
    *[(MLP, "hidden", value) for value in ((), (1,))],
]


@pytest.mark.parametrize(("cls", "field", "value", "message"), OUTSIDE)
def test_the_message_names_thing_range_and_value(cls: type[Component], field: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        cls(**{field: value})


@pytest.mark.parametrize(("cls", "field", "value"), INSIDE)
def test_the_limits_that_belong_to_a_range_are_allowed(cls: type[Component], field: str, value: Any) -> None:
    assert getattr(cls(**{field: value}), field) == value


def test_a_network_wants_one_activation_or_one_a_layer() -> None:
    message = "architecture.activation must be one or one a hidden layer (3), got ['relu', 'tanh']"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        MLP(hidden=(4, 4, 4), activation=(ReLU(), Tanh()))


def test_dropout_wants_one_number_or_one_a_layer() -> None:
    message = "dropout.keep must be one number or one a hidden layer (3), got [0.5, 0.5]"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        InvertedDropout(keep=(0.5, 0.5)).keeps(3)


@pytest.mark.parametrize("name", sorted(name for name, cls in LOSSES.items() if cls.output is not None))
def test_a_loss_that_fixes_the_output_refuses_another_one(name: str) -> None:
    loss = LOSSES[name]()
    assert MLP(output=str(loss.output)).output_for(loss) == loss.output
    assert_rejected(lambda: MLP(output="tanh").output_for(loss), name, str(loss.output), "'tanh'")


def test_an_error_of_settings_is_an_error_of_usage() -> None:
    assert issubclass(ConfigError, UsageError)
    assert issubclass(UsageError, NnexpError)
    assert (NnexpError.exit_code, UsageError.exit_code) == (1, 2)
