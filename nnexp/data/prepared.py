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
from numpy.typing import NDArray

from nnexp.arrays import Floats, Integers
from nnexp.data.sources import Examples, Source
from nnexp.data.splits import Split, divide
from nnexp.errors import DataError

OPTIONAL = ("labels", "values", "probabilities", "weights")  # arrays that data may have
SHARED = -1  # the seed of the one division that all trials share


@dataclass(frozen=True)
class Division:
    """One division of the examples, and what standardises them: (x - shift) / scale, fitted on the training part.

    Where all trials share a division, the stored inputs are standardised already: shift is 0 and scale 1.
    """

    split: Split
    shift: Floats  # (n,)
    scale: Floats  # (n,)
    value_shift: float | tuple[float, ...] = 0.0  # one for each of several values
    value_scale: float | tuple[float, ...] = 1.0
    digest: str = ""


@dataclass(frozen=True)
class Data:
    """What a stack reads.

    rows: inputs, (N, n + 1), with a last column of ones, which the bias multiplies. labels: (N,), from 0, for classes;
    the most probable ones where there are probabilities, (N, C). values: (N,) or (N, d), for a regression; or 0 and 1,
    (N, L), for labels that do not exclude each other. classes: how many; None for a regression, 0 for such labels.
    weights: of the examples, (N,), >= 0. divisions: by seed; SHARED where all trials share one. folder: where it is
    stored.
    """

    rows: Floats
    labels: Integers | None
    values: Floats | None
    classes: int | None
    divisions: dict[int, Division] = field(repr=False)
    folder: Path | None = None
    probabilities: Floats | None = None
    weights: Floats | None = None

    @property
    def inputs(self) -> int:
        """The number of inputs, n."""
        return int(self.rows.shape[1]) - 1

    @property
    def targets(self) -> int:
        """How many values an example has, or labels that do not exclude each other."""
        return 1 if self.values is None or self.values.ndim == 1 else int(self.values.shape[1])

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
        return Data, tuple(vars(self).values())


def prepare(source: Source, seeds: Iterable[int], dtype: str) -> Data:
    """Load a source, divide it for the seeds of a sweep and standardise it.

    Raises: DataError if the data cannot be used.
    """
    examples = source.load()
    _check(source.name, examples)
    by_trial = source.split_seed == "trial"
    wanted = {seed: seed for seed in seeds} if by_trial else {SHARED: int(source.split_seed)}
    strata = examples.y.argmax(axis=1) if source.classes and examples.y.ndim == 2 else examples.y
    splits = {name: divide(source, strata, seed) for name, seed in wanted.items()}
    divisions = {name: _fit(source, examples, split) for name, split in splits.items()}
    X = examples.X
    if not by_trial:  # standardised once, in full precision
        only = divisions[SHARED]
        X = (X - only.shift) / only.scale
        plain = np.zeros_like(only.shift), np.ones_like(only.scale)
        divisions = {SHARED: Division(only.split, *plain, only.value_shift, only.value_scale, only.digest)}
    return _assemble(Examples(X, examples.y, examples.weights), source.classes, divisions, dtype)


def from_arrays(
    train: tuple[Any, Any],
    validation: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | None = None,
    *,
    classes: int | None,
    multi_label: bool = False,
    weights: Sequence[Any] | None = None,
    dtype: str = "float32",
) -> Data:
    """Return arrays as data, as they are: neither divided nor standardised.

    Args: train, validation, test: inputs (N, n) and targets: labels from 0, (N,), or probabilities, (N, C), of classes;
    values, (N,) or (N, d); or 0 and 1, (N, L). classes: how many; None otherwise. multi_label: whether targets are such
    labels that do not exclude each other. weights: of the examples of each part, (N,) each, >= 0; None for a part
    without: 1 each.
    Raises: DataError if the arrays do not fit each other.
    """
    if multi_label and classes is not None:
        raise DataError(f"multi_label data have no exclusive classes: classes must be None, got {classes}")
    given = [
        part if part is not None else (np.empty((0, np.shape(train[0])[1])), np.asarray(train[1])[:0])
        for part in (train, validation, test)
    ]
    X = np.concatenate([np.asarray(x, np.float64) for x, _ in given])
    for x, t in given:
        if len(x) != len(np.atleast_1d(t)):
            raise DataError(f"the arrays have {len(x)} rows of inputs but {len(np.atleast_1d(t))} targets")
    targets = [_target_rows(t, multi_label) for _, t in given]
    if len({t.shape[1:] for t in targets}) > 1:
        raise DataError(f"the targets of all parts must have one width, got {', '.join(str(t.shape) for t in targets)}")
    y = np.concatenate(targets)
    cuts = np.cumsum([len(x) for x, _ in given])
    split = Split(*np.split(np.arange(cuts[-1]), cuts[:2]))
    examples = Examples(X, y, None if weights is None else _joined(weights, [len(x) for x, _ in given]))
    _check("arrays", examples)
    n = X.shape[1]
    division = Division(split, np.zeros(n), np.ones(n))
    return _assemble(examples, 0 if multi_label else classes, {SHARED: division}, dtype)


def _target_rows(targets: Any, multi_label: bool) -> Any:
    """Return targets (N, 1) as (N,), but for labels that do not exclude each other, all others as they are."""
    y = np.asarray(targets)
    if y.ndim > 2 or (multi_label and y.ndim != 2):
        raise DataError(f"targets must be {'(N, labels)' if multi_label else '(N,) or (N, outputs)'}, got {y.shape}")
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 and not multi_label else y


def _joined(weights: Sequence[Any], sizes: Sequence[int]) -> NDArray[np.float64]:
    """Return the weights of all parts, with 1 for those that have none."""
    if len(weights) > len(sizes):
        raise DataError(f"weights must be given for at most {len(sizes)} parts, got {len(weights)}")
    given = [*weights, *[None] * (len(sizes) - len(weights))]
    parts = [np.ones(n) if w is None else np.asarray(w, np.float64) for n, w in zip(sizes, given, strict=True)]
    for part, n in zip(parts, sizes, strict=True):
        if part.shape != (n,):
            raise DataError(f"the weights of {n} examples must be ({n},), got {part.shape}")
    return np.concatenate(parts)


def store(data: Data, folder: Path) -> Data:
    """Write data into a new folder and return them memory-mapped from there."""
    building = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    building.mkdir(parents=True)
    _save(building / "rows.npy", data.rows)
    for name in OPTIONAL:
        if getattr(data, name) is not None:
            _save(building / f"{name}.npy", getattr(data, name))
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
    optional = {name: folder / f"{name}.npy" for name in OPTIONAL}
    divisions = {}
    for seed, facts in index["divisions"].items():
        number = facts.pop("number")
        split = Split(*(_map(folder / f"{number}-{part}.npy") for part in ("train", "validation", "test")))
        shift, scale = np.load(folder / f"{number}-standardizer.npy")
        for name in ("value_shift", "value_scale"):
            facts[name] = tuple(facts[name]) if isinstance(facts[name], list) else facts[name]
        divisions[int(seed)] = Division(split, shift, scale, **facts)
    return Data(
        rows=_map(folder / "rows.npy"),
        classes=index["classes"],
        divisions=divisions,
        folder=folder,
        **{name: _map(path) if path.exists() else None for name, path in optional.items()},
    )


def _save(path: Path, array: np.ndarray[Any, Any]) -> None:
    np.save(path, array, allow_pickle=False)


def _map(path: Path) -> Any:
    array = np.load(path, mmap_mode="r", allow_pickle=False) if path.stat().st_size > 4096 else np.load(path)
    return array.view(np.ndarray)


def _check(name: str, examples: Examples) -> None:
    if not np.isfinite(examples.X).all() or not np.isfinite(examples.y).all():
        raise DataError(f"{name}: inputs and targets must be finite")
    if examples.weights is not None and not (np.isfinite(examples.weights) & (examples.weights >= 0)).all():
        raise DataError(f"{name}: weights must be finite and >= 0")


def _fit(source: Source, examples: Examples, split: Split) -> Division:
    """Return a division with its standardiser and the digest of everything that was used."""
    part = examples.X[split.train]
    shift, scale = np.zeros(part.shape[1]), np.ones(part.shape[1])
    value_shift: Any = 0.0
    value_scale: Any = 1.0
    if source.standardize:
        shift, scale = part.mean(axis=0), _positive(part.std(axis=0))
        if source.classes is None:
            values = examples.y[split.train]
            # one number, or a tuple of them
            value_shift, value_scale = _plain(values.mean(axis=0)), _plain(_positive(values.std(axis=0)))
    used = [examples.X, examples.y, split.train, split.validation, split.test, shift, scale]
    if examples.weights is not None:
        used.append(examples.weights)
    digest = _digest([*used, np.array([value_shift, value_scale])])
    return Division(split, shift, scale, value_shift, value_scale, digest)


def _plain(numbers: Any) -> Any:
    return tuple(numbers.tolist()) if np.ndim(numbers) else float(numbers)


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


def _assemble(examples: Examples, classes: int | None, divisions: dict[int, Division], dtype: str) -> Data:
    X, y = examples.X, np.asarray(examples.y)
    rows = np.ones((len(X), X.shape[1] + 1), dtype)
    rows[:, :-1] = X
    more: dict[str, Any] = {"weights": _weights(examples, divisions)}
    if not classes:
        values = np.asarray(y, np.float64)
        if classes == 0 and not np.isin(values, (0, 1)).all():
            raise DataError("labels that do not exclude each other must be 0 or 1")
        return Data(rows, None, values, classes, divisions, **more)
    if y.ndim == 2:
        probabilities = _probabilities(y, classes)
        labels = probabilities.argmax(axis=1).astype(np.intp)
        return Data(rows, labels, None, classes, divisions, probabilities=probabilities, **more)
    labels = np.asarray(y, np.intp)
    if (labels != y).any():
        raise DataError("labels must be integers from 0")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(f"labels must be 0 … {classes - 1}, got {labels.min()} … {labels.max()}")
    return Data(rows, labels, None, classes, divisions, **more)


def _probabilities(y: Any, classes: int) -> Floats:
    """Return rows of probabilities that sum to 1 as exactly as float64 can."""
    P = np.asarray(y, np.float64)
    if P.shape[1] != classes:
        raise DataError(f"probabilities of {classes} classes must be (N, {classes}), got {P.shape}")
    total = P.sum(axis=1, keepdims=True)
    if (P < 0).any() or (np.abs(total - 1) > 1e-6).any():
        raise DataError("probabilities of classes must be >= 0 and sum to 1 for each example")
    rows: Floats = P / total
    return rows


def _weights(examples: Examples, divisions: dict[int, Division]) -> Floats | None:
    if examples.weights is None:
        return None
    weights = np.asarray(examples.weights, np.float64)
    if weights.shape != (len(examples.X),):
        raise DataError(f"the weights of {len(examples.X)} examples must be ({len(examples.X)},), got {weights.shape}")
    for division in divisions.values():
        for part in (division.split.train, division.split.validation, division.split.test):
            if len(part) and not weights[part].sum() > 0:
                raise DataError("the weights of a part's examples must not all be 0")
    return weights
