"""Portraits: the tables of a snapshot that need a sweep's networks themselves, of the few that a report shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nnexp.config.build import TABLES
from nnexp.data.splits import Part
from nnexp.errors import DataError
from nnexp.reporting.films import Grid, film, is_cheap
from nnexp.reporting.networks import Network, Networks
from nnexp.sweeps.kept import PlannedTrial, Standing
from nnexp.sweeps.leaderboard import Row, leaderboard
from nnexp.sweeps.results import History
from nnexp.training.answers import gives_probabilities
from nnexp.training.evaluation import answers_of
from nnexp.training.state import has_part

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_REGIONS = 12  # networks whose decision regions are kept
MOST_UNITS = 64  # of the first layer, whose weights are kept
CELLS, FRAME_CELLS = 80, 40  # of a grid, each way
PARTS: Mapping[Part, str] = {"validation": "val/{}_best", "test": "test/{}"}  # and how their metrics are called

Columns = dict[str, Any]  # arrays by name


@dataclass
class Portraits:
    """What there is of a sweep's networks. notes: why what could be there is not. image: the inputs' rows and
    columns."""

    tables: dict[str, DataFrame] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    image: tuple[int, int] | None = None


def portraits(
    folder: Path,
    abouts: Sequence[Mapping[str, Any]],
    standing: Mapping[str, Standing],
    history: Callable[[str], History],
) -> Portraits:
    """Return the portraits of a sweep's networks.

    Predictions are those of the selected configuration, units its first repeat's. Regions, and frames of them, are of
    the best configurations with each value of the axis that `_told_apart` names. A table that cannot be made is left
    out, and a note says why.
    Args: folder: the sweep's. abouts: its trials as planned. history: of a trial by its key.
    """
    by_key = {each["key"]: each for each in abouts}
    results = {key: each.result for key, each in standing.items() if each.result is not None}
    rows = [row for row in leaderboard([PlannedTrial.of(each) for each in abouts], results) if row.n]
    found = Portraits()
    if not rows:
        return found
    networks = Networks(folder, by_key, standing)
    finished = [_finished(row, by_key, standing) for row in rows]
    with threadpool_limits(1):
        _add_predictions(found, networks, finished[0])
        _add_units(found, networks, finished[0][0])
        _add_regions(found, networks, _told_apart(by_key, finished), history)
    return found


def _finished(row: Row, abouts: Mapping[str, Any], standing: Mapping[str, Standing]) -> list[str]:
    """Return the keys of a configuration's finished repeats, by seed."""
    keys = [trial.key for trial in row.trials if standing[trial.key].state == "finished"]
    return sorted(keys, key=lambda key: int(abouts[key]["config"]["seed"]))


def _told_apart(abouts: Mapping[str, Any], finished: Sequence[Sequence[str]]) -> list[str]:
    """Return a network of each best configuration that an axis tells apart, the best first, all of one dataset.

    It is the first axis that chooses a component, else the first one but the seed.
    """
    firsts = [keys[0] for keys in finished]
    dataset = abouts[firsts[0]]["config"]["dataset"]
    axes = dict.fromkeys(name for each in abouts.values() for name in each["chosen"] if name != "seed")
    axis = next((name for name in axes if name in TABLES and name != "dataset"), next(iter(axes), None))
    found: dict[Any, str] = {}
    for key in firsts:
        if abouts[key]["config"]["dataset"] == dataset:
            found.setdefault(abouts[key]["chosen"].get(axis), key)
    return list(found.values())[:MOST_REGIONS]


@contextmanager
def _noting(found: Portraits, what: str) -> Iterator[None]:
    """Let what cannot be made be left out, whatever a network's components raise: a sweep that ended has ended."""
    try:
        yield
    except Exception as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        found.notes.append(f"no {what}: {told}")


# predictions


def _add_predictions(found: Portraits, networks: Networks, keys: Sequence[str]) -> None:
    with _noting(found, "predictions"):
        parts = [_predictions(networks.read(key), part) for key in keys for part in PARTS if _has(networks, key, part)]
        if not parts:
            raise DataError("the data have neither a validation nor a test part")
        found.tables["predictions"] = _table(parts)


def _has(networks: Networks, key: str, part: Part) -> bool:
    return has_part(networks.read(key).problem, part)


def _predictions(network: Network, part: Part) -> Columns:
    """Return what a network predicts for a part: classes and probabilities, or values in their own units."""
    answers, index = answers_of(network.problem, network.theta, part), getattr(network.division.split, part)
    columns = {"key": network.key, "part": part, "example": index}
    data, division = network.data, network.division
    if data.classes:
        assert data.labels is not None
        columns |= {"target": data.labels[index], "predicted": answers.predicted[0]}
        if gives_probabilities(network.problem.blueprint):
            columns |= _numbered("p", answers.P[0])
        _check(network, part, "acc", np.mean(columns["predicted"] == columns["target"]))
        return columns
    assert data.values is not None
    targets = data.values[index].reshape(len(index), -1).T  # (d, m)
    if data.classes == 0:
        P = 1 / (1 + np.exp(-answers.Z[0].astype(np.float64)))
        _check(network, part, "acc", np.mean((answers.Z[0] > 0) == targets))
    else:
        scale, shift = np.atleast_1d(division.value_scale)[:, None], np.atleast_1d(division.value_shift)[:, None]
        P = answers.Z[0] * scale + shift
        _check(network, part, "rmse", np.sqrt(np.mean((P - targets) ** 2)))
    named = {"target": targets[0]} if len(targets) == 1 else _numbered("target", targets)
    return columns | named | _numbered("p", P)


def _numbered(name: str, rows: NDArray[Any]) -> Columns:
    return {f"{name}{number}": row for number, row in enumerate(rows)}


def _check(network: Network, part: Part, metric: str, value: Any) -> None:
    """Raise DataError if a metric of the predictions is not what was recorded: these would be another network's."""
    name = PARTS[part].format(metric)
    recorded = network.result.summary[name]
    if not math.isclose(value, recorded, rel_tol=1e-5, abs_tol=1e-9):
        raise DataError(f"{name} of predictions made again is {value:.6g}, not {recorded:.6g} as recorded")


# units


def _add_units(found: Portraits, networks: Networks, key: str) -> None:
    with _noting(found, "first-layer weights"):
        network = networks.read(key)
        image = network.config.dataset.image
        if image is None:
            return
        W = network.problem.blueprint.layout.views(network.theta)[0][:MOST_UNITS, :-1]
        if W.shape[1] != math.prod(image):
            raise DataError(f"an image of {image} has not {W.shape[1]} pixels")
        unit, pixel = np.divmod(np.arange(W.size), W.shape[1])
        found.tables["units"] = _table([{"key": key, "unit": unit, "pixel": pixel, "value": W.reshape(-1)}])
        found.image = image


# regions


def _add_regions(found: Portraits, networks: Networks, keys: Sequence[str], history: Callable[[str], History]) -> None:
    with _noting(found, "decision regions"):
        chosen = [networks.read(key) for key in keys]
        first = chosen[0]
        if first.data.inputs != 2 or not first.data.classes:
            return
        inputs = np.asarray(first.data.rows[:, :2], np.float64)
        grid = Grid.around(inputs, CELLS)
        found.tables["regions"] = _table([_region(each, grid) for each in chosen])
        found.tables["points"] = _table([_points(first, part, inputs) for part in ("train", "validation", "test")])
        with _noting(found, "frames"):
            is_cheap(chosen)
            coarse = Grid.around(inputs, FRAME_CELLS)
            found.tables["frames"] = _table(film(chosen, coarse, [history(each.key) for each in chosen]))


def _region(network: Network, grid: Grid) -> Columns:
    predicted, confidence = network.classify(grid.points, network.theta)
    return {"key": network.key, **grid.columns, "predicted": predicted, "confidence": confidence}


def _points(network: Network, part: str, inputs: NDArray[np.float64]) -> Columns:
    assert network.data.labels is not None
    index = getattr(network.division.split, part)
    x, y = inputs[index].T
    return {"part": part, "example": index, "x": x, "y": y, "label": network.data.labels[index]}


def _table(parts: Sequence[Columns]) -> DataFrame:
    import pandas

    return pandas.concat([pandas.DataFrame(each) for each in parts], ignore_index=True)
