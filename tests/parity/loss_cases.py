"""The losses' cases: of labels, probabilities and values, from logits or outputs, with weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnexp.network.activations import Tanh
from nnexp.network.architecture import MLP
from nnexp.network.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    MultiLabelCrossEntropy,
)
from nnexp.network.optimizers import SGD
from tests.parity.problem import HIDDEN, TRAIN, problem
from tests.parity.words import Call, Case, Reference, Settings, call

BY_SUM = "PyTorch divides by the number of outputs too; compared with its sum over them"
SMOOTHED = "PyTorch's has no smoothing; compared with its loss of smoothed targets"
BOTH = "PyTorch weighs each class's part of a smoothed target; compared with its losses, weighed by their labels"
BY_NUMBER = "PyTorch divides by the number of examples; compared with its losses, divided by their weights"
NO_WEIGHTS = "PyTorch has no weights of examples; compared with the weighted mean of its losses"


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


def balanced() -> tuple[float, ...]:
    """Return m / (C m_c) of the training part's classes."""
    counts = np.bincount(problem("binary").y[:TRAIN])
    return tuple((TRAIN / (len(counts) * counts)).tolist())


def summed(of: str, **settings: Any) -> Call:
    """Return a loss of PyTorch, summed over the outputs."""
    return call("mean_of_sums", of=of, **settings)


THREE, TWO = (0.5, 2.0, 1.5), (0.5, 2.0)
SQUARES, SIZES, LOGITS = summed("MSELoss"), summed("L1Loss"), "BCEWithLogitsLoss"

CROSS_ENTROPY_CASES: dict[str, Case] = {
    "cross_entropy": case(CrossEntropy(), call("CrossEntropyLoss")),
    "cross_entropy, smoothing": case(CrossEntropy(label_smoothing=0.2), call("CrossEntropyLoss", label_smoothing=0.2)),
    "cross_entropy, class weights": case(CrossEntropy(class_weight=THREE), call("CrossEntropyLoss", weight=THREE)),
    "cross_entropy, class weights and smoothing": case(
        CrossEntropy(class_weight=THREE, label_smoothing=0.2),
        summed("CrossEntropyLoss", label_smoothing=0.2, class_weight=THREE),
        BOTH,
    ),
    "cross_entropy, weights": case(CrossEntropy(), summed("CrossEntropyLoss"), NO_WEIGHTS, weighted=True),
    "cross_entropy, weights, mini-batches": case(
        CrossEntropy(), summed("CrossEntropyLoss"), NO_WEIGHTS, weighted=True, batch_size=5
    ),
    "cross_entropy, both weights": case(
        CrossEntropy(class_weight=THREE), summed("CrossEntropyLoss", class_weight=THREE), NO_WEIGHTS, weighted=True
    ),
    "cross_entropy, probabilities": case(CrossEntropy(), call("CrossEntropyLoss"), kind="probabilities"),
    "cross_entropy, probabilities, smoothing": case(
        CrossEntropy(label_smoothing=0.2), call("CrossEntropyLoss", label_smoothing=0.2), kind="probabilities"
    ),
    "binary_cross_entropy": case(BinaryCrossEntropy(), call(LOGITS), kind="binary"),
    "binary_cross_entropy, smoothing": case(
        BinaryCrossEntropy(label_smoothing=0.2), summed(LOGITS, smoothing=0.2), SMOOTHED, kind="binary"
    ),
    "binary_cross_entropy, class weights": case(
        BinaryCrossEntropy(class_weight=TWO), summed(LOGITS, class_weight=TWO), BY_NUMBER, kind="binary"
    ),
    "binary_cross_entropy, balanced": case(
        BinaryCrossEntropy(class_weight="balanced"), summed(LOGITS, class_weight=balanced()), BY_NUMBER, kind="binary"
    ),
    "multi_label_cross_entropy": case(MultiLabelCrossEntropy(), summed(LOGITS), BY_SUM, kind="multi"),
    "multi_label_cross_entropy, smoothing": case(
        MultiLabelCrossEntropy(label_smoothing=0.2), summed(LOGITS, smoothing=0.2), SMOOTHED, kind="multi"
    ),
}

OTHER_CASES: dict[str, Case] = {
    "hinge": case(Hinge(margin=0.7), call("MultiMarginLoss", margin=0.7)),
    "hinge, class weights": case(Hinge(class_weight=THREE), summed("MultiMarginLoss", class_weight=THREE), BY_NUMBER),
    "mse": case(MeanSquaredError(), call("MSELoss"), kind="values"),
    "mse, weights": case(MeanSquaredError(), SQUARES, NO_WEIGHTS, kind="values", weighted=True),
    "mse of three values": case(MeanSquaredError(), SQUARES, BY_SUM, kind="several"),
    "mse of classes": case(MeanSquaredError(), SQUARES, BY_SUM),
    "mse of softmax": of_outputs(MeanSquaredError(), "softmax", SQUARES, call("Softmax", dim=1)),
    "mse of sigmoid": of_outputs(MeanSquaredError(), "sigmoid", SQUARES, call("Sigmoid")),
    "mae": case(MeanAbsoluteError(), call("L1Loss"), kind="values"),
    "mae of three values": case(MeanAbsoluteError(), SIZES, BY_SUM, kind="several"),
    "huber": case(Huber(delta=0.7), call("HuberLoss", delta=0.7), kind="values"),
    "huber of three values": case(Huber(delta=0.7), summed("HuberLoss", delta=0.7), BY_SUM, kind="several"),
}

LOSS_CASES = CROSS_ENTROPY_CASES | OTHER_CASES
