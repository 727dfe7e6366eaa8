"""The trainings that are done twice: nnexp's settings, and the words in which PyTorch says the same.

Nothing here needs PyTorch: `tests.parity.pytorch` reads the words. docs/parity.md shows them as tables.
"""

from __future__ import annotations

from typing import Any

from nnexp.component import Component
from nnexp.network.activations import (
    ELU,
    GELU,
    SELU,
    Activation,
    HardSigmoid,
    Identity,
    LeakyReLU,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from nnexp.network.architecture import MLP
from nnexp.network.averaging import EMA, Averaging
from nnexp.network.clipping import Clip, ClipNorm, ClipValue
from nnexp.network.constraints import MaxNorm, UnitMaxNorm
from nnexp.network.dropout import Dropout, InvertedDropout
from nnexp.network.normalization import BatchNorm, LayerNorm, Normalization
from nnexp.network.optimizers import Adam
from nnexp.network.penalties import L1, L2, Penalty
from tests.parity.loss_cases import LOSS_CASES
from tests.parity.optimizer_cases import OPTIMIZER_CASES
from tests.parity.problem import HIDDEN
from tests.parity.schedule_cases import SCHEDULE_CASES
from tests.parity.words import Call, Case, Reference, call

FLOAT32 = "PyTorch's derivative is 1/6 in float32; compared with the derivative of its clamp"
NO_PENALTY = "PyTorch's losses have none; compared with the formula, added to the loss"
RENORM = "torch.renorm divides by the norm + 1e-7; compared with the formula"
OWN_MASKS = "masks come from nnexp's own streams; tests/network/test_dropout.py and test_gradient.py prove what they do"


def activated(ours: Activation, theirs: Call, reason: str = "") -> Case:
    """Return a training with an activation of the hidden layers."""
    architecture = MLP(hidden=HIDDEN, activation=ours)
    reference = Reference(activation=theirs)
    return Case(group="activation", ours={"architecture": architecture}, theirs=reference, reason=reason)


def normalized(ours: Normalization, theirs: Call, batch_size: int | None = None) -> Case:
    """Return a training with normalized hidden layers."""
    reference = Reference(optimizer=call("Adam", lr=0.02), normalization=theirs)
    chosen = {"optimizer": Adam(lr=0.02), "normalization": ours}
    return Case(group="normalization", ours=chosen, theirs=reference, batch_size=batch_size)


def regular(group: str, ours: Component, reason: str = "", **theirs: Any) -> Case:
    """Return a training of mini-batches that is kept in bounds."""
    return Case(group=group, ours={group: ours}, theirs=Reference(**theirs), reason=reason, batch_size=5)


def off(group: str, ours: Component) -> Case:
    """Return the same training with what does nothing."""
    return Case(group=group, ours={group: ours}, theirs=Reference(), batch_size=5, off=True)


ACTIVATION_CASES: dict[str, Case] = {
    "identity": activated(Identity(), call("Identity")),
    "sigmoid": activated(Sigmoid(), call("Sigmoid")),
    "tanh": activated(Tanh(), call("Tanh")),
    "relu": activated(ReLU(), call("ReLU")),
    "leaky_relu": activated(LeakyReLU(slope=0.2), call("LeakyReLU", negative_slope=0.2)),
    "elu": activated(ELU(alpha=0.7), call("ELU", alpha=0.7)),
    "selu": activated(SELU(), call("SELU")),
    "gelu": activated(GELU(), call("GELU")),
    "gelu, tanh": activated(GELU(approximate="tanh"), call("GELU", approximate="tanh")),
    "silu": activated(SiLU(), call("SiLU")),
    "softplus": activated(Softplus(), call("Softplus", threshold=1000)),
    "mish": activated(Mish(), call("Mish")),
    "softsign": activated(Softsign(), call("Softsign")),
    "hard_sigmoid": activated(HardSigmoid(), call("hard_sigmoid"), FLOAT32),
    "softmax": activated(Softmax(), call("Softmax", dim=1)),
}

THEIR_BATCH_NORM, THEIR_LAYER_NORM = call("BatchNorm1d", momentum=0.3, eps=1e-3), call("LayerNorm", eps=1e-3)
THEIR_EMA = call("get_ema_multi_avg_fn", decay=0.8)

NORMALIZATION_CASES: dict[str, Case] = {
    "batch_norm": normalized(BatchNorm(momentum=0.3, eps=1e-3), THEIR_BATCH_NORM),
    "batch_norm, mini-batches": normalized(BatchNorm(momentum=0.3, eps=1e-3), THEIR_BATCH_NORM, batch_size=5),
    "layer_norm": normalized(LayerNorm(eps=1e-3), THEIR_LAYER_NORM),
    "layer_norm, mini-batches": normalized(LayerNorm(eps=1e-3), THEIR_LAYER_NORM, batch_size=5),
    "batch_norm, averaged": Case(
        group="averaging",
        ours={"normalization": BatchNorm(), "averaging": EMA(decay=0.8)},
        theirs=Reference(normalization=call("BatchNorm1d"), averaging=THEIR_EMA),
    ),
}

REGULARIZATION_CASES: dict[str, Case] = {
    "l2": regular("l2", L2(strength=0.5), NO_PENALTY, l2=0.5),
    "l1": regular("l1", L1(strength=0.3), NO_PENALTY, l1=0.3),
    "clip by norm": regular("clip", ClipNorm(limit=0.3), clip=call("clip_grad_norm_", max_norm=0.3)),
    "clip by value": regular("clip", ClipValue(limit=0.05), clip=call("clip_grad_value_", clip_value=0.05)),
    "max_norm": regular("max_norm", UnitMaxNorm(limit=1.1), RENORM, constraint=call("max_norm", limit=1.1)),
    "ema": regular("averaging", EMA(decay=0.8), averaging=THEIR_EMA),
    "no clip": regular("clip", Clip()),
    "no l2": off("l2", Penalty()),
    "l2 of strength 0": off("l2", L2(strength=0.0)),
    "no l1": off("l1", Penalty()),
    "l1 of strength 0": off("l1", L1(strength=0.0)),
    "no dropout": off("dropout", Dropout()),
    "dropout that keeps all": off("dropout", InvertedDropout(keep=1.0)),
    "no max_norm": off("max_norm", MaxNorm()),
    "no averaging": off("averaging", Averaging()),
    "no normalization": off("normalization", Normalization()),
}

CASES: dict[str, Case] = {
    **OPTIMIZER_CASES,
    **SCHEDULE_CASES,
    **ACTIVATION_CASES,
    **LOSS_CASES,
    **NORMALIZATION_CASES,
    **REGULARIZATION_CASES,
}

# Tables whose components take no part in the arithmetic of a training, and why.
OUTSIDE: dict[str, str] = {
    "ARCHITECTURES": "every case trains one",
    "DATASETS": "data, no arithmetic",
    "EARLY_STOPPINGS": "an end, no arithmetic",
}

# Components that no training is compared of, and where they are proved instead.
ELSEWHERE: dict[tuple[str, str], str] = {
    ("INITIALIZERS", "file"): "draws nothing: every case starts from given weights; tests/network/test_initializers.py",
}

# Settings that no case varies, and why.
UNVARIED: dict[str, str] = {"inverted.keep": OWN_MASKS, "inverted.input_keep": OWN_MASKS}
