"""Kills, interruptions and a store that is not there: nothing is lost, nothing comes twice, the exit code tells."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.runs import hearing_ctrl_c
from tests.tracking.conftest import Recorded, command, environment, nnexp_run

SLOW = (
    "-m",
    "sweep.name=slow",
    "architecture.hidden=[16]",
    "training.epochs=60",
    "optimizer=sgd,adam",
    "training.batch_size=4,64",
    "seed=0,1",
    "executor.workers=2",
)
TRIALS = 8
EVERY_SLICE = ("screen.mode=plain", "screen.every=0.01")
A_SLICE = "of the work"  # is in what is said of every slice


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, which Ctrl-C reaches even where these tests run deaf to it."""
    with hearing_ctrl_c():
        return subprocess.Popen(
            command(root, *arguments),
            cwd=root.parent,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def until_it_says(process: subprocess.Popen[str], text: str) -> str:
    """Wait until a command has said a line with a text in it; return all that it said."""
    assert process.stdout is not None
    said = ""
    while text not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def finished_trials(root: Path) -> int:
    """Return how many trials the ledger says are finished."""
    if not (root / "ledger.db").exists():
        return 0
    with sqlite3.connect(f"file:{root / 'ledger.db'}?mode=ro", uri=True, timeout=30) as connection:
        try:
            count = connection.execute("SELECT count(*) FROM trial WHERE result IS NOT NULL").fetchone()
        except sqlite3.OperationalError:  # not made yet
            return 0
    return int(count[0])


def wait_for(holds: Iterator[bool], seconds: float = 120) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    for each in holds:
        if each:
            return
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


def weights(root: Path) -> dict[str, bytes]:
    """Return the bytes of every trial's weights, by the trial's folder."""
    found = {}
    for path in (root / "sweeps").glob("slow-*/trials/*/weights.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            found[path.parent.name] = b"".join(arrays[name].tobytes() for name in sorted(arrays.files))
    return found


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of an undisturbed run."""
    root = tmp_path_factory.mktemp("control") / "runs"
    done = nnexp_run(root, *SLOW)
    assert done.returncode == 0, done.stderr
    return root


def assert_whole(root: Path, control: Path) -> None:
    """Assert that a root holds what an undisturbed one holds, in the files and once each in MLflow."""
    assert finished_trials(root) == TRIALS
    assert weights(root) == weights(control)
    mine, theirs = Recorded(root), Recorded(control)
    runs = {run.data.tags["nnexp.key"]: run for run in mine.runs("trial", "slow")}
    assert len(mine.runs("trial", "slow")) == len(runs) == TRIALS
    assert {run.info.status for run in (*runs.values(), *mine.runs("sweep", "slow"))} == {"FINISHED"}
    for run in theirs.runs("trial", "slow"):
        same = {name: value for name, value in run.data.metrics.items() if not name.startswith("cost/")}
        assert same.items() <= runs[run.data.tags["nnexp.key"]].data.metrics.items()


def test_after_the_process_group_is_killed_the_same_command_does_what_is_missing(root: Path, control: Path) -> None:
    process = start(root, *SLOW)
    wait_for(finished_trials(root) > 0 for _ in iter(int, 1))
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    there = finished_trials(root)
    again = nnexp_run(root, *SLOW)
    assert again.returncode == 0, again.stderr
    assert there == TRIALS or f"{there} of {TRIALS} trials are in the ledger already" in again.stdout
    assert_whole(root, control)


def children(pid: int) -> list[int]:
    """Return the processes that a process started, at any depth."""
    out = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in out.splitlines()]
    direct = [child for child, parent in pairs if parent == pid]
    return direct + [below for child in direct for below in children(child)]


def workers(pid: int) -> list[int]:
    """Return the workers of a command, without what Python starts beside them."""
    found = [(child, Path(f"/proc/{child}/cmdline")) for child in children(pid)]
    return [child for child, words in found if words.exists() and b"sys.path[:]" in words.read_bytes()]


def alive(pid: int) -> bool:
    """Return whether a process is there and not a zombie."""
    out = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(out) and not out.startswith("Z")


def test_workers_end_when_only_their_parent_is_killed(root: Path) -> None:
    process = start(root, *SLOW, "training.record_every=1000", "training.epochs=200000")
    wait_for(len(children(process.pid)) >= 2 and finished_plan(root) for _ in iter(int, 1))
    time.sleep(1)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    wait_for((not any(alive(pid) for pid in workers) for _ in iter(int, 1)), seconds=10)


def finished_plan(root: Path) -> bool:
    """Return whether the plan is written."""
    return any(root.glob("sweeps/*/plan.json"))


def test_ctrl_c_exits_with_130_leaves_no_run_running_and_the_same_command_goes_on(root: Path, control: Path) -> None:
    process = start(root, *SLOW, *EVERY_SLICE)
    until_it_says(process, A_SLICE)
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
    assert "go on:   " in out
    statuses = {run.info.status for kind in ("sweep", "trial") for run in Recorded(root).runs(kind, "slow")}
    assert "RUNNING" not in statuses
    assert "KILLED" in statuses
    again = nnexp_run(root, *SLOW)
    assert again.returncode == 0, again.stderr
    assert_whole(root, control)


def test_ctrl_c_ends_deliveries_too_and_what_is_trained_stands(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes what it is sent and never answers
        uri = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        small = ("-m", "sweep.name=deaf", "training.epochs=2", "architecture.hidden=[4]", "dataset=iris", "seed=0,1")
        process = start(root, *small, *EVERY_SLICE, f"tracking.uri={uri}")
        until_it_says(process, "trained; MLflow: ")
        os.killpg(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
    assert "go on:   " in out
    assert finished_trials(root) == 2


def test_killed_workers_cost_their_slices_and_nothing_else(root: Path, control: Path) -> None:
    process = start(root, *SLOW, *EVERY_SLICE)
    until_it_says(process, A_SLICE)
    for pid in workers(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert "SIGKILL" in out
    assert_whole(root, control)


def test_without_a_store_training_goes_on_and_the_same_command_delivers_later(root: Path) -> None:
    small = ("-m", "sweep.name=later", "training.epochs=2", "architecture.hidden=[4]", "seed=0,1")
    impatient = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    failed = nnexp_run(root, *small, "tracking.uri=http://127.0.0.1:9", **impatient)
    assert (failed.returncode, failed.stderr) == (0, "")
    (line,) = (line for line in failed.stdout.splitlines() if line.startswith("MLflow has not got all of it"))
    assert "3 pending" in line  # and the sweep's own run
    assert "nnexp-sync --root" in line or "`nnexp-sync`" in line
    assert finished_trials(root) == 2
    later = nnexp_run(root, *small)
    assert later.returncode == 0, later.stderr
    assert "2 of 2 trials are in the ledger already" in later.stdout
    assert len(Recorded(root).runs("trial", "later")) == 2


def test_two_commands_that_start_on_an_empty_root_at_once_both_succeed(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    small = ("training.epochs=1", "architecture.hidden=[4]", "dataset=iris")
    processes = [start(root, *small, f"sweep.name=at_once_{number}", f"seed={number}") for number in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    found = [len(Recorded(root).runs("trial", f"at_once_{number}")) for number in range(2)]
    assert found == [1, 1]
    with sqlite3.connect(root / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_mlflow_tracking_uri_is_used_where_no_uri_is_given(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    done = nnexp_run(
        tmp_path / "runs", "training.epochs=1", "architecture.hidden=[4]", "dataset=iris", MLFLOW_TRACKING_URI=uri
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "runs" / "mlflow.db").exists()
