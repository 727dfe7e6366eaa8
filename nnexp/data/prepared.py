"""Prepared data: the arrays that stacks read, made once, written as .npy files and memory-mapped by every worker."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.arrays import Floats, Integers
from nnexp.data.sources import Examples, Source
from nnexp.data.splits import Split, divide
from nnexp.errors import DataError

SHARED = -1  # the seed of the one division that all trials share


@dataclass(frozen=True)
class Division:
    """One division of the examples, and what standardises them: (x - shift) / scale, fitted on the training part.

    Where all trials share a division, the stored inputs are standardised already: shift is 0 and scale 1.
    """

    split: Split
    shift: Floats  # (n,)
    scale: Floats  # (n,)
    value_shift: float = 0.0
    value_scale: float = 1.0
    digest: str = ""


@dataclass(frozen=True)
class Data:
    """What a stack reads.

    rows: inputs, (N, n + 1), with a last column of ones, which the bias multiplies. labels: (N,), from 0, for classes.
    values: (N,), for a regression. divisions: by seed; SHARED where all trials share one. folder: where it is stored.
    """

    rows: Floats
    labels: Integers | None
    values: Floats | None
    classes: int | None
    divisions: dict[int, Division] = field(repr=False)
    folder: Path | None = None

    @property
    def inputs(self) -> int:
        """The number of inputs, n."""
        return int(self.rows.shape[1]) - 1

    @property
    def shared(self) -> bool:
        """Whether all trials share one division."""
        return SHARED in self.divisions

    def division(self, seed: int) -> Division:
        """Return the division of a trial with this seed."""
        return self.divisions[SHARED if self.shared else seed]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process maps the stored files; only data that were never stored are copied to it."""
        if self.folder is not None:
            return open_data, (self.folder,)
        return Data, (self.rows, self.labels, self.values, self.classes, self.divisions)


def prepare(source: Source, seeds: Iterable[int], dtype: str) -> Data:
    """Load a source, divide it for the seeds of a sweep and standardise it.

    Raises: DataError if the data cannot be used.
    """
    examples = source.load()
    _check(source.name, examples)
    by_trial = source.split_seed == "trial"
    wanted = {seed: seed for seed in seeds} if by_trial else {SHARED: int(source.split_seed)}
    splits = {name: divide(source, examples.y, seed) for name, seed in wanted.items()}
    divisions = {name: _fit(source, examples, split) for name, split in splits.items()}
    X = examples.X
    if not by_trial:  # standardised once, in full precision
        only = divisions[SHARED]
        X = (X - only.shift) / only.scale
        plain = np.zeros_like(only.shift), np.ones_like(only.scale)
        divisions = {SHARED: Division(only.split, *plain, only.value_shift, only.value_scale, only.digest)}
    return _assemble(X, examples.y, source.classes, divisions, dtype)


def from_arrays(
    train: tuple[Any, Any],
    validation: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | None = None,
    *,
    classes: int | None,
    dtype: str = "float32",
) -> Data:
    """Return arrays as data, as they are: neither divided nor standardised.

    Args: train, validation, test: inputs (N, n) and labels from 0 or values (N,). classes: how many; None for a
    regression.
    Raises: DataError if the arrays do not fit each other.
    """
    given = [
        part if part is not None else (np.empty((0, np.shape(train[0])[1])), np.empty(0))
        for part in (train, validation, test)
    ]
    X = np.concatenate([np.asarray(x, np.float64) for x, _ in given])
    y = np.concatenate([np.asarray(t).reshape(-1) for _, t in given])
    for x, t in given:
        if len(x) != np.size(t):
            raise DataError(f"the arrays have {len(x)} rows of inputs but {np.size(t)} targets")
    _check("arrays", Examples(X, y))
    cuts = np.cumsum([len(x) for x, _ in given])
    split = Split(*np.split(np.arange(cuts[-1]), cuts[:2]))
    n = X.shape[1]
    return _assemble(X, y, classes, {SHARED: Division(split, np.zeros(n), np.ones(n))}, dtype)


def store(data: Data, folder: Path) -> Data:
    """Write data into a new folder and return them memory-mapped from there."""
    building = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    building.mkdir(parents=True)
    _save(building / "rows.npy", data.rows)
    for name, array in (("labels", data.labels), ("values", data.values)):
        if array is not None:
            _save(building / f"{name}.npy", array)
    index: dict[str, Any] = {"classes": data.classes, "divisions": {}}
    for number, (seed, division) in enumerate(data.divisions.items()):
        for part in ("train", "validation", "test"):
            _save(building / f"{number}-{part}.npy", getattr(division.split, part))
        _save(building / f"{number}-standardizer.npy", np.stack([division.shift, division.scale]))
        facts = {"number": number, "value_shift": division.value_shift, "value_scale": division.value_scale}
        index["divisions"][str(seed)] = {**facts, "digest": division.digest}
    (building / "index.json").write_text(json.dumps(index))
    try:
        building.rename(folder)
    except OSError:  # another process wrote the same data first
        if not folder.exists():
            raise
        shutil.rmtree(building)
    return open_data(folder)


@lru_cache(maxsize=8)
def open_data(folder: Path) -> Data:
    """Map stored data into memory."""
    index = json.loads((folder / "index.json").read_text())
    labels, values = folder / "labels.npy", folder / "values.npy"
    divisions = {}
    for seed, facts in index["divisions"].items():
        number = facts.pop("number")
        split = Split(*(_map(folder / f"{number}-{part}.npy") for part in ("train", "validation", "test")))
        shift, scale = np.load(folder / f"{number}-standardizer.npy")
        divisions[int(seed)] = Division(split, shift, scale, **facts)
    return Data(
        rows=_map(folder / "rows.npy"),
        labels=_map(labels) if labels.exists() else None,
        values=_map(values) if values.exists() else None,
        classes=index["classes"],
        divisions=divisions,
        folder=folder,
    )


def _save(path: Path, array: np.ndarray[Any, Any]) -> None:
    np.save(path, array, allow_pickle=False)


def _map(path: Path) -> Any:
    array = np.load(path, mmap_mode="r", allow_pickle=False) if path.stat().st_size > 4096 else np.load(path)
    return array.view(np.ndarray)


def _check(name: str, examples: Examples) -> None:
    if not np.isfinite(examples.X).all() or not np.isfinite(examples.y).all():
        raise DataError(f"{name}: inputs and targets must be finite")


def _fit(source: Source, examples: Examples, split: Split) -> Division:
    """Return a division with its standardiser and the digest of everything that was used."""
    part = examples.X[split.train]
    shift, scale = np.zeros(part.shape[1]), np.ones(part.shape[1])
    value_shift, value_scale = 0.0, 1.0
    if source.standardize:
        shift, scale = part.mean(axis=0), _positive(part.std(axis=0))
        if source.classes is None:
            values = examples.y[split.train]
            value_shift, value_scale = float(values.mean()), float(_positive(values.std()))
    used = (examples.X, examples.y, split.train, split.validation, split.test, shift, scale)
    digest = _digest([*used, np.array([value_shift, value_scale])])
    return Division(split, shift, scale, value_shift, value_scale, digest)


def _positive(deviation: Any) -> Any:
    """Return deviations with 1 for 0: a constant input is shifted, not scaled."""
    return np.where(deviation > 0, deviation, 1.0)


def _digest(arrays: Sequence[np.ndarray[Any, Any]]) -> str:
    """Return the SHA-256 of arrays: their types, shapes and bytes."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str} {array.shape} ".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def _assemble(X: Floats, y: Any, classes: int | None, divisions: dict[int, Division], dtype: str) -> Data:
    rows = np.ones((len(X), X.shape[1] + 1), dtype)
    rows[:, :-1] = X
    if classes is None:
        return Data(rows, None, np.asarray(y, np.float64), None, divisions)
    labels = np.asarray(y, np.intp)
    if (labels != y).any():
        raise DataError("labels must be integers from 0")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(f"labels must be 0 … {classes - 1}, got {labels.min()} … {labels.max()}")
    return Data(rows, labels, None, classes, divisions)
