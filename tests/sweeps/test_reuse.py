"""What a sweep takes over from earlier ones: whole results with their files, or nothing; what is said of changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from nnexp.network.optimizers import SGD
from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.kept import SavedSlice
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import Plan, make_plan
from nnexp.sweeps.results import History, TrialResult
from nnexp.sweeps.reuse import Changes, changes, reuse
from nnexp.testing.trials import small
from nnexp.training import TrialConfig

HISTORY = History((1, 2), (10.0, 11.0), {"val/acc": (0.5, 1 / 3)})


def plan(name: str, seeds: Sequence[int], **settings: object) -> Plan:
    configs: list[TrialConfig] = [small(seed=seed, **settings) for seed in seeds]
    return make_plan(name, [(each, {"seed": str(each.seed)}) for each in configs])[0]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def train(ledger: Ledger, plan: Plan, keys: Sequence[str] | None = None, outcome: str = "finished") -> None:
    """Pretend to train trials of a plan: results in the ledger, files in the sweep's folder."""
    ledger.add(plan, "code", {})
    keys = [trial.key for trial in plan.trials] if keys is None else keys
    results = {}
    for key in keys:
        folder = trial_folder(ledger.path.parent / "sweeps" / plan.id, key)
        folder.mkdir(parents=True)
        (folder / "weights.npz").write_bytes(key.encode())
        files = {"weights.npz": hashlib.sha256(key.encode()).hexdigest()}
        results[key] = TrialResult(outcome, 2, 0.5, {"epoch_best": 1.0}, {}, 1, 10.0, 11.0, "code", files)
    ledger.begin(plan.id, keys)
    ledger.save(plan.id, SavedSlice(records=dict.fromkeys(keys, HISTORY), results=results))


def taken(ledger: Ledger, plan: Plan) -> dict[str, str]:
    ledger.add(plan, "code", {})
    return dict(reuse(ledger, plan, [trial.key for trial in plan.trials], ledger.path.parent / "sweeps").origins)


def test_a_bigger_sweep_takes_over_every_trial_that_an_earlier_one_finished(ledger: Ledger) -> None:
    one, two = plan("one", range(3)), plan("two", range(5))
    train(ledger, one)
    assert set(taken(ledger, two)) == {trial.key for trial in one.trials}
    standing = ledger.standing(two.id)
    for trial in two.trials:
        each = standing[trial.key]
        if trial.config.seed < 3:
            assert (each.state, each.reused_from, each.epoch) == ("finished", one.id, 2)
            assert each.result == ledger.standing_of(one.id, trial.key).result
            assert ledger.history(two.id, trial.key) == HISTORY
            folder = trial_folder(ledger.path.parent / "sweeps" / two.id, trial.key)
            assert (folder / "weights.npz").read_bytes() == trial.key.encode()
        else:
            assert (each.state, each.reused_from) == ("planned", None)
    assert set(ledger.outbox(two.id)) >= {trial.key for trial in one.trials}


def test_a_trial_that_is_reused_twice_says_who_trained_it(ledger: Ledger) -> None:
    one, two, three = (plan(name, range(count)) for count, name in enumerate(("one", "two", "three"), start=2))
    train(ledger, one)
    taken(ledger, two)
    assert len(taken(ledger, three)) == 2
    assert {each.reused_from for each in ledger.standing(three.id).values()} == {one.id, None}


@pytest.mark.parametrize("state", ["failed", "planned"])
def test_what_did_not_finish_is_not_taken_over(ledger: Ledger, state: str) -> None:
    one, two = plan("one", range(2)), plan("two", range(2))
    train(ledger, one, keys=[] if state == "planned" else None, outcome="failed")
    assert taken(ledger, two) == {}


def test_diverged_trials_are_taken_over(ledger: Ledger) -> None:
    one, two = plan("one", range(2)), plan("two", range(2))
    train(ledger, one, outcome="diverged")
    assert len(taken(ledger, two)) == 2
    assert {each.state for each in ledger.standing(two.id).values()} == {"diverged"}


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_trial_whose_files_are_not_as_they_were_is_not_taken_over(ledger: Ledger, damage: str) -> None:
    one, two = plan("one", range(2)), plan("two", range(2))
    train(ledger, one)
    broken = trial_folder(ledger.path.parent / "sweeps" / one.id, one.trials[0].key) / "weights.npz"
    broken.write_bytes(b"other") if damage == "changed" else broken.unlink()
    assert set(taken(ledger, two)) == {one.trials[1].key}


def test_what_is_taken_over_stays_when_the_sweep_it_is_from_goes(ledger: Ledger) -> None:
    one, two = plan("one", range(1)), plan("two", range(1))
    train(ledger, one)
    taken(ledger, two)
    (key,) = (trial.key for trial in one.trials)
    (trial_folder(ledger.path.parent / "sweeps" / one.id, key) / "weights.npz").unlink()
    ledger.delete(one.id)
    assert ledger.history(two.id, key) == HISTORY
    assert (trial_folder(ledger.path.parent / "sweeps" / two.id, key) / "weights.npz").exists()


def told(ledger: Ledger, old: Plan, new: Plan) -> Changes:
    ledger.add(old, "code", {})
    ledger.add(new, "code", {})
    earlier = ledger.sweep(old.id)
    assert earlier is not None
    return changes(ledger, new, earlier)


def test_a_plan_with_more_and_fewer_trials_says_which(ledger: Ledger) -> None:
    found = told(ledger, plan("name", (0, 1, 2)), plan("name", (1, 2, 3, 4)))
    assert (found.kept, found.added, found.removed, found.changed) == (2, ("seed=3", "seed=4"), ("seed=0",), ())
    assert [line.strip() for line in found.lines()[1:]] == [
        "added    2 trials: seed=3, seed=4",
        "removed  1 trial: seed=0",
    ]


def test_a_plan_with_another_setting_says_what_it_was_and_is(ledger: Ledger) -> None:
    found = told(ledger, plan("name", (0, 1)), plan("name", (0, 1), optimizer=SGD(lr=0.25)))
    assert (found.kept, found.added, found.removed, found.changed) == (0, (), (), ("seed=0", "seed=1"))
    assert {path.rpartition(".")[2]: new for path, (_, new) in found.settings.items()}["lr"] == 0.25
    assert "optimizer.name adam → sgd, optimizer.lr 0.01 → 0.25" in found.lines()[-1]
