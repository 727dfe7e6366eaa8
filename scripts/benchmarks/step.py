"""Measures a training step: nnexp against the same by hand, against its own products, and against PyTorch and JAX.

Prints microseconds a step and replica (float32, relu, softmax cross-entropy, Adam, one seed a replica), at several
widths of a stack; the width that nnexp chooses by itself is marked:

plain NumPy   one network as it is written by hand: a loop over layers, dictionaries, float64, new arrays
bare loop     the least a stacked step takes: the same arithmetic in one function, for this network only
nnexp step    forward, backward and update through nnexp's classes, on the same rows and labels
nnexp epoch   a whole epoch through `advance` divided by its steps: shuffling, gathering, metrics, validation, records
products      the matrix products of a step and nothing else

All of them take turns for several rounds. Figures are medians of the rounds, in the process's own time, and ratios
are medians of each round's ratio: so a busy machine slows all of them alike. Before that, nnexp, bare loop and plain
NumPy are seen to train to the same parameters.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.by_hand import LR, Bare, Plain, Products
from benchmarks.peers import peers
from benchmarks.stacks import EPOCH_STEPS, Epochs, Step, problem
from benchmarks.turns import Subject, Times, machine, take_turns
from benchmarks.workloads import WORKLOADS, Workload
from nnexp.network.activations import ACTIVATIONS
from nnexp.network.averaging import EMA
from nnexp.network.clipping import ClipNorm
from nnexp.network.constraints import UnitMaxNorm
from nnexp.network.dropout import InvertedDropout
from nnexp.network.normalization import BatchNorm, LayerNorm
from nnexp.network.optimizers import OPTIMIZERS
from nnexp.network.penalties import L1, L2
from nnexp.sweeps.grouping import stack_width

WIDTHS = (1, 4, 16, 36, 64, 256)
MOST_PARAMETERS = 3e6  # of a stack

COLUMNS = {
    "plain_us": "plain NumPy",
    "bare_us": "bare loop",
    "step_us": "nnexp step",
    "step_to_bare": "to bare",
    "epoch_us": "nnexp epoch",
    "epoch_to_bare": "to bare",
    "products_us": "products",
}

# What a step may have besides, and the keep probability, strengths and limits that make it act.
VARIATIONS: dict[str, dict[str, Any]] = {
    "dropout, distinct seeds": {"dropout": InvertedDropout(keep=0.8)},
    "dropout, one seed": {"dropout": InvertedDropout(keep=0.8), "seeds": 0},
    "batch norm": {"normalization": BatchNorm()},
    "layer norm": {"normalization": LayerNorm()},
    "l2": {"l2": L2(strength=0.1)},
    "l1": {"l1": L1(strength=0.1)},
    "max-norm": {"max_norm": UnitMaxNorm(limit=1.0)},
    "clipping by norm": {"clip": ClipNorm(limit=0.1)},
    "moving average": {"averaging": EMA()},
}


def check(workload: Workload) -> None:
    """Train all of them from the same start, in float64, and see that they end at the same parameters."""
    start, batch = workload.start(2), workload.mini_batch(2, "float64")
    ours, bare, plain = Step(workload, start, batch), Bare(workload, start, batch), Plain(workload, start, batch)
    ours.reset()
    for _ in range(10):
        ours.step()
        bare.step()
        plain.step()
    for name, found in (("bare loop", bare.theta), ("plain NumPy", plain.theta)):
        difference = np.abs(ours.theta[: len(found)] - found).max()
        if not difference < 1e-9:
            raise SystemExit(f"{workload.name}: nnexp and {name} train to parameters that differ by {difference}")


def measure(workload: Workload, width: int, rounds: int) -> dict[str, float]:
    """Return microseconds a step and replica, and ratios to the bare loop."""
    start, batch = workload.start(width), workload.mini_batch(width, "float32")
    epochs = Epochs(workload, width)
    subjects: dict[str, Subject] = {
        "plain": Plain(workload, start, batch),
        "bare": Bare(workload, start, batch),
        "step": Step(workload, start, batch),
        "epoch": epochs,
        "products": Products(workload, start, batch),
    }
    times = take_turns(subjects, rounds)
    times["plain"] *= width  # one network alone
    times["epoch"] /= EPOCH_STEPS * epochs.epochs
    row = {f"{name}_us": _median(each) / width * 1e6 for name, each in times.items()}
    ratios = {f"{name}_to_bare": _median(times[name] / times["bare"]) for name in ("step", "epoch")}
    return {"width": width, **row, **ratios}


def vary(workload: Workload, width: int, rounds: int) -> dict[str, float]:
    """Return how long nnexp's step takes with other optimizers, activations and settings, to that with Adam alone."""
    start, batch = workload.start(width), workload.mini_batch(width, "float32")
    changes: dict[str, dict[str, Any]] = {"adam": {}}
    changes |= {name: {"optimizer": cls(lr=LR)} for name, cls in OPTIMIZERS.items() if name != "adam"}
    for name, change in VARIATIONS.items():
        changes[name] = {**change, "seeds": [0] * width} if "seeds" in change else change
    subjects: dict[str, Subject] = {name: Step(workload, start, batch, **change) for name, change in changes.items()}
    for name, cls in ACTIVATIONS.items():
        if name != "relu":
            subjects[f"{name} units"] = Step(replace(workload, activation=cls()), start, batch)
    times = take_turns(subjects, rounds)
    return {name: _median(each / times["adam"]) for name, each in times.items() if name != "adam"}


def compare(workload: Workload, width: int, rounds: int) -> dict[str, float]:
    """Return each peer's time a step to nnexp's in a stack of the width it chooses, both for one network."""
    start, batch = workload.start(width), workload.mini_batch(width, "float32")
    subjects: dict[str, Subject] = {"nnexp": Step(workload, start, batch), "bare": Bare(workload, start, batch)}
    subjects["products"] = Products(workload, start, batch)
    counts: dict[str, float] = dict.fromkeys(subjects, width)
    for name, subject, count in peers(workload):
        subjects[name], counts[name] = subject, count
    times = {name: each / counts[name] for name, each in take_turns(subjects, rounds).items()}
    ours = times["nnexp"]
    print(f"      {'one network':28}{'us a step':>10}{'to nnexp':>10}{'nnexp to it':>13}")
    ratios = {}
    for name, each in times.items():
        ratios[name] = _median(each / ours)
        shown = f"{name}, {width} wide" if name == "nnexp" else name
        print(
            f"      {shown:28}{_median(each) * 1e6:10.2f}{ratios[name]:10.2f}{_median(ours / each):13.2f}", flush=True
        )
    return ratios


def benchmark(workload: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one workload, print its tables and return them."""
    check(workload)
    chosen = stack_width(problem(workload, 1))
    print(f"\n{workload.name}, batch {workload.batch}: microseconds a step and replica (* the width nnexp chooses)")
    found: dict[str, Any] = {"chosen": chosen}
    if not options.only:
        print(f"{'width':>6}" + "".join(f"{title:>13}" for title in COLUMNS.values()))
        found["widths"] = []
        for width in sorted({*options.widths, chosen}):
            if width * workload.blueprint.layout.size <= MOST_PARAMETERS:
                row = measure(workload, width, options.rounds)
                mark = "*" if width == chosen else " "
                print(f"{width:5}{mark}" + "".join(f"{row[key]:13.2f}" for key in COLUMNS), flush=True)
                found["widths"].append(row)
    if options.only in (None, "peers"):
        found["peers"] = compare(workload, chosen, options.rounds)
    if options.only in (None, "variations"):
        found["variations"] = vary(workload, chosen, options.rounds)
        print(f"      nnexp's step {chosen} wide with other settings, to that with adam and relu units alone:")
        listed = [f"{name} {ratio:.2f}" for name, ratio in found["variations"].items()]
        for first in range(0, len(listed), 6):
            print("      " + ", ".join(listed[first : first + 6]), flush=True)
    return found


def _median(times: Times) -> float:
    return float(np.median(times))


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="one of the networks (all; repeatable)")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="replicas of the stacks")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of turns (15)")
    parser.add_argument("--only", choices=("peers", "variations"), help="only these tables")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures too")
    options = parser.parse_args()
    with threadpool_limits(1):
        facts = machine()
        for name, fact in facts.items():
            print(f"{name:8}{fact}")
        tables = {name: benchmark(WORKLOADS[name], options) for name in options.workload or WORKLOADS}
    if options.json:
        options.json.write_text(json.dumps({"machine": facts, "workloads": tables}, indent=1) + "\n")


if __name__ == "__main__":
    main()
