"""Studies of made-up sweeps, for tests of what a report says: every score is a function of the parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas

from nnexp.reporting.snapshot import Snapshot, make_snapshot
from nnexp.reporting.study import Study, make_study

# The validation score of a trial from its parameters and its seed; NaN if it diverged.
Score = Callable[[Mapping[str, Any], int], float]

EPOCHS = 10


def study(
    axes: Mapping[str, Sequence[Any]],
    score: Score,
    *,
    seeds: int = 6,
    direction: str = "maximize",
    keep: Callable[[Mapping[str, Any]], bool] = lambda chosen: True,
    data: Callable[[Mapping[str, Any]], str] = lambda chosen: "d",
    tested: bool = True,
) -> Study:
    """Return the study of a grid. keep: which combinations were planned. data: the digest of what each trained on."""
    return make_study(snapshot(axes, score, seeds=seeds, direction=direction, keep=keep, data=data, tested=tested))


def snapshot(
    axes: Mapping[str, Sequence[Any]],
    score: Score,
    *,
    seeds: int,
    direction: str,
    keep: Callable[[Mapping[str, Any]], bool],
    data: Callable[[Mapping[str, Any]], str],
    tested: bool,
) -> Snapshot:
    """Return the tables of a grid of which all trials ended; scores rise, or fall, evenly over ten epochs."""
    chosen = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    trials: list[dict[str, Any]] = []
    histories: list[pandas.DataFrame] = []
    for chosen_here in filter(keep, chosen):
        for seed in range(seeds):
            value = score(chosen_here, seed)
            row = _trial(len(trials), chosen_here, seed, value, direction, tested)
            trials.append(row | {"data": data(chosen_here)})
            histories.append(_history(row["key"], value, direction))
    sweep = {
        "id": "grid-1", "name": "grid", "planned_at": 0.0, "axes": {name: [] for name in axes}, "numerics": "1",
        "objective": {"metric": "val/acc", "direction": direction},
    }  # fmt: skip
    return make_snapshot(
        [sweep], {"trials": pandas.DataFrame(trials), "histories": pandas.concat(histories, ignore_index=True)}
    )


def _trial(
    position: int, chosen: Mapping[str, Any], seed: int, value: float, direction: str, tested: bool
) -> dict[str, Any]:
    label = " ".join(f"{name.rpartition('.')[2]}={value}" for name, value in chosen.items())
    finished = not math.isnan(value)
    cells = {
        "sweep": "grid-1", "position": position, "key": f"{position:05}", "configuration": label, "label": label,
        "configuration_label": label, "seed": seed, "state": "finished" if finished else "diverged", "note": None,
        "epoch": EPOCHS if finished else 3, "parameters": json.dumps({**chosen, "seed": seed}),
        "config": json.dumps(_config(chosen, direction)), "code": "c", "objective": value, "cost/wall_seconds": 2.0,
    }  # fmt: skip
    return cells | ({"summary/test/acc": value - 0.01} if tested else {})


def _config(chosen: Mapping[str, Any], direction: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "optimizer": {"name": "adam", "lr": 0.001}, "training": {"epochs": EPOCHS, "batch_size": 64},
        "dropout": {"name": "inverted", "keep": 1.0}, "dataset": {"name": "digits", "split_seed": 0},
        "objective": {"metric": "val/acc", "direction": direction},
    }  # fmt: skip
    for name, value in chosen.items():
        group, _, field = name.partition(".")
        config.setdefault(group, {})[field or "name"] = value
    return config


def _history(key: str, value: float, direction: str) -> pandas.DataFrame:
    last = EPOCHS if not math.isnan(value) else 3
    start = 0.0 if direction == "maximize" else 2.0
    end = value if not math.isnan(value) else start
    scores = start + (end - start) * np.arange(1, last + 1) / last
    return pandas.DataFrame({"key": key, "epoch": np.arange(1, last + 1), "time": 0.0, "val/acc": scores})
