"""The ledger: what a slice changes is one transaction, nothing is said twice, and damage costs what it hit, no more."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from math import nan
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from nnexp.errors import NnexpError
from nnexp.sweeps.database import DamageError
from nnexp.sweeps.kept import OWN_RUN, Delivered, SavedSlice, SavedStack, Standing
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import Plan
from nnexp.sweeps.results import History
from nnexp.sweeps.salvage import salvage
from nnexp.sweeps.tables import VERSION
from tests.sweeps.ledgers import RESULT, SETTINGS, add_again, everything, fill, history, keys, plan

DELIVERED = Delivered("sqlite:///mlflow.db nnexp", "run", 0, 4, "finished")
# Saves slice after slice of two trials, the second of which ends at once with the first one's twentieth slice.
SAVER = """
import sys
from pathlib import Path
from tests.sweeps.test_ledger import *
ledger, sweep = Ledger(Path(sys.argv[1])), plan(100)
ledger.add(sweep, "code", SETTINGS)
standing = ledger.standing(sweep.id)
for one, two in zip(keys(sweep)[::2], keys(sweep)[1::2]):
    for slice in range(standing[one].epoch // 10, 20):
        ledger.begin(sweep.id, [one, two])
        stack = SavedStack(one, (one, two), 10 * slice + 10, f"{slice}.npz", "0")
        records = {key: history(10 * slice + 1, 10 * slice + 10) for key in (one, two)}
        last = slice == 19
        ended = {key: replace(RESULT, epoch=200) for key in (one, two)} if last else {}
        ledger.save(sweep.id, SavedSlice(records, ended, stacks=[] if last else [stack], over=[one] if last else []))
        print(one, 10 * slice + 10, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with closing(Ledger(path)) as opened:
        yield opened


@pytest.fixture
def sweep(ledger: Ledger) -> Plan:
    """A plan of two configurations with two repeats, in the ledger."""
    made = plan()
    assert ledger.add(made, "code", SETTINGS) == []
    return made


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


# plans


def test_a_plan_is_there_as_it_was_added(ledger: Ledger, sweep: Plan) -> None:
    (found,) = ledger.sweeps()
    assert (found.id, found.name, found.hash, found.code, found.trials) == (sweep.id, "name", sweep.hash, "code", 4)
    assert found.head == json.loads(json.dumps(sweep.head()))
    assert found.settings == SETTINGS
    assert ledger.sweep(sweep.id) == found
    assert ledger.sweep("another") is None
    assert ledger.standing(sweep.id) == {key: Standing(key) for key in keys(sweep)}
    assert list(ledger.outbox(sweep.id)) == [OWN_RUN]


def test_planned_trials_know_what_a_leaderboard_needs(ledger: Ledger, sweep: Plan) -> None:
    for trial, found in zip(sweep.trials, ledger.planned(sweep.id), strict=True):
        assert (found.key, found.position, found.configuration) == (trial.key, trial.position, trial.configuration)
        assert (found.label, found.configuration_label) == (trial.label, trial.configuration_label)
        assert found.objective == trial.config.objective
        about = ledger.about(sweep.id, trial.key)
        assert about["config"] == json.loads(json.dumps(trial.config.describe()))
        assert about["chosen"] == trial.chosen


def test_adding_a_plan_again_changes_its_settings_only(path: Path) -> None:
    (sweep,) = fill(path, ("one",))
    before = everything(path)
    with closing(Ledger(path)) as ledger:
        assert ledger.add(sweep, "other code", SETTINGS | {"store": "elsewhere"}) == []
        (found,) = ledger.sweeps()
        assert found == replace(before[sweep.id][0], settings=SETTINGS | {"store": "elsewhere"})
        ledger.set_settings(sweep.id, SETTINGS)
    assert everything(path) == before


def test_sweeps_with_the_same_trials_do_not_mix(ledger: Ledger, sweep: Plan) -> None:
    another, key = plan(name="another"), keys(sweep)[0]
    ledger.add(another, "code", SETTINGS)
    ledger.save(sweep.id, SavedSlice({key: history(1, 4)}, {key: RESULT}))
    ledger.delivered(sweep.id, key, DELIVERED)
    assert ledger.standing(another.id) == {key: Standing(key) for key in keys(another)}
    assert ledger.history(another.id, key) == History()
    assert list(ledger.outbox(another.id)) == [OWN_RUN]
    assert ledger.deliveries(another.id) == {}
    ledger.delete(another.id)
    assert [each.id for each in ledger.sweeps()] == [sweep.id]
    assert ledger.history(sweep.id, key) == history(1, 4)


def test_deleting_leaves_nothing(path: Path) -> None:
    one, two = fill(path)
    before = everything(path)
    with closing(Ledger(path)) as ledger:
        ledger.delete(one.id)
        assert ledger.add(one, "code", SETTINGS) == []
        assert ledger.standing(one.id) == {key: Standing(key) for key in keys(one)}
        ledger.delete(one.id)
        assert ledger.standing(one.id) == {}
    assert everything(path) == {two.id: before[two.id]}
    tables = ("trial", "record", "stack", "outbox", "delivery")
    assert all(query(path, f"SELECT count(*) FROM {name} WHERE sweep = '{one.id}'") == [(0,)] for name in tables)


# how trials stand


def test_a_trial_goes_from_planned_to_finished(ledger: Ledger, sweep: Plan) -> None:
    key = keys(sweep)[1]
    ledger.begin(sweep.id, [key])
    assert ledger.standing_of(sweep.id, key) == Standing(key, "running", attempts=1)
    ledger.save(sweep.id, SavedSlice({key: history(1, 2)}))
    assert ledger.standing_of(sweep.id, key) == Standing(key, "running", attempts=1, epoch=2)
    ledger.stop(sweep.id, [key], "interrupted")
    assert ledger.standing_of(sweep.id, key) == Standing(key, "stopped", 1, epoch=2, note="interrupted")
    ledger.begin(sweep.id, [key])
    ledger.save(sweep.id, SavedSlice({key: history(3, 4)}, {key: RESULT}))
    found = ledger.standing_of(sweep.id, key)
    assert found == Standing(key, "finished", 2, epoch=4, result=RESULT)
    assert found.ended
    assert ledger.history(sweep.id, key) == history(1, 4)
    assert ledger.history(sweep.id, key, after=3) == history(4, 4)


@pytest.mark.parametrize("outcome", ["diverged", "failed"])
def test_other_ends_are_ends_too(ledger: Ledger, sweep: Plan, outcome: str) -> None:
    key = keys(sweep)[0]
    result = replace(RESULT, outcome=outcome, epoch=3, objective=None, reason="worker killed twice")
    ledger.save(sweep.id, SavedSlice({key: history(1, 2)}, {key: result}))
    found = ledger.standing_of(sweep.id, key)
    assert (found.state, found.epoch, found.note, found.ended) == (outcome, 3, "worker killed twice", True)
    assert found.result == result


def test_epochs_without_records_count(ledger: Ledger, sweep: Plan) -> None:
    key = keys(sweep)[0]
    ledger.save(sweep.id, SavedSlice({key: history(1, 2)}, epochs={key: 5}))
    assert ledger.standing_of(sweep.id, key).epoch == 5
    ledger.save(sweep.id, SavedSlice(epochs={key: 7}))
    assert ledger.standing_of(sweep.id, key).epoch == 7
    assert ledger.history(sweep.id, key) == history(1, 2)


def test_a_trial_that_is_not_planned_is_named(ledger: Ledger, sweep: Plan) -> None:
    with pytest.raises(DamageError, match=f"sweep {sweep.id} has no trial nothing"):
        ledger.save(sweep.id, SavedSlice({keys(sweep)[0]: history(1, 2), "nothing": history(1, 2)}))
    assert ledger.history(sweep.id, keys(sweep)[0]) == History()


def test_stacks_under_way_are_there_until_they_are_over(ledger: Ledger, sweep: Plan) -> None:
    one, two, three, _ = keys(sweep)
    stacks = [SavedStack("a", (two, one), 5, "a.npz", "1" * 64, {"x": [1]}), SavedStack("b", (three,), 5, "b", "2")]
    ledger.save(sweep.id, SavedSlice(stacks=stacks))
    assert ledger.stacks(sweep.id) == stacks
    ledger.save(sweep.id, SavedSlice(stacks=[replace(stacks[0], epoch=9)], over=["b"]))
    assert ledger.stacks(sweep.id) == [replace(stacks[0], epoch=9)]
    ledger.forget_stacks(sweep.id, ["a"])
    assert ledger.stacks(sweep.id) == []


# records that are there already


def test_records_that_are_made_again_stay_as_they_are(ledger: Ledger, sweep: Plan) -> None:
    key, late = keys(sweep)[0], 1e9
    old = replace(history(1, 6), times=tuple(map(float, range(6))))
    ledger.save(sweep.id, SavedSlice({key: old.until(4)}))
    ledger.save(sweep.id, SavedSlice({key: old.after(4)}))
    for again in (history(1, 3), history(4, 6), history(2, 5)):
        ledger.save(sweep.id, SavedSlice({key: replace(again, times=(late,) * len(again.epochs))}))
        assert ledger.history(sweep.id, key) == old
    ledger.save(sweep.id, SavedSlice({key: history(5, 9)}))
    assert ledger.history(sweep.id, key) == old + history(7, 9)
    assert ledger.standing_of(sweep.id, key) == Standing(key, epoch=9)


def test_records_that_differ_take_the_place_of_the_old_ones(ledger: Ledger, sweep: Plan) -> None:
    key = keys(sweep)[0]
    ledger.save(sweep.id, SavedSlice({key: history(1, 4)}))
    ledger.save(sweep.id, SavedSlice({key: history(5, 8)}))
    other = history(1, 2) + history(3, 6, shift=1.0)
    ledger.save(sweep.id, SavedSlice({key: other}))
    assert ledger.history(sweep.id, key) == other
    assert ledger.standing_of(sweep.id, key) == Standing(key, generation=1, epoch=6)
    ledger.save(sweep.id, SavedSlice({key: history(7, 8, shift=1.0)}))
    assert ledger.history(sweep.id, key) == other + history(7, 8, shift=1.0)
    assert ledger.standing_of(sweep.id, key).generation == 1


@pytest.mark.parametrize(
    ("old", "new", "grows"),
    [
        ({"a": (0.0,)}, {"a": (-0.0,)}, True),
        ({"a": (0.1,)}, {"a": (0.10000000000000002,)}, True),
        ({"a": (nan,)}, {"a": (nan,)}, False),
        ({"a": (1.0,)}, {"a": (1.0,), "b": (1.0,)}, True),
        ({"a": (1.0,), "b": (1.0,)}, {"a": (1.0,)}, True),
        ({"a": (1.0,), "b": (2.0,)}, {"b": (2.0,), "a": (1.0,)}, False),
    ],
)
def test_records_differ_in_bits(ledger: Ledger, sweep: Plan, old: Any, new: Any, grows: bool) -> None:
    key = keys(sweep)[0]
    ledger.save(sweep.id, SavedSlice({key: History((1,), (0.0,), old)}))
    ledger.save(sweep.id, SavedSlice({key: History((1,), (1.0,), new)}))
    assert ledger.standing_of(sweep.id, key).generation == grows
    found = ledger.history(sweep.id, key)
    assert repr(sorted(found.values.items())) == repr(sorted((new if grows else old).items()))
    assert found.times == ((1.0,) if grows else (0.0,))


def test_a_training_that_ends_earlier_than_before_leaves_nothing_beyond_its_end(ledger: Ledger, sweep: Plan) -> None:
    key = keys(sweep)[0]
    ledger.save(sweep.id, SavedSlice({key: history(1, 5)}))
    ledger.save(sweep.id, SavedSlice({key: history(6, 9)}))
    ledger.save(sweep.id, SavedSlice({key: history(1, 4)}, {key: RESULT}))
    assert ledger.history(sweep.id, key) == history(1, 4)
    assert ledger.standing_of(sweep.id, key) == Standing(key, "finished", generation=1, epoch=4, result=RESULT)


def test_a_failure_leaves_all_records(ledger: Ledger, sweep: Plan) -> None:
    key = keys(sweep)[0]
    ledger.save(sweep.id, SavedSlice({key: history(1, 5)}))
    ledger.save(sweep.id, SavedSlice(results={key: replace(RESULT, outcome="failed", epoch=0)}))
    assert ledger.history(sweep.id, key) == history(1, 5)
    assert ledger.standing_of(sweep.id, key).epoch == 5


def test_planning_again_keeps_records_to_compare_with(ledger: Ledger, sweep: Plan) -> None:
    key = keys(sweep)[0]
    ledger.save(sweep.id, SavedSlice({key: history(1, 4)}, {key: RESULT}))
    ledger.plan_again(sweep.id, [key], SETTINGS | {"argv": ["again"]})
    found = ledger.standing_of(sweep.id, key)
    assert (found.state, found.epoch, found.ended) == ("planned", 4, False)
    assert ledger.history(sweep.id, key) == history(1, 4)
    assert ledger.sweeps()[0].settings["argv"] == ["again"]
    ledger.begin(sweep.id, [key])
    assert ledger.standing_of(sweep.id, key).result is None


# the outbox


def test_what_changes_goes_into_the_outbox(ledger: Ledger, sweep: Plan) -> None:
    one, two, three, _ = keys(sweep)
    ledger.begin(sweep.id, [three])
    assert list(ledger.outbox(sweep.id)) == [OWN_RUN], "there is nothing to say of it yet"
    ledger.save(sweep.id, SavedSlice({three: history(1, 2), one: history(1, 2)}))
    assert list(ledger.outbox(sweep.id)) == [OWN_RUN, one, three], "in the order of the plan"
    ledger.stop(sweep.id, [two], "told so")
    assert list(ledger.outbox(sweep.id)) == [OWN_RUN, one, two, three]
    assert ledger.pending(sweep.id) == 4


def test_what_changed_while_it_was_sent_stays_in_the_outbox(ledger: Ledger, sweep: Plan) -> None:
    key = keys(sweep)[0]
    ledger.save(sweep.id, SavedSlice({key: history(1, 2)}))
    sent = ledger.outbox(sweep.id)[key]
    ledger.save(sweep.id, SavedSlice({key: history(3, 4)}))
    ledger.delivered(sweep.id, key, DELIVERED, sent)
    newer = ledger.outbox(sweep.id)[key]
    assert newer > sent
    ledger.delivered(sweep.id, key, DELIVERED, newer)
    assert key not in ledger.outbox(sweep.id)
    assert ledger.deliveries(sweep.id) == {key: DELIVERED}


def test_a_version_comes_never_twice(ledger: Ledger, sweep: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 5)  # a clock that stands still
    versions = []
    for _ in range(3):
        ledger.deliver_again(sweep.id, [OWN_RUN])
        versions.append(ledger.outbox(sweep.id)[OWN_RUN])
    assert versions == sorted(set(versions))


def test_a_configuration_is_due_as_a_whole_when_its_last_trial_ends(ledger: Ledger, sweep: Plan) -> None:
    one, two, three, four = keys(sweep)
    failed = replace(RESULT, outcome="failed", reason="…")
    ledger.save(sweep.id, SavedSlice({one: history(1, 4), three: history(1, 2)}, {one: RESULT}))
    for key, version in ledger.outbox(sweep.id).items():
        ledger.delivered(sweep.id, key, DELIVERED, version)
    ledger.save(sweep.id, SavedSlice({four: history(1, 4)}, {four: RESULT}))
    assert list(ledger.outbox(sweep.id)) == [four], "of its configuration, one trial is under way"
    ledger.save(sweep.id, SavedSlice(results={two: failed}))
    assert list(ledger.outbox(sweep.id)) == [one, two, four]


def test_delivering_again_forgets_what_was_delivered_if_told_so(ledger: Ledger, sweep: Plan) -> None:
    one, two, *_ = keys(sweep)
    for key in (one, two):
        ledger.delivered(sweep.id, key, DELIVERED)
    ledger.deliver_again(sweep.id, [one], wholly=False)
    ledger.deliver_again(sweep.id, [two])
    assert ledger.deliveries(sweep.id) == {one: DELIVERED}
    assert list(ledger.outbox(sweep.id)) == [OWN_RUN, one, two]


# reuse


def test_what_another_sweep_finished_is_taken_over(ledger: Ledger, sweep: Plan) -> None:
    one, two, three, four = keys(sweep)
    ends = {one: RESULT, two: replace(RESULT, outcome="diverged"), three: replace(RESULT, outcome="failed")}
    ledger.save(sweep.id, SavedSlice({key: history(1, 2) for key in (one, two, four)}))
    ledger.save(sweep.id, SavedSlice({one: history(3, 4)}, ends))
    later, last = plan(6, "later"), plan(8, "last")
    for each in (later, last):
        ledger.add(each, "code", SETTINGS)
    found = ledger.ended_elsewhere(later.id, keys(later))
    assert found == {one: (sweep.id, "code"), two: (sweep.id, "code")}, "failed ones are tried again"
    ledger.reuse(later.id, {key: origin for key, (origin, _) in found.items()})
    assert ledger.standing_of(later.id, one) == replace(ledger.standing_of(sweep.id, one), reused_from=sweep.id)
    assert ledger.history(later.id, one) == history(1, 4)
    assert list(ledger.outbox(later.id)) == [OWN_RUN, one, two]
    ledger.delete(sweep.id)
    assert ledger.history(later.id, one) == history(1, 4), "it has copies of its own"
    again = ledger.ended_elsewhere(last.id, keys(last))
    ledger.reuse(last.id, {key: origin for key, (origin, _) in again.items()})
    assert ledger.standing_of(last.id, two).reused_from == sweep.id, "where it was trained, not where it was found"


def test_what_is_taken_over_replaces_what_was_begun(ledger: Ledger, sweep: Plan) -> None:
    key, other = keys(sweep)[0], plan(name="other")
    ledger.add(other, "code", SETTINGS)
    ledger.save(other.id, SavedSlice({key: history(1, 2)}))
    ledger.save(other.id, SavedSlice({key: history(3, 3)}))
    ledger.save(sweep.id, SavedSlice({key: history(1, 4)}, {key: RESULT}))
    ledger.reuse(other.id, {key: sweep.id})
    assert ledger.history(other.id, key) == history(1, 4)
    assert ledger.standing_of(other.id, key).generation == 1, "its run in MLflow has other times"


def test_what_is_damaged_is_not_taken_over(ledger: Ledger, sweep: Plan) -> None:
    one, two, three, _ = keys(sweep)
    for key in (one, two, three):
        ledger.save(sweep.id, SavedSlice({key: history(1, 4)}, {key: RESULT}))
    query(ledger.path, f"UPDATE record SET last = 3 WHERE key = '{one}'")
    query(ledger.path, f"DELETE FROM record WHERE key = '{two}'")
    other = plan(name="other")
    ledger.add(other, "code", SETTINGS)
    assert set(ledger.ended_elsewhere(other.id, keys(other))) == {three}
    query(ledger.path, "UPDATE sweep SET trials = 5 WHERE name = 'name'")
    assert ledger.ended_elsewhere(other.id, keys(other)) == {}
    assert ledger.add(other, "code", SETTINGS) == [
        f"the ledger's row of sweep {sweep.id} is damaged: its own command mends it"
    ]
    assert ledger.add(sweep, "code", SETTINGS)[-1] == "a row of the ledger's table sweep is damaged"
    assert set(ledger.ended_elsewhere(other.id, keys(other))) == {three}


# crashes, and processes at once


def test_saved_slices_are_whole_after_a_kill_at_any_instant(path: Path) -> None:
    sweep, rng = plan(100), random.Random(6)
    said: dict[str, int] = {}
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(rng.randrange(20, 90))]
        threading.Event().wait(rng.uniform(0, 0.01))
        process.send_signal(signal.SIGKILL)
        lines += process.communicate()[0].split("\n")[:-1]
        said |= {line.split()[0]: int(line.split()[1]) for line in lines}
        with closing(Ledger(path)) as ledger:
            assert ledger.add(sweep, "code", SETTINGS) == [], "nothing is damaged"
            standing, stacks, outbox = ledger.standing(sweep.id), ledger.stacks(sweep.id), ledger.outbox(sweep.id)
            saved = {key: each.epoch for key, each in standing.items() if each.epoch}
            for one, two in zip(keys(sweep)[::2], keys(sweep)[1::2], strict=True):
                assert saved.get(one) == saved.get(two)
                assert saved.get(one, 0) - said.get(one, 0) in (0, 10), "one may be saved and not said"
                assert (standing[one].state == "finished") == (saved.get(one) == 200)
                assert ledger.history(sweep.id, two) == (history(1, saved[two]) if two in saved else History())
            under_way = {key: epoch for key, epoch in saved.items() if epoch < 200}
            assert {key: each.epoch for each in stacks for key in each.keys} == under_way
            assert set(outbox) == {OWN_RUN, *saved}
    assert len(saved) >= 4


def test_many_that_make_it_at_once_all_have_it(tmp_path: Path) -> None:
    for attempt in range(3):
        barrier, path = Barrier(8), tmp_path / f"{attempt}.db"

        def make(number: int, barrier: Barrier = barrier, path: Path = path) -> None:
            mine = plan(name=f"sweep{number}")
            barrier.wait()
            with closing(Ledger(path)) as ledger:
                ledger.add(mine, "code", SETTINGS)
                for key in keys(mine):
                    ledger.save(mine.id, SavedSlice({key: history(1, 4)}, {key: RESULT}))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(make, range(8)))
        found = everything(path)
        assert len(found) == 8
        assert all(standing.ended for each in found.values() for standing in each[2].values())


def test_a_tracker_and_a_training_write_at_once(ledger: Ledger, sweep: Plan, path: Path) -> None:
    over = threading.Event()

    def deliver() -> None:
        with closing(Ledger(path)) as mine:
            while not over.is_set() or mine.outbox(sweep.id):
                for key, version in mine.outbox(sweep.id).items():
                    epoch = mine.standing_of(sweep.id, key).epoch if key else 0
                    mine.delivered(sweep.id, key, Delivered("store", "run", 0, epoch), version)

    with ThreadPoolExecutor(1) as pool:
        tracker = pool.submit(deliver)
        for epoch in range(1, 60):
            ledger.save(sweep.id, SavedSlice({key: history(epoch, epoch) for key in keys(sweep)}))
        over.set()
        tracker.result(120)
    assert {key: each.epoch for key, each in ledger.deliveries(sweep.id).items()} == {
        OWN_RUN: 0,
        **dict.fromkeys(keys(sweep), 59),
    }


# damage


def test_every_flipped_bit_is_found_or_changes_nothing(path: Path) -> None:
    plans = fill(path, trials=4)
    whole, before, rng = path.read_bytes(), everything(path), random.Random(7)
    seen = {"nothing": 0, "mended": 0, "salvaged": 0}
    for number in range(60):
        content, at = bytearray(whole), rng.randrange(4096 if number % 4 == 0 else len(whole))
        content[at] ^= 1 << rng.randrange(8)
        for leftover in path.parent.glob("*ledger.db*"):
            leftover.unlink()
        path.write_bytes(content)
        kind, line = "nothing", str(path)
        try:
            told = add_again(path, plans)
        except DamageError as error:
            kind, line = "salvaged", str(error)
            salvage(path)
            told = add_again(path, plans)
        assert str(path) in line
        assert "\n" not in line
        after = everything(path)
        kind = "mended" if told and kind == "nothing" else kind
        seen[kind] += 1
        if kind == "nothing":
            assert after == before
        assert_kept(before, after, told)
        assert add_again(path, plans) == {}, "it is mended"
    assert min(seen.values()) >= 3, seen


def assert_kept(before: dict[str, Any], after: dict[str, Any], told: dict[str, list[str]]) -> None:
    """All is as it was but trials that were named, which are planned anew."""
    assert before.keys() == after.keys()
    for id, (_, planned, standing, histories, _, _, _, pending) in after.items():
        assert planned == before[id][1]
        for key, found in standing.items():
            if any(key[:8] in line for line in told.get(id, [])):
                assert found == Standing(key, generation=found.generation)
                assert found.generation > 10**18
                assert histories[key][1] == History()
            else:
                assert (found, histories[key]) == (before[id][2][key], before[id][3][key])
        assert pending >= before[id][7]


def test_damage_to_one_trial_costs_that_trial_and_its_stack(path: Path) -> None:
    (sweep,) = fill(path, ("one",))
    key, before = keys(sweep)[5], everything(path)
    with closing(Ledger(path)) as ledger:
        assert [stack.id for stack in ledger.stacks(sweep.id) if key in stack.keys] == ["s1"]
    query(path, f"UPDATE record SET history = replace(history, '1795321498.6', '1795321498.7') WHERE key = '{key}'")
    with (
        closing(Ledger(path)) as ledger,
        pytest.raises(DamageError, match=f"row of table record with .*{key}.* is dam"),
    ):
        ledger.history(sweep.id, key)
    assert add_again(path, [sweep]) == {
        sweep.id: [f"the ledger's rows of trial {sweep.trials[5].label} ({key[:8]}) are damaged"]
    }
    after = everything(path)
    assert_kept(before, after, {sweep.id: [key[:8]]})
    assert after[sweep.id][4] == [], "the others would go on from its middle, and it has no beginning"


def test_a_damaged_index_is_found_before_anything_is_read(path: Path) -> None:
    (sweep,) = fill(path, ("one",))
    ((root,),) = query(path, "SELECT rootpage FROM sqlite_master WHERE name = 'trial_by_key'")
    content = bytearray(path.read_bytes())
    at = content.index(keys(sweep)[0].encode(), (root - 1) * 4096)
    assert at < root * 4096
    content[at] ^= 1
    path.write_bytes(content)
    with closing(Ledger(path)) as ledger, pytest.raises(DamageError, match="is damaged"):
        ledger.add(sweep, "code", SETTINGS)


@pytest.mark.parametrize("table", ["outbox", "delivery"])
def test_what_mlflow_may_lack_is_delivered_again(path: Path, table: str) -> None:
    (sweep,) = fill(path, ("one",))
    query(path, f"UPDATE {table} SET checksum = 'f' WHERE rowid = (SELECT min(rowid) FROM {table})")
    assert add_again(path, [sweep]) == {sweep.id: [f"a row of the ledger's table {table} is damaged"]}
    with closing(Ledger(path)) as ledger:
        assert set(ledger.outbox(sweep.id)) == {OWN_RUN, *keys(sweep)}


def test_a_ledger_of_another_version_is_refused(ledger: Ledger) -> None:
    ledger.close()
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        connection.execute(f"PRAGMA application_id = {VERSION + 1}")
    with pytest.raises(NnexpError, match=f"a ledger of version {VERSION + 1}, this nnexp reads version {VERSION}"):
        Ledger(ledger.path)


def test_rows_are_plain_json_with_checksums_that_anyone_can_verify(path: Path) -> None:
    fill(path, ("one",))
    from hashlib import sha256

    for table in ("sweep", "trial", "record", "stack", "outbox", "delivery"):
        found = query(path, f"SELECT * FROM {table}")
        assert found
        for *values, last in found:
            text = json.dumps(values, separators=(",", ":"))
            assert sha256(text.encode()).hexdigest()[:16] == last
