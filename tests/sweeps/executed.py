"""Plans executed with real workers, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.config.build import Executor
from nnexp.data.prepared import Data, open_data, store
from nnexp.sweeps.execution import execute
from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.interrupts import Halt, Interrupts
from nnexp.sweeps.kept import Standing
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import Trial, make_plan
from nnexp.sweeps.progress import Ended, Failure, Progress
from nnexp.sweeps.results import History
from nnexp.testing.contracts import Numbers
from nnexp.training import TrialConfig, train

Tell = Callable[["Told"], None]


@dataclass
class Told:
    """A watcher that remembers, and does something after every slice."""

    then: Tell = lambda told: None
    progress: list[Progress] = field(default_factory=list)
    ends: list[Ended] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    planned: list[tuple[list[int], int, int]] = field(default_factory=list)

    def stacks(self, widths: Sequence[int], resumed: int, workers: int) -> None:
        self.planned.append((list(widths), resumed, workers))

    def show(self, progress: Progress) -> None:
        self.progress.append(progress)
        self.then(self)

    def ended(self, ended: Ended) -> None:
        self.ends.append(ended)

    def failed(self, failure: Failure) -> None:
        self.failures.append(failure)

    def note(self, text: str) -> None:
        self.notes.append(text)


class Sweep:
    """A sweep in a folder of its own, which can be executed again and again as the same command does."""

    def __init__(self, configs: Sequence[TrialConfig], root: Path) -> None:
        self.root, self.folder = root, root / "sweep"
        labelled = [(config, {"trial": str(number)}) for number, config in enumerate(configs)]
        self.plan, prepared = make_plan("name", labelled)
        self.data = {
            key: _stored(each, self.folder / f"data{number}") for number, (key, each) in enumerate(prepared.items())
        }
        ledger = Ledger(root / "ledger.db")
        ledger.add(self.plan, "code", {})
        ledger.close()

    def execute(
        self,
        *,
        then: Tell = lambda told: None,
        told: Told | None = None,
        interrupts: Interrupts | None = None,
        only: Sequence[Trial] | None = None,
        prepare: Callable[[Ledger], None] = lambda ledger: None,
        **settings: Any,
    ) -> tuple[Halt | None, Told]:
        """Train what has not ended. prepare: what is done to the ledger's connection before."""
        told, ledger = told or Told(then), Ledger(self.root / "ledger.db")
        try:
            prepare(ledger)
            standing = ledger.standing(self.plan.id)
            trials = self.plan.trials if only is None else only
            with interrupts or Interrupts() as entered:
                halt = execute(
                    self.plan, [trial for trial in trials if not standing[trial.key].ended], self.data,
                    ledger=ledger, folder=self.folder, executor=Executor(**settings), interrupts=entered,
                    watcher=told, code="code",
                )  # fmt: skip
        finally:
            ledger.close()
        return halt, told

    def plan_again(self, number: int) -> None:
        """Let a trial that ended be trained again."""
        ledger = Ledger(self.root / "ledger.db")
        ledger.plan_again(self.plan.id, [self.plan.trials[number].key], {})
        ledger.close()

    def standing(self) -> list[Standing]:
        """Return how its trials stand."""
        ledger = Ledger(self.root / "ledger.db")
        found = list(ledger.standing(self.plan.id).values())
        ledger.close()
        return found

    def histories(self) -> list[History]:
        """Return what the ledger has recorded of its trials."""
        ledger = Ledger(self.root / "ledger.db")
        found = [ledger.history(self.plan.id, trial.key) for trial in self.plan.trials]
        ledger.close()
        return found

    def stacks(self) -> int:
        """Return how many stacks are under way, and look at their files."""
        ledger = Ledger(self.root / "ledger.db")
        found = {each.file for each in ledger.stacks(self.plan.id)}
        ledger.close()
        assert {f"checkpoints/{path.name}" for path in (self.folder / "checkpoints").glob("*")} == found
        return len(found)

    def numbers(self) -> list[Numbers]:
        """Return all numbers of its trials, as bytes by name."""
        return [
            self._numbers(standing, history)
            for standing, history in zip(self.standing(), self.histories(), strict=True)
        ]

    def _numbers(self, standing: Standing, history: History) -> Numbers:
        assert standing.result is not None
        found = {
            f"{kind} {name}": as_bytes(values)
            for kind, file in (("best", "weights"), ("average", "average"))
            for name, values in parameters(trial_folder(self.folder, standing.key) / f"{file}.npz").items()
        }
        found |= {f"history {name}": as_bytes(np.array(values)) for name, values in history.values.items()}
        found |= {f"summary {name}": as_bytes(np.float64(each)) for name, each in standing.result.summary.items()}
        return found | {"outcome": standing.state.encode(), "epochs": repr(list(history.epochs)).encode()}


def _stored(data: Data, folder: Path) -> Data:
    return open_data(folder) if folder.exists() else store(data, folder)


def parameters(path: Path) -> dict[str, Any]:
    """Return the arrays of a file; none if there is no such file."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def as_bytes(array: Any) -> bytes:
    """Return an array's type, shape and bits."""
    return f"{array.dtype.str} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes()


def alone(config: TrialConfig) -> Numbers:
    """Train a trial by itself, in this process; return all of its numbers."""
    (result,) = train([config.resolved()])
    numbers = {f"best {name}": as_bytes(values) for name, values in result.best.items()}
    numbers |= {f"average {name}": as_bytes(values) for name, values in (result.average or {}).items()}
    if len(result.epochs):
        numbers |= {f"history {name}": as_bytes(values) for name, values in result.history.items()}
    numbers |= {f"summary {name}": as_bytes(np.float64(value)) for name, value in result.summary.items()}
    return numbers | {"outcome": result.outcome.encode(), "epochs": repr(result.epochs.tolist()).encode()}
