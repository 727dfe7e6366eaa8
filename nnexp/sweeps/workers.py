"""Workers: one process each, with one BLAS thread, gone when the parent is gone."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from queue import SimpleQueue
from typing import Any

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


class Worker(Executor):
    """An executor of one spawned process, whose death is an answer.

    Python's own ProcessPoolExecutor waits for ever if its process is killed while it sends a result: its parent holds
    the sending end of the pipe too, so the end of file never comes. Here it does, and only this worker's call fails.
    """

    def __init__(self) -> None:
        context = get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), daemon=True)
        with _one_thread(), _no_interrupts():
            self._process.start()
        there.close()
        self._calls: SimpleQueue[tuple[Future[Any], Any] | None] = SimpleQueue()
        threading.Thread(target=self._relay, daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in the process; BrokenExecutor is the answer if it dies, RuntimeError if the call raises."""
        future: Future[Any] = Future()
        self._calls.put((future, (fn, args, kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the process when it is done; at once if its calls are to be cancelled."""
        if cancel_futures:
            self._process.kill()
        self._calls.put(None)
        if wait:
            self._process.join()

    def _relay(self) -> None:
        while (call := self._calls.get()) is not None:
            future, work = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                self._here.send(work)
                failure, value = self._here.recv()
            except (EOFError, OSError):
                self._process.join()
                future.set_exception(BrokenExecutor(f"exit code {self._process.exitcode}"))
            except Exception as error:  # a call or an answer that cannot be pickled
                future.set_exception(error)
            else:
                if failure is None:
                    future.set_result(value)
                else:
                    future.set_exception(RuntimeError(failure))
        self._here.close()


@dataclass(frozen=True)
class Done:
    """What a worker returns of a slice."""

    state: State
    observed: Slice
    wall_seconds: float


def work(problem: Problem, state: State | None, epochs: int) -> Done:
    """Train a slice; without a state the training begins. Runs in a worker."""
    began = time.perf_counter()
    state, observed = advance(problem, begin(problem) if state is None else state, epochs, overwrite=True)
    return Done(state, observed, time.perf_counter() - began)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(calls: connection.Connection[Any, Any]) -> None:
    """In a worker: answer calls until there are no more. Ctrl-C is the parent's; where it ends, the worker ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            calls.send_bytes(_answer(calls.recv_bytes()))


def _answer(call: bytes) -> bytes:
    try:
        fn, args, kwargs = pickle.loads(call)
        return pickle.dumps((None, fn(*args, **kwargs)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        trace = "".join(traceback.format_tb(error.__traceback__)[-1:]).strip().replace("\n", " ")
        return pickle.dumps((f"{type(error).__name__}: {error} ({trace})", None))


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


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


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Let processes that start here never get Ctrl-C, not even in the second before they can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
