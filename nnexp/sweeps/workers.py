"""Workers: one single-process executor a core, each with one BLAS thread, gone when the parent is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process

from nnexp.training.advance import advance
from nnexp.training.state import Problem, Slice, State, begin

# Read by NumPy's libraries when they are loaded, so set before a worker starts. More threads are slower for such
# networks and change bits: 1 and 2 OpenBLAS threads gave different ones in 15 of 21 float32 products.
ONE_THREAD = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class Done:
    """What a worker returns of a slice."""

    state: State
    observed: Slice
    wall_seconds: float


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Single-process executors; `submit` uses one that is free."""

    def __init__(self, count: int) -> None:
        context = get_context("spawn")
        self._free = [ProcessPoolExecutor(1, mp_context=context, initializer=_live_with_parent) for _ in range(count)]
        self._all = list(self._free)
        self._busy: dict[Future[Done], ProcessPoolExecutor] = {}

    @property
    def free(self) -> int:
        """How many workers have nothing to do."""
        return len(self._free)

    def submit(self, problem: Problem, state: State | None, epochs: int) -> Future[Done]:
        """Train a slice on a free worker. Without a state the training begins."""
        executor = self._free.pop()
        with _one_thread():
            future = executor.submit(work, problem, state, epochs)
        self._busy[future] = executor
        return future

    def release(self, future: Future[Done]) -> None:
        """Say that a slice is done and its worker free again."""
        self._free.append(self._busy.pop(future))

    def stop(self, *, at_once: bool) -> None:
        """End the processes: when they are done, or at once."""
        for executor in self._all:
            if at_once:
                for process in list((executor._processes or {}).values()):
                    process.kill()
            executor.shutdown(wait=not at_once, cancel_futures=True)


def work(problem: Problem, state: State | None, epochs: int) -> Done:
    """Train a slice; runs in a worker."""
    began = time.perf_counter()
    state, observed = advance(problem, begin(problem) if state is None else state, epochs)
    return Done(state, observed, time.perf_counter() - began)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that start here have one BLAS thread."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _live_with_parent() -> None:
    """In a worker: leave Ctrl-C to the parent, and end when the parent ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
