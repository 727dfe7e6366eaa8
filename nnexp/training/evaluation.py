"""Evaluation: what parameters of a stack are worth on a part of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nnexp.arrays import Floats, Integers
from nnexp.data.splits import Part
from nnexp.network.losses import assess
from nnexp.network.stack import Pass
from nnexp.training.answers import Answers, Float64s, Sums
from nnexp.training.feed import Blocks
from nnexp.training.metrics import AVERAGED, METRICS, Thorough, judge
from nnexp.training.state import Problem, State, final_metrics, has_part, is_defined, keeps_averages

WORKING_BYTES = 1 << 20  # of activations in an evaluation
ANSWER_BYTES = 32 << 20  # of answers in float64 that are there at once; no number depends on either

Values = dict[str, Float64s]


class Evaluation:
    """The buffers that judge parameters of a stack on a part of the data, without dropout.

    Replicas take turns, a few at a time, with the same buffers: no number depends on how many.

    Args: alive: positions in the problem's replicas, (K,). theta: their parameters, (K, P + S), read again by each
    `judge`: those that are trained, averages of them, or those of the best epochs. more: metrics beside the cheap ones.
    Attributes: confusion: each replica's at the last `judge`, (K, C, C), if it is of classes and needed each answer.
    """

    def __init__(self, problem: Problem, alive: Integers, theta: Floats, part: Part, more: Sequence[str] = ()) -> None:
        self.problem, self.theta = problem, theta
        self._more = {name: metric() for name in more if issubclass(metric := METRICS[name], Thorough)}
        self.confusion: Integers | None = None
        K, examples = len(alive), len(getattr(problem.data.division(problem.replicas[0].seed).split, part))
        count = -(-K // _height(problem, examples, answers=bool(self._more)))
        height = -(-K // count)
        # the last ones repeat the last replica, so that all fit the same buffers
        self._turns = [np.minimum(np.arange(start, start + height), K - 1) for start in range(0, K, height)]
        self._blocks = [
            Blocks(problem, [problem.replicas[position] for position in alive[turn]], part) for turn in self._turns
        ]
        self._taken: Floats = theta if len(self._turns) == 1 else np.empty((height, theta.shape[1]), theta.dtype)
        first = self._blocks[0]
        self._run = Pass(problem.blueprint, self._taken, first.size, sources=first.sources)

    def judge(self) -> Values:
        """Return loss and acc, or loss, rmse and r2, then what else was asked for, (K,) each."""
        found, confusion = [], []
        for turn, blocks in zip(self._turns, self._blocks, strict=True):
            if self._taken is not self.theta:
                np.take(self.theta, turn, axis=0, out=self._taken, mode="clip")
            if self._more:
                answers = self._answers(blocks)
                found.append(
                    judge(answers.sums) | {name: each.of_answers(answers) for name, each in self._more.items()}
                )
                if answers.classes:
                    confusion.append(answers.confusion)
            else:
                found.append(judge(self._sums(blocks, None)))
        K = len(self.theta)
        self.confusion = np.concatenate(confusion)[:K] if confusion else None
        return {name: np.concatenate([values[name] for values in found])[:K] for name in found[0]}

    def _sums(self, blocks: Blocks, Z: Floats | None) -> Sums:
        """Run the part through the networks and add up; fill Z, (K, n, m), with the outputs if it is there."""
        run, start = self._run, 0
        sums = np.zeros((len(run.desk.results), len(run.outputs)))  # of losses and scores
        for rows, targets, count in blocks:
            if Z is None:
                run.forward(rows, targets)
            else:
                run.forward(rows, None)
                Z[:, :, start : start + count] = run.outputs[:, :, :count]
                assess(self.problem.blueprint.loss, run.outputs, targets, run.desk)
                start += count
            sums += np.add.reduce(run.desk.results[:, :, :count], axis=2)
        return Sums(sums[0], sums[1:], blocks.examples, blocks.scale, blocks.weight)

    def _answers(self, blocks: Blocks) -> Answers:
        """Run the part through the networks and keep each answer."""
        K, n, _ = self._run.outputs.shape
        Z = np.empty((K, n, blocks.examples), self._run.outputs.dtype)
        blueprint, classes = self.problem.blueprint, self.problem.data.classes or 0
        return Answers(self._sums(blocks, Z), blueprint, Z, blocks.truth, classes)


def answers_of(problem: Problem, theta: Floats, part: Part) -> Answers:
    """Return what a network, the one replica of a problem, answers on a part: to the bit what it was judged by.

    Args: theta: (P + S,).
    """
    evaluation = Evaluation(problem, np.arange(1), theta[None], part)
    return evaluation._answers(evaluation._blocks[0])


def _height(problem: Problem, examples: int, *, answers: bool) -> int:
    """Return how many replicas are evaluated at once: their activations fit the cache, their answers the memory."""
    sizes, itemsize = problem.blueprint.sizes, np.dtype(problem.blueprint.dtype).itemsize
    own = 0 if problem.data.shared else sizes[0] + 1  # inputs
    block = min(examples, problem.training.evaluation_block) * (own + sum(sizes[1:])) * itemsize
    heights = [WORKING_BYTES // block, *([ANSWER_BYTES // (8 * examples * sizes[-1])] if answers else [])]
    return max(1, min(heights))


@dataclass
class Verdict:
    """What a replica's best parameters are worth: all metrics of the validation and the test part that there are.

    summary: `val/…_best` and `test/…`. confusion: by part, rows are true classes and columns predicted ones.
    """

    summary: dict[str, float] = field(default_factory=dict)
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)

    def add(self, part: Part, prefix: str, values: dict[str, float]) -> None:
        """Add a part's metrics; prefix: of their names, `ema_` for averages."""
        pattern = "test/{}{}" if part == "test" else "val/{}{}_best"
        self.summary |= {pattern.format(prefix, name): value for name, value in values.items()}


def judge_best(problem: Problem, state: State) -> list[Verdict]:
    """Return what the best parameters of a state's replicas are worth, and the averages of those that keep such.

    A metric that a part's labels leave undefined is left out.
    """
    verdicts, averages = [Verdict() for _ in state.alive], keeps_averages(problem)
    sets = {"": state.best_theta, **({AVERAGED: state.best_averages} if averages else {})}
    parts: tuple[Part, ...] = ("validation", "test")
    for prefix, part in ((prefix, part) for prefix in sets for part in parts if has_part(problem, part)):
        evaluation = Evaluation(problem, state.alive, sets[prefix], part, final_metrics(problem))
        judged = evaluation.judge()
        for row, (position, verdict) in enumerate(zip(state.alive.tolist(), verdicts, strict=True)):
            seed = problem.replicas[position].seed
            known = [name for name in judged if is_defined(problem, seed, part, name)]
            verdict.add(part, prefix, {name: float(judged[name][row]) for name in known})
            if evaluation.confusion is not None and not prefix:
                verdict.confusion[part] = evaluation.confusion[row].tolist()
    return verdicts
