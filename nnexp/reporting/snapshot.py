"""The snapshot: the tidy tables of sweeps, hashed; the only thing that a report reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame

FORMAT = 1  # of the files; another one is refused
SWEEPS, SUMS = "sweeps.json", "SHA256SUMS"
TABLES = ("trials", "histories", "predictions", "regions", "points", "units", "frames")
ORDERS = {  # columns that order a table's rows, so that they never stand as they happened to end
    "trials": ("sweep", "position"),
    "histories": ("key", "epoch"),
    "predictions": ("key", "part", "example"),
    "regions": ("key", "row", "column"),
    "points": ("sweep", "part", "example"),
    "units": ("key", "unit", "pixel"),
    "frames": ("key", "epoch", "row", "column"),
}


@dataclass(frozen=True)
class Snapshot:
    """What sweeps recorded.

    sweeps: one a sweep, as plain data: what plan.json begins with (name, hash, code, numerics, axes, …) and id,
    planned_at, argv, objective, environment, datasets (digests, by what describes them), notes (what could not be had,
    and why), image (rows and columns of the inputs, if they are one). trials: a row a planned trial:
    sweep, position, key, configuration, label, configuration_label, data, seed, state, note, epoch, reused_from,
    chosen, parameters (what the axes chose, as text and as values), config (without seed), components, code,
    started_at, ended_at (seconds since 1970), stack_width, objective; summary/… and cost/… of those that ended.
    histories: a row a record: key, epoch, time and each metric. predictions: of the selected configuration: key, part
    (validation, test), example, target (a class or value; target0, target1, … of several) and p0, p1, …: values, or
    probabilities of classes, which losses without them lack; of classes, predicted. regions: of networks with two
    inputs: key, row, column, x, y (as the data are stored), predicted, confidence (NaN without probabilities). points:
    their examples: sweep, part, example, x, y, label. units: first-layer weights where the input is an image: key,
    unit, pixel, value. frames: regions of earlier epochs: key, epoch, row, column, predicted, val/acc. Tables that do
    not apply have no rows.
    """

    sweeps: tuple[Mapping[str, Any], ...]
    tables: Mapping[str, DataFrame] = field(repr=False)

    @property
    def trials(self) -> DataFrame:
        """A row a planned trial."""
        return self.tables["trials"]

    @property
    def histories(self) -> DataFrame:
        """A row a trial and record."""
        return self.tables["histories"]


def make_snapshot(sweeps: Sequence[Mapping[str, Any]], tables: Mapping[str, DataFrame]) -> Snapshot:
    """Return a snapshot with its rows in order, whatever the order in which they were found."""
    import pandas

    found = {}
    for name in TABLES:
        table = tables.get(name, pandas.DataFrame())
        order = [column for column in ORDERS[name] if column in table]
        found[name] = table.sort_values(order, kind="stable", ignore_index=True) if len(table) else table
    return Snapshot(tuple(sorted(sweeps, key=lambda each: (each["planned_at"], each["id"]))), found)


def write_snapshot(snapshot: Snapshot, folder: Path) -> None:
    """Write a snapshot's files into a folder: tables that have rows as Parquet, and the SHA-256 of each file."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.parquet"):
        path.unlink()
    told = {"format": FORMAT, "sweeps": list(snapshot.sweeps)}
    (folder / SWEEPS).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for name, table in snapshot.tables.items():
        if len(table):
            table.to_parquet(folder / f"{name}.parquet", engine="pyarrow", index=False, compression="zstd")
    lines = [f"{sha256(path)}  {path.name}\n" for path in _files(folder)]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def read_snapshot(folder: Path) -> Snapshot:
    """Return the snapshot in a folder.

    Raises: DataError if a file is missing, damaged, or of another format.
    """
    import pandas

    sums = read_sums(folder)
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"snapshot {folder}: {name} is missing")
        if sha256(path) != expected:
            raise DataError(f"snapshot {folder}: {name} is damaged: its SHA-256 is not the one in {SUMS}")
    told = json.loads((folder / SWEEPS).read_text(encoding="utf-8"))
    if told["format"] != FORMAT:
        raise DataError(f"snapshot {folder}: format {told['format']} is not {FORMAT}, the one that this nnexp reads")
    paths = {name: folder / f"{name}.parquet" for name in TABLES}
    tables = {name: pandas.read_parquet(path, engine="pyarrow") for name, path in paths.items() if path.name in sums}
    return make_snapshot(told["sweeps"], tables)


def read_sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a snapshot as it was when it was written, by name."""
    path = folder / SUMS
    if not path.is_file():
        raise DataError(f"there is no snapshot in {folder}: {SUMS} is missing")
    pairs = (line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in pairs}


def merged(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Return one snapshot of several."""
    import pandas

    tables = {}
    for name in TABLES:
        there = [each.tables[name] for each in snapshots if len(each.tables[name])]
        tables[name] = pandas.concat(there, ignore_index=True) if there else pandas.DataFrame()
        if name not in ("trials", "points") and len(tables[name]):  # trials that sweeps share are there once
            tables[name] = tables[name].drop_duplicates(list(ORDERS[name]), ignore_index=True)
    return make_snapshot([sweep for each in snapshots for sweep in each.sweeps], tables)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name == SWEEPS or path.suffix == ".parquet")
