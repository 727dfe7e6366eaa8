"""The sets that scikit-learn brings. Its import takes a second, so its plain tables are read without it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Files of comma-separated numbers, the last of each line a label, and how many lines come before them.
TABLES = {
    "load_digits": ("digits.csv.gz", 0),
    "load_iris": ("iris.csv", 1),
    "load_wine": ("wine_data.csv", 1),
    "load_breast_cancer": ("breast_cancer.csv", 1),
}


def read_bundled(loader: str) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return what a loader of scikit-learn returns: inputs, and labels as integers or values."""
    file, header = TABLES.get(loader, ("", 0))
    path = _find(file)
    if path is None:
        return _load(loader)
    rows = np.loadtxt(path, delimiter=",", skiprows=header)
    return np.ascontiguousarray(rows[:, :-1]), rows[:, -1].astype(np.intp)


def _load(loader: str) -> tuple[NDArray[np.float64], NDArray[Any]]:
    from sklearn import datasets

    X, y = getattr(datasets, loader)(return_X_y=True)
    values = np.asarray(y, np.float64) if np.asarray(y).dtype.kind == "f" else np.asarray(y, np.intp)
    return np.ascontiguousarray(X, np.float64), values


def _find(file: str) -> Path | None:
    """Return a file of scikit-learn's, None if it is not where it is known to be."""
    spec = find_spec("sklearn")  # which does not import it
    folders = [] if spec is None else spec.submodule_search_locations or []
    found = [Path(folder) / "datasets" / "data" / file for folder in folders if file]
    return next((path for path in found if path.is_file()), None)
