"""The second half of a step: penalties, clipping, optimizers and constraints, applied to a stack block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Floats
from nnexp.network.clipping import Clip, shares
from nnexp.network.constraints import Bounds, MaxNorm
from nnexp.network.layout import Layout
from nnexp.network.optimizers import Optimizer
from nnexp.network.penalties import Penalty
from nnexp.network.schedules import Schedule
from nnexp.network.sign import sign

# Elements that an update works on at once: five float32 arrays of this size fit a second-level cache of 1 MB.
BLOCK_ELEMENTS = 1 << 15
FORGET_STEPS = 100  # between two looks for what `_forget` drops


@dataclass(frozen=True)
class Piece:
    """What an optimizer moves at once, as views; `rows` counts within its group."""

    rows: slice
    theta: Floats
    grad: Floats
    slots: tuple[Floats, ...]
    spare: Floats


@dataclass(frozen=True)
class Block(Piece):
    """A part of the stacked parameters small enough to stay in cache."""

    stack_rows: slice
    l2: Floats | None  # lambda for weights, 0 for other parameters, (rows, cols); None where nobody has one
    l1: Floats | None  # the same
    values: tuple[Floats, Floats] | None  # the least and the largest value of a gradient, (rows, 1) each, if any


class Group:
    """The replicas that share an optimizer's structure: one run of rows, updated together, by the rule of the first.

    Args: axes: of what a replica's pieces are: 1 for runs of parameters, 2 for matrices.
    Attributes: parts: where the optimizer tells matrices from the rest, the groups that move each, after all blocks.
    """

    def __init__(
        self, start: int, optimizers: Sequence[Optimizer], schedules: Sequence[Schedule], *, axes: int = 1
    ) -> None:
        self.start, self.stop = start, start + len(optimizers)
        self.optimizers, self.schedules, self.axes = optimizers, schedules, axes
        self.rule = optimizers[0]
        self.blocks: list[Block] = []
        self.pieces: list[Piece] = []
        self.parts: list[Group] = []
        self._first = 1
        self.prepared: list[Floats] = []  # coefficients
        self._decay: list[Floats] = []  # the coefficient of weight decay, where it is on

    def prepare(
        self,
        first: int,
        steps: int,
        total: int,
        dtype: np.dtype[Any],
        reductions: NDArray[np.float64] | None = None,
    ) -> None:
        """Compute what an epoch's steps first … first + steps - 1 (counted from 1) of a training of `total` need.

        reductions: a further factor on each replica's lr, of what its schedule has observed, (K of the group,).
        """
        t, self._first = np.arange(first, first + steps, dtype=np.float64), first
        lr = self._factors(t, total, steps)[:, :, None] * _column(self.optimizers, "lr")
        if reductions is not None:
            lr = lr * _agreed(reductions.tolist())
        found = self.rule.coefficients(lambda field: _column(self.optimizers, field), lr, t[:, None, None])
        self.prepared = [_repeat(each, steps, dtype, self.axes) for each in found]
        if self.rule.weight_decay > 0:
            decay = _column(self.optimizers, "weight_decay")
            self._decay = [_repeat(1 - lr * decay if self.rule.decoupled else decay, steps, dtype, self.axes)]
        for part in self.parts:
            part.prepare(first, steps, total, dtype, reductions)

    def _factors(self, t: NDArray[np.float64], total: int, epoch_steps: int) -> NDArray[np.float64]:
        """Return the schedules' factors at steps t, (S, K), or (S, 1) where all replicas share one."""
        schedules = self.schedules[:1] if len(set(self.schedules)) == 1 else self.schedules
        return np.stack([schedule.factors(t, total, epoch_steps) for schedule in schedules], axis=1)

    def forgets(self, step: int) -> bool:
        """Return whether a prepared step ends in a look at the slots; the same in every slice."""
        return (self._first + step) % FORGET_STEPS == 0

    def move(self, step: int, piece: Piece) -> None:
        """Take a prepared step with a piece: weight decay, then the update."""
        theta, grad, spare = piece.theta, piece.grad, piece.spare
        for decay in _at(self._decay, step, piece.rows):
            if self.rule.decoupled:
                theta *= decay
            else:
                np.multiply(theta, decay, out=spare)
                np.add(grad, spare, out=grad)
        self.rule.update(theta, grad, piece.slots, _at(self.prepared, step, piece.rows), spare)
        if self.forgets(step):
            _forget(piece)


def _at(coefficients: Sequence[Floats], step: int, rows: slice) -> list[Floats]:
    """Return the coefficients of a prepared step for some rows: (rows, 1), or () where all rows agree.

    Arrays without axes, as NumPy takes half as long for a product with one as for one with a scalar of its own.
    """
    return [each[step, ...] if each.ndim == 1 else each[step, rows] for each in coefficients]


def _column(optimizers: Sequence[Optimizer], field: str) -> NDArray[np.float64]:
    """Return one hyperparameter of each replica, (K, 1), or (1, 1) where all agree: the same bits, faster."""
    return _agreed([getattr(optimizer, field) for optimizer in optimizers])


def _agreed(values: Sequence[float]) -> NDArray[np.float64]:
    """Return a number of each replica, (K, 1), or (1, 1) where all agree."""
    return np.array(values[:1] if len(set(values)) == 1 else values, np.float64)[:, None]


def _repeat(coefficient: NDArray[np.float64], steps: int, dtype: np.dtype[Any], axes: int) -> Floats:
    """Return a coefficient (…, K, 1) for each step, (S, K, 1) or (S, K, 1, 1), or (S,) where all replicas agree."""
    full = np.empty((steps, coefficient.shape[-2], 1), dtype)
    full[:] = coefficient
    return full[:, 0, 0] if full.shape[1] == 1 else full.reshape(steps, -1, *(1,) * axes)


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

    Args: groups: from `group_rows`. held: each replica's regularization. arrays: theta, grad (K, P) and slots (K,
    slots, P). `penalty` (K,) holds what each replica paid before the last step, `squares` (K,) the squared norm of its
    gradient, with penalties and before clipping, at the last measured step.
    """

    def __init__(
        self,
        layout: Layout,
        groups: Sequence[Group],
        held: Regularization,
        arrays: tuple[Floats, Floats, Floats],
    ) -> None:
        theta, grad, slots = arrays
        K, dtype = len(theta), theta.dtype
        self.groups = groups
        l2, l1 = (np.array(each, dtype)[:, None] for each in ([p.l2 for p in held.l2], [p.l1 for p in held.l1]))
        values = np.array([clip.value for clip in held.clip], dtype)[:, None]
        self.penalised = bool(l2.any() or l1.any())
        self.penalty: Floats = np.zeros(K, dtype)
        self.squares: Floats = np.zeros(K, dtype)
        self._paid, self._squares = np.zeros((2, K), dtype)
        self._norms = np.array([clip.norm for clip in held.clip], np.float64)
        self._clips_norms = bool(np.isfinite(self._norms).any())
        self._shares: Floats = np.ones((K, 1), dtype)  # of the gradient that clipping by norm leaves
        self._bounds = Bounds(layout.views(theta), [each.bound for each in held.max_norm])
        spare = np.empty(min(BLOCK_ELEMENTS, theta.size), dtype)
        mask = layout.weight_mask(dtype)
        for group in groups:
            group.parts = _parts(group, layout, arrays)
            for rows, cols in _cuts(group.stop - group.start, layout.size):
                stack_rows = slice(group.start + rows.start, group.start + rows.stop)
                part, most = theta[stack_rows, cols], values[stack_rows]
                group.blocks.append(
                    Block(
                        rows=rows,
                        stack_rows=stack_rows,
                        theta=part,
                        grad=grad[stack_rows, cols],
                        slots=tuple(slots[stack_rows, number, cols] for number in range(group.rule.slots)),
                        spare=spare[: part.size].reshape(part.shape),
                        l2=_spread(l2[stack_rows], mask[cols]),
                        l1=_spread(l1[stack_rows], mask[cols]),
                        values=(-most, most) if np.isfinite(most).any() else None,
                    )
                )

    def step(self, prepared: int, examples: int, *, measure: bool) -> None:
        """Take a step with the gradients of a mini-batch's mean loss; `measure` fills `squares` first."""
        if self.penalised:
            self.penalty[:] = 0
        looks = measure or self._clips_norms
        if looks:
            self._squares[:] = 0
        for group in self.groups:
            for block in group.blocks:
                self._penalise(block, examples)
                if looks:
                    self._squares[block.stack_rows] += np.vecdot(block.grad, block.grad)
                if not self._clips_norms:  # else all blocks' squares are needed first
                    _move(group, block, prepared)
        if measure:
            self.squares[:] = self._squares
        if self._clips_norms:
            self._shares[:, 0] = shares(self._squares.astype(np.float64), self._norms)
            for group in self.groups:
                for block in group.blocks:
                    np.multiply(block.grad, self._shares[block.stack_rows], out=block.grad)
                    _move(group, block, prepared)
        for group in self.groups:
            for part in group.parts:
                for piece in part.pieces:
                    part.move(prepared, piece)
        self._bounds.restore()

    def _penalise(self, block: Block, examples: int) -> None:
        if block.l2 is not None:
            np.multiply(block.theta, block.l2, out=block.spare)
            self._charge(block, examples, 0.5)
        if block.l1 is not None:
            sign(block.theta, out=block.spare)
            np.multiply(block.spare, block.l1, out=block.spare)
            self._charge(block, examples, 1.0)

    def _charge(self, block: Block, examples: int, factor: float) -> None:
        """Add what lies in the spare, over the examples, to the gradient; its dot product with theta is paid."""
        paid, spare = self._paid[block.stack_rows], block.spare
        spare *= spare.dtype.type(1 / examples)
        np.add(block.grad, spare, out=block.grad)
        np.vecdot(spare, block.theta, out=paid)  # one dot product a row: safe for equal bits
        paid *= paid.dtype.type(factor)
        self.penalty[block.stack_rows] += paid


def _spread(strengths: Floats, mask: Floats) -> Floats | None:
    """Return strengths (rows, 1) where the mask (cols,) is 1, or None if all are 0."""
    return strengths * mask if strengths.any() else None


def _move(group: Group, block: Block, prepared: int) -> None:
    """Clip the values of the gradient and take a prepared step with it, unless the group's parts do."""
    if block.values is not None:
        np.clip(block.grad, *block.values, out=block.grad)  # 4 times as fast as maximum and minimum with columns
    if not group.parts:
        group.move(prepared, block)


def _forget(piece: Piece) -> None:
    """Set slots to 0 that have decayed almost to denormal numbers.

    Those of dead units decay for ever and stay denormal, and arithmetic on such numbers is 100 times as slow: with a
    tenth of them an Adam step takes 5 times as long.
    """
    least = np.finfo(piece.spare.dtype).tiny * 2**16
    for slot in piece.slots:
        sizes = piece.spare.reshape(-1, *slot.shape)[0]
        np.abs(slot, out=sizes)
        slot[sizes < least] = 0


def group_rows(optimizers: Sequence[Optimizer], schedules: Sequence[Schedule]) -> list[Group]:
    """Return the groups of a stack whose replicas with the same optimizer and options stand together."""
    groups, start = [], 0
    for _, members in groupby(zip(optimizers, schedules, strict=True), key=lambda pair: pair[0].structure):
        of_group, on_group = zip(*members, strict=True)
        groups.append(Group(start, of_group, on_group))
        start = groups[-1].stop
    return groups


def _parts(group: Group, layout: Layout, arrays: tuple[Floats, Floats, Floats]) -> list[Group]:
    """Return the groups of hidden layers' weight matrices and of all other parameters, if the optimizer wants them."""
    rests = [optimizer.rest for optimizer in group.optimizers if optimizer.rest is not None]
    if not rests:
        return []
    matrices = Group(group.start, group.optimizers, group.schedules, axes=2)
    rest = Group(group.start, rests, group.schedules)
    own = [array[group.start : group.stop, ..., : layout.size] for array in arrays]
    hidden = list(zip(*(layout.views(array)[:-1] for array in own), strict=True))
    largest = max(layer[0][0].size for layer in hidden)
    scratch = np.empty(4 * min(own[0].size, max(largest, BLOCK_ELEMENTS)), own[0].dtype)
    for layer in hidden:
        matrices.pieces += _pieces([part[..., :-1] for part in layer], 1, scratch, spares=4)
        rest.pieces += _pieces([part[..., -1] for part in layer], rest.rule.slots, scratch)
    after = sum(layer[0][0].size for layer in hidden)  # the output layer and what follows it
    rest.pieces += _pieces([part[..., after:] for part in own], rest.rule.slots, scratch)
    return [matrices, rest]


def _pieces(arrays: Sequence[Floats], slots: int, scratch: Floats, *, spares: int = 1) -> Iterator[Piece]:
    """Cut theta, grad (K, …) and slots (K, slots, …) into pieces; matrices stay whole."""
    theta, grad, kept = arrays
    cuts = _cuts(*theta.shape) if theta.ndim == 2 else _whole(len(theta), theta[0].size)
    for rows, cols in cuts:
        cols = cols if theta.ndim == 2 else slice(None)
        part = theta[rows, cols]
        shape = part.shape if spares == 1 else (spares, *part.shape)
        spare = scratch[: spares * part.size].reshape(shape)
        yield Piece(rows, part, grad[rows, cols], tuple(kept[rows, slot, cols] for slot in range(slots)), spare)


def _whole(rows: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Cut (rows, size) into blocks of whole rows."""
    height = max(1, BLOCK_ELEMENTS // size)
    for row in range(0, rows, height):
        yield slice(row, min(row + height, rows)), slice(0, size)


def _cuts(rows: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Cut (rows, size) into blocks. How a row is cut depends on its size alone, never on its neighbours."""
    if size >= BLOCK_ELEMENTS:
        width = -(-size // -(-size // BLOCK_ELEMENTS))
        for row in range(rows):
            for start in range(0, size, width):
                yield slice(row, row + 1), slice(start, min(start + width, size))
    else:
        yield from _whole(rows, size)
