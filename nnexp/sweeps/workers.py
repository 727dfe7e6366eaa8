"""Workers: one process each, with one BLAS thread, gone when the parent is gone."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

import numpy as np

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
NOT_FOR_WORKERS = (signal.SIGINT, signal.SIGTERM)  # a terminal and a scheduler send them to all; the parent decides
OUT_OF_MEMORY = 86  # exit code of a worker that cannot even say so
PR_SET_PDEATHSIG = 1  # of Linux's prctl
MEGABYTE = 1 << 20


class WorkerDied(BrokenExecutor):  # named for what happened, as BrokenExecutor is
    """A worker's process is gone. Its text says how, in a few words. ready: whether it had started to take calls."""

    def __init__(self, how: str, *, ready: bool = True) -> None:
        super().__init__(how)
        self.ready = ready


class CallFailed(RuntimeError):  # noqa: N818
    """A call raised in a worker, which lives. Its text is one line, `ValueError: …`; trace: the whole traceback."""

    def __init__(self, line: str, trace: str) -> None:
        super().__init__(line)
        self.trace = trace


class Worker(Executor):
    """An executor of one new process, whose death is an answer.

    Python's own ProcessPoolExecutor waits for ever if its process is killed while it sends a result: its parent holds
    the sending end of the pipe too, so the end of file never comes. Here it does, and only this worker's call fails.
    multiprocessing would import the main script again in each; here it is not touched, and needs no guard.

    Args: memory_mb: the most memory that the process may hold beside files that it maps; None is no limit of its own.
    The thread that makes it must live as long: Linux ends the process with it.
    """

    def __init__(self, memory_mb: int | None = None) -> None:
        start = f"import sys; sys.path[:] = {sys.path}; from nnexp.sweeps.workers import serve; "
        start += f"serve({os.getpid()}, {memory_mb})"
        with _unheard():
            self._process = subprocess.Popen(
                [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env=os.environ | dict.fromkeys(ONE_THREAD, "1"),
            )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._calls_to, self._answers_from = self._process.stdin, self._process.stdout
        self._why: str | None = None
        self._busy_since: float | None = None
        self._calls: SimpleQueue[tuple[Future[Any], Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()

    @property
    def busy_seconds(self) -> float:
        """For how long it has worked on a call; 0 while it has none, and before it has started."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def process(self) -> int:
        """The number of its process."""
        return self._process.pid

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in the process; the answer is WorkerDied if it dies, CallFailed if the call raises."""
        future: Future[Any] = Future()
        self._calls.put((future, (fn, args, kwargs)))
        return future

    def kill(self, why: str) -> None:
        """End the process at once; its call is answered by WorkerDied, which says why."""
        self._why = why
        self._process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the process when it is done; at once if its calls are to be cancelled."""
        if cancel_futures:
            self._process.kill()
        self._calls.put(None)
        if wait:
            self._thread.join()
            self._process.wait()

    def _relay(self) -> None:
        """In a thread of its own: hand calls over one by one."""
        ready = False
        while (call := self._calls.get()) is not None:
            future, work = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                ready = ready or pickle.loads(_receive(self._answers_from))
                sent = _pickled(work)
                self._busy_since = time.monotonic()
                _send(self._calls_to, sent)
                failure, value = pickle.loads(_receive(self._answers_from))
            except (EOFError, OSError):
                future.set_exception(WorkerDied(self._why or _how(self._process.wait()), ready=ready))
            except Exception as error:  # a call that cannot be pickled
                future.set_exception(error)
            else:
                if failure is None:
                    future.set_result(value)
                else:
                    future.set_exception(CallFailed(*failure))
            finally:
                self._busy_since = None
        for end in (self._calls_to, self._answers_from):
            with suppress(OSError):
                end.close()


def _pickled(call: Any) -> bytes:
    """Return a call as bytes. Classes of a script or a notebook go along: workers do not know where to find them."""
    try:
        sent = pickle.dumps(call, pickle.HIGHEST_PROTOCOL)
        if b"__main__" not in sent:
            return sent
    except (AttributeError, TypeError, pickle.PicklingError):
        pass
    import cloudpickle

    return bytes(cloudpickle.dumps(call, pickle.HIGHEST_PROTOCOL))


def _send(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(len(content).to_bytes(8))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes:
    """Return what was sent. Raises: EOFError if the other end was closed before all of it was."""
    length = int.from_bytes(_exactly(pipe, 8))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError
    return content


def _how(code: int | None) -> str:
    """Return how a process ended, in a few words."""
    if code is None or code >= 0:
        return "worker reached its memory limit" if code == OUT_OF_MEMORY else f"worker ended with exit code {code}"
    try:
        return f"worker killed by {signal.Signals(-code).name}"
    except ValueError:  # a signal without a name
        return f"worker killed by signal {-code}"


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


def count_workers(asked: int | str) -> int:
    """Return how many workers a setting asks for: `auto` is one a core."""
    return cores() if asked == "auto" else int(asked)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def serve(parent: int, memory_mb: int | None) -> None:
    """Be a worker: answer calls until there are no more. Where the parent ends, this process ends."""
    for number in NOT_FOR_WORKERS:
        signal.signal(number, signal.SIG_IGN)
    _die_with(parent)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what somebody's component prints
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, calls), daemon=True).start()
    if memory_mb is not None:
        _limit_memory(memory_mb)
    try:
        _send(answers, pickle.dumps(True))
        while True:
            _send(answers, _answer(calls.get()))
    except MemoryError:  # of the call or the answer itself
        os._exit(OUT_OF_MEMORY)
    except OSError:  # nobody listens any more
        os._exit(1)


def _read(pipe: IO[bytes], calls: SimpleQueue[bytes]) -> None:
    """In a thread of a worker's own: take calls. When the parent has no more, or is gone, the worker ends."""
    try:
        while True:
            calls.put(_receive(pipe))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (EOFError, OSError):
        os._exit(0)


def _answer(call: bytes) -> bytes:
    try:
        fn, args, kwargs = pickle.loads(call)
        return pickle.dumps((None, fn(*args, **kwargs)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        line = " ".join(f"{type(error).__name__.removeprefix('_Array')}: {error}".split()).removesuffix(":")
        return pickle.dumps(((line, traceback.format_exc()), None))


def _die_with(parent: int) -> None:
    """Let this process end with its parent, in the middle of a product too, where the system offers it."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before
            os._exit(1)


def _limit_memory(megabytes: int) -> None:
    """Limit what this process may hold.

    RLIMIT_AS would count the files that it maps, a data set of any size, too. RLIMIT_DATA counts what is reserved
    rather than held, some 50 MB more before the first call: that much is added.
    """
    status = Path("/proc/self/status")
    if not status.exists():  # elsewhere the system takes such a limit and ignores it
        return
    import resource

    np.ones((64, 64), np.float32) @ np.ones((64, 64), np.float32)  # reserves what BLAS works in
    facts = dict(line.split(":", 1) for line in status.read_text().splitlines())
    reserved, held = (int(facts[name].split()[0]) * 1024 for name in ("VmData", "VmRSS"))
    most = max(reserved, reserved - held + megabytes * MEGABYTE)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


@contextmanager
def _unheard() -> Iterator[None]:
    """Let processes that start here never get what is the parent's, not even in the second before they ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NOT_FOR_WORKERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
