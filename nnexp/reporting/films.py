"""Films: networks trained once more, looked at as they learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnexp.arrays import Floats
from nnexp.errors import DataError
from nnexp.reporting.networks import Network
from nnexp.sweeps.results import History
from nnexp.training.advance import advance
from nnexp.training.state import Records, begin, metrics_of

MARGIN = 0.08  # of the inputs' range, on each side
FRAMES = 24
STEP_SECONDS = 1.5e-4  # that a step of a small network alone takes longer than its share in a stack, about
MOST_SECONDS = 10.0  # of training all networks once more, at the end of a sweep that somebody waits for


@dataclass(frozen=True)
class Grid:
    """Points in the plane, row by row from below. edges: x and y of the columns and rows."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]

    @classmethod
    def around(cls, inputs: NDArray[np.float64], cells: int) -> Grid:
        """Return a grid of so many cells each way over the range of inputs (N, 2), and a margin."""
        low, high = inputs.min(axis=0), inputs.max(axis=0)
        margin = MARGIN * (high - low)
        return cls(*np.linspace(low - margin, high + margin, cells, axis=1))

    @property
    def points(self) -> NDArray[np.float64]:
        """All points, (rows x columns, 2)."""
        return np.stack([np.tile(self.x, len(self.y)), np.repeat(self.y, len(self.x))], axis=1)

    @property
    def places(self) -> dict[str, Any]:
        """Row and column of each point."""
        row, column = np.divmod(np.arange(len(self.x) * len(self.y)), len(self.x))
        return {"row": row, "column": column}

    @property
    def columns(self) -> dict[str, Any]:
        """Row, column, x and y of each point."""
        x, y = self.points.T
        return {**self.places, "x": x, "y": y}


def is_cheap(networks: Sequence[Network]) -> None:
    """Raise DataError if training networks once more would take too long."""
    costs = [each.result.costs for each in networks]
    seconds = sum(each.get("cpu_seconds", 0.0) + each.get("steps", 0.0) * STEP_SECONDS for each in costs)
    if seconds > MOST_SECONDS:
        raise DataError(f"training {len(networks)} networks once more would take about {seconds:.0f} s")


def film(networks: Sequence[Network], grid: Grid, histories: Sequence[History]) -> list[dict[str, Any]]:
    """Return the classes that networks predict on a grid after some epochs, the early ones close together.

    All have a frame of each of these epochs: one that ended before is as it was then.
    Raises: DataError if a training is not the one that was recorded, to the bit.
    """
    wanted = spaced(max((history.epochs for history in histories), key=lambda epochs: epochs[-1]), FRAMES)
    found = []
    for network, history in zip(networks, histories, strict=True):
        at = {epoch: max((each for each in history.epochs if each <= epoch), default=0) for epoch in wanted}
        accuracy = dict(zip(history.epochs, history.values.get("val/acc", ()), strict=False))
        seen = {
            epoch: network.classify(grid.points, theta)[0]
            for epoch, theta in _trained_again(network, sorted({*at.values()}), history)
        }
        for epoch, own in at.items():
            cells = {"key": network.key, "epoch": epoch, **grid.places, "predicted": seen[own]}
            found.append({**cells, "val/acc": accuracy.get(own, np.nan)})
    return found


def spaced(epochs: Sequence[int], count: int) -> list[int]:
    """Return at most so many of some epochs, first and last among them, ever further apart."""
    if len(epochs) <= count:
        return list(epochs)
    places: NDArray[np.intp] = np.empty(0, np.intp)
    for tried in range(count, len(epochs) + count):  # those that round to the same place count once
        found = np.unique(np.round(np.geomspace(1, len(epochs), tried)).astype(np.intp)) - 1
        if len(found) > count:
            break
        places = found
    return [epochs[place] for place in places]


def _trained_again(network: Network, epochs: Sequence[int], recorded: History) -> Iterator[tuple[int, Floats]]:
    """Yield a network's parameters after some epochs, the last of which is its last one."""
    problem = network.problem
    state, again = begin(problem), _Again(network, recorded)
    for epoch in epochs:
        state, observed = advance(problem, state, epoch - state.epoch, overwrite=True)
        again.compare(observed.records.get(0))
        theta = state.theta[0] if len(state.alive) else observed.ends[0].last
        if theta is None or (not len(state.alive) and epoch != epochs[-1]):
            raise DataError(f"{again.told} ended in epoch {observed.ends[0].epoch}")
        yield epoch, theta.copy()
    again.finish()


class _Again:
    """A training, compared with the one that was recorded."""

    def __init__(self, network: Network, recorded: History) -> None:
        self.recorded, self.names, self.seen = recorded, metrics_of(network.problem), 0
        self.told = "trained once more, a network"

    def compare(self, records: Records | None) -> None:
        """Raise DataError if records are not the next ones that were recorded."""
        count = 0 if records is None else len(records.epochs)
        part = slice(self.seen, self.seen + count)
        self.seen += count
        if records is None:
            return
        same = tuple(records.epochs.tolist()) == self.recorded.epochs[part]
        for name, values in zip(self.names, records.values.T, strict=True):
            before = np.array(self.recorded.values.get(name, ())[part], np.float64)
            same = same and np.array_equal(values, before, equal_nan=True)
        if not same:
            raise DataError(f"{self.told} has another history than recorded: another processor or library, perhaps")

    def finish(self) -> None:
        """Raise DataError if more was recorded."""
        if self.seen != len(self.recorded.epochs):
            raise DataError(f"{self.told} has a shorter history than recorded")
