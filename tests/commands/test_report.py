"""The report's command: from a ledger, from MLflow alone, of several sweeps; logged, checked, and what is refused."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest

from nnexp.sweeps.ledger import Ledger
from tests.runs import Ended, run
from tests.tracking.conftest import Recorded

SWEEP = (
    *("-m", "dataset=iris", "architecture.hidden=[4]", "training.epochs=3", "screen.mode=quiet", "executor.workers=1"),
    *("optimizer=sgd,adam", "seed=0,1"),
)


def report(folder: Path, *arguments: str) -> Ended:
    """Run the command in a folder."""
    return run(*arguments, folder=folder, program=(sys.executable, "-m", "nnexp.report"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs of two sweeps, the latest of which has a report."""
    folder = tmp_path_factory.mktemp("reported")
    for name, lr in (("first", "0.1"), ("second", "0.01")):
        assert run(*SWEEP, f"sweep.name={name}", f"optimizer.lr={lr}", folder=folder).code == 0
    done = report(folder)
    assert (done.code, done.err) == (0, "")
    (folder / "said").write_text(done.out)
    return folder


def place(folder: Path, name: str) -> Path:
    (found,) = (folder / "runs" / "reports").glob(f"{name}-*")
    return found


def test_the_latest_sweep_is_reported_and_its_headline_said(root: Path) -> None:
    said, folder = (root / "said").read_text(), place(root, "second")
    assert "has the best mean val/acc of 2 configurations" in said
    assert "seconds: " in said
    assert f"report:  {folder.relative_to(root)}/report.html" in said
    assert "No request" not in (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "provenance.json").is_file()


def test_the_report_is_among_the_files_of_the_sweeps_run(root: Path) -> None:
    recorded = Recorded(root / "runs")
    (own,) = recorded.runs("sweep", "second")
    files = Path(own.info.artifact_uri.removeprefix("file://")) / "report"
    folder = place(root, "second")
    assert (files / "report.html").read_bytes() == (folder / "report.html").read_bytes()
    assert {path.name for path in (files / "figures").iterdir()} == {
        path.name for path in (folder / "figures").iterdir()
    }


def test_a_checked_report_is_what_its_snapshot_gives_and_a_changed_one_is_not(root: Path) -> None:
    folder = place(root, "second")
    assert report(root, "--check", str(folder)).code == 0
    text = folder / "report.md"
    whole = text.read_bytes()
    text.write_bytes(whole.replace(b"val/acc", b"val/acd", 1))
    done = report(root, "--check", str(folder))
    text.write_bytes(whole)
    assert done.code == 1
    assert "is not what its snapshot gives: report.md: differs first at byte" in done.err


def test_mlflow_alone_gives_the_same_report_as_the_ledger(root: Path, tmp_path: Path) -> None:
    done = report(tmp_path, "second", "--uri", f"sqlite:///{root}/runs/mlflow.db", "--out", "there", "--no-log")
    assert (done.code, done.err) == (0, "")
    mine, theirs = place(root, "second"), tmp_path / "there"
    for name in ("report.html", "report.md", "snapshot/SHA256SUMS"):
        assert (mine / name).read_bytes() == (theirs / name).read_bytes(), name


def test_several_sweeps_are_compared(root: Path) -> None:
    done = report(root, "first", "second", "--out", "both", "--no-log")
    assert (done.code, done.err) == (0, "")
    text = (root / "both" / "report.md").read_text(encoding="utf-8")
    assert "of 4 configurations" in done.out
    assert "first: " in text
    assert "second: " in text


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("third",), 2, "there is no sweep 'third' in this ledger; it has: first-"),
        (("--out", "runs"), 2, "runs holds something that is no report: give another --out"),
        (("--check", "runs"), 3, "report.json is missing"),
        (("first", "--check", "runs", "--no-log"), 2, "SWEEP, --no-log would change nothing"),
        (("--experiment", "other"), 2, "--experiment is for sweeps read from MLflow"),
        (("--root", "nothing"), 1, "there is no MLflow store at"),
    ],
)
def test_what_cannot_be_reported_is_one_line(root: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = report(root, *arguments)
    assert done.code == code
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_a_sweep_that_is_under_way_is_not_ranked(root: Path, tmp_path: Path) -> None:
    with closing(Ledger(root / "runs" / "ledger.db")) as ledger:
        assert [each.name for each in ledger.sweeps()] == ["first", "second"]
    unfinished = ("executor.sweep_seconds=0.001", "training.epochs=2000", "sweep.name=cut")
    assert run(*SWEEP, *unfinished, folder=tmp_path).code == 1
    done = report(tmp_path, "--no-log")
    assert done.code == 0
    assert "No ranking" in done.out or "No trial finished" in done.out
