"""Building reports: whole or not at all, the same bytes for the same snapshot wherever it is built, and checked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnexp.errors import DataError, UsageError
from nnexp.reporting.build import Settings, build, check
from nnexp.reporting.snapshot import Snapshot, make_snapshot, read_snapshot, write_snapshot
from tests.reporting.sections.grids import snapshot
from tests.runs import surroundings

BUILD = """
import sys
from pathlib import Path
import numpy as np
from nnexp.reporting.build import build
from nnexp.reporting.snapshot import Snapshot, read_snapshot
found = read_snapshot(Path(sys.argv[1]))
shuffled = {name: table.sample(frac=1, random_state=3, ignore_index=True) for name, table in found.tables.items()}
from nnexp.reporting.snapshot import make_snapshot
build(make_snapshot(found.sweeps, shuffled), Path(sys.argv[2]))
"""


def small(**more: object) -> Snapshot:
    """Return the snapshot of two optimizers with two rates, six seeds each."""
    made = {
        "seeds": 6,
        "direction": "maximize",
        "keep": lambda chosen: True,
        "data": lambda chosen: "d",
        "tested": True,
    }
    return snapshot(
        {"optimizer": ["sgd", "adam"], "optimizer.lr": [0.01, 0.1]},
        lambda chosen, seed: 0.9 + 0.02 * (chosen["optimizer"] == "adam") + 0.001 * seed * chosen["optimizer.lr"],
        **{**made, **more},  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "one"
    build(small(), folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_report_has_its_page_its_text_its_figures_its_tables_and_its_snapshot(report: Path) -> None:
    names = set(files(report))
    assert {"report.html", "report.md", "report.json", "snapshot/SHA256SUMS", "snapshot/trials.parquet"} <= names
    for folder, kinds in (("figures", {"svg", "png", "pdf"}), ("tables", {"csv", "tex"})):
        stems = {name.rpartition(".")[0] for name in names if name.startswith(folder)}
        assert stems
        assert {f"{stem}.{kind}" for stem in stems for kind in kinds} <= names


def test_other_time_zones_locales_hash_seeds_folders_and_orders_of_rows_give_the_same_bytes(
    report: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "a folder elsewhere" / "two"
    there = surroundings() | {
        "TZ": "Pacific/Chatham",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "123",
        "MPLBACKEND": "svg",
    }
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nlines.linewidth: 9\n")
    subprocess.run(
        [sys.executable, "-c", BUILD, str(report / "snapshot"), str(elsewhere)], check=True, cwd=tmp_path, env=there
    )
    mine, theirs = files(report), files(elsewhere)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if mine[name] != theirs[name]] == []


def test_a_report_that_nobody_touched_is_what_its_snapshot_gives(report: Path) -> None:
    assert check(report) is None


def test_the_first_difference_is_named(report: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(report, tmp_path / "changed"))
    page = folder / "report.html"
    page.write_text(page.read_text(encoding="utf-8").replace("0.9", "0.8", 1), encoding="utf-8")
    difference = check(folder)
    assert difference is not None
    assert difference.file == "report.html"
    assert "differs first at byte" in str(difference)
    page.unlink()
    assert str(check(folder)) == "report.html: is missing in the report"


def test_a_file_that_the_snapshot_does_not_give_is_a_difference(report: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(report, tmp_path / "more"))
    (folder / "figures" / "better.png").write_bytes(b"")
    assert str(check(folder)) == "figures/better.png: is in the report, but its snapshot does not give it"


def test_a_damaged_snapshot_is_no_snapshot(report: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(report, tmp_path / "damaged"))
    path = folder / "snapshot" / "trials.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"trials\.parquet is damaged"):
        check(folder)


def test_what_is_no_report_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds something that is no report"):
        build(small(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_report_that_cannot_be_built_leaves_the_one_that_is_there(report: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(report, tmp_path / "whole"))
    before, broken = files(folder), small()
    other = [{**broken.sweeps[0], "id": "other", "objective": {"metric": "val/loss", "direction": "minimize"}}]
    with pytest.raises(UsageError, match="different objectives"):
        build(make_snapshot([*broken.sweeps, *other], broken.tables), folder)
    assert files(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_settings_that_a_report_was_made_with_are_those_of_its_check(tmp_path: Path) -> None:
    holed = small(keep=lambda chosen: True)
    holed.trials.loc[0, "state"] = "failed"
    fair, told = tmp_path / "fair", tmp_path / "told"
    build(holed, fair)
    build(holed, told, Settings(allow_unequal=True))
    assert "No answer is given" in (fair / "report.md").read_text(encoding="utf-8")
    assert "No answer is given" not in (told / "report.md").read_text(encoding="utf-8")
    assert (check(fair), check(told)) == (None, None)


def test_snapshots_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_snapshot(small(), tmp_path)
    again = read_snapshot(tmp_path)
    write_snapshot(again, tmp_path / "again")
    assert files(tmp_path / "again") == {name: each for name, each in files(tmp_path).items() if "/" not in name}
    assert json.loads((tmp_path / "sweeps.json").read_text())["format"] == 1
