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


@dataclass(frozen=True)
class _Hidden:
    """The buffers of a hidden layer, and the parameters that read it."""

    activation: Activation
    mask: Mask | None
    spare: Spare
    units: Floats  # (K, n, B)
    seen: Floats  # what the next layer reads: the units, or a copy of them where some are left out, (K, n, B)
    A: Floats  # the same with a last row of ones, (K, n + 1, B)
    W: Floats  # of the next layer, (K, n', n + 1)
    Z: Floats  # of the next layer, (K, n', B)


@dataclass(frozen=True)
class _Gradients:
    """The buffers for the way back through a hidden layer."""

    hidden: _Hidden
    AT: Floats
    WT: Floats
    dW: Floats
    dA: Floats


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
        K, dtype, outputs = len(theta), theta.dtype, blueprint.sizes[-1]
        self.blueprint, self.examples = blueprint, examples
        self.outputs: Floats = np.empty((K, outputs, examples), dtype)
        self.desk = Desk(K, outputs, examples, dtype)
        self._predicted = np.empty_like(self.outputs)
        self._spares = _spares(K, blueprint.sizes[1:], examples, dtype)
        W = blueprint.layout.views(theta)
        self._hidden = self._connect(W, fates)
        first = self._hidden[0].units if self._hidden else self.outputs
        self._first = _by_source([W[0], first], sources)
        if grad is not None:
            dW = blueprint.layout.views(grad)
            self._back = [_way_back(hidden, dW[number]) for number, hidden in enumerate(self._hidden, start=1)][::-1]
            self._last = _by_source([self._back[-1].dA if self._back else self.outputs, dW[0]], sources)

    def _connect(self, W: Sequence[Floats], fates: Fates | None) -> list[_Hidden]:
        K, _, B = self.outputs.shape
        dtype, widths = self.outputs.dtype, self.blueprint.sizes[1:-1]
        A = [np.ones((K, n + 1, B), dtype) for n in widths]
        Z = [*(each[:, :-1] for each in A), self.outputs]
        found = []
        for layer, activation in enumerate(self.blueprint.activations):
            shape = (K, widths[layer], B)
            mask = Mask(fates, layer, shape, dtype) if fates is not None and fates.drops[layer] else None
            read = A[layer] if mask is None or activation.by_sign else np.ones_like(A[layer])
            found.append(
                _Hidden(
                    activation=activation,
                    mask=mask,
                    spare=self._spares[layer],
                    units=Z[layer],
                    seen=read[:, :-1],
                    A=read,
                    W=W[layer + 1],
                    Z=Z[layer + 1],
                )
            )
        return found

    def forward(self, rows: Floats, targets: Targets | None) -> None:
        """Run rows through the networks; with targets, also fill the desk's losses and scores."""
        W_first, Z_first = self._first
        np.matmul(W_first, rows.swapaxes(1, 2), out=Z_first)
        for hidden in self._hidden:
            hidden.activation.forward(hidden.units, hidden.spare)
            if hidden.mask is not None:
                hidden.mask.draw()
                np.multiply(hidden.units, hidden.mask.kept, out=hidden.seen)
            np.matmul(hidden.W, hidden.A, out=hidden.Z)
        if self.blueprint.output is not None:
            self.blueprint.output.forward(self.outputs, self._spares[-1])
            np.copyto(self._predicted, self.outputs)
        if targets is not None:
            self.blueprint.loss.forward(self.outputs, targets, self.desk)

    def backward(self, rows: Floats, targets: Targets) -> None:
        """Fill the gradient of the mean loss, after `forward` with the same rows and targets."""
        dZ = self.outputs
        self.blueprint.loss.backward(dZ, targets, self.desk)
        if self.blueprint.output is not None:
            self.blueprint.output.backward(dZ, self._predicted, self._spares[-1])
        for back in self._back:
            hidden = back.hidden
            np.matmul(dZ, back.AT, out=back.dW)
            np.matmul(back.WT, dZ, out=back.dA)
            if hidden.mask is not None:
                np.multiply(back.dA, hidden.mask.kept, out=back.dA)
            hidden.activation.backward(back.dA, hidden.units, hidden.spare)
            dZ = back.dA
        dZ_first, dW_first = self._last
        np.matmul(dZ_first, rows, out=dW_first)


def _way_back(hidden: _Hidden, dW: Floats) -> _Gradients:
    AT, WT = hidden.A.swapaxes(1, 2), hidden.W[:, :, :-1].swapaxes(1, 2)
    return _Gradients(hidden, AT, WT, dW, np.empty(hidden.units.shape, dW.dtype))


def _by_source(arrays: Sequence[Floats], sources: int) -> list[Floats]:
    """Return arrays (K, …) as views (K / S, S, …), which broadcast against rows (S, …)."""
    if sources == len(arrays[0]):
        return list(arrays)
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
