"""Workers: a process each, with one BLAS thread; whatever becomes of it is an answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from nnexp.sweeps.workers import NOT_FOR_WORKERS, ONE_THREAD, CallFailed, Worker, WorkerDied, cores
from tests.processes import is_gone, within


def blas_threads() -> set[int]:
    """Return how many threads each BLAS of this process has."""
    import scipy.linalg

    assert scipy.linalg  # brings a BLAS of its own
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def variables() -> dict[str, str]:
    return dict(os.environ)


def end_at_once() -> None:
    os._exit(7)


def unpicklable() -> object:
    return lambda: None


def imported(name: str) -> bool:
    return name in sys.modules


def hold(megabytes: int) -> int:
    """Hold so much memory at once; return how much that is."""
    return int(np.ones(megabytes << 20, np.uint8).nbytes)


def read(path: Path) -> int:
    """Map a file and read all of it."""
    return int(np.memmap(path, mode="r", dtype=np.uint8)[::4096].max())


def answer(future: Future[Any]) -> Any:
    """Return a worker's answer; TimeoutError if there is none, which must never be."""
    return future.result(timeout=120)


@pytest.fixture
def worker() -> Iterator[Worker]:
    started = Worker()
    yield started
    started.shutdown(cancel_futures=True)


def test_a_worker_has_one_blas_thread_and_the_parent_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before, worker = dict(os.environ), Worker()
    assert dict(os.environ) == before
    assert answer(worker.submit(blas_threads)) == {1}
    told = answer(worker.submit(variables))
    assert {told[name] for name in ONE_THREAD} == {"1"}
    worker.shutdown()


def test_calls_are_answered_in_order_in_one_other_process(worker: Worker) -> None:
    pids = [worker.submit(os.getpid) for _ in range(3)]
    assert {answer(each) for each in pids} == {worker.process}
    assert worker.process != os.getpid()


def test_what_a_call_raises_is_its_answer_and_the_worker_lives(worker: Worker) -> None:
    with pytest.raises(CallFailed, match=r"^ValueError: .*'x y'$") as caught:
        answer(worker.submit(int, "x y"))
    assert caught.value.trace.startswith("Traceback (most recent call last):\n")
    assert answer(worker.submit(int, "3")) == 3


def test_a_call_that_cannot_be_sent_is_answered_and_the_worker_lives(worker: Worker) -> None:
    with pytest.raises(TypeError):
        answer(worker.submit(id, threading.Lock()))
    assert answer(worker.submit(int, "3")) == 3


def test_an_answer_that_cannot_be_sent_is_said_and_the_worker_lives(worker: Worker) -> None:
    with pytest.raises(CallFailed, match="unpicklable"):
        answer(worker.submit(unpicklable))
    assert answer(worker.submit(int, "3")) == 3


def test_what_a_call_prints_does_not_disturb_answers(capfd: pytest.CaptureFixture[str]) -> None:
    worker = Worker()
    assert answer(worker.submit(print, "hello")) is None
    assert answer(worker.submit(os.write, 1, b"hello\n")) == 6
    assert answer(worker.submit(int, "3")) == 3
    worker.shutdown()
    assert capfd.readouterr() == ("", "hello\nhello\n")


def test_a_worker_imports_no_more_than_it_needs(worker: Worker) -> None:
    for name in ("scipy.special", "mlflow", "hydra", "pandas", "pydantic", "sklearn", "yaml", "multiprocessing"):
        assert not answer(worker.submit(imported, name)), name


def test_the_death_of_a_worker_is_the_answer_to_its_call(worker: Worker) -> None:
    with pytest.raises(WorkerDied, match=r"^worker ended with exit code 7$"):
        answer(worker.submit(end_at_once))
    with pytest.raises(WorkerDied):
        answer(worker.submit(os.getpid))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_worker_that_is_killed_while_it_works_is_the_answer_to_its_call(worker: Worker, number: int) -> None:
    answer(worker.submit(os.getpid))
    call = worker.submit(time.sleep, 1000)
    within(lambda: worker.busy_seconds > 0)
    os.kill(worker.process, number)
    with pytest.raises(WorkerDied, match=f"^worker killed by {signal.Signals(number).name}$") as caught:
        answer(call)
    assert caught.value.ready
    assert worker.busy_seconds == 0


def test_a_worker_that_is_killed_before_it_has_started_says_so(worker: Worker) -> None:
    call = worker.submit(int, "3")
    os.kill(worker.process, signal.SIGKILL)
    with pytest.raises(WorkerDied) as caught:
        answer(call)
    assert not caught.value.ready


def test_a_worker_that_is_given_up_says_why(worker: Worker) -> None:
    call = worker.submit(time.sleep, 1000)
    within(lambda: worker.busy_seconds > 0)
    worker.kill("no answer for 3 s")
    with pytest.raises(WorkerDied, match=r"^no answer for 3 s$"):
        answer(call)


def test_a_shut_down_worker_is_gone_when_it_has_done_its_work() -> None:
    worker = Worker()
    last = worker.submit(int, "3")
    worker.shutdown()
    assert answer(last) == 3
    with pytest.raises(ProcessLookupError):
        os.kill(worker.process, 0)


def test_ctrl_c_and_sigterm_are_not_for_workers_not_even_while_they_start(capfd: pytest.CaptureFixture[str]) -> None:
    worker = Worker()
    for _ in range(20):
        for number in NOT_FOR_WORKERS:
            os.kill(worker.process, number)
        time.sleep(0.02)
    assert answer(worker.submit(int, "3")) == 3
    worker.shutdown()
    assert capfd.readouterr() == ("", "")


def test_a_worker_holds_no_more_memory_than_it_may_and_maps_any_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(300 << 20)
    worker = Worker(memory_mb=256)
    assert answer(worker.submit(hold, 128)) == 128 << 20
    with pytest.raises(CallFailed, match="MemoryError"):
        answer(worker.submit(hold, 256))
    assert answer(worker.submit(read, path)) == 0
    assert answer(worker.submit(hold, 128)) == 128 << 20
    worker.shutdown()


PARENT = """
import sys
from nnexp.sweeps.workers import Worker
worker = Worker()
class Mine:
    def __call__(self):
        return {then}
worker.submit(int).result()
print(worker.process, flush=True)
call = worker.submit(Mine())
print(call.result(), flush=True)
worker.shutdown()
"""


def test_a_script_needs_no_guard_and_its_classes_reach_the_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PARENT.format(then="'mine'"))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[1:] == ["mine"]
    assert done.stderr == ""


@pytest.mark.parametrize("busy", [
    "sum(range(10**13))",  # holds Python's lock: no thread of the worker can do anything
    "[__import__('numpy').sort(__import__('numpy').arange(10**8)[::-1]) for _ in range(1000)]",
    "__import__('time').sleep(1000)",
])  # fmt: skip
def test_a_worker_is_gone_with_its_parent_whatever_it_does(busy: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT.format(then=busy)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    time.sleep(0.2)  # let it begin
    assert not is_gone(worker)
    parent.kill()
    parent.communicate()
    within(lambda: is_gone(worker))


def test_there_is_a_core() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
