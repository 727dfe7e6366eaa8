"""The ledger: whole transactions, whatever happens to the process; one clear line where the file cannot be used."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from nnexp.errors import NnexpError
from nnexp.sweeps.old_ledger import VERSION, Ledger, TrialResult
from nnexp.sweeps.plan import Plan, Trial
from nnexp.testing.trials import small

RESULT = TrialResult(
    outcome="finished",
    epoch=2,
    epochs=[1, 2],
    history={"val/acc": [1 / 3, 0.1 + 0.2], "val/loss": [5e-324, 1.7976931348623157e308]},
    times=[1795321497.678123, 1795321498.0],
    summary={"epoch_best": 2.0, "test/acc": 2 / 3},
    confusion={"test": [[3, 1], [0, 4]]},
    costs={"wall_seconds": 0.1, "flops": 1.7976931348623157e308},
    stack_width=3,
    started_at=1795321497.0,
    ended_at=1795321499.0,
)
# Finishes trial after trial, each with a result of some pages, and says so.
FINISHER = """
import sys
from pathlib import Path
from tests.sweeps.test_old_ledger import RESULT, Ledger, plan, replace
ledger = Ledger(Path(sys.argv[1]))
sweep = plan(4000)
ledger.add(sweep, "code")
done = ledger.results(sweep.id)
for trial in sweep.trials:
    if trial.key not in done:
        ledger.finish(sweep.id, {trial.key: replace(RESULT, history={"val/acc": [1 / 3] * 300})})
        print(trial.key, flush=True)
"""


def plan(trials: int = 3, name: str = "name") -> Plan:
    config = small()
    return Plan(name, (), {}, tuple(Trial(n, f"key{n}", "c", {}, config, "d") for n in range(trials)))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "new" / "ledger.db")
    yield opened
    opened.close()


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_reopening_keeps_every_bit_of_everything(ledger: Ledger) -> None:
    sweep = plan()
    assert ledger.add(sweep, "code") is None
    ledger.finish(sweep.id, {"key1": RESULT, "key2": replace(RESULT, outcome="diverged", epochs=[], times=[])})
    ledger.delivered(sweep.id, "key1")
    ledger.close()
    again = Ledger(ledger.path)
    found = again.results(sweep.id)
    assert found["key1"] == RESULT
    assert found["key2"].outcome == "diverged"
    assert set(found) == {"key1", "key2"}
    assert again.outbox(sweep.id) == {"key2"}
    again.close()


def test_a_plan_is_recorded_once_with_the_code_that_made_it(ledger: Ledger) -> None:
    assert ledger.add(plan(), "first") is None
    assert ledger.add(plan(), "second") == "first"
    assert rows(ledger.path, "SELECT count(*) FROM trial") == [(3,)]
    assert rows(ledger.path, "SELECT key, position, state FROM trial ORDER BY position") == [
        ("key0", 0, "planned"),
        ("key1", 1, "planned"),
        ("key2", 2, "planned"),
    ]


def test_sweeps_with_the_same_trials_do_not_mix(ledger: Ledger) -> None:
    one, another = plan(name="one"), plan(name="another")
    ledger.add(one, "code")
    ledger.add(another, "code")
    ledger.finish(one.id, {"key0": RESULT})
    assert ledger.results(another.id) == {}
    assert ledger.outbox(another.id) == set()
    ledger.finish(another.id, {"key0": RESULT})
    ledger.delivered(one.id, "key0")
    assert ledger.outbox(another.id) == {"key0"}


def test_a_result_and_its_place_in_the_outbox_are_one_transaction(ledger: Ledger) -> None:
    sweep = plan()
    ledger.add(sweep, "code")
    unwritable: Any = replace(RESULT, summary={"x": object()})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        ledger.finish(sweep.id, {"key0": RESULT, "key1": unwritable})
    assert ledger.results(sweep.id) == {}
    assert ledger.outbox(sweep.id) == set()
    with pytest.raises(NnexpError, match="FOREIGN KEY"):
        ledger.finish(sweep.id, {"key0": RESULT, "not planned": RESULT})
    assert ledger.results(sweep.id) == {}
    ledger.finish(sweep.id, {"key0": RESULT})
    assert set(ledger.results(sweep.id)) == ledger.outbox(sweep.id) == {"key0"}


def test_finishing_again_what_was_delivered_puts_it_into_the_outbox_once(ledger: Ledger) -> None:
    ledger.add(plan(), "code")
    for _ in range(2):
        ledger.finish(plan().id, {"key0": RESULT})
    assert rows(ledger.path, "SELECT count(*) FROM outbox") == [(1,)]


def test_what_was_committed_survives_a_kill_at_any_instant(tmp_path: Path) -> None:
    path, sweep, rng = tmp_path / "ledger.db", plan(4000), random.Random(5)
    said: set[str] = set()
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", FINISHER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said.add(process.stdout.readline().strip())
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        said |= set(process.communicate()[0].split())
        assert process.returncode == -signal.SIGKILL, "it came to its end: give it more trials"
        assert rows(path, "PRAGMA integrity_check") == [("ok",)]
        opened = Ledger(path)
        found = opened.results(sweep.id)
        assert said <= set(found)
        assert len(found) <= len(said) + 3  # one that was committed and not said, a kill
        assert opened.outbox(sweep.id) == set(found)
        assert all(len(each.history["val/acc"]) == 300 for each in found.values())
        assert len(rows(path, "SELECT * FROM trial WHERE (state = 'planned') != (result IS NULL)")) == 0
        opened.close()


def test_many_that_make_it_at_once_all_have_it(tmp_path: Path) -> None:
    for attempt in range(5):
        barrier, path = Barrier(8), tmp_path / f"ledger{attempt}.db"

        def make(number: int, barrier: Barrier = barrier, path: Path = path) -> None:
            barrier.wait()
            mine = Ledger(path)
            mine.add(plan(name=f"sweep{number}"), "code")
            mine.finish(plan(name=f"sweep{number}").id, {"key0": RESULT})
            mine.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(make, range(8)))
        assert rows(path, "SELECT count(*) FROM sweep") == rows(path, "SELECT count(*) FROM outbox") == [(8,)]


def test_readers_do_not_wait_for_the_writer(ledger: Ledger) -> None:
    assert rows(ledger.path, "PRAGMA journal_mode") == [("wal",)]
    assert rows(ledger.path, "PRAGMA user_version") == [(VERSION,)]


def read(path: Path) -> None:
    """Open a ledger and read what it has."""
    with closing(Ledger(path)) as opened:
        opened.add(plan(300), "code")
        opened.results(plan(300).id)


def assert_unusable(path: Path, *words: str) -> None:
    """Opening, or reading what it has, is refused in one line that names the file."""
    with pytest.raises(NnexpError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_a_ledger_of_another_version_is_refused(ledger: Ledger) -> None:
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    before = ledger.path.read_bytes()
    assert_unusable(ledger.path, f"version {VERSION + 1}", f"version {VERSION}")
    assert ledger.path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"my notes " * 1000)
    assert_unusable(tmp_path / "ledger.db")
    assert (tmp_path / "ledger.db").read_bytes() == b"my notes " * 1000


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_ledger_is_refused_in_one_line(ledger: Ledger, damage: str) -> None:
    sweep = plan(300)
    ledger.add(sweep, "code")
    ledger.finish(sweep.id, {trial.key: replace(RESULT, times=[1 / 3] * 200) for trial in sweep.trials})
    ledger.close()
    whole = ledger.path.read_bytes()
    assert len(whole) > 100_000
    half = len(whole) // 2
    ledger.path.write_bytes(whole[:half] if damage == "cut" else whole[:4096] + b"\xa5" * half + whole[4096 + half :])
    assert_unusable(ledger.path)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    assert_unusable(tmp_path / "ledger.db")


def test_results_are_plain_json(ledger: Ledger) -> None:
    ledger.add(plan(), "code")
    ledger.finish(plan().id, {"key0": RESULT})
    ((text,),) = rows(ledger.path, "SELECT result FROM trial WHERE result IS NOT NULL")
    assert json.loads(text)["history"] == RESULT.history
