"""Workers: a process each, with one BLAS thread; whatever becomes of it is an answer."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from typing import Any

import pytest
from threadpoolctl import threadpool_info

from nnexp.sweeps.workers import ONE_THREAD, Worker, cores


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


def answer(future: Future[Any]) -> Any:
    """Return a worker's answer; TimeoutError if there is none, which must never be."""
    return future.result(timeout=60)


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
    assert len({answer(each) for each in pids}) == 1
    assert answer(pids[0]) != os.getpid()


def test_what_a_call_raises_is_its_answer_and_the_worker_lives(worker: Worker) -> None:
    with pytest.raises(RuntimeError, match=r"ValueError: .*'x'") as caught:
        answer(worker.submit(int, "x"))
    assert "\n" not in str(caught.value)
    assert answer(worker.submit(int, "3")) == 3


def test_a_call_that_cannot_be_sent_is_answered_and_the_worker_lives(worker: Worker) -> None:
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        answer(worker.submit(lambda: None))
    assert answer(worker.submit(int, "3")) == 3


def test_an_answer_that_cannot_be_sent_is_said_and_the_worker_lives(worker: Worker) -> None:
    with pytest.raises(RuntimeError, match="unpicklable"):
        answer(worker.submit(unpicklable))
    assert answer(worker.submit(int, "3")) == 3


def test_the_death_of_a_worker_is_the_answer_to_its_call(worker: Worker) -> None:
    with pytest.raises(BrokenExecutor, match="7"):
        answer(worker.submit(end_at_once))
    with pytest.raises(BrokenExecutor):
        answer(worker.submit(os.getpid))


def test_a_worker_that_is_killed_while_it_works_is_the_answer_to_its_call(worker: Worker) -> None:
    pid = answer(worker.submit(os.getpid))
    call = worker.submit(time.sleep, 1000)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(BrokenExecutor):
        answer(call)


def test_a_shut_down_worker_is_gone_when_it_has_done_its_work() -> None:
    worker = Worker()
    pid, last = worker.submit(os.getpid), worker.submit(int, "3")
    worker.shutdown()
    assert answer(last) == 3
    with pytest.raises(ProcessLookupError):
        os.kill(answer(pid), 0)


def test_ctrl_c_is_not_for_workers_not_even_while_they_start(capfd: pytest.CaptureFixture[str]) -> None:
    worker = Worker()
    for _ in range(20):
        os.kill(_pid(worker), signal.SIGINT)
        time.sleep(0.02)
    assert answer(worker.submit(int, "3")) == 3
    worker.shutdown()
    assert capfd.readouterr() == ("", "")


def _pid(worker: Worker) -> int:
    """Return a worker's process before it answers anything."""
    pid = worker._process.pid
    assert pid is not None
    return pid


def test_there_is_a_core() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
