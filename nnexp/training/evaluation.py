"""Evaluation: what parameters of a stack are worth on a part of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nnexp.arrays import Floats, Integers
from nnexp.data.splits import Part
from nnexp.network.losses import assess
from nnexp.network.stack import Pass
from nnexp.training.answers import Answers, Float64s, Sums, Whole
from nnexp.training.feed import Blocks
from nnexp.training.metrics import METRICS, Thorough, judge
from nnexp.training.state import Problem, State, final_metrics, has_part, is_defined, keeps_averages

ANSWER_BYTES = 32 << 20  # of answers in float64 that are there at once; no number depends on it

Values = dict[str, Float64s]


class Evaluation:
    """The buffers that judge parameters of a stack on a part of the data, without dropout.

    Args: alive: positions in the problem's replicas, (K,). theta: their parameters, (K, P + S), read again by each
    `judge`: those that are trained, averages of them, or those of the best epochs. more: metrics beside the cheap ones.
    Attributes: confusion: each replica's at the last `judge`, (K, C, C), if it is of classes and needed each answer.
    """

    def __init__(self, problem: Problem, alive: Integers, theta: Floats, part: Part, more: Sequence[str] = ()) -> None:
        self._more = {name: metric() for name in more if issubclass(metric := METRICS[name], Thorough)}
        self.confusion: Whole | None = None
        height = len(alive)
        if self._more:
            examples = len(getattr(problem.data.division(problem.replicas[0].seed).split, part))
            height = max(1, ANSWER_BYTES // (8 * examples * problem.blueprint.sizes[-1]))
        cuts = [slice(start, start + height) for start in range(0, len(alive), height)]
        self._pieces = [_Piece(problem, alive[rows], theta[rows], part) for rows in cuts]

    def judge(self) -> Values:
        """Return loss and acc, or loss, rmse and r2, then what else was asked for, (K,) each."""
        if not self._more:
            (piece,) = self._pieces
            return judge(piece.sums(None))
        found, confusion = [], []
        for piece in self._pieces:
            answers = piece.answers()
            found.append(judge(answers.sums) | {name: each.of_answers(answers) for name, each in self._more.items()})
            if answers.classes:
                confusion.append(answers.confusion)
        self.confusion = np.concatenate(confusion) if confusion else None
        return {name: np.concatenate([values[name] for values in found]) for name in found[0]}


class _Piece:
    """The buffers of some of the replicas."""

    def __init__(self, problem: Problem, alive: Integers, theta: Floats, part: Part) -> None:
        replicas = [problem.replicas[position] for position in alive]
        self.problem = problem
        self.blocks = Blocks(problem, replicas, part, problem.training.evaluation_block)
        self.run = Pass(problem.blueprint, theta, self.blocks.size, sources=self.blocks.sources)

    def sums(self, Z: Floats | None) -> Sums:
        """Run the part through the networks and add up; fill Z, (K, n, m), with the outputs if it is there."""
        run, start = self.run, 0
        sums = np.zeros((len(run.desk.results), len(run.outputs)))  # of losses and scores
        for rows, targets, count in self.blocks:
            if Z is None:
                run.forward(rows, targets)
            else:
                run.forward(rows, None)
                Z[:, :, start : start + count] = run.outputs[:, :, :count]
                assess(self.problem.blueprint.loss, run.outputs, targets, run.desk)
                start += count
            sums += np.add.reduce(run.desk.results[:, :, :count], axis=2)
        return Sums(sums[0], sums[1:], self.blocks.examples, self.blocks.scale, self.blocks.weight)

    def answers(self) -> Answers:
        """Run the part through the networks and keep each answer."""
        K, n, _ = self.run.outputs.shape
        Z = np.empty((K, n, self.blocks.examples), self.run.outputs.dtype)
        blueprint, classes = self.problem.blueprint, self.problem.data.classes or 0
        return Answers(self.sums(Z), blueprint, Z, self.blocks.truth, classes)


@dataclass
class Final:
    """What a replica's best parameters are worth: all metrics of the validation and the test part that there are.

    summary: `val/…_best` and `test/…`. confusion: by part, rows are true classes and columns predicted ones.
    """

    summary: dict[str, float] = field(default_factory=dict)
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)

    def add(self, part: Part, prefix: str, values: dict[str, float]) -> None:
        """Add a part's metrics; prefix: of their names, `ema_` for averages."""
        pattern = "test/{}{}" if part == "test" else "val/{}{}_best"
        self.summary |= {pattern.format(prefix, name): value for name, value in values.items()}


def judge_best(problem: Problem, state: State) -> list[Final]:
    """Return what the best parameters of a state's replicas are worth, and the averages of those that keep such.

    A metric that a part's labels leave undefined is left out.
    """
    finals, averages = [Final() for _ in state.alive], keeps_averages(problem)
    sets = {"": state.best_theta, **({"ema_": state.best_averages} if averages else {})}
    parts: tuple[Part, ...] = ("validation", "test")
    for prefix, part in ((prefix, part) for prefix in sets for part in parts if has_part(problem, part)):
        evaluation = Evaluation(problem, state.alive, sets[prefix], part, final_metrics(problem))
        judged = evaluation.judge()
        for row, (position, final) in enumerate(zip(state.alive.tolist(), finals, strict=True)):
            seed = problem.replicas[position].seed
            known = [name for name in judged if is_defined(problem, seed, part, name)]
            final.add(part, prefix, {name: float(judged[name][row]) for name in known})
            if evaluation.confusion is not None and not prefix:
                final.confusion[part] = evaluation.confusion[row].tolist()
    return finals
