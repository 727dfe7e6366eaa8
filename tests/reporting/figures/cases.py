"""Hard inputs for every figure: one arm and many, one seed, nothing finished, equal and tiny and huge scores, names
that are long, foreign or hostile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from matplotlib.figure import Figure

from nnexp.reporting.figures.contrasts import Difference, differences
from nnexp.reporting.figures.costs import Ended, Spent, accounting, pareto
from nnexp.reporting.figures.heat import confusion, improvement, interaction
from nnexp.reporting.figures.lines import Curve, expected_best, performance_profile, score_profile, time_to_target
from nnexp.reporting.figures.networks import Points, Region, regions, units
from nnexp.reporting.figures.parameters import Response, Share, sensitivity, shares
from nnexp.reporting.figures.predicting import class_scores, predictions, reliability
from nnexp.reporting.figures.scores import Scored, ScoredArm, arms, leaderboard
from nnexp.reporting.figures.training import Course, curves, learning, norms

Vector: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Draw: TypeAlias = Callable[["Input"], Figure]

LONG = "mlp_with_a_very_long_name lr=0.0001 batch_size=256 weight_decay=0.0005 activation=leaky_relu"
NAMES = {
    "plain": ["sgd", "momentum", "rmsprop", "adam"],
    "long": [f"{place} {LONG}" for place in range(4)],
    "foreign": ["$x$ $\\frac{", "<script>alert(1)</script>", "学习率\n\t\x07", "{}_%s\\"],
}


class Input:
    """Arms with scores of a kind."""

    def __init__(self, count: int = 4, seeds: int = 5, kind: str = "usual", names: str = "plain") -> None:
        self.seeds, self.kind = seeds, kind
        self.random = np.random.default_rng(0)
        told = NAMES[names]
        self.labels = [told[place] if place < len(told) else f"{told[place % 4]} {place}" for place in range(count)]

    def scores(self, place: int, size: int | None = None) -> Vector:
        """Return scores of an arm, from worse to better."""
        n = self.seeds if size is None else size
        usual: Vector = 0.9 - 0.03 * place + np.sort(self.random.normal(0, 0.01, n))
        by_kind: dict[str, Callable[[], Vector]] = {
            "usual": lambda: usual,
            "equal": lambda: np.ones(n),
            "zero": lambda: np.zeros(n),
            "tiny": lambda: 0.9 + 1e-7 * usual,
            "huge": lambda: 10.0 ** (4 * place + usual),
            "nothing": lambda: np.full(n, np.nan),
            "holes": lambda: np.where(np.arange(n) % 3 == place % 3, np.nan, usual),
            "infinite": lambda: np.where(np.arange(n) == n - 1, np.inf, usual),
        }
        return by_kind[self.kind]()

    def scored(self, place: int) -> Scored:
        """Return the scores of a configuration."""
        found = self.scores(place)
        low, middle, high = _interval(found)
        note = "2 without a score" if place % 3 == 1 else ""
        return Scored(self.labels[place], found, found - 0.01, middle, low, high, note)

    def curve(self, place: int, n: int = 16, start: float = 1.0, band: bool = True) -> Curve:
        """Return a curve of an arm, with a band if there are seeds."""
        x = start * np.arange(1.0, n + 1)
        y = self.scores(place, n)
        bounds = (y - 0.01, y + 0.01) if band and self.seeds > 1 else ()
        return Curve(self.labels[place], place, x, y, *bounds)

    def shares(self, place: int) -> Curve:
        """Return a curve of shares of an arm; every third has none."""
        count = 0 if place % 3 == 2 or self.kind == "nothing" else 8
        return Curve(self.labels[place], place, np.arange(1.0, count + 1) + place, np.arange(1, count + 1) / 9)

    def __iter__(self) -> Any:
        return iter(range(len(self.labels)))


def _interval(values: Vector) -> tuple[float, float, float]:
    there = values[np.isfinite(values)]
    if not len(there):
        return np.nan, np.nan, np.nan
    half = 2 * float(there.std()) if len(there) > 1 else np.nan
    middle = float(there.mean())
    return middle - half, middle, middle + half


def _differences(given: Input) -> Figure:
    rows = []
    for place in given:
        paired = given.scores(place) - 0.9
        low, middle, high = _interval(paired)
        group = ("Not distinguishable from the best", "Worse than the best")[place > 1]
        rows.append(Difference(given.labels[place], place, paired, middle, low, high, group))
    return differences(rows, given.labels[0], "val/acc")


def _sensitivity(given: Input) -> Figure:
    x = np.array([0.0, 0.0001, 0.001, 0.01, 0.1, 1.0])
    found = []
    for place in given:
        middle = given.scores(place, 6)
        lost = [0, 0, 0, 0, 1, 12] if place % 2 else [0] * 6
        found.append(Response(given.labels[place], place, x, middle, middle - 0.02, middle + 0.02, lost))
    return sensitivity(found, "optimizer.lr", "val/acc", log=True)


def _interaction(given: Input) -> Figure:
    means = np.array([given.scores(place, 6) for place in given])
    columns = [f"{10.0**power:g}" for power in range(-5, 1)]
    return interaction(columns, given.labels, means, means > 0.88, x="lr", y="optimizer", metric="val/acc")


def _improvement(given: Input) -> Figure:
    better = np.array([[np.mean(given.scores(row) > given.scores(column)) for column in given] for row in given])
    return improvement(given.labels, better)


def _regions(given: Input) -> Figure:
    x = np.linspace(-1, 2, 30)
    classes = (np.add.outer(x, x) > 0.5).astype(np.int64)
    if given.kind == "equal":
        classes[:] = 0
    panels = [Region(given.labels[place], x, x, classes, "val/acc 0.91") for place in given]
    points = Points(given.random.random(30), given.random.random(30), np.arange(30) % 2)
    return regions(panels, points, given.labels[:2], title=f"Epoch {len(panels)}")


def _reliability(given: Input) -> Figure:
    sure = np.linspace(0.05, 0.95, 10)
    right = np.clip(given.scores(0, 10), 0, 1)
    return reliability(np.where(np.isfinite(right), sure, np.nan), right, np.where(np.isfinite(right), 2000, 0))


def _pareto(given: Input) -> Figure:
    spent = [
        Spent(f"{given.labels[place]} {at}", given.labels[place], place, 0.01 * (1 + at + place) ** 2, float(score))
        for place in given
        for at, score in enumerate(given.scores(place))
    ]
    return pareto(spent, "Seconds a trial", "val/acc")


def _learning(given: Input) -> Figure:
    return learning([Course(given.labels[place], given.curve(place), given.curve(place)) for place in given], "acc")


def _confusion(given: Input) -> Figure:
    count = len(given.labels)
    counts = 100 * np.eye(count) + (np.arange(count**2).reshape(count, count) % 3)
    if given.kind == "nothing":
        counts[0] = 0
    return confusion(counts, given.labels)


def _each(draw: Callable[..., Figure], *more: Any, **named: Any) -> Draw:
    return lambda given: draw([given.curve(place) for place in given], *more, **named)


def _class_scores(given: Input) -> Figure:
    return class_scores(given.labels, *(given.scores(at, len(given.labels)) for at in range(3)))


def _arms(given: Input) -> Figure:
    found = [given.scored(place) for place in given]
    return arms(
        [ScoredArm(f"arm {each.label}", at, each, each if at % 2 else None) for at, each in enumerate(found)], "a"
    )


FIGURES: dict[str, Draw] = {
    "leaderboard": lambda given: leaderboard([given.scored(place) for place in given], "val/acc", of=99),
    "arms": _arms,
    "differences": _differences,
    "improvement": _improvement,
    "performance_profile": lambda given: performance_profile([given.shares(place) for place in given]),
    "score_profile": _each(score_profile, "val/acc"),
    "expected_best": _each(expected_best, "val/acc", "Seconds"),
    "time_to_target": lambda given: time_to_target([given.shares(place) for place in given], "val/acc ≥ 0.95", 20),
    "sensitivity": _sensitivity,
    "interaction": _interaction,
    "shares": lambda given: shares(
        [Share(given.labels[at], 0.9 / 2**at, ("main", "interaction", "seed")[at % 3]) for at in given]
    ),
    "learning": _learning,
    "curves": _each(curves, "val/acc"),
    "gap": _each(curves, "train − validation acc", zero=True),
    "norms": lambda given: norms([given.curve(at) for at in given], [given.curve(at) for at in given]),
    "confusion": _confusion,
    "reliability": _reliability,
    "class_scores": _class_scores,
    "predictions": lambda given: predictions(given.scores(0, 30), given.scores(1, 30), given.labels[0]),
    "regions": _regions,
    "units": lambda given: units(given.random.normal(size=(len(given.labels), 8, 8)), given.labels),
    "pareto": _pareto,
    "accounting": lambda given: accounting([Ended(given.labels[at], 5, at, 1, 0, 2 * at) for at in given]),
}

INPUTS: dict[str, Callable[[], Input]] = {
    "four arms": Input,
    "one arm": lambda: Input(1),
    "14 arms": lambda: Input(14, names="long"),
    "40 arms of one seed": lambda: Input(40, seeds=1),
    "foreign names": lambda: Input(4, names="foreign"),
    **{kind: partial(Input, 4, kind=kind) for kind in ("equal", "zero", "tiny", "huge", "nothing", "holes")},
    "infinite": lambda: Input(3, kind="infinite"),
}


def all_cases(names: Sequence[str] = tuple(INPUTS)) -> list[tuple[str, str]]:
    """Return every figure with every input, by name."""
    return [(figure, given) for figure in FIGURES for given in names]
