"""The files of a trial: its config, its history and its weights, in a folder of its own."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nnexp.arrays import Floats
from nnexp.sweeps.kept import PlannedSweep
from nnexp.sweeps.plan import Trial, write_whole
from nnexp.sweeps.results import History
from nnexp.training.checkpoint import sync_folder

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's, which is ten times as fast, where it is there
WRITERS = 8  # threads: a disk makes several files last at once, which is five times as fast as one after another
BEGINNING = "planned_at"  # a sweep's file
SNAPSHOT = "snapshot"  # a sweep's folder: what reports read of it
Files = dict[str, bytes]  # contents by name


def trial_folder(folder: Path, key: str) -> Path:
    """Return where a trial's files are, below its sweep's folder."""
    return folder / "trials" / key[:16]


def snapshot_files(folder: Path) -> list[Path]:
    """Return the files of a sweep's snapshot, none if it has none; the sums, which say that all are there, last."""
    return sorted((folder / SNAPSHOT).glob("*"), reverse=True)


def write_beginning(folder: Path, sweep: PlannedSweep) -> None:
    """Write when a sweep was planned into its folder, once: by it MLflow's runs are found if the ledger is lost."""
    path = folder / BEGINNING
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{sweep.planned_at!r}\n")


def read_beginning(folder: Path) -> float | None:
    """Return when a folder's sweep was planned, seconds since 1970; None if that is not known."""
    try:
        return float((folder / BEGINNING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def ended_files(
    trial: Trial,
    history: History,
    weights: Mapping[str, Floats],
    average: Mapping[str, Floats],
    confusion: Mapping[str, Sequence[Sequence[int]]],
) -> Files:
    """Return config.yaml, history.csv, weights.npz (W1, b1, … of the best epoch) and, of classes, confusion.csv.

    Their average is average.npz where one is kept.
    """
    found = _told(trial, history)
    if confusion:
        classes = range(len(next(iter(confusion.values()))))
        counts = [[part, true, *confusion[part][true]] for part in confusion for true in classes]
        found["confusion.csv"] = _csv(["part", "true", *(f"predicted_{label}" for label in classes)], counts)
    for name, parameters in (("weights", weights), ("average", average)):
        if parameters:
            found[f"{name}.npz"] = _npz(parameters)
    return found


def failed_files(trial: Trial, history: History, trace: str | None) -> Files:
    """Return config.yaml, history.csv and, where an exception is why, traceback.txt."""
    found = _told(trial, history)
    return found if trace is None else {**found, "traceback.txt": trace.encode()}


def write_files(folder: Path, files: Mapping[str, Files]) -> dict[str, dict[str, str]]:
    """Write trials' files, by key, into the folder of their sweep; all of a trial or none. They are on the disk when
    this returns.

    Returns: the SHA-256 of each, by key and name.
    """
    if not files:
        return {}
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda key: _write_folder(trial_folder(folder, key), files[key]), files))
    sync_folder(folder / "trials")
    return {
        key: {name: hashlib.sha256(content).hexdigest() for name, content in of_trial.items()}
        for key, of_trial in files.items()
    }


def _write_folder(final: Path, files: Files) -> None:
    building = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        for name, content in files.items():
            with (building / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        sync_folder(building)
        shutil.rmtree(final, ignore_errors=True)  # of a run that ended between these files and the ledger
        building.replace(final)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _told(trial: Trial, history: History) -> Files:
    config = yaml.dump(trial.config.describe(), Dumper=DUMPER, sort_keys=False, allow_unicode=True)
    records = zip(history.epochs, *history.values.values(), strict=True)
    return {"config.yaml": config.encode(), "history.csv": _csv(["epoch", *history.values], records)}


def _npz(arrays: Mapping[str, Floats]) -> bytes:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
