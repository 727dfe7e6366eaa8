"""`advance`: train a stack for some epochs. A pure function: where a slice ends changes no bit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Flags, Integers
from nnexp.training.costs import peak_bytes
from nnexp.training.evaluation import judge_best
from nnexp.training.running import Run
from nnexp.training.state import (
    End,
    Outcome,
    Problem,
    Records,
    Slice,
    Spent,
    State,
    metrics_of,
)


def advance(problem: Problem, state: State, epochs: int, *, overwrite: bool = False) -> tuple[State, Slice]:
    """Train for so many epochs more, or to the end; return the new state, of those who are left, and what was observed.

    A replica whose cost or metrics are not finite leaves with the outcome `diverged`, one that stops early or has
    trained to the end with `finished`; the others do not notice.
    Args: overwrite: whether the given state may be lost, which saves a copy of it.
    """
    state, log = state if overwrite else state.copy(), _Log(metrics_of(problem))
    last = min(state.epoch + epochs, problem.training.epochs)
    with np.errstate(all="ignore"):  # a diverging replica overflows; that is an outcome, found below
        while state.epoch < last and len(state.alive):
            state = _train_until_someone_leaves(problem, state, last, log)
        if state.epoch == problem.training.epochs and len(state.alive):
            _finish(problem, state, log)
            state = state.keep(np.zeros(len(state.alive), np.bool_))
    observed = log.slice
    observed.spent.peak_bytes = peak_bytes()
    return state, observed


def _train_until_someone_leaves(problem: Problem, state: State, last: int, log: _Log) -> State:
    run = Run(problem, state)
    every, epochs = problem.training.record_every, problem.training.epochs
    while state.epoch < last:
        state = replace(state, epoch=state.epoch + 1)
        wall, cpu = time.perf_counter(), time.process_time()
        values = run.train(state.epoch)
        recorded = state.epoch % every == 0 or state.epoch in (1, epochs)
        if recorded:
            values |= run.observe()
        log.spend(state.alive, run.shares, (time.perf_counter() - wall, time.process_time() - cpu))
        finite = np.logical_and.reduce([np.isfinite(each) for each in values.values()])
        if recorded:
            table = np.stack([values[name] for name in log.names], axis=1)  # (K, metrics)
            log.add(state, table, finite)
            _remember_best(problem, state, table, log.names)
            stops = finite & _stops(problem, state, table, log.names)
        else:
            stops = np.zeros_like(finite)
        if not finite.all() or stops.any():
            lost = state.keep(~finite)
            for row in range(len(lost.alive)):
                log.end(lost, row, _end(lost, row, "diverged", _best(lost, row, log.names)))
            if stops.any():
                _finish(problem, state.keep(stops), log)
            return state.keep(finite & ~stops)
    return state


def _stops(problem: Problem, state: State, table: NDArray[np.float64], names: tuple[str, ...]) -> Flags:
    """Show each replica's schedule and early stopping its objective; return which replicas end here, (K,)."""
    values, direction = table[:, names.index(problem.objective.metric)].tolist(), problem.objective.direction
    stops = np.zeros(len(values), np.bool_)
    for row, position in enumerate(state.alive.tolist()):
        replica, value = problem.replicas[position], values[row]
        state.courses[row] = replica.schedule.judge(state.courses[row], value, direction, epoch=state.epoch)
        state.waits[row] = replica.early_stopping.judge(state.waits[row], value, direction)
        stops[row] = replica.early_stopping.ends(state.waits[row])
    return stops


def _remember_best(problem: Problem, state: State, table: NDArray[np.float64], names: tuple[str, ...]) -> None:
    """Keep epoch, metrics and parameters of the replicas that are better than ever; the first of equals stays."""
    column = names.index(problem.objective.metric)
    sign = 1.0 if problem.objective.direction == "maximize" else -1.0
    better = (state.best_epoch == 0) | (sign * table[:, column] > sign * state.best_values[:, column])
    better &= np.isfinite(table).all(axis=1)
    state.best_epoch[better] = state.epoch
    state.best_values[better] = table[better]
    for row in np.flatnonzero(better):
        state.best_theta[row] = state.theta[row]
        state.best_averages[row] = state.averages[row]


def _best(state: State, row: int, names: tuple[str, ...]) -> dict[str, float]:
    """Return the epoch and the validation metrics of a replica's best epoch."""
    found = {"epoch_best": float(state.best_epoch[row])}
    if state.best_epoch[row]:
        values = zip(names, state.best_values[row].tolist(), strict=True)
        found |= {f"{name}_best": value for name, value in values if name.startswith("val/")}
    return found


def _finish(problem: Problem, state: State, log: _Log) -> None:
    """End all replicas of a state, with the best parameters of each judged by all metrics.

    What becomes of them are views of the state's arrays, which are nobody else's from here on.
    """
    for row, verdict in enumerate(judge_best(problem, state)):
        summary = _best(state, row, log.names) | verdict.summary
        if state.epoch < problem.training.epochs:
            summary["epoch_stopped"] = float(state.epoch)
        log.end(state, row, replace(_end(state, row, "finished", summary), confusion=verdict.confusion))


def _end(state: State, row: int, outcome: Outcome, summary: dict[str, float]) -> End:
    """Return how a replica left."""
    last = None if outcome == "diverged" else state.theta[row]
    return End(outcome, state.epoch, summary, state.best_theta[row], state.best_averages[row], last)


class _Log:
    """Collects what a slice observes."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._slice = Slice()
        self._rows: dict[int, list[tuple[int, NDArray[np.float64], float]]] = {}

    def spend(self, alive: Integers, shares: Sequence[float], seconds: tuple[float, float]) -> None:
        """Share an epoch's time out. seconds: of the wall and of the processor."""
        by_position = dict(zip(alive.tolist(), shares, strict=True))
        wall, cpu = ({position: each * share for position, share in by_position.items()} for each in seconds)
        self._slice.spent.add(Spent(wall, cpu))

    def add(self, state: State, table: NDArray[np.float64], finite: Flags) -> None:
        """Record an epoch of the replicas whose numbers are finite."""
        now = time.time()
        for row in np.flatnonzero(finite):
            self._rows.setdefault(int(state.alive[row]), []).append((state.epoch, table[row], now))

    def end(self, state: State, row: int, end: End) -> None:
        """Record how a replica left."""
        self._slice.ends[int(state.alive[row])] = end

    @property
    def slice(self) -> Slice:
        """All of it."""
        for position, rows in self._rows.items():
            epochs, values, times = zip(*rows, strict=True)
            self._slice.records[position] = Records(np.array(epochs), np.stack(values), np.array(times))
        return self._slice
