"""The stacked network: K networks of one shape, one batched pass.

Every array leads with the replica axis, also when there is one replica. Activations are features first, (K, n_l, B),
with a last row of ones, which the last column of (W_l | b_l) multiplies: the bias needs no pass of its own, nor does
its gradient. `np.matmul` makes one BLAS call a replica, so a replica's bits do not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nnexp.arrays import Floats
from nnexp.network.activations import Activation, Spare, sigmoid
from nnexp.network.dropout import Fates, Mask
from nnexp.network.layout import Layout
from nnexp.network.losses import Desk, Loss, Targets, assess
from nnexp.network.normalization import Normalization, Normalizer, Scales


@dataclass(frozen=True)
class Blueprint:
    """What the replicas of a stack have in common.

    Args: sizes: units a layer, n_0 … n_L. activations: of each hidden layer. output: activation of the outputs, None
    where the loss works on logits. dtype: `float32` or `float64`. normalization: of the hidden layers.
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    output: Activation | None
    loss: Loss
    dtype: str = "float32"
    normalization: Normalization = field(default_factory=Normalization)

    @property
    def gains(self) -> tuple[float, ...]:
        """What each layer's activation asks of its weights; 1 for logits."""
        return (*(each.gain for each in self.activations), 1.0 if self.output is None else self.output.gain)

    @cached_property
    def layout(self) -> Layout:
        """Where each parameter lies."""
        return Layout(self.sizes, self.normalization)


@dataclass(frozen=True)
class _Hidden:
    """The buffers of a hidden layer, and the parameters that read it.

    Where the next layer is normalized, its product goes without the row of ones and the column of biases.
    """

    normalizer: Normalizer | None
    activation: Activation
    mask: Mask | None
    spare: Spare
    units: Floats  # (K, n, B)
    seen: Floats  # what the next layer reads: the units, or a copy of them where some are left out, (K, n, B)
    A: Floats  # the same with a last row of ones, (K, n + 1, B), or without
    W: Floats  # of the next layer, (K, n', n + 1), or (K, n', n)
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

    Args: theta: (K, P + S'), as the layout says. examples: B. sources: S. grad: (K, P), filled by `backward`; None if
    there is no backward pass. fates: the stack's dropout; None for evaluation.
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
        self.blueprint, self.examples, layout = blueprint, examples, blueprint.layout
        self.outputs: Floats = np.empty((K, outputs, examples), dtype)
        squares = outputs if blueprint.loss.target_kind == "values" else 1
        self.desk = Desk(K, outputs, examples, dtype, squares=squares)
        self._predicted = np.empty_like(self.outputs)
        links = [*blueprint.activations, blueprint.output]
        slopes = [grad is not None and link is not None and link.keeps_slope for link in links]
        self._spares = _spares(K, blueprint.sizes[1:], examples, dtype, slopes)
        self._normalizers = self._normalize(theta, grad)
        W = layout.views(theta)
        self._hidden = self._connect(W, fates)
        # what a product with the rows reads: all columns, or no column of ones and no biases
        cols = slice(None, -1) if self._normalizers else slice(None)
        self._inputs = _Inputs((K, sources, examples), blueprint.sizes, cols, dtype, fates)
        first = self._hidden[0].units if self._hidden else self.outputs
        self._first = _by_source([W[0][:, :, cols], first], self._inputs.sources)
        if grad is not None:
            dW = layout.views(grad)
            self._back = [self._way_back(number, dW[number]) for number in range(len(self._hidden), 0, -1)]
            dZ = self._back[-1].dA if self._back else self.outputs
            self._last = _by_source([dZ, dW[0][:, :, cols]], self._inputs.sources)

    def _normalize(self, theta: Floats, grad: Floats | None) -> list[Normalizer]:
        """Return each hidden layer's normalizer, or none at all."""
        layout, shape = self.blueprint.layout, (len(theta), self.examples)
        gammas, statistics = layout.gammas(theta), layout.statistics(theta)
        found = []
        for layer, gamma in enumerate(gammas):
            scales = Scales(
                gamma=gamma,
                bias=layout.views(theta)[layer][:, :, -1],
                dgamma=None if grad is None else layout.gammas(grad)[layer],
                dbias=None if grad is None else layout.views(grad)[layer][:, :, -1],
                statistics=statistics[layer] if statistics else None,
            )
            found.append(self.blueprint.normalization.normalizer(scales, (shape[0], gamma.shape[1], shape[1])))
        return [each for each in found if each is not None]

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
            whole = not self._normalizers or layer + 1 == len(widths)
            found.append(
                _Hidden(
                    normalizer=self._normalizers[layer] if self._normalizers else None,
                    activation=activation,
                    mask=mask,
                    spare=self._spares[layer],
                    units=Z[layer],
                    seen=read[:, :-1],
                    A=read if whole else read[:, :-1],
                    W=W[layer + 1] if whole else W[layer + 1][:, :, :-1],
                    Z=Z[layer + 1],
                )
            )
        return found

    def _way_back(self, number: int, dW: Floats) -> _Gradients:
        """Return the buffers from a layer's gradients, of which dW is (K, n', n + 1), to those of the one before."""
        hidden, n = self._hidden[number - 1], self.blueprint.sizes[number]
        AT, WT = hidden.A.swapaxes(1, 2), hidden.W[:, :, :n].swapaxes(1, 2)
        return _Gradients(hidden, AT, WT, dW[:, :, : AT.shape[2]], np.empty(hidden.units.shape, dW.dtype))

    def forward(self, rows: Floats, targets: Targets | None) -> None:
        """Run rows through the networks; with targets, also fill the desk's losses and scores."""
        W_first, Z_first = self._first
        np.matmul(W_first, self._inputs.read(rows), out=Z_first)
        for hidden in self._hidden:
            if hidden.normalizer is not None:
                hidden.normalizer.forward(hidden.units)
            hidden.activation.forward(hidden.units, hidden.spare)
            if hidden.mask is not None:
                hidden.mask.draw()
                np.multiply(hidden.units, hidden.mask.kept, out=hidden.seen)
            np.matmul(hidden.W, hidden.A, out=hidden.Z)
        if self.blueprint.output is not None:
            self.blueprint.output.forward(self.outputs, self._spares[-1])
            np.copyto(self._predicted, self.outputs)
        if targets is not None:
            assess(self.blueprint.loss, self.outputs, targets, self.desk)

    def backward(self, targets: Targets) -> None:
        """Fill the gradient of the mean loss, after `forward` with the same targets."""
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
            if hidden.normalizer is not None:
                hidden.normalizer.backward(back.dA)
            dZ = back.dA
        dZ_first, dW_first = self._last
        np.matmul(dZ_first, self._inputs.rows, out=dW_first)


class _Inputs:
    """What the first layer reads of the rows (S, B, n_0 + 1), and the buffers for it.

    With dropout on the inputs each replica reads rows of its own. For a small product the rows are copied features
    first: OpenBLAS multiplies small matrices as they lie, and takes 1.4 to 3 times as long for rows that lie across.
    The copy costs less, and replicas with the same rows share it.

    Args: shape: replicas, sources and examples. cols: those columns that the first layer multiplies.
    Attributes: sources: of what is read. rows: what the last `read` has read, rows first.
    """

    SMALL = 1_000_000  # multiplications of a product that OpenBLAS does not rearrange by itself

    def __init__(
        self,
        shape: tuple[int, int, int],
        sizes: tuple[int, ...],
        cols: slice,
        dtype: np.dtype[Any],
        fates: Fates | None,
    ) -> None:
        (K, self.sources, B), n = shape, sizes[0]
        self.cols = cols
        self.rows: Floats = np.empty(0, dtype)
        self._mask: Mask | None = None
        if fates is not None and fates.drops[-1]:
            self.sources, self._mask = K, Mask(fates, len(fates.drops) - 1, (K, B, n), dtype)
            self._dropped: Floats = np.ones((K, B, n + 1), dtype)
        count = n + 1 if cols.stop is None else n
        small = sizes[1] * count * B <= self.SMALL
        self._columns: Floats | None = np.empty((self.sources, count, B), dtype) if small else None

    def read(self, rows: Floats) -> Floats:
        """Return what the first layer's weights multiply, (S, n_0 + 1, B) or (S, n_0, B)."""
        seen = rows if self._mask is None else self._drop(rows, self._mask)
        self.rows = seen[:, :, self.cols]
        if self._columns is None:
            return self.rows.swapaxes(1, 2)
        np.copyto(self._columns.swapaxes(1, 2), self.rows)
        return self._columns

    def _drop(self, rows: Floats, mask: Mask) -> Floats:
        """Return the rows as each replica sees them, (K, B, n_0 + 1)."""
        mask.draw()
        by_source = (-1, *rows.shape)
        kept = mask.kept.reshape(-1, len(rows), *mask.kept.shape[1:])
        np.multiply(rows[:, :, :-1], kept, out=self._dropped.reshape(by_source)[:, :, :, :-1])
        return self._dropped


def _by_source(arrays: Sequence[Floats], sources: int) -> list[Floats]:
    """Return arrays (K, …) as views (K / S, S, …), which broadcast against rows (S, …)."""
    if sources == len(arrays[0]):
        return list(arrays)
    return [np.reshape(array, (-1, sources, *array.shape[1:]), copy=False) for array in arrays]


def _spares(
    replicas: int, widths: Sequence[int], examples: int, dtype: np.dtype[Any], slopes: Sequence[bool]
) -> list[Spare]:
    """Return scratch for each layer: views of the same memory, since layers take turns; but slopes of their own."""
    largest = Spare.of((replicas, max(widths), examples), dtype)
    spares = []
    for n, keeps in zip(widths, slopes, strict=True):
        shape, size = (replicas, n, examples), replicas * n * examples
        spares.append(
            Spare(
                floats=largest.floats.reshape(-1)[:size].reshape(shape),
                more=largest.more.reshape(-1)[:size].reshape(shape),
                reduced=largest.reduced,
                flags=largest.flags.reshape(-1)[:size].reshape(shape),
                zeros=largest.zeros[:n],
                slope=np.empty(shape, dtype) if keeps else None,
            )
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
