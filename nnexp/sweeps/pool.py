"""The pool: workers that are free, those that train a stack, and new ones in place of those that died."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait
from types import TracebackType
from typing import Self

from nnexp.sweeps.stacks import Stack
from nnexp.sweeps.workers import Done, Worker, WorkerDied, work


class Pool:
    """Some workers, entered until they are not needed any more; then all of them are gone at once.

    Args: memory_mb: that each may hold.
    """

    def __init__(self, count: int, memory_mb: int | None) -> None:
        self.count, self._memory_mb = count, memory_mb
        self._free: list[Worker] = []
        self._busy: dict[Future[Done], tuple[Worker, Stack]] = {}

    def __enter__(self) -> Self:
        for _ in range(self.count):
            self._add()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def has_room(self) -> bool:
        """Whether a worker is free."""
        return bool(self._free)

    @property
    def is_idle(self) -> bool:
        """Whether no worker trains."""
        return not self._busy

    def train(self, stack: Stack, epochs: int) -> None:
        """Let a free worker train a stack's next slice."""
        worker = self._free.pop()
        self._busy[worker.submit(work, stack.problem, stack.state, epochs)] = worker, stack

    def answers(self, seconds: float) -> list[tuple[Stack, Future[Done]]]:
        """Wait for answers, not for long; a worker that died is replaced."""
        done, _ = wait(self._busy, timeout=seconds, return_when=FIRST_COMPLETED)
        found = []
        for future in done:
            worker, stack = self._busy.pop(future)
            if isinstance(future.exception(), WorkerDied):
                worker.shutdown()
                self._add()
            else:
                self._free.append(worker)
            found.append((stack, future))
        return found

    def busy(self) -> list[tuple[Worker, Stack]]:
        """Return the workers that train, and what."""
        return list(self._busy.values())

    def end(self) -> None:
        """End all workers at once; they hold nothing that is not held here."""
        workers = [*self._free, *(worker for worker, _ in self._busy.values())]
        self._free, self._busy = [], {}
        for worker in workers:
            worker.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.shutdown()

    def _add(self) -> None:
        self._free.append(Worker(self._memory_mb))
