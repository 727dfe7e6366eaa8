"""What came of a sweep, without times: the same bits however often it was interrupted."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from faultmatrix.ledger import Trial

Table = dict[str, dict[str, Any]]  # a trial's outcome, by its key


def table_of(trials: Mapping[str, Trial], folder: Path) -> Table:
    """Return the outcomes of trials. folder: their sweep's."""
    return {key: _outcome(trial, files_of(folder, key)) for key, trial in sorted(trials.items())}


def digest(table: Table) -> str:
    """Return the SHA-256 of a table as canonical JSON."""
    return hashlib.sha256(json.dumps(table, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def files_of(folder: Path, key: str) -> Path:
    """Return the folder of a trial's files."""
    return folder / "trials" / key[:16]


def sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _outcome(trial: Trial, files: Path) -> dict[str, Any]:
    result = trial.result or {}
    points = sorted(trial.points.items())
    return {
        "state": trial.state,
        "epoch": result.get("epoch"),
        "objective": _exact(result.get("objective")),
        "summary": {name: _exact(value) for name, value in sorted(result.get("summary", {}).items())},
        "points": [[name, epoch, _exact(value)] for (name, epoch), value in points],
        "arrays": {path.name: _arrays(path) for path in sorted(files.glob("*.npz"))},
    }


def _exact(value: float | None) -> str | None:
    """Return all bits of a number as text; every NaN is the same."""
    return None if value is None else "nan" if math.isnan(value) else float(value).hex()


def _arrays(path: Path) -> dict[str, str]:
    """Return the digest of each array's type, shape and bytes; of a file that is none, what is wrong with it."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: _array(stored[name]) for name in sorted(stored.files)}
    except Exception as error:  # whatever a damaged archive makes its reader raise
        return {"unreadable": f"{type(error).__name__}: {error}"}


def _array(array: Any) -> str:
    head = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()
