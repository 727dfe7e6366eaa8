"""Measures memory: what a stack holds to the sum of its arrays, and what workers hold of the data they share.

stack    the most that Python and NumPy have allocated at once during two epochs, with everything that happens in them,
         to the sum of the stack's arrays: those that its state and its buffers hold from the first epoch to the last;
         beside it what its replicas need at least: parameters, gradient, slots, best parameters, and a mini-batch's
workers  resident memory of two workers that train on one array of 60,000 x 784 float32 numbers (188 MB), and how much
         of it is a worker's own (private): if each had copied the data, that would be more than 188 MB
"""

from __future__ import annotations

import argparse
import tempfile
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.stacks import problem
from benchmarks.turns import machine
from benchmarks.workloads import WORKLOADS, Workload
from nnexp.data.prepared import from_arrays, store
from nnexp.sweeps.grouping import stack_width
from nnexp.sweeps.workers import Worker, work
from nnexp.training.advance import advance
from nnexp.training.costs import counts
from nnexp.training.running import Run
from nnexp.training.state import begin

EXAMPLES = 60_000
MB = 1e6


def stack(workload: Workload, width: int) -> tuple[float, float, float]:
    """Return bytes: the most that a stack has held in two epochs, the sum of its arrays, and what its replicas need."""
    given = problem(workload, width)
    given = replace(given, training=replace(given.training, epochs=2))
    needed = width * counts(given, 0, epochs=2)["array_bytes"]
    state = begin(given)
    arrays = dict(_arrays([state, Run(given, state)], [given.data]))
    kept = float(sum(arrays.values()))
    del state, arrays
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    advance(given, begin(given), 2, overwrite=True)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most - before, kept, needed


def _arrays(things: Sequence[Any], known: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Yield identity and bytes of the memory of every array that things hold, however deep, but for what is known."""
    seen, waiting = {id(each) for each in known}, list(things)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            whole = thing
            while isinstance(whole.base, np.ndarray):
                whole = whole.base
            if whole.base is None:
                yield id(whole), whole.nbytes
        elif isinstance(thing, dict):
            waiting += thing.values()
        elif isinstance(thing, list | tuple):
            waiting += thing
        elif type(thing).__module__.startswith("nnexp."):
            waiting += vars(thing).values() if hasattr(thing, "__dict__") else []


def resident() -> dict[str, float]:
    """Return what this process holds in memory, in bytes, as Linux counts it. Runs in a worker."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: float(line.split()[1]) * 1024 for line in lines}
    return {
        "resident": sizes["Rss"],
        "private": sizes["Private_Clean"] + sizes["Private_Dirty"],
        "proportional": sizes["Pss"],
    }


def workers(count: int) -> tuple[Sequence[dict[str, float]], Sequence[dict[str, float]], float]:
    """Return what workers hold before and after an epoch on one large array, and the array's bytes."""
    workload = WORKLOADS["784-128-64-10"]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((EXAMPLES, 784), np.float32)
    y = rng.integers(0, 10, EXAMPLES)
    cut = EXAMPLES // 6
    with tempfile.TemporaryDirectory() as folder:
        data = store(from_arrays((X[cut:], y[cut:]), (X[:cut], y[:cut]), classes=10), Path(folder) / "data")
        given = replace(problem(workload, 2), data=data)
        pool = [Worker() for _ in range(count)]
        try:
            before = [worker.submit(resident).result() for worker in pool]
            training = [worker.submit(work, given, None, 1) for worker in pool]
            for each in training:
                each.result()
            after = [worker.submit(resident).result() for worker in pool]
        finally:
            for worker in pool:
                worker.shutdown()
    return before, after, float(data.rows.nbytes)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    for name, fact in machine().items():
        print(f"{name:8}{fact}")
    print(f"\n{'stack':18}{'width':>6}{'held, MB':>12}{'arrays, MB':>12}{'ratio':>8}{'least, MB':>12}")
    with threadpool_limits(1), np.errstate(all="ignore"):
        for name, workload in WORKLOADS.items():
            width = stack_width(problem(workload, 1))
            held, kept, least = (each / MB for each in stack(workload, width))
            print(f"{name:18}{width:6}{held:12.2f}{kept:12.2f}{held / kept:8.2f}{least:12.2f}", flush=True)
    if Path("/proc/self/smaps_rollup").exists():
        before, after, size = workers(2)
        print(f"\ntwo workers, {size / MB:.0f} MB of data      resident, MB  private, MB  proportional, MB")
        for when, found in (("before", before), ("after an epoch", after)):
            for number, each in enumerate(found, start=1):
                figures = "".join(f"{each[key] / MB:14.0f}" for key in ("resident", "private", "proportional"))
                print(f"  worker {number}, {when:15}{figures}")


if __name__ == "__main__":
    main()
