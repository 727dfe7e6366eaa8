"""What a stack reads: mini-batches in each replica's own order, and the parts it is evaluated on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Floats, Integers
from nnexp.data.splits import Part
from nnexp.network.losses import LossOfClasses, Targets
from nnexp.randomness import Purpose, stream
from nnexp.training.answers import ValueScale
from nnexp.training.state import Problem, Replica


class Reader:
    """Reads rows and targets of examples given by index.

    Args: replicas: K of them. sources: replica k reads what replica k % S reads.
    """

    def __init__(self, problem: Problem, replicas: Sequence[Replica], sources: int) -> None:
        self.data, self.loss, self.sources = problem.data, problem.blueprint.loss, sources
        self.dtype = np.dtype(problem.blueprint.dtype)
        self.divisions = [problem.data.division(replica.seed) for replica in replicas[:sources]]
        self.readers = np.arange(len(replicas)) % sources
        shift, scale = (np.stack([getattr(each, name) for each in self.divisions]) for name in ("shift", "scale"))
        self.plain = problem.data.shared  # standardised when they were stored
        self.shift: Floats = shift[:, None].astype(self.dtype)
        self.scale: Floats = scale[:, None].astype(self.dtype)
        self.class_weights = self._class_weights()

    def rows(self, index: Integers, out: Floats) -> Floats:
        """Fill out (S, B, n + 1) with the examples of an index (S, B)."""
        np.take(self.data.rows, index, axis=0, out=out, mode="clip")
        if not self.plain:
            inputs = out[:, :, :-1]
            inputs -= self.shift
            inputs /= self.scale
        return out

    def targets(self, index: Integers) -> Targets:
        """Return the targets of an index (S, m): labels (K, m), values (K, outputs, m)."""
        weights = self._weights(index)
        if self.data.values is not None:
            shift, scale = (self._of_values(name)[:, None] for name in ("value_shift", "value_scale"))
            values = (self.data.values.reshape(len(self.data.rows), -1)[index] - shift) / scale
            return Targets(None, self._features_first(values), weights)
        assert self.data.labels is not None
        labels = self._spread(self.data.labels.take(index))
        if self.data.probabilities is not None:
            P = self.data.probabilities[index]
            P = P[:, :, 1:] if self.loss.target_kind == "binary" else P
            return Targets(labels, self._features_first(P), weights)
        if self.loss.target_kind == "labels":
            return Targets(labels, None, weights)
        if self.loss.target_kind == "binary":
            return Targets(labels, labels[:, None].astype(self.dtype), weights)
        classes = np.arange(self.data.classes or 0)[:, None]
        return Targets(labels, (labels[:, None] == classes).astype(self.dtype), weights)

    def _of_values(self, name: str) -> NDArray[np.float64]:
        """Return what shifts or scales each source's values, (S, d)."""
        return np.array([np.atleast_1d(getattr(division, name)) for division in self.divisions])

    def _features_first(self, values: Floats) -> Floats:
        """Return numbers (S, m, n) as each replica reads them, (K, n, m)."""
        return np.ascontiguousarray(self._spread(values.swapaxes(1, 2)), self.dtype)

    def _weights(self, index: Integers) -> Floats | None:
        """Return the weights of an index's examples (S, m) for each replica, (K, m); None where nobody has some."""
        if self.data.weights is None and self.class_weights is None:
            return None
        weights = np.ones(index.shape) if self.data.weights is None else self.data.weights[index]
        if self.class_weights is not None:
            rows = np.arange(len(index))[:, None]
            if self.data.probabilities is not None:
                weights = weights * np.vecdot(self.data.probabilities[index], self.class_weights[:, None])
            else:
                assert self.data.labels is not None
                weights = weights * self.class_weights[rows, self.data.labels[index]]
        return self._spread(weights).astype(self.dtype)

    def _class_weights(self) -> NDArray[np.float64] | None:
        """Return the weight of each class in each source's division, (S, C)."""
        if not isinstance(self.loss, LossOfClasses) or not self.data.classes:
            return None
        found = []
        for division in self.divisions:
            assert self.data.labels is not None
            if self.data.probabilities is not None:
                counts = self.data.probabilities[division.split.train].sum(axis=0)
            else:
                counts = np.bincount(self.data.labels[division.split.train], minlength=self.data.classes)
            weights = self.loss.weights_of(counts.astype(np.float64))
            if weights is None:
                return None
            found.append(weights)
        return np.stack(found)

    def weight_of(self, part: Part) -> NDArray[np.float64] | None:
        """Return the sum of the weights of a part's examples, (K,); None where nobody has some."""
        weights = self._weights(self.indices(part))
        return None if weights is None else np.add.reduce(weights.astype(np.float64), axis=1)

    def _spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return what each source reads (S, …) as what each replica reads (K, …)."""
        return values if self.sources == len(self.readers) else values[self.readers]

    def scale_of(self, part: Part) -> ValueScale | None:
        """Return what rmse and r2 of a part need; None for classes."""
        if self.data.values is None or self.data.classes == 0:
            return None
        spread = self._of_values("value_scale")
        values = self.data.values.reshape(len(self.data.rows), -1)
        found = [values[getattr(division.split, part)] for division in self.divisions]
        variation = np.array([((each - each.mean(axis=0)) ** 2).sum(axis=0) for each in found]) / spread**2
        return ValueScale(spread[self.readers].T, variation[self.readers].T)

    def indices(self, part: Part) -> Integers:
        """Return the examples of a part, (S, m)."""
        return np.stack([getattr(division.split, part) for division in self.divisions])


def cut(targets: Targets, start: int, stop: int) -> Targets:
    """Return the targets of some consecutive examples, as views."""
    return Targets(
        None if targets.labels is None else targets.labels[:, start:stop],
        None if targets.values is None else targets.values[:, :, start:stop],
        None if targets.weights is None else targets.weights[:, start:stop],
    )


class Batches:
    """The mini-batches of an epoch, in each replica's order. Replicas that read the same rows share them."""

    def __init__(self, problem: Problem, replicas: Sequence[Replica]) -> None:
        self.problem, self.replicas = problem, replicas
        self.sources = _sources(problem, replicas)
        self.reader = Reader(problem, replicas, self.sources)
        self.train = [division.split.train for division in self.reader.divisions]
        self.examples = len(self.train[0])
        self._index: Integers = np.empty((self.sources, self.examples), np.intp)
        size = problem.training.batch_size
        self.size = self.examples if size == "full" else min(int(size), self.examples)
        self.steps = -(-self.examples // self.size)
        self.sizes = {self.size, self.examples - (self.steps - 1) * self.size}
        width = problem.data.rows.shape[1]
        self._buffers = {size: np.empty((self.sources, size, width), self.reader.dtype) for size in self.sizes}

    def epoch(self, number: int) -> Iterator[tuple[Floats, Targets]]:
        """Yield rows (S, B, n + 1) and targets; the rows are overwritten by the next."""
        self._index_examples(number)
        targets = self.reader.targets(self._index)
        for start in range(0, self.examples, self.size):
            stop = min(start + self.size, self.examples)
            rows = self.reader.rows(self._index[:, start:stop], self._buffers[stop - start])
            yield rows, cut(targets, start, stop)

    def _index_examples(self, epoch: int) -> None:
        """Put the examples of each source in the order of the epoch."""
        rows: dict[int, list[int]] = {}
        for row, replica in enumerate(self.replicas[: self.sources]):
            rows.setdefault(replica.seed, []).append(row)
        for seed, of_seed in rows.items():
            order = self._order(seed, epoch)
            for row in of_seed:
                np.take(self.train[row], order, out=self._index[row], mode="clip")

    def _order(self, seed: int, epoch: int) -> Integers:
        """Return positions in the training part, (m,)."""
        given = self.problem.order
        if given is not None:
            return given if given.ndim == 1 else np.asarray(given[epoch - 1])
        if not self.problem.training.shuffle:
            return np.arange(self.examples)
        return stream(seed, Purpose.SHUFFLE, epoch).permutation(self.examples)


class Blocks:
    """A part of the data in blocks for evaluation.

    Their size follows from the part's size alone: the bits of a product's columns depend on how many there are. The
    last block is filled up with a repeated example that does not count.
    """

    def __init__(self, problem: Problem, replicas: Sequence[Replica], part: Part) -> None:
        self.sources = 1 if problem.data.shared else len(replicas)
        reader = self.reader = Reader(problem, replicas, self.sources)
        index = reader.indices(part)
        self.examples = index.shape[1]
        count = -(-self.examples // problem.training.evaluation_block)
        self.size = -(-self.examples // count)
        padding = np.repeat(index[:, -1:], count * self.size - self.examples, axis=1)
        self._index = np.concatenate([index, padding], axis=1)
        self._targets = reader.targets(self._index)
        self.truth = cut(self._targets, 0, self.examples)
        self.scale, self.weight = reader.scale_of(part), reader.weight_of(part)
        self._buffer = np.empty((self.sources, self.size, problem.data.rows.shape[1]), reader.dtype)

    def __iter__(self) -> Iterator[tuple[Floats, Targets, int]]:
        """Yield rows (S, B, n + 1), targets, and how many of the examples count."""
        for start in range(0, self._index.shape[1], self.size):
            rows = self.reader.rows(self._index[:, start : start + self.size], self._buffer)
            yield rows, cut(self._targets, start, start + self.size), min(self.size, self.examples - start)


def _sources(problem: Problem, replicas: Sequence[Replica]) -> int:
    """Return the least S such that replica k reads what replica k % S reads, in the same order."""
    shuffled = problem.training.shuffle and problem.order is None
    read = [replica.seed if shuffled or not problem.data.shared else 0 for replica in replicas]
    distinct = len(set(read))
    regular = len(read) % distinct == 0 and all(seed == read[k % distinct] for k, seed in enumerate(read))
    return distinct if regular else len(read)
