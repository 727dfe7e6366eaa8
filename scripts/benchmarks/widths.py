"""Measures how long an epoch takes a network in stacks of several widths, beside the width that nnexp chooses.

Prints microseconds a step and replica of whole epochs (Adam, one seed a replica): shuffling, gathering, metrics,
validation and records included. The rule is WORKING_SET_BYTES in nnexp/sweeps/grouping.py; widths that are a quarter of
it, half, the same, twice and four times as wide take turns.
"""

from __future__ import annotations

import argparse

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.stacks import EPOCH_STEPS, Epochs, problem
from benchmarks.turns import machine, take_turns
from benchmarks.workloads import WORKLOADS, Workload
from nnexp.sweeps.grouping import stack_width

SHAPES = [
    *(workload for workload in WORKLOADS.values() if workload.sizes[0] < 784),
    Workload((13, 32, 3), 32),
    Workload((64, 64, 64, 10), 64),
    Workload((64, 256, 10), 64),
    Workload((30, 100, 100, 2), 64),
    Workload((784, 32, 10), 64),
    WORKLOADS["784-128-64-10"],
]
FACTORS = (0.25, 0.5, 1, 2, 4)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark widths", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="rounds of turns (9)")
    options = parser.parse_args()
    with threadpool_limits(1), np.errstate(all="ignore"):
        for name, fact in machine().items():
            print(f"{name:8}{fact}")
        print(f"\n{'network':16}{'batch':>6}{'chosen':>8}   microseconds a step and replica at each width")
        for workload in SHAPES:
            chosen = stack_width(problem(workload, 1))
            widths = sorted({max(1, round(factor * chosen)) for factor in FACTORS})
            subjects = {str(width): Epochs(workload, width) for width in widths}
            times = take_turns(subjects, options.rounds)
            steps = {name: int(name) * EPOCH_STEPS * subject.epochs for name, subject in subjects.items()}
            found = "".join(f"{name:>6}: {np.median(each) / steps[name] * 1e6:7.1f}" for name, each in times.items())
            print(f"{workload.name:16}{workload.batch:6}{chosen:8}{found}", flush=True)


if __name__ == "__main__":
    main()
