"""The digits in three parts, for the ways that are not nnexp: 60 % to train on, 20 % each to choose and to test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

Part = tuple[NDArray[np.float32], NDArray[np.int64]]


def parts() -> dict[str, Part]:
    """Return inputs, standardised on the training part, and labels of each part."""
    X, y = load_digits(return_X_y=True)
    rest, test, y_rest, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
    train, val, y_train, y_val = train_test_split(rest, y_rest, test_size=0.25, random_state=0)
    scaler = StandardScaler().fit(train)
    split = {"train": (train, y_train), "val": (val, y_val), "test": (test, y_test)}
    return {name: (scaler.transform(each).astype(np.float32), y) for name, (each, y) in split.items()}
