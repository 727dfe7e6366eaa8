"""What a report of a large sweep takes: a made-up sweep of many trials, its snapshot, and the report of that."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from nnexp.reporting.build import build
from nnexp.reporting.snapshot import Snapshot, make_snapshot, write_snapshot
from nnexp.training.costs import peak_bytes
from nnexp.training.settings import TrialConfig

SEEDS, EPOCHS = 4, 20
OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam", "adagrad")
RATES = tuple(float(f"{rate:.6g}") for rate in np.geomspace(1e-4, 1.0, 20))
METRICS = ("train/cost", "train/loss", "train/acc", "train/grad_norm", "train/weight_norm", "val/loss", "val/acc")


def made_up(trials: int) -> Snapshot:
    """Return the snapshot of a full grid of so many trials; scores are a function of the parameters, and noise."""
    rng = np.random.default_rng(0)
    strengths = tuple(float(each) for each in range(trials // (SEEDS * len(OPTIMIZERS) * len(RATES))))
    axes = {"optimizer": OPTIMIZERS, "optimizer.lr": RATES, "l2.strength": strengths}
    plain = TrialConfig().describe()
    rows: list[dict[str, Any]] = []
    keys: list[str] = []
    scores: list[float] = []
    for optimizer in OPTIMIZERS:
        for rate in RATES:
            for strength in strengths:
                config = {name: value for name, value in plain.items() if name != "seed"}
                config |= {"optimizer": {"name": optimizer, "lr": rate}, "l2": {"name": "l2", "strength": strength}}
                config["training"] = {**config["training"], "epochs": EPOCHS}
                distance = abs(np.log10(rate) + 2 - OPTIMIZERS.index(optimizer) / 4)
                label = f"{optimizer} lr={rate:g} l2={strength:g}"
                text = json.dumps(config)
                for seed in range(SEEDS):
                    score = 0.97 - 0.05 * distance**2 - 0.001 * strength + 0.004 * float(rng.standard_normal())
                    rows.append(_row(len(rows), label, seed, score, text, (optimizer, rate, strength)))
                    keys.append(rows[-1]["key"])
                    scores.append(score)
    sweep = {
        "id": "made-up-1", "name": "made-up", "planned_at": 0.0, "nnexp": "", "code": "", "numerics": 2, "hash": "",
        "axes": {name: [str(each) for each in values] for name, values in axes.items()}, "overrides": [],
        "objective": {"metric": "val/acc", "direction": "maximize"},
    }  # fmt: skip
    return make_snapshot([sweep], {"trials": pandas.DataFrame(rows), "histories": _histories(keys, np.array(scores))})


def _row(
    position: int, label: str, seed: int, score: float, config: str, chosen: tuple[str, float, float]
) -> dict[str, Any]:
    names = ("optimizer", "optimizer.lr", "l2.strength")
    return {
        "sweep": "made-up-1", "position": position, "key": f"{position:064x}", "configuration": label, "data": "d",
        "label": f"{label} seed={seed}", "configuration_label": label, "seed": seed, "state": "finished", "note": None,
        "epoch": EPOCHS, "reused_from": None, "config": config, "components": "[]", "code": "c",
        "chosen": json.dumps({**dict(zip(names, map(str, chosen), strict=True)), "seed": str(seed)}),
        "parameters": json.dumps({**dict(zip(names, chosen, strict=True)), "seed": seed}),
        "started_at": 0.0, "ended_at": 1.0, "stack_width": 20, "objective": score, "summary/epoch_best": 18.0,
        "summary/test/acc": score - 0.01, "cost/wall_seconds": 0.02 + 0.001 * (position % 7),
        "cost/cpu_seconds": 0.02, "cost/flops": 1e8 + position % 11, "cost/steps": 340.0, "cost/parameters": 2410.0,
        "cost/array_bytes": 1e5,
    }  # fmt: skip


def _histories(keys: list[str], scores: np.ndarray[Any, Any]) -> pandas.DataFrame:
    rise = 1 - np.exp(-np.arange(1, EPOCHS + 1) / 4)
    values = np.outer(scores, rise).ravel()
    epochs = np.tile(np.arange(1, EPOCHS + 1), len(keys))
    return pandas.DataFrame(
        {
            "key": np.repeat(keys, EPOCHS),
            "epoch": epochs,
            "time": epochs.astype(float),
            **dict.fromkeys(METRICS, values),
        }
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", type=int, nargs="?", default=10_000, help="a multiple of 400")
    snapshot = made_up(parser.parse_args().trials)
    with tempfile.TemporaryDirectory() as name:
        write_snapshot(snapshot, Path(name) / "snapshot")
        size = sum(path.stat().st_size for path in (Path(name) / "snapshot").iterdir())
        stages: dict[str, float] = {}
        began = last = time.perf_counter()

        def lap(stage: str) -> None:
            nonlocal last
            now = time.perf_counter()
            stages[stage], last = now - last, now

        built = build(snapshot, Path(name) / "report", lap=lap)
        total = time.perf_counter() - began
    print(f"{len(snapshot.trials):,} trials, a snapshot of {size / 1e6:.1f} MB: {built.headline}")
    print(", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.items()))
    print(f"report: {total:.1f} s, {(peak_bytes() or 0) / 1e6:.0f} MB at most")


if __name__ == "__main__":
    main()
