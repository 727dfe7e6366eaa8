"""The files of a trial: its config, its history and its weights, in a folder of its own."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nnexp.arrays import Floats
from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.old_ledger import TrialResult
from nnexp.sweeps.plan import Trial


def write_trial(
    folder: Path, trial: Trial, result: TrialResult, weights: Mapping[str, Floats], average: Mapping[str, Floats]
) -> None:
    """Write config.yaml, history.csv, weights.npz (W1, b1, … of the best epoch) and, of classes, confusion.csv.

    Their average goes into average.npz where one is kept. All of them or none.
    """
    final = trial_folder(folder, trial.key)
    building = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    config = yaml.safe_dump(trial.config.describe(), sort_keys=False, allow_unicode=True)
    (building / "config.yaml").write_text(config, encoding="utf-8")
    records = zip(result.epochs, *result.history.values(), strict=True)
    _write_csv(building / "history.csv", ["epoch", *result.history], records)
    if result.confusion:
        classes = range(len(next(iter(result.confusion.values()))))
        counts = [[part, true, *result.confusion[part][true]] for part in result.confusion for true in classes]
        _write_csv(building / "confusion.csv", ["part", "true", *(f"predicted_{label}" for label in classes)], counts)
    for name, parameters in (("weights", weights), ("average", average)):
        if parameters:
            with (building / f"{name}.npz").open("wb") as file:
                np.savez(file, allow_pickle=False, **parameters)
    shutil.rmtree(final, ignore_errors=True)  # of a run that ended between these files and the ledger
    building.replace(final)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
