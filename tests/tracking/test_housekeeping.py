"""Looking after sweeps: what each did and holds; deleted in the ledger, its folder and MLflow alike, or not at all."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnexp import housekeeping
from nnexp.sweeps.holding import holding
from nnexp.sweeps.kept import OWN_RUN, SavedSlice
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.survey import disk, survey
from nnexp.tracking.store import Store
from nnexp.tracking.syncing import sync
from nnexp.tracking.views import VIEW_TAG, view_id
from tests.runs import run
from tests.sweeps.ledgers import RESULT, SETTINGS, fill, history, keys, plan
from tests.tracking.conftest import Recorded

LIST = (sys.executable, "-m", "nnexp.sweeps", "list")


def command(root: Path, *arguments: str) -> int:
    """Run a command in this process; return its exit code."""
    try:
        housekeeping.main([*arguments, "--root", str(root)])
    except SystemExit as ended:
        return int(str(ended.code))
    return 0


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Return a root whose ledger has two sweeps half done, one of them with a failure, and no MLflow store."""
    root = tmp_path / "runs"
    one, _ = fill(root / "ledger.db")
    with closing(Ledger(root / "ledger.db")) as ledger:
        failed = replace(RESULT, outcome="failed", reason="ValueError: no")
        ledger.save(one.id, SavedSlice(results={keys(one)[-1]: failed}))
        for each in ledger.sweeps():
            ledger.set_settings(each.id, SETTINGS | {"store": f"sqlite:///{root / 'mlflow.db'}"})
            folder = root / "sweeps" / each.id
            for name in (
                "plan.json",
                "data/x.npy",
                "trials/1/weights.npz",
                "trials/2/weights.npz",
                "checkpoints/s.npz",
            ):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(b"x" * 1000)
    return root


@pytest.fixture
def copied(recorded: Recorded, root: Path) -> Recorded:
    """Return a copy of three real sweeps, with a store of its own."""
    shutil.copytree(recorded.root / "sweeps", root / "sweeps")
    for name in ("ledger.db", "mlflow.db"):
        (root / name).unlink(missing_ok=True)
        with closing(sqlite3.connect(recorded.root / name)) as made, closing(sqlite3.connect(root / name)) as copy:
            made.backup(copy)
    shutil.copytree(recorded.root / "artifacts", root / "artifacts")
    with closing(sqlite3.connect(root / "mlflow.db")) as store, store:
        store.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", (str(recorded.root), str(root)))
    moved = Store(f"sqlite:///{root / 'mlflow.db'}", "nnexp", root)
    with closing(Ledger(root / "ledger.db")) as ledger:
        for sweep in ledger.sweeps():
            ledger.set_settings(sweep.id, {**sweep.settings, "store": moved.uri})
            for key, each in ledger.deliveries(sweep.id).items():
                ledger.delivered(sweep.id, key, replace(each, store=str(moved)))
        assert all(each.is_whole for each in sync(ledger, root, patience=120))  # what a loaded machine left pending
    return Recorded(root)


def active(recorded: Recorded) -> dict[str, int]:
    """Return how many active runs each sweep has in MLflow, by name."""
    names = ("classes", "values", "single")
    return {name: sum(len(recorded.runs(kind, name)) for kind in ("sweep", "trial")) for name in names}


def views(recorded: Recorded) -> set[str]:
    """Return the views that MLflow has."""
    tags = recorded.client().get_experiment_by_name("nnexp").tags
    return {name.removeprefix(VIEW_TAG) for name in tags if name.startswith(VIEW_TAG)}


def content(root: Path) -> Any:
    """Return all files of a root and all rows of its ledger."""
    paths = [path for path in (root / "sweeps").rglob("*") if path.is_file() and path.name != "lock"]
    files = {path: path.read_bytes() for path in paths}
    with closing(sqlite3.connect(root / "ledger.db")) as ledger:
        return files, list(ledger.iterdump())


# list


def test_the_list_says_what_sweeps_did(copied: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(copied.root, "list") == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}", title) == [
        "sweep", "planned", "trials", "best configuration", "mean", "size", "pending", "worked on by"
    ]  # fmt: skip
    classes, values, single = (re.split(r"\s{2,}", line) for line in lines)
    assert classes[0] == copied.folder("classes").name
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d", classes[1])
    assert classes[2] == "8 finished"
    assert re.fullmatch(r"val/acc \d\.\d{4} ± \d\.\d{4}", classes[4])
    assert re.fullmatch(r"\d+\.\d [kM]B", classes[5])
    assert classes[6] == "0"
    assert values[2] == "2 finished, 2 diverged"
    assert values[3] == "lr=0.01"
    assert single[2:4] == ["1 finished", "trial"]


def test_a_held_sweep_and_a_pending_one_are_listed_as_such(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = plan(8, "one")
    with holding(filled / "sweeps" / sweep.id, sweep.id):
        assert command(filled, "list") == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert "4 finished, 1 failed, 3 running" in line
    assert re.search(rf"  5  process {os.getpid()} on \S+, since 20", line)


def test_what_is_damaged_is_listed_as_such(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(filled / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE sweep SET code = 'x' WHERE name = 'one'")
        ledger.execute("UPDATE trial SET epoch = 3 WHERE sweep LIKE 'two%' AND position = 2")
    assert command(filled, "list") == 0
    told = capsys.readouterr().out
    assert re.search(r"\ntwo-\S+ .* damaged ", told)
    assert f"{plan(8, 'one').id}: its row in the ledger is damaged" in told
    assert command(filled, "show", "two") == 0
    told = capsys.readouterr().out
    assert re.search(
        r"\ndamaged: .*the row of table trial with .* is damaged; the command that trains it mends it", told
    )


def test_an_empty_ledger_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Ledger(tmp_path / "ledger.db").close()
    assert command(tmp_path, "list") == 0
    assert capsys.readouterr().out == f"there are no sweeps in {tmp_path}\n"


# show


def test_a_sweep_is_shown_in_full(copied: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(copied.root, "show", "values") == 0
    told = capsys.readouterr().out
    folder = copied.folder("values")
    for line in (
        f"sweep     {folder.name}",
        "axes:     optimizer.lr = 0.01, 1e+30",
        "          seed = 0, 1",
        "trials:   4 trials of 2 configurations: 2 finished, 2 diverged",
        f"tracked:  sqlite:///{copied.root / 'mlflow.db'}, experiment nnexp; nothing pending",
    ):
        assert line in told.splitlines()
    assert "command:  nnexp-run -m sweep.name=values training.epochs=3 " in told
    assert re.search(r"\n *rank +configuration .* diverged\n +1  lr=0\.01 ", told)
    (total,) = re.findall(rf"\nfiles:    {folder}: (\S+ kB) ", told)
    assert total == f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1000:.1f} kB"


def test_failures_and_what_has_not_ended_are_shown(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(filled, "show", "one") == 0
    told = capsys.readouterr().out
    sweep = plan(8, "one")
    assert f"failed:\n  {sweep.trials[-1].label} ({keys(sweep)[-1][:8]}): ValueError: no\n" in told
    assert "not ended:\n  lr=2: 2 running\n  lr=3: 1 failed, 1 running\n" in told
    assert "; 5 pending\n" in told


def test_a_name_is_its_latest_sweep_and_the_others_are_told(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    earlier, later = plan(8, "one").id, plan(6, "one").id
    with closing(Ledger(filled / "ledger.db")) as ledger:
        ledger.add(plan(6, "one"), "code", SETTINGS)
    assert command(filled, "show", "one") == 0
    told = capsys.readouterr().out
    assert told.startswith(f"sweep     {later}\n")
    assert f"more:     {earlier} has the same name\n" in told
    assert command(filled, "show", earlier) == 0
    assert capsys.readouterr().out.startswith(f"sweep     {earlier}\n")


@pytest.mark.parametrize("name", ["show", "delete"])
def test_an_unknown_name_is_one_line_with_the_choices(filled: Path, capsys: Any, name: str) -> None:
    before = content(filled)
    assert command(filled, name, "three") == 2
    told = capsys.readouterr().err
    assert (
        told == f"nnexp: there is no sweep 'three' in this ledger; it has: {plan(8, 'one').id}, {plan(8, 'two').id}\n"
    )
    assert content(filled) == before


def test_where_there_is_no_ledger_none_is_made(tmp_path: Path) -> None:
    ended = run("--root", "elsewhere", folder=tmp_path, program=LIST)
    assert (ended.code, ended.out) == (2, "")
    assert (
        ended.err
        == f"nnexp: there is no ledger in {tmp_path / 'elsewhere'}: --root is the folder where nnexp-run has written\n"
    )
    assert list(tmp_path.iterdir()) == []


# what is on disk


def test_a_file_that_another_sweep_has_too_is_not_freed(filled: Path) -> None:
    one, two = (filled / "sweeps" / plan(8, name).id for name in ("one", "two"))
    (two / "trials" / "2" / "weights.npz").unlink()
    os.link(one / "trials" / "1" / "weights.npz", two / "trials" / "2" / "weights.npz")
    os.link(two / "plan.json", two / "again.json")
    found = disk(two)
    assert found.parts == {"trials": 2000, "data": 1000, "checkpoints": 1000, "plan": 1000}
    assert (found.total, found.shared, found.freed) == (5000, 1000, 4000)
    assert disk(filled / "nowhere").total == 0


def test_a_survey_knows_the_leading_configuration(filled: Path) -> None:
    with closing(Ledger(filled / "ledger.db")) as ledger:
        found = survey(ledger, filled / "sweeps", ledger.sweeps()[0])
        assert found.best is not None
        assert found.best.label == "lr=0"
        assert ledger.size(found.sweep.id) > 8 * 1000
        assert ledger.size("nothing") == 0


# delete


def test_a_sweep_is_deleted_in_the_ledger_its_folder_and_mlflow_alike(
    copied: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    assert active(copied) == {"classes": 9, "values": 5, "single": 1}
    assert len(views(copied)) == 2
    folder, others = copied.folder("values"), content(copied.root)[0]
    assert command(copied.root, "delete", "values", "--yes") == 0
    told = capsys.readouterr().out
    assert f"deleted {folder.name}\n" in told
    assert active(copied) == {"classes": 9, "values": 0, "single": 1}
    assert views(copied) == {view_id(copied.folder("classes").name)}
    files, rows = content(copied.root)
    assert files == {path: text for path, text in others.items() if folder not in path.parents}
    assert not [row for row in rows if folder.name in row]
    assert sorted(path.name for path in (copied.root / "sweeps").iterdir()) == sorted(
        copied.folder(name).name for name in ("classes", "single")
    )
    (free,) = re.findall(r"5 runs deleted in sqlite:///.*mlflow.db, experiment nnexp; `(.*)` frees them for good", told)
    before = len(list((copied.root / "artifacts").rglob("weights.npz")))
    done = subprocess.run(free, shell=True, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(list((copied.root / "artifacts").rglob("weights.npz"))) == before - 4


def test_without_a_terminal_it_must_be_said(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(filled)
    assert command(filled, "delete", "one") == 2
    told = capsys.readouterr()
    assert told.err == f"nnexp: delete sweep {plan(8, 'one').id} here and in MLflow: say so with --yes\n"
    assert "deleting: frees 5.0 kB of files, and room for " in told.out
    assert content(filled) == before


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 2, 2), ("", 2, 2), ("y", 0, 1)])
def test_on_a_terminal_it_asks(
    filled: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    asked: list[str] = []

    def input_(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr("builtins.input", input_)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert command(filled, "delete", "one") == code
    assert asked == [f"delete sweep {plan(8, 'one').id} here and in MLflow? [y/N] "]
    with closing(Ledger(filled / "ledger.db")) as ledger:
        assert len(ledger.sweeps()) == left


def test_a_sweep_that_is_worked_on_is_not_deleted(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep, before = plan(8, "one").id, content(filled)
    with holding(filled / "sweeps" / sweep, sweep):
        assert command(filled, "delete", "one", "--yes") == 2
    assert f"sweep {sweep} is being worked on by process {os.getpid()} on " in capsys.readouterr().err
    assert content(filled)[1] == before[1]
    assert content(filled)[0].items() >= before[0].items()


@pytest.fixture
def down(filled: Path) -> str:
    """Return the id of a sweep that is tracked by a server that is down."""
    with closing(Ledger(filled / "ledger.db")) as ledger:
        sweep = ledger.sweeps()[0].id
        ledger.set_settings(sweep, SETTINGS | {"store": "http://127.0.0.1:9"})
    return sweep


def test_where_the_server_is_down_nothing_is_deleted(filled: Path, down: str, capsys: Any) -> None:
    before = content(filled)
    assert command(filled, "delete", down, "--yes") == 1
    told = capsys.readouterr().err
    assert told.startswith("nnexp: MLflow's store http://127.0.0.1:9 cannot be used: ")
    assert told.endswith("; nothing was deleted, --local deletes all but the runs in MLflow\n")
    assert content(filled) == before
    assert command(filled, "delete", down, "--yes", "--local") == 0
    with closing(Ledger(filled / "ledger.db")) as ledger:
        assert [each.id for each in ledger.sweeps()] == [plan(8, "two").id]
    assert not (filled / "sweeps" / down).exists()


def test_a_store_with_credentials_is_the_recorded_one(filled: Path, down: str, capsys: Any) -> None:
    assert command(filled, "delete", down, "--yes", "--uri", "http://me:secret@127.0.0.1:10") == 1
    told = capsys.readouterr().err
    assert f"--uri http://127.0.0.1:10 is not where sweep {down} is tracked: http://127.0.0.1:9" in told
    assert command(filled, "delete", down, "--yes", "--uri", "http://me:secret@127.0.0.1:9") == 1
    told = capsys.readouterr().err
    assert "MLflow's store http://127.0.0.1:9 cannot be used" in told
    assert "secret" not in told


def test_a_damaged_sweep_can_be_deleted_here(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = plan(8, "one").id
    with closing(sqlite3.connect(filled / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE sweep SET code = 'x' WHERE name = 'one'")
    assert command(filled, "delete", sweep, "--yes") == 1
    assert "is damaged; nothing was deleted, --local deletes" in capsys.readouterr().err
    assert command(filled, "delete", sweep, "--yes", "--local") == 0
    assert not (filled / "sweeps" / sweep).exists()


class Killed(BaseException):
    """In place of a SIGKILL."""


def steps(monkeypatch: pytest.MonkeyPatch, last: int) -> Iterator[int]:
    """Die at the step after some."""
    from mlflow import MlflowClient

    done = [0]

    def until(real: Any) -> Any:
        def step(*args: Any, **named: Any) -> Any:
            done[0] += 1
            if done[0] > last:
                raise Killed
            return real(*args, **named)

        return step

    for owner, name in (
        *((MlflowClient, "delete_run"), (Ledger, "delete"), (Path, "replace")),
        *((shutil, "rmtree"), (os, "unlink"), (os, "rmdir")),
    ):
        monkeypatch.setattr(owner, name, until(getattr(owner, name)))
    yield done[0]


def test_cut_off_at_any_step_the_same_again_finishes_it(
    copied: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert active(copied)["single"] == 1
    folder, sweep = copied.folder("single"), copied.folder("single").name
    kept = copied.root.parent / "kept"
    for needless in (copied.root / "artifacts", folder / "data", copied.folder("classes"), copied.folder("values")):
        shutil.rmtree(needless)  # for speed: each step below starts from a copy
    shutil.copytree(copied.root, kept)
    for last in range(100):
        with monkeypatch.context() as patch:
            for _ in steps(patch, last):
                try:
                    assert command(copied.root, "delete", "single", "--yes") == 0
                except Killed:
                    finished = False
                else:
                    finished = True
        if finished:
            break
        assert command(copied.root, "list") == 0
        assert sweep in capsys.readouterr().out, "it can be seen that it is not over"
        assert command(copied.root, "delete", "single", "--yes") == 0
        assert command(copied.root, "delete", "single", "--yes") == 2
        assert active(copied)["single"] == 0
        assert not [path for path in (copied.root / "sweeps").iterdir() if "single" in path.name]
        shutil.rmtree(copied.root)
        shutil.copytree(kept, copied.root)
    assert 10 < last < 100
    assert not folder.exists()


def test_what_a_sweep_reused_stays_with_it(filled: Path) -> None:
    one, three = plan(8, "one"), plan(4, "three")
    with closing(Ledger(filled / "ledger.db")) as ledger:
        ledger.add(three, "code", SETTINGS | {"store": f"sqlite:///{filled / 'mlflow.db'}"})
        ledger.reuse(three.id, {keys(three)[0]: one.id})
        assert command(filled, "delete", "one", "--yes") == 0
        assert ledger.history(three.id, keys(three)[0]) == history(1, 40)
        assert ledger.standing_of(three.id, keys(three)[0]).state == "finished"
        assert set(ledger.outbox(three.id)) == {OWN_RUN, *keys(three)[:1]}
