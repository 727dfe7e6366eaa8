"""The summary of a sweep: made when a run of it ends, however it ends, and only if something has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnexp.reporting.collecting import HASTE
from nnexp.reporting.snapshot import Snapshot, read_snapshot
from nnexp.summary import Summary
from nnexp.sweeps.files import SNAPSHOT
from nnexp.sweeps.interrupts import Halt
from tests.tracking.pretended import Pretended, pretend

HALT = Halt("interrupted", "interrupted")


@pytest.fixture
def sweep(tmp_path: Path) -> Pretended:
    """Return a sweep of which two trials have finished and two are under way."""
    found = pretend(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    found.begin()
    found.train(found.keys, 1, 3)
    found.end(found.keys[:2], 3)
    return found


def write(sweep: Pretended, halt: Halt | None = None, *, trains: bool = False, single: bool = False) -> None:
    summary = Summary(sweep.ledger, sweep.plan, sweep.folder, single=single, trains=trains)
    summary.write(halt)
    assert summary.is_there


def snapshot(sweep: Pretended) -> Snapshot:
    return read_snapshot(sweep.folder / SNAPSHOT)


def changed(sweep: Pretended) -> dict[str, int]:
    """Return when each file of the summary was written, and the version that is due of the sweep's own run."""
    paths = [*sweep.folder.glob("*.*"), *(sweep.folder / SNAPSHOT).glob("*")]
    return {path.name: path.stat().st_mtime_ns for path in paths} | sweep.ledger.outbox(sweep.plan.id)


def test_an_interrupted_sweep_has_a_snapshot_of_how_its_trials_stand(sweep: Pretended) -> None:
    sweep.ledger.stop(sweep.plan.id, sweep.keys[2:], "interrupted")
    write(sweep, HALT, trains=True)
    found = snapshot(sweep)
    assert found.trials["state"].to_list() == ["finished", "finished", "stopped", "stopped"]
    assert found.trials["note"].to_list()[2:] == ["interrupted"] * 2
    assert len(found.histories) == 4 * 3
    assert found.sweeps[0]["notes"] == [HASTE]
    assert "numpy" in found.sweeps[0]["environment"]["packages"]


def test_a_summary_is_written_again_only_if_something_has_changed(sweep: Pretended) -> None:
    write(sweep)
    before = changed(sweep)
    write(sweep)
    assert changed(sweep) == before
    sweep.end(sweep.keys[2:], 3)
    write(sweep)
    assert {*snapshot(sweep).trials["state"]} == {"finished"}
    assert changed(sweep)["trials.parquet"] > before["trials.parquet"]


def test_what_was_trained_without_an_end_changes_the_snapshot_too(sweep: Pretended) -> None:
    write(sweep, HALT)
    before = changed(sweep)
    sweep.train(sweep.keys[2:], 4, 5)
    write(sweep, HALT, trains=True)
    after = changed(sweep)
    assert snapshot(sweep).histories["epoch"].max() == 5
    assert after["comparison.png"] == before["comparison.png"]
    assert after[""] > before[""]


def test_a_single_trial_has_a_leaderboard_only(sweep: Pretended) -> None:
    write(sweep, single=True, trains=True)
    assert {path.name for path in sweep.folder.iterdir()} >= {"leaderboard.csv"}
    assert not {"comparison.png", SNAPSHOT} & {path.name for path in sweep.folder.iterdir()}


def test_nothing_of_an_earlier_or_half_written_snapshot_stays(sweep: Pretended) -> None:
    write(sweep)
    (sweep.folder / SNAPSHOT / "frames.parquet").write_text("old")
    (sweep.folder / f".{SNAPSHOT}.tmp").mkdir()
    (sweep.folder / f".{SNAPSHOT}.tmp" / "units.parquet").write_text("half")
    write(sweep, trains=True)
    assert not {"frames.parquet", "units.parquet"} & {path.name for path in (sweep.folder / SNAPSHOT).iterdir()}
    assert not list(sweep.folder.glob(".*"))


def test_a_scheduler_that_ends_a_large_sweep_does_not_wait_for_a_snapshot(
    sweep: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminated = Halt("terminated", "terminated")
    write(sweep, terminated, trains=True)
    assert len(snapshot(sweep).trials) == 4
    monkeypatch.setattr("nnexp.summary.MOST_IN_HASTE", 3)
    summary = Summary(sweep.ledger, sweep.plan, sweep.folder, single=False, trains=True)
    summary.write(terminated)
    assert not summary.is_there  # the same command makes it
    assert not (sweep.folder / SNAPSHOT).exists()
