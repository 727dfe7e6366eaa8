"""Groups: replicas of a stack that are updated together, because their optimizers have one structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Floats
from nnexp.network.blocks import BLOCK_ELEMENTS, cut, cut_rows
from nnexp.network.layout import Layout
from nnexp.network.optimizers import Optimizer
from nnexp.network.schedules import Schedule

FORGET_STEPS = 100  # between two looks for what `_forget` drops


@dataclass(frozen=True)
class Piece:
    """What an optimizer moves at once, as views; `rows` counts within its group."""

    rows: slice
    theta: Floats
    grad: Floats
    slots: tuple[Floats, ...]
    spare: Floats


class Group:
    """The replicas that share an optimizer's structure: one run of rows, updated together, by the rule of the first.

    Args: start: the first row. axes: of what a replica's pieces are: 1 for runs of parameters, 2 for matrices.
    Attributes: prepared: coefficients of an epoch's steps. parts: where the optimizer tells matrices from the rest, the
    groups that move each, and pieces: what such a part moves.
    """

    def __init__(
        self, start: int, optimizers: Sequence[Optimizer], schedules: Sequence[Schedule], *, axes: int = 1
    ) -> None:
        self.start, self.stop = start, start + len(optimizers)
        self.optimizers, self.schedules, self.axes = optimizers, schedules, axes
        self.rule = optimizers[0]
        self.parts: list[Group] = []
        self.pieces: list[Piece] = []
        self._first = 1
        self.prepared: list[Floats] = []
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


def parts_of(group: Group, layout: Layout, arrays: tuple[Floats, Floats, Floats]) -> list[Group]:
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
    cuts = cut(*theta.shape) if theta.ndim == 2 else cut_rows(len(theta), theta[0].size)
    for rows, cols in cuts:
        cols = cols if theta.ndim == 2 else slice(None)
        part = theta[rows, cols]
        shape = part.shape if spares == 1 else (spares, *part.shape)
        spare = scratch[: spares * part.size].reshape(shape)
        yield Piece(rows, part, grad[rows, cols], tuple(kept[rows, slot, cols] for slot in range(slots)), spare)
