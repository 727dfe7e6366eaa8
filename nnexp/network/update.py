"""The second half of a step: penalties, clipping, optimizers and constraints, applied to a stack block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from nnexp.arrays import Floats, Integers
from nnexp.network.blocks import BLOCK_ELEMENTS, cut
from nnexp.network.clipping import Clip, shares
from nnexp.network.constraints import Bounds, MaxNorm
from nnexp.network.groups import Group, Piece, parts_of
from nnexp.network.layout import Layout
from nnexp.network.penalties import Penalty
from nnexp.network.sign import sign


@dataclass(frozen=True)
class Strengths:
    """What the parameters of a block are penalised with: lambda for weights, 0 else, and rows that go free."""

    lambdas: Floats  # (rows, cols)
    free: Integers


@dataclass(frozen=True)
class Block(Piece):
    """A part of the stacked parameters small enough to stay in cache."""

    stack_rows: slice
    l2: Strengths | None  # None where nobody has one
    l1: Strengths | None
    values: tuple[Floats, Floats] | None  # the least and the largest value of a gradient, (rows, 1) each, if any


@dataclass(frozen=True)
class Regularization:
    """What holds the replicas of a stack back, a component of each."""

    l2: Sequence[Penalty]
    l1: Sequence[Penalty]
    clip: Sequence[Clip]
    max_norm: Sequence[MaxNorm]


class Update:
    """Penalties, clipping, optimizers and constraints of a stack.

    Replicas with the same optimizer and options stand together.

    Args: groups: from `group_rows`. regularization: each replica's. arrays: theta, grad (K, P) and slots (K,
    slots, P). `penalty` (K,) holds what each replica paid before the last step, `squares` (K,) the squared norm of its
    gradient, with penalties and before clipping, at the last measured step.
    """

    def __init__(
        self,
        layout: Layout,
        groups: Sequence[Group],
        regularization: Regularization,
        arrays: tuple[Floats, Floats, Floats],
    ) -> None:
        theta = arrays[0]
        K, dtype = len(theta), theta.dtype
        self.groups = groups
        self._l2 = _column([each.l2 for each in regularization.l2], dtype)
        self._l1 = _column([each.l1 for each in regularization.l1], dtype)
        self._values = _column([each.value for each in regularization.clip], dtype)
        self.penalised = bool(self._l2.any() or self._l1.any())
        self.penalty: Floats = np.zeros(K, dtype)
        self.squares: Floats = np.zeros(K, dtype)
        self._paid, self._squares = np.zeros((2, K), dtype)
        self._norms = np.array([each.norm for each in regularization.clip], np.float64)
        self._clips_norms = bool(np.isfinite(self._norms).any())
        self._shares: Floats = np.ones((K, 1), dtype)  # of the gradient that clipping by norm leaves
        self._bounds = Bounds(layout.views(theta), [each.bound for each in regularization.max_norm])
        self._scratch: Floats = np.empty(min(BLOCK_ELEMENTS, theta.size), dtype)
        self._blocks = [(group, block) for group in groups for block in self._cut(group, layout, arrays)]
        for group in groups:
            group.parts = parts_of(group, layout, arrays)

    def _cut(self, group: Group, layout: Layout, arrays: tuple[Floats, Floats, Floats]) -> Iterator[Block]:
        """Cut the rows of a group into blocks, which all share one scratch."""
        (theta, grad, slots), mask = arrays, layout.weight_mask(arrays[0].dtype)
        for rows, cols in cut(group.stop - group.start, layout.size):
            stack_rows = slice(group.start + rows.start, group.start + rows.stop)
            part, most = theta[stack_rows, cols], self._values[stack_rows]
            yield Block(
                rows=rows,
                stack_rows=stack_rows,
                theta=part,
                grad=grad[stack_rows, cols],
                slots=tuple(slots[stack_rows, number, cols] for number in range(group.rule.slots)),
                spare=self._scratch[: part.size].reshape(part.shape),
                l2=_spread(self._l2[stack_rows], mask[cols]),
                l1=_spread(self._l1[stack_rows], mask[cols]),
                values=(-most, most) if np.isfinite(most).any() else None,
            )

    def step(self, prepared: int, examples: int, *, measure: bool) -> None:
        """Take a step with the gradients of a mini-batch's mean loss; `measure` fills `squares` first."""
        if self.penalised:
            self.penalty[:] = 0
        looks = measure or self._clips_norms
        if looks:
            self._squares[:] = 0
        for group, block in self._blocks:
            self._penalise(block, examples)
            if looks:
                self._squares[block.stack_rows] += np.vecdot(block.grad, block.grad)
            if not self._clips_norms:  # else all blocks' squares are needed first
                _move(group, block, prepared)
        if measure:
            self.squares[:] = self._squares
        if self._clips_norms:
            self._shares[:, 0] = shares(self._squares.astype(np.float64), self._norms)
            for group, block in self._blocks:
                np.multiply(block.grad, self._shares[block.stack_rows], out=block.grad)
                _move(group, block, prepared)
        for part in (part for group in self.groups for part in group.parts):
            for piece in part.pieces:
                part.move(prepared, piece)
        self._bounds.restore()

    def _penalise(self, block: Block, examples: int) -> None:
        if block.l2 is not None:
            np.multiply(block.theta, block.l2.lambdas, out=block.spare)
            self._charge(block, block.l2.free, examples, 0.5)
        if block.l1 is not None:
            sign(block.theta, out=block.spare)
            np.multiply(block.spare, block.l1.lambdas, out=block.spare)
            self._charge(block, block.l1.free, examples, 1.0)

    def _charge(self, block: Block, free: Integers, examples: int, factor: float) -> None:
        """Add what lies in the spare, over the examples, to the gradient; its dot product with theta is paid."""
        paid, spare = self._paid[block.stack_rows], block.spare
        spare *= spare.dtype.type(1 / examples)
        if free.size:
            spare[free] = -0.0  # which changes no number; infinity times a lambda of 0 would
        np.add(block.grad, spare, out=block.grad)
        np.vecdot(spare, block.theta, out=paid)  # one dot product a row: safe for equal bits
        if free.size:
            paid[free] = 0
        paid *= paid.dtype.type(factor)
        self.penalty[block.stack_rows] += paid


def _column(numbers: Sequence[float], dtype: DTypeLike) -> Floats:
    """Return a number of each replica, (K, 1)."""
    return np.array(numbers, dtype)[:, None]


def _spread(strengths: Floats, mask: Floats) -> Strengths | None:
    """Return strengths (rows, 1) where the mask (cols,) is 1, or None if all are 0."""
    return Strengths(strengths * mask, np.flatnonzero(strengths == 0)) if strengths.any() else None


def _move(group: Group, block: Block, prepared: int) -> None:
    """Clip the values of the gradient and take a prepared step with it, unless the group's parts do."""
    if block.values is not None:
        np.clip(block.grad, *block.values, out=block.grad)  # 4 times as fast as maximum and minimum with columns
    if not group.parts:
        group.move(prepared, block)
