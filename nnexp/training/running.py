"""A stack in training: its buffers, and what happens in an epoch."""

from __future__ import annotations

import numpy as np

from nnexp.arrays import Floats
from nnexp.network.averaging import Averages
from nnexp.network.dropout import Fates
from nnexp.network.groups import group_rows
from nnexp.network.losses import Desk, Targets
from nnexp.network.stack import Pass
from nnexp.network.update import Regularization, Update
from nnexp.training.answers import Sums
from nnexp.training.costs import epoch_flops
from nnexp.training.evaluation import Evaluation, Values
from nnexp.training.feed import Batches
from nnexp.training.metrics import AVERAGED, judge
from nnexp.training.state import Problem, State, has_part, keeps_averages, more_metrics


class Run:
    """The buffers of a stack while nobody leaves it; trains the state's arrays in place."""

    def __init__(self, problem: Problem, state: State) -> None:
        replicas = [problem.replicas[position] for position in state.alive]
        self.blueprint, self.state, self.epochs = problem.blueprint, state, problem.training.epochs
        work = [epoch_flops(problem, replica) for replica in replicas]
        self.shares = [each / sum(work) for each in work]  # of each replica in the work
        self.batches = Batches(problem, replicas)
        self.scale = self.batches.reader.scale_of("train")
        self.weight = self.batches.reader.weight_of("train")
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
        self.update = Update(layout, groups, held, (self.parameters, grad, state.slots.swapaxes(0, 1)))
        self.weights: Floats = layout.weight_mask(state.theta.dtype)
        self._done = 0  # steps before the epoch
        self.validations: dict[str, Evaluation] = {}  # by what their metrics' names begin with
        self.averages: Averages | None = None
        more = more_metrics(problem)
        if has_part(problem, "validation"):
            self.validations["val/"] = Evaluation(problem, state.alive, state.theta, "validation", more)
        if keeps_averages(problem):
            self.averages = Averages([replica.averaging for replica in replicas], state.theta, state.averages)
            self.averages.set_weights(2 if state.epoch else 1)
        if self.averages is not None and self.validations:
            self.validations[f"val/{AVERAGED}"] = Evaluation(problem, state.alive, state.averages, "validation", more)

    def train(self, epoch: int) -> Values:
        """Train one epoch; return its cost, its metrics and the first gradient's norm, (K,) each."""
        batches, update, K = self.batches, self.update, len(self.state.theta)
        # a row a replica: sums along a row have the same bits in every stack, sums down a column have not
        measured = len(self.passes[batches.size].desk.results)  # losses and scores
        sums = np.empty((measured, K, batches.steps), self.state.theta.dtype)
        penalties = np.zeros((K, batches.steps))
        self.prepare(epoch)
        for step, (rows, targets) in enumerate(batches.epoch(epoch)):
            desk = self.step(step, rows, targets)
            np.add.reduce(desk.results, axis=2, out=sums[:, :, step])
            if update.penalised:
                np.multiply(update.penalty, rows.shape[1], out=penalties[:, step])
        losses, *squares = np.add.reduce(sums.astype(np.float64), axis=2)
        seen = Sums(losses, np.stack(squares), batches.examples, self.scale, self.weight)
        judged = judge(seen)
        named = {f"train/{name}": values for name, values in judged.items()}
        paid = np.add.reduce(penalties, axis=1)
        cost = (paid + losses) / batches.examples if self.weight is None else paid / batches.examples + seen.loss
        return {"train/cost": cost, **named, "train/grad_norm": np.sqrt(update.squares.astype(np.float64))}

    def prepare(self, epoch: int) -> None:
        """Make everything ready for the steps of an epoch."""
        steps, self._done = self.batches.steps, (epoch - 1) * self.batches.steps
        self.fates.begin(epoch)
        for group in self.update.groups:
            reductions = self.state.courses[group.start : group.stop, 0]
            group.prepare(1 + self._done, steps, self.epochs * steps, self.state.theta.dtype, reductions)

    def step(self, number: int, rows: Floats, targets: Targets) -> Desk:
        """Take a step of the epoch, counted from 0, with a mini-batch; return its losses and scores."""
        run = self.passes[rows.shape[1]]
        run.forward(rows, targets)
        run.backward(targets)
        self.update.step(number, run.examples, measure=number == 0)
        if self.averages is not None:
            self.averages.step(1 + self._done + number)
        return run.desk

    def observe(self) -> Values:
        """Return the validation metrics and the norm of the weights after an epoch, (K,) each."""
        theta = self.parameters
        values = {"train/weight_norm": np.sqrt(np.vecdot(theta * self.weights, theta).astype(np.float64))}
        for prefix, evaluation in self.validations.items():
            values |= {f"{prefix}{name}": each for name, each in evaluation.judge().items()}
        return values
