"""Rows 20 and 28: processes that start at the same time."""

from __future__ import annotations

import time

from faultmatrix.case import Case
from faultmatrix.command import Command
from faultmatrix.rows.row import Row
from faultmatrix.workload import TINY

PROCESSES = 8


def twice(case: Case) -> None:
    """The same sweep, started twice within a second."""
    first = case.start()
    time.sleep(case.random.random() * 0.5)
    second = case.start()
    case.injections += 1
    ended = [case.end(first), case.end(second)]
    refused = [each for each in ended if each.code == 2]
    if sorted(each.code for each in ended) != [0, 2]:
        case.problem(f"exit codes {ended[0].code} and {ended[1].code}: {ended[0].last_line} / {ended[1].last_line}")
    for each in refused:
        for word in ("process ", " on ", "since "):
            if word not in each.last_line:
                case.problem(f"the second command does not say who is at work: {each.last_line}")
    case.again()
    case.check()


def together(case: Case) -> None:
    """Eight processes, each with a trial of its own, on a root where there is nothing, not even MLflow's tables."""
    case.renew()
    for path in case.root.iterdir():
        path.unlink()
    commands: list[Command] = []
    for number in range(PROCESSES):
        commands.append(case.start(f"seed={number}", f"sweep.name=tiny{number}"))
        time.sleep(case.random.random() * 0.05)
    case.injections += 1
    for command in commands:
        case.expect(case.end(command), 0)
    found = case.look()
    finished = {name for name, _ in found.sweeps.values()} if found else set()
    states = [trial.state for trial in found.trials.values()] if found else []
    if len(finished) != PROCESSES or states != ["finished"] * PROCESSES:
        case.problem(f"{len(finished)} of {PROCESSES} sweeps in the ledger, trials {states}")
    case.expect(case.end(case.start("seed=0", "sweep.name=tiny0")), 0)
    _expect_runs(case)


def _expect_runs(case: Case) -> None:
    from faultmatrix.store import runs

    there = runs(case.root / "mlflow.db", "nnexp")
    if sorted(run.status for run in there) != ["FINISHED"] * PROCESSES or len({run.key for run in there}) != PROCESSES:
        case.problem(f"runs in MLflow: {sorted(run.status for run in there)}")


ROWS = (
    Row(
        20,
        "the same sweep is started twice at once",
        "two processes within half a second",
        "one exits 2 and says who is at work; each epoch is trained once",
        twice,
    ),
    Row(
        28,
        "many start where there is nothing yet",
        f"{PROCESSES} processes on an empty folder",
        "the ledger and MLflow's tables are made once, all exit 0",
        together,
        workload=TINY,
    ),
)
