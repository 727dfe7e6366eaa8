"""What came of a call from Python: a trial, or a sweep, with its results as pandas frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nnexp.frames import Known, histories_frame, history_frame, leaderboard_frame, trials_frame
from nnexp.sweeps.files import trial_folder
from nnexp.sweeps.interrupts import Halt
from nnexp.sweeps.kept import Standing
from nnexp.sweeps.leaderboard import Row, leaderboard
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import Plan
from nnexp.sweeps.progress import Failure
from nnexp.sweeps.results import History, TrialResult
from nnexp.sweeps.tables import about_trial
from nnexp.training.settings import TrialConfig

if TYPE_CHECKING:
    from pandas import DataFrame

    from nnexp.arrays import Floats


@dataclass(frozen=True, repr=False)
class Swept:
    """What a sweep did.

    folder: of its files. halt: why it ended before all of its trials did, if so. known: its trials, in order.
    """

    name: str
    id: str
    folder: Path
    halt: Halt | None
    known: Sequence[Known]

    def __repr__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in self.states.items())
        best = "" if not self._rows or not self._rows[0].n else f"; best: {self._rows[0].label}"
        return f"<sweep {self.id}: {states}{best}>"

    @property
    def states(self) -> Mapping[str, int]:
        """How many trials are in each state."""
        return dict(Counter(each.standing.state for each in self.known))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The trials that failed, and why."""
        failed = [each for each in self.known if each.standing.state == "failed"]
        return tuple(Failure(each.trial.key, each.trial.label, each.standing.note or "") for each in failed)

    @cached_property
    def trials(self) -> DataFrame:
        """A row a trial: key, label, state, what each axis chose, final metrics, costs, …"""
        return trials_frame(self.known)

    @cached_property
    def histories(self) -> DataFrame:
        """A row a trial and record: key, what each axis chose, epoch, time, each metric."""
        return histories_frame(self.known, self._histories())

    @cached_property
    def leaderboard(self) -> DataFrame:
        """A row a configuration, the best first: what its axes chose, how many repeats finished, means and how sure
        they are."""
        return leaderboard_frame(self._rows, self.known)

    def weights(self, key: str) -> dict[str, Floats]:
        """Return a trial's weights of its best epoch: W1, b1, … Args: key: of a trial, or how it begins.

        Raises: KeyError if there is no such trial, or more than one.
        """
        found = [each.trial.key for each in self.known if each.trial.key.startswith(key)]
        if len(found) != 1:
            raise KeyError(f"{len(found)} trials have a key that begins with {key!r}")
        return read_weights(trial_folder(self.folder, found[0]))

    @cached_property
    def _rows(self) -> list[Row]:
        results = {each.trial.key: each.standing.result for each in self.known if each.standing.result is not None}
        return leaderboard([each.trial for each in self.known], results)

    def _histories(self) -> Iterator[tuple[str, History]]:
        begun = [each.trial.key for each in self.known if each.standing.epoch]
        if begun:
            with closing(Ledger(self.folder.parents[1] / "ledger.db")) as ledger:
                for key in begun:
                    yield key, ledger.history(self.id, key)


@dataclass(frozen=True, repr=False)
class Trained:
    """What a training did.

    key: of the trial. config: all of its settings. state: `finished`, `diverged`, `failed` or, with why in halt,
    `stopped`. folder: of its files. run_id: in MLflow, None if MLflow has not got it yet.
    """

    key: str
    config: TrialConfig
    state: str
    history: DataFrame
    folder: Path
    run_id: str | None
    halt: Halt | None
    standing: Standing

    def __repr__(self) -> str:
        best = None if self._result is None else self._result.objective
        told = "" if best is None else f"; {self.config.objective.metric} {best:.4f} at best"
        return f"<trial {self.key[:8]}: {self.state} at epoch {self.standing.epoch}{told}>"

    @property
    def summary(self) -> dict[str, float]:
        """Metrics of the whole training: at the best epoch, and which that was."""
        return {} if self._result is None else dict(self._result.summary)

    @property
    def costs(self) -> dict[str, float]:
        """Seconds, steps, operations, …"""
        return {} if self._result is None else dict(self._result.costs)

    @property
    def reason(self) -> str | None:
        """Why it failed or was stopped."""
        return self.standing.note

    @cached_property
    def weights(self) -> dict[str, Floats]:
        """The weights of the best epoch: W1, b1, …; none if there was no such epoch."""
        return read_weights(self.folder)

    @property
    def _result(self) -> TrialResult | None:
        return self.standing.result


def read_weights(folder: Path) -> dict[str, Floats]:
    """Return the arrays of a trial's weights.npz, none if it has none."""
    import numpy as np

    path = folder / "weights.npz"
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def swept(plan: Plan, folder: Path, halt: Halt | None, *, previewed: bool) -> Swept:
    """Return what came of a plan. previewed: whether it was only looked at, so that no ledger knows of it."""
    return Swept(plan.name, plan.id, folder, halt, _planned(plan) if previewed else _known(plan, folder))


def trained(plan: Plan, folder: Path, halt: Halt | None, *, previewed: bool) -> Trained:
    """Return what came of a plan of one trial."""
    (known,) = _planned(plan) if previewed else _known(plan, folder)
    history = History()
    if not previewed:
        with closing(Ledger(folder.parents[1] / "ledger.db")) as ledger:
            history = ledger.history(plan.id, known.trial.key)
    return Trained(
        known.trial.key,
        plan.trials[0].config,
        known.standing.state,
        history_frame(history),
        trial_folder(folder, known.trial.key),
        known.run,
        halt,
        known.standing,
    )


def _planned(plan: Plan) -> list[Known]:
    return [Known(about_trial(trial), Standing(trial.key)) for trial in plan.trials]


def _known(plan: Plan, folder: Path) -> list[Known]:
    with closing(Ledger(folder.parents[1] / "ledger.db")) as ledger:
        standing, delivered = ledger.standing(plan.id), ledger.deliveries(plan.id)
        runs = {key: each.run for key, each in delivered.items()}
        return [Known(about, standing[about["key"]], runs.get(about["key"])) for about in ledger.abouts(plan.id)]
