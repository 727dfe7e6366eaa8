"""Results as pandas frames: trials, their records, and the leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nnexp.sweeps.kept import PlannedTrial, Standing
from nnexp.sweeps.leaderboard import COUNTS, Row, best_metric
from nnexp.sweeps.parameters import values_of
from nnexp.sweeps.results import History

if TYPE_CHECKING:
    from pandas import DataFrame


OTHERS = ("epoch", "attempts", "note", "reused_from", "configuration", "run_id")  # a trial's last columns


@dataclass(frozen=True)
class Known:
    """A trial as the ledger knows it. about: all of it as it was planned, as plain data. run: its run in MLflow."""

    about: Mapping[str, Any]
    standing: Standing
    run: str | None = None

    @cached_property
    def trial(self) -> PlannedTrial:
        """What a leaderboard needs to know of it."""
        return PlannedTrial.of(self.about)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """What each axis chose, as its config has it: numbers are numbers, a component is its name."""
        return values_of(self.about)


def trials_frame(trials: Sequence[Known]) -> DataFrame:
    """Return a row a trial: key, label, state; what each axis chose; the objective's and the other final metrics;
    costs; and what else became of it."""
    rows = [_trial(each) for each in trials]
    measured = dict.fromkeys(name for row in rows for name in row if name not in OTHERS)
    return _frame(rows, ["key", "label", "state", *_parameters(trials), *measured, *OTHERS])


def histories_frame(trials: Sequence[Known], histories: Iterable[tuple[str, History]]) -> DataFrame:
    """Return a row a trial and record: key, what each axis chose, epoch, time, and each metric."""
    import pandas

    names, known = _parameters(trials), {each.trial.key: each for each in trials}
    frames = []
    for key, history in histories:
        parameters = known[key].parameters
        given = {name: [parameters.get(name)] * len(history.epochs) for name in names}
        frames.append(history_frame(history, {"key": [key] * len(history.epochs), **given}))
    frames = [each for each in frames if len(each)]
    return pandas.concat(frames, ignore_index=True) if frames else _frame([], ["key", *names, "epoch", "time"])


def history_frame(history: History, more: Mapping[str, Sequence[Any]] | None = None) -> DataFrame:
    """Return a row a record: epoch, time and each metric. Args: more: columns in front of these."""
    import pandas

    time = pandas.to_datetime(list(history.times), unit="s", utc=True)
    return pandas.DataFrame({**(more or {}), "epoch": list(history.epochs), "time": time, **history.values})


def leaderboard_frame(rows: Sequence[Row], trials: Sequence[Known]) -> DataFrame:
    """Return a row a configuration, the best first: what its axes chose, how many of its repeats finished (n) or did
    not, and of each metric mean, standard deviation and half of the mean's 95 % t interval."""
    known = {each.trial.key: each for each in trials}
    names = [name for name in _parameters(trials) if name != "seed"]
    metrics = dict.fromkeys(name for row in rows for name in row.mean)
    found = []
    for rank, row in enumerate(rows, start=1):
        parameters = known[row.trials[0].key].parameters
        cells = {"rank": rank, "configuration": row.label, **{name: parameters.get(name) for name in names}}
        cells |= {"n": row.n, **{name: getattr(row, name) for name in COUNTS}}
        for metric in metrics:
            for kind, values in (("mean", row.mean), ("std", row.deviation), ("ci95", row.ci95)):
                cells[f"{metric}_{kind}"] = values.get(metric)
        found.append(cells)
    return _frame(found, ["rank", "configuration", *names, "n", *COUNTS])


def _trial(known: Known) -> dict[str, Any]:
    trial, standing, result = known.trial, known.standing, known.standing.result
    cells = {"key": trial.key, "label": trial.label, "state": standing.state, **known.parameters}
    if result is not None:
        cells |= {best_metric(trial): result.objective, **result.summary}
        cells |= {f"cost/{name}": value for name, value in result.costs.items()}
    others = (standing.epoch, standing.attempts, standing.note, standing.reused_from, trial.configuration, known.run)
    return cells | dict(zip(OTHERS, others, strict=True))


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> DataFrame:
    """Return a frame of rows: some columns, then what else any row has."""
    import pandas

    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    return pandas.DataFrame({name: [row.get(name) for row in rows] for name in names})


def _parameters(trials: Sequence[Known]) -> list[str]:
    return list(dict.fromkeys(name for each in trials for name in each.parameters))
