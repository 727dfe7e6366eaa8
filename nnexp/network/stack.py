"""The stacked network: K networks of one shape, one batched pass.

Every array leads with the replica axis, also when there is one replica. Activations are features first, (K, n_l, B),
with a last row of ones, which the last column of (W_l | b_l) multiplies: the bias needs no pass of its own, nor does
its gradient. `np.matmul` makes one BLAS call a replica, so a replica's bits do not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nnexp.arrays import Floats
from nnexp.network.activations import Activation, Spare, sigmoid
from nnexp.network.dropout import Fates, Mask
from nnexp.network.layout import Layout
from nnexp.network.losses import Desk, Loss, Targets


@dataclass(frozen=True)
class Blueprint:
    """What the replicas of a stack have in common.

    Args: sizes: units a layer, n_0 … n_L. activations: of each hidden layer. output: activation of the outputs, None
    where the loss works on logits. dtype: `float32` or `float64`.
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    output: Activation | None
    loss: Loss
    dtype: str = "float32"

    @cached_property
    def layout(self) -> Layout:
        """Where each parameter lies."""
        return Layout(self.sizes)


class Pass:
    """The buffers of a stack for batches of one size, all allocated here, and what runs through them.

    Inputs come as rows (S, B, n_0 + 1) whose last column is one. S divides K and replica k reads rows[k % S]: replicas
    with the same order of examples need not have copies of them.

    Args: theta: (K, P). examples: B. sources: S. grad: (K, P), filled by `backward`; None if there is no backward pass.
    fates: the stack's dropout; None for evaluation.
    Attributes: outputs: (K, n_L, B). desk: losses and scores, (K, B).
    """

    def __init__(
        self,
        blueprint: Blueprint,
        theta: Floats,
        examples: int,
        *,
        sources: int = 1,
        grad: Floats | None = None,
        fates: Fates | None = None,
    ) -> None:
        K, B, dtype = len(theta), examples, theta.dtype
        hidden, outputs = blueprint.sizes[1:-1], blueprint.sizes[-1]
        self.blueprint, self.examples = blueprint, examples
        self.outputs: Floats = np.empty((K, outputs, B), dtype)
        self.desk = Desk(K, outputs, B, dtype)
        self._predicted: Floats | None = None if blueprint.output is None else np.empty((K, outputs, B), dtype)
        self._spares = _spares(K, (*hidden, outputs), B, dtype)
        self._W = blueprint.layout.views(theta)
        self._A = [np.ones((K, n + 1, B), dtype) for n in hidden]
        self._units = [A[:, :-1] for A in self._A]
        self._masks = [
            Mask(fates, layer, (K, n, B), dtype) if fates is not None and fates.drops[layer] else None
            for layer, n in enumerate(hidden)
        ]
        # what the next layer reads: a layer's own output, or a copy of it with units left out
        self._read = [
            A if mask is None or activation.by_sign else np.ones_like(A)
            for A, mask, activation in zip(self._A, self._masks, blueprint.activations, strict=True)
        ]
        self._first = _by_source([self._W[0], (self._units or [self.outputs])[0]], sources)
        if grad is not None:
            self._dW = blueprint.layout.views(grad)
            self._WT = [W[:, :, :-1].swapaxes(1, 2) for W in self._W]
            self._AT = [A.swapaxes(1, 2) for A in self._read]
            self._dA = [np.empty((K, n, B), dtype) for n in hidden]
            self._last = _by_source([(self._dA or [self.outputs])[0], self._dW[0]], sources)

    def forward(self, rows: Floats, targets: Targets | None) -> None:
        """Run rows through the networks; with targets, also fill the desk's losses and scores."""
        W_first, out = self._first
        np.matmul(W_first, rows.swapaxes(1, 2), out=out)
        for layer, activation in enumerate(self.blueprint.activations):
            units, mask, read = self._units[layer], self._masks[layer], self._read[layer]
            activation.forward(units, self._spares[layer])
            if mask is not None:
                mask.draw()
                np.multiply(units, mask.kept, out=read[:, :-1])
            following = self._units[layer + 1] if layer + 1 < len(self._units) else self.outputs
            np.matmul(self._W[layer + 1], read, out=following)
        if self.blueprint.output is not None and self._predicted is not None:
            self.blueprint.output.forward(self.outputs, self._spares[-1])
            np.copyto(self._predicted, self.outputs)
        if targets is not None:
            self.blueprint.loss.forward(self.outputs, targets, self.desk)

    def backward(self, rows: Floats, targets: Targets) -> None:
        """Fill the gradient of the mean loss, after `forward` with the same rows and targets."""
        dZ = self.outputs
        self.blueprint.loss.backward(dZ, targets, self.desk)
        if self.blueprint.output is not None and self._predicted is not None:
            self.blueprint.output.backward(dZ, self._predicted, self._spares[-1])
        for layer in range(len(self._A) - 1, -1, -1):
            dA, mask = self._dA[layer], self._masks[layer]
            np.matmul(dZ, self._AT[layer], out=self._dW[layer + 1])
            np.matmul(self._WT[layer + 1], dZ, out=dA)
            if mask is not None:
                dA *= mask.kept
            self.blueprint.activations[layer].backward(dA, self._units[layer], self._spares[layer])
            dZ = dA
        dZ_first, dW_first = self._last
        np.matmul(dZ_first, rows, out=dW_first)


def _by_source(arrays: Sequence[Floats], sources: int) -> list[Floats]:
    """Return arrays (K, …) as views (K / S, S, …), which broadcast against rows (S, …)."""
    return [np.reshape(array, (-1, sources, *array.shape[1:]), copy=False) for array in arrays]


def _spares(replicas: int, widths: Sequence[int], examples: int, dtype: np.dtype[Any]) -> list[Spare]:
    """Return scratch for each layer: views of the same memory, since layers take turns."""
    largest = max(widths) * examples
    floats, flags = np.empty(replicas * largest, dtype), np.empty(replicas * largest, np.bool_)
    zeros = np.zeros(largest, dtype)
    spares = []
    for n in widths:
        shape = (replicas, n, examples)
        size = replicas * n * examples
        spares.append(
            Spare(floats[:size].reshape(shape), flags[:size].reshape(shape), zeros[: n * examples].reshape(shape[1:]))
        )
    return spares


def predict(blueprint: Blueprint, theta: Floats, X: Floats) -> Floats:
    """Return what networks predict for examples: probabilities of classes, or values.

    Args: theta: parameters, (P,) or (K, P). X: standardised inputs, (B, n_0).
    Returns: (…, B, outputs): softmax of the logits, their sigmoid (one column) or the outputs, as the loss says.
    """
    stacked = np.atleast_2d(theta)
    rows = np.ones((1, len(X), blueprint.sizes[0] + 1), theta.dtype)
    rows[0, :, :-1] = X
    run = Pass(blueprint, stacked, len(X))
    run.forward(rows, None)
    Z = run.outputs
    if blueprint.loss.output == "softmax":
        Z = np.exp(Z - Z.max(axis=1, keepdims=True))
        Z /= Z.sum(axis=1, keepdims=True)
    elif blueprint.loss.output == "sigmoid":
        sigmoid(Z)
    found = Z.swapaxes(1, 2)
    return found if theta.ndim > 1 else found[0]
