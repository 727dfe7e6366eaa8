"""Ledgers to test with: small plans, results, and a file with something in every table."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from nnexp.sweeps.kept import Delivered, SavedSlice, SavedStack
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import Plan, Trial
from nnexp.sweeps.results import History, TrialResult
from nnexp.testing.trials import small

SETTINGS = {"store": "sqlite:///mlflow.db", "experiment": "nnexp", "single": False, "argv": ["nnexp.run", "-m"]}
RESULT = TrialResult(
    outcome="finished",
    epoch=4,
    objective=1 / 3,
    summary={"epoch_best": 2.0, "test/acc": 2 / 3},
    costs={"wall_seconds": 0.1, "flops": 1.7976931348623157e308},
    stack_width=3,
    started_at=1795321497.0,
    ended_at=1795321499.0,
    code="code",
    files={"weights.npz": "a" * 64},
)


def plan(trials: int = 4, name: str = "name", repeats: int = 2) -> Plan:
    """Return a plan of some trials, each configuration with some repeats."""
    config = small()
    chosen = [{"optimizer.lr": str(n // repeats), "seed": str(n % repeats)} for n in range(trials)]
    made = [Trial(n, sha256(b"%d" % n).hexdigest(), f"c{n // repeats}", chosen[n], config, "d") for n in range(trials)]
    return Plan(name, (), {"seed": [str(n) for n in range(repeats)]}, tuple(made))


def keys(plan: Plan) -> list[str]:
    """Return the keys of a plan's trials."""
    return [trial.key for trial in plan.trials]


def history(first: int, last: int, shift: float = 0.0) -> History:
    """Return records of some epochs; those of the same epoch are equal."""
    epochs = tuple(range(first, last + 1))
    values = {name: tuple(epoch / 3 + shift + number for epoch in epochs) for number, name in enumerate(("a", "b/c"))}
    return History(epochs, tuple(1795321497.678123 + epoch for epoch in epochs), values)


def fill(path: Path, names: tuple[str, ...] = ("one", "two"), trials: int = 8) -> list[Plan]:
    """Make a ledger of sweeps half done: finished, delivered, under way and planned trials; return their plans."""
    plans = [plan(trials, name) for name in names]
    with closing(Ledger(path)) as ledger:
        for each in plans:
            ledger.add(each, "code", SETTINGS)
            whole, half = keys(each)[: trials // 2], keys(each)[trials // 2 : -1]
            ledger.begin(each.id, whole + half)
            stacks = [
                SavedStack("s0", tuple(whole), 20, "s0.npz", "0" * 64),
                SavedStack("s1", tuple(half), 20, "f", "1"),
            ]
            ledger.save(each.id, SavedSlice({key: history(1, 20) for key in whole + half}, stacks=stacks))
            ended = dict.fromkeys(whole, replace(RESULT, epoch=40))
            ledger.save(each.id, SavedSlice({key: history(21, 40) for key in whole}, ended, over=["s0"]))
            for key in whole:
                delivered = Delivered("store", f"run {each.id} {key}", 0, 40, "finished", True)
                ledger.delivered(each.id, key, delivered, ledger.outbox(each.id)[key])
            ledger.delivered(each.id, half[0], Delivered("store", "run", 0, 20))
    return plans


def everything(path: Path) -> dict[str, Any]:
    """Return all that a ledger says, by sweep."""
    with closing(Ledger(path)) as ledger:
        return {sweep.id: (sweep, *_sweep(ledger, sweep.id)) for sweep in ledger.sweeps()}


def _sweep(ledger: Ledger, sweep: str) -> tuple[Any, ...]:
    standing = ledger.standing(sweep)
    told = {key: (ledger.about(sweep, key), ledger.history(sweep, key)) for key in standing}
    about = ledger.planned(sweep), standing, told
    return *about, ledger.stacks(sweep), ledger.outbox(sweep), ledger.deliveries(sweep), ledger.pending(sweep)


def add_again(path: Path, plans: list[Plan]) -> dict[str, list[str]]:
    """Add plans to a ledger that has them; return what was mended, by sweep."""
    with closing(Ledger(path)) as ledger:
        told = {each.id: ledger.add(each, "code", SETTINGS) for each in plans}
    return {id: lines for id, lines in told.items() if lines}
