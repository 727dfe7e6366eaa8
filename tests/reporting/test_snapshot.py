"""Snapshots: files that are what they were or are refused, and rows that do not depend on how they were found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas
import pytest

from nnexp.errors import DataError
from nnexp.reporting.snapshot import (
    ORDERS,
    TABLES,
    Snapshot,
    make_snapshot,
    merged,
    read_snapshot,
    sha256,
    write_snapshot,
)

NAN = float("nan")
AXES = {"optimizer": ["é"], "l2.strength": ["0.1"]}


def snapshot(sweep: str = "one", planned_at: float = 1.0, *, backwards: bool = False) -> Snapshot:
    """Return a snapshot of two trials, one of which every sweep has."""
    keys = ["shared", sweep]
    tables = {
        "trials": pandas.DataFrame(
            {"sweep": sweep, "position": [0, 1], "key": keys, "note": [None, "why"], "summary/test/acc": [0.1, NAN]}
        ),
        "histories": pandas.DataFrame(
            {"key": [keys[0]] * 2 + [keys[1]], "epoch": [1, 2, 1], "val/acc": [1 / 3, NAN, 5e-324]}
        ),
        "points": pandas.DataFrame({"sweep": sweep, "part": "test", "example": [3, 7], "x": [0.1, -0.0]}),
    }
    if backwards:
        tables = {name: table.iloc[::-1] for name, table in reversed(tables.items())}
    return make_snapshot([{"id": sweep, "name": sweep, "planned_at": planned_at, "axes": AXES}], tables)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_table_has_an_order() -> None:
    assert set(ORDERS) == set(TABLES)


def test_a_snapshot_reads_back_as_it_was(tmp_path: Path) -> None:
    written = snapshot()
    write_snapshot(written, tmp_path / "new" / "snapshot")
    read = read_snapshot(tmp_path / "new" / "snapshot")
    assert read.sweeps == written.sweeps
    assert list(read.sweeps[0]["axes"]) == list(AXES)  # the order in which a report speaks of them
    for name in TABLES:
        pandas.testing.assert_frame_equal(read.tables[name], written.tables[name], check_exact=True)
    assert read.trials["summary/test/acc"].to_list()[0] == 0.1
    assert str(read.tables["points"]["x"][1]) == "-0.0"


def test_files_are_the_same_whatever_the_order_in_which_rows_were_found(tmp_path: Path) -> None:
    write_snapshot(snapshot(), tmp_path / "one")
    write_snapshot(snapshot(backwards=True), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert {*contents(tmp_path / "one")} == {
        "SHA256SUMS",
        "histories.parquet",
        "points.parquet",
        "sweeps.json",
        "trials.parquet",
    }


def test_tables_of_a_snapshot_before_do_not_stay(tmp_path: Path) -> None:
    write_snapshot(snapshot(), tmp_path)
    less = make_snapshot(snapshot().sweeps, {"trials": snapshot().trials})
    write_snapshot(less, tmp_path)
    assert {*contents(tmp_path)} == {"SHA256SUMS", "sweeps.json", "trials.parquet"}
    assert read_snapshot(tmp_path).histories.empty


@pytest.mark.parametrize("name", ["sweeps.json", "trials.parquet", "points.parquet"])
def test_a_file_that_is_damaged_or_missing_is_refused_by_name(tmp_path: Path, name: str) -> None:
    write_snapshot(snapshot(), tmp_path)
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"snapshot {tmp_path}: {name} is damaged: its SHA-256 is not the one in"):
        read_snapshot(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=f"snapshot {tmp_path}: {name} is missing"):
        read_snapshot(tmp_path)


def test_a_folder_without_a_snapshot_and_another_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"there is no snapshot in {tmp_path}: SHA256SUMS is missing"):
        read_snapshot(tmp_path)
    write_snapshot(snapshot(), tmp_path)
    path = tmp_path / "sweeps.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    (tmp_path / "SHA256SUMS").write_text(f"{sha256(path)}  sweeps.json\n")
    with pytest.raises(DataError, match="format 99 is not 1, the one that this nnexp reads"):
        read_snapshot(tmp_path)


def test_sums_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    import hashlib

    write_snapshot(snapshot(), tmp_path)
    lines = [line.split("  ") for line in (tmp_path / "SHA256SUMS").read_text().splitlines()]
    assert [name for _, name in lines] == sorted(name for _, name in lines)
    for digest, name in lines:
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


def test_snapshots_are_merged_and_trials_that_they_share_have_one_history() -> None:
    both: Any = merged([snapshot("two", 2.0), snapshot("one", 1.0)])
    assert [each["id"] for each in both.sweeps] == ["one", "two"]
    assert both.trials["key"].to_list() == ["shared", "one", "shared", "two"]
    assert both.histories[["key", "epoch"]].to_numpy().tolist() == [
        ["one", 1],
        ["shared", 1],
        ["shared", 2],
        ["two", 1],
    ]
    assert both.tables["points"]["sweep"].to_list() == ["one", "one", "two", "two"]
    assert both.tables["units"].empty
