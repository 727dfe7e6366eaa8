"""The training entry for Python users: trial configs and data in, results out, in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from nnexp.arrays import Floats
from nnexp.data.prepared import Data, prepare
from nnexp.errors import UsageError
from nnexp.network.stack import Blueprint, predict
from nnexp.training.advance import advance
from nnexp.training.costs import counts
from nnexp.training.settings import TrialConfig
from nnexp.training.stacking import OWN, form_problem, same_stack
from nnexp.training.state import Outcome, begin, metrics_of


@dataclass(frozen=True)
class Result:
    """What became of a trial.

    epochs: of the records, (E,). history: each metric's values at them, (E,). summary: metrics of the whole training,
    among them the test metrics at the best epoch. best: parameters of the best epoch (W1, b1, …). last: those after the
    last epoch, None for a diverged trial. average: the average of the best epoch, None where none is kept. confusion:
    counts at the best epoch, (C, C), rows are true classes; of `validation` and `test`; {} for values and where it
    diverged. costs: what `nnexp.training.costs` counts, up to the last epoch; the trial's share of its stack's
    wall_seconds and cpu_seconds; peak_bytes, of the process.
    """

    config: TrialConfig
    outcome: Outcome
    epochs: NDArray[np.intp]
    history: dict[str, NDArray[np.float64]]
    summary: dict[str, float]
    best: dict[str, Floats]
    last: dict[str, Floats] | None
    average: dict[str, Floats] | None
    confusion: dict[str, NDArray[np.intp]]
    costs: dict[str, float]
    blueprint: Blueprint

    def predict(self, X: ArrayLike) -> Floats:
        """Return the best epoch's predictions for standardised inputs (B, n): probabilities or standardised values, (B,
        outputs)."""
        dtype = np.dtype(self.blueprint.dtype)
        return predict(self.blueprint, self.blueprint.layout.pack(self.best).astype(dtype), np.asarray(X, dtype))


def train(
    trials: Sequence[TrialConfig],
    data: Data | None = None,
    *,
    initial: Sequence[Mapping[str, ArrayLike]] | None = None,
    order: ArrayLike | None = None,
) -> list[Result]:
    """Train trials of one shape in one stack, in this process, with one BLAS thread.

    Args: trials: they may differ in all that `nnexp.training.stacking.OWN` lists. data: from `nnexp.data.prepared`; by
    default the trials' dataset is loaded and divided. initial: each trial's parameters to start from (W1 (n_1, n_0), b1
    (n_1,), …) instead of drawn ones. order: positions in the training part, (m,) for all epochs or (epochs, m), instead
    of drawn ones.
    Returns: the results, in the order of the trials.
    Raises: UsageError if the trials do not share a shape, or what is given does not fit it.
    """
    if not trials:
        return []
    if not same_stack(trials):
        raise UsageError(f"trials of one stack may differ in {', '.join(OWN[:-1])} and {OWN[-1]} only")
    if data is None:
        data = prepare(trials[0].dataset, [trial.seed for trial in trials], trials[0].training.dtype)
    problem, places = form_problem(trials, data, initial, order)
    with threadpool_limits(1):
        _, observed = advance(problem, begin(problem), problem.training.epochs, overwrite=True)
    names, layout = metrics_of(problem), problem.blueprint.layout
    results = []
    for trial, place in zip(trials, places, strict=True):
        end, records = observed.ends[place], observed.records.get(place)
        values = np.empty((0, len(names))) if records is None else records.values
        results.append(
            Result(
                config=trial,
                outcome=end.outcome,
                epochs=np.empty(0, np.intp) if records is None else records.epochs,
                history=dict(zip(names, values.T, strict=True)),
                summary=end.summary,
                best=layout.unpack(end.theta),
                last=None if end.last is None else layout.unpack(end.last),
                average=layout.unpack(end.average) if end.average.size else None,
                costs=counts(problem, place, end.epoch) | observed.spent.of(place),
                confusion={part: np.array(cells, np.intp) for part, cells in end.confusion.items()},
                blueprint=problem.blueprint,
            )
        )
    return results
