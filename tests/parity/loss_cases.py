"""The losses' cases: from logits or outputs, of labels, values, and labels as values."""

from __future__ import annotations

from typing import Any

from nnexp.network.activations import Tanh
from nnexp.network.architecture import MLP
from nnexp.network.losses import BinaryCrossEntropy, CrossEntropy, Loss, MeanAbsoluteError, MeanSquaredError
from nnexp.network.optimizers import SGD
from tests.parity.problem import HIDDEN
from tests.parity.words import Call, Case, Reference, Settings, call

BY_SUM = "PyTorch divides by the number of outputs too; compared with its sum over them"


def case(ours: Loss, theirs: Call, reason: str = "", **more: Any) -> Case:
    """Return a training with a loss."""
    chosen: Settings = {"loss": ours, "optimizer": SGD(lr=0.05)}
    reference = Reference(loss=theirs, optimizer=call("SGD", lr=0.05))
    return Case(group="loss", ours=chosen, theirs=reference, reason=reason, **more)


def of_outputs(ours: Loss, output: str, theirs: Call, their_output: Call) -> Case:
    """Return a training in which labels are learnt as values, by an activation of the outputs."""
    architecture = MLP(hidden=HIDDEN, activation=Tanh(), output=output)
    reference = Reference(loss=theirs, output=their_output)
    return Case(group="loss", ours={"loss": ours, "architecture": architecture}, theirs=reference, reason=BY_SUM)


SQUARES, SIZES = call("sum_over_outputs", of="MSELoss"), call("sum_over_outputs", of="L1Loss")

LOSS_CASES: dict[str, Case] = {
    "cross_entropy": case(CrossEntropy(), call("CrossEntropyLoss")),
    "binary_cross_entropy": case(BinaryCrossEntropy(), call("BCEWithLogitsLoss"), kind="binary"),
    "mse": case(MeanSquaredError(), call("MSELoss"), kind="values"),
    "mse of three outputs": case(MeanSquaredError(), SQUARES, BY_SUM),
    "mse of softmax": of_outputs(MeanSquaredError(), "softmax", SQUARES, call("Softmax", dim=1)),
    "mse of sigmoid": of_outputs(MeanSquaredError(), "sigmoid", SQUARES, call("Sigmoid")),
    "mae": case(MeanAbsoluteError(), call("L1Loss"), kind="values"),
    "mae of three outputs": case(MeanAbsoluteError(), SIZES, BY_SUM),
}
