"""`advance`: train a stack for some epochs. A pure function: where a slice ends changes no bit."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Flags, Floats, Integers
from nnexp.network.averaging import Averages
from nnexp.network.dropout import Fates
from nnexp.network.stack import Pass
from nnexp.network.update import Regularization, Update, group_rows
from nnexp.training.answers import Sums
from nnexp.training.evaluation import Evaluation, Values, judge_best
from nnexp.training.feed import Batches
from nnexp.training.metrics import judge
from nnexp.training.state import (
    End,
    Outcome,
    Problem,
    Records,
    Slice,
    State,
    has_part,
    keeps_averages,
    metrics_of,
    more_metrics,
)


def advance(problem: Problem, state: State, epochs: int) -> tuple[State, Slice]:
    """Train for so many epochs more, or to the end; return the new state and what was observed.

    A replica whose cost or metrics are not finite leaves with the outcome `diverged`, one that stops early with
    `finished`; the others do not notice.
    """
    state, log = state.copy(), _Log(metrics_of(problem))
    last = min(state.epoch + epochs, problem.training.epochs)
    with np.errstate(all="ignore"):  # a diverging replica overflows; that is an outcome, found below
        while state.epoch < last and len(state.alive):
            state = _train_until_someone_leaves(problem, state, last, log)
        if state.epoch == problem.training.epochs and len(state.alive):
            _finish(problem, state, log)
    return state, log.slice


def _train_until_someone_leaves(problem: Problem, state: State, last: int, log: _Log) -> State:
    # each slot of all replicas lies together while they train: a step of 4 small networks took a third longer without
    state = replace(state, slots=np.ascontiguousarray(state.slots.swapaxes(0, 1)).swapaxes(0, 1))
    run = _Run(problem, state)
    every, epochs = problem.training.record_every, problem.training.epochs
    while state.epoch < last:
        state = replace(state, epoch=state.epoch + 1)
        wall, cpu = time.perf_counter(), time.process_time()
        values = run.train(state.epoch)
        recorded = state.epoch % every == 0 or state.epoch in (1, epochs)
        if recorded:
            values |= run.observe()
        log.spend(state.alive, time.perf_counter() - wall, time.process_time() - cpu)
        finite = np.logical_and.reduce([np.isfinite(each) for each in values.values()])
        if recorded:
            table = np.stack([values[name] for name in log.names], axis=1)  # (K, metrics)
            log.add(state, table, finite)
            _remember_best(problem, state, table, log.names)
            stops = finite & _stops(problem, state, table, log.names)
        else:
            stops = np.zeros_like(finite)
        if not finite.all() or stops.any():
            for row in np.flatnonzero(~finite).tolist():
                log.end(state, row, _end(state, row, "diverged", _best(state, row, log.names)))
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
    """End all replicas of a state, with the best parameters of each judged by all metrics."""
    for row, final in enumerate(judge_best(problem, state)):
        summary = _best(state, row, log.names) | final.summary
        if state.epoch < problem.training.epochs:
            summary["epoch_stopped"] = float(state.epoch)
        log.end(state, row, replace(_end(state, row, "finished", summary), confusion=final.confusion))


def _end(state: State, row: int, outcome: Outcome, summary: dict[str, float]) -> End:
    """Return how a replica left, in memory of its own."""
    last = None if outcome == "diverged" else state.theta[row].copy()
    return End(outcome, state.epoch, summary, state.best_theta[row].copy(), state.best_averages[row].copy(), last)


class _Run:
    """The buffers of a stack while nobody leaves it; trains the state's arrays in place."""

    def __init__(self, problem: Problem, state: State) -> None:
        replicas = [problem.replicas[position] for position in state.alive]
        self.blueprint, self.state, self.epochs = problem.blueprint, state, problem.training.epochs
        self.batches = Batches(problem, replicas)
        self.scale = self.batches.reader.scale_of("train")
        self.fates = Fates(
            [replica.dropout for replica in replicas],
            [replica.seed for replica in replicas],
            len(self.blueprint.activations),
        )
        layout = self.blueprint.layout
        self.parameters: Floats = state.theta[:, : layout.size]  # what follows is no parameter
        grad = np.zeros(self.parameters.shape, state.theta.dtype)
        self.passes = {
            size: Pass(self.blueprint, state.theta, size, sources=self.batches.sources, grad=grad, fates=self.fates)
            for size in self.batches.sizes
        }
        groups = group_rows([replica.optimizer for replica in replicas], [replica.schedule for replica in replicas])
        held = Regularization(
            [replica.l2 for replica in replicas],
            [replica.l1 for replica in replicas],
            [replica.clip for replica in replicas],
            [replica.max_norm for replica in replicas],
        )
        self.update = Update(layout, groups, held, (self.parameters, grad, state.slots))
        self.weights: Floats = layout.weight_mask(state.theta.dtype)
        self.validations: dict[str, Evaluation] = {}  # by what their metrics' names begin with
        self.averages: Averages | None = None
        more = more_metrics(problem)
        if has_part(problem, "validation"):
            self.validations["val/"] = Evaluation(problem, state.alive, state.theta, "validation", more)
        if keeps_averages(problem):
            self.averages = Averages([replica.averaging for replica in replicas], state.theta, state.averages)
            self.averages.set_weights(2 if state.epoch else 1)
        if self.averages is not None and self.validations:
            self.validations["val/ema_"] = Evaluation(problem, state.alive, state.averages, "validation", more)

    def train(self, epoch: int) -> Values:
        """Train one epoch; return its cost, its metrics and the first gradient's norm, (K,) each."""
        batches, update, K = self.batches, self.update, len(self.state.theta)
        steps, dtype = batches.steps, self.state.theta.dtype
        # a row a replica: sums along a row have the same bits in every stack, sums down a column have not
        sums, penalties = np.empty((2, K, steps), dtype), np.zeros((K, steps))
        self.fates.begin(epoch)
        for group in update.groups:
            reductions = self.state.courses[group.start : group.stop, 0]
            group.prepare(1 + (epoch - 1) * steps, steps, self.epochs * steps, dtype, reductions)
        for step, (rows, targets) in enumerate(batches.epoch(epoch)):
            run = self.passes[rows.shape[1]]
            run.forward(rows, targets)
            run.backward(targets)
            update.step(step, run.examples, measure=step == 0)
            if self.averages is not None:
                self.averages.step(1 + (epoch - 1) * steps + step)
            np.add.reduce(run.desk.results, axis=2, out=sums[:, :, step])
            if update.penalised:
                np.multiply(update.penalty, run.examples, out=penalties[:, step])
        losses, scores = np.add.reduce(sums.astype(np.float64), axis=2)
        judged = judge(Sums(losses, scores, batches.examples, self.scale))
        named = {f"train/{name}": values for name, values in judged.items()}
        cost = (np.add.reduce(penalties, axis=1) + losses) / batches.examples
        return {"train/cost": cost, **named, "train/grad_norm": np.sqrt(update.squares.astype(np.float64))}

    def observe(self) -> Values:
        """Return the validation metrics and the norm of the weights after an epoch, (K,) each."""
        theta = self.parameters
        values = {"train/weight_norm": np.sqrt(np.vecdot(theta * self.weights, theta).astype(np.float64))}
        for prefix, evaluation in self.validations.items():
            values |= {f"{prefix}{name}": each for name, each in evaluation.judge().items()}
        return values


class _Log:
    """Collects what a slice observes."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._slice = Slice()
        self._rows: dict[int, list[tuple[int, NDArray[np.float64], float]]] = {}

    def spend(self, alive: Integers, wall: float, cpu: float) -> None:
        """Share an epoch's time out equally."""
        for position in alive.tolist():
            self._slice.wall_seconds[position] = self._slice.wall_seconds.get(position, 0.0) + wall / len(alive)
            self._slice.cpu_seconds[position] = self._slice.cpu_seconds.get(position, 0.0) + cpu / len(alive)

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
