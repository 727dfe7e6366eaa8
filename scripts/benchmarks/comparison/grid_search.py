"""The same trainings by scikit-learn's grid search, which records nothing but each one's score."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

# For the workers too: trainings that end after 20 epochs warn that they have not converged.
os.environ["PYTHONWARNINGS"] = "ignore"

import numpy as np
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neural_network import MLPClassifier

from benchmarks.comparison.parts import Part, parts

LR = [0.001, 0.003, 0.01, 0.03, 0.1]
COMMON = {"learning_rate_init": LR, "random_state": list(range(5))}
GRID = [
    {"solver": ["sgd"], "momentum": [0.0], **COMMON},
    {"solver": ["sgd"], "momentum": [0.9], "nesterovs_momentum": [False, True], **COMMON},
    {"solver": ["adam"], **COMMON},
]


def scores(test: Part, model: MLPClassifier, X: Any, y: Any) -> dict[str, float]:
    """Return the accuracies on the part that chooses and the one that tests."""
    return {"val": model.score(X, y), "test": model.score(*test)}


def main() -> None:
    """Search, and print the test accuracy of what the validation part chooses."""
    data = parts()
    (train, y_train), (val, y_val) = data["train"], data["val"]
    split = PredefinedSplit(np.repeat([-1, 0], [len(train), len(val)]))
    model = MLPClassifier(
        hidden_layer_sizes=(64,), batch_size=64, max_iter=20, alpha=0.0, tol=0.0, n_iter_no_change=1000
    )
    search = GridSearchCV(
        model, GRID, cv=split, n_jobs=int(sys.argv[1]), refit=False, scoring=partial(scores, data["test"])
    )
    search.fit(np.concatenate([train, val]), np.concatenate([y_train, y_val]))
    results = search.cv_results_
    best = int(np.argmax(results["mean_test_val"]))
    print(f"{len(results['params'])} {results['mean_test_test'][best]:.4f}")


if __name__ == "__main__":
    main()
