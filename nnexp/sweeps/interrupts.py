"""Interruptions: Ctrl-C and SIGTERM while a sweep trains, and what else ends a run of it before all is done."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Literal, Self

KILL_SECONDS = 5.0  # after SIGTERM: a slice that takes longer is given up; schedulers kill after ten

Cause = Literal[
    "interrupted", "terminated", "sweep_seconds", "trial_seconds", "on_error", "max_consecutive_failures"
]  # fmt: skip


@dataclass(frozen=True)
class Halt:
    """Why a run ended before all of its trials did. text: the same in one line."""

    cause: Cause
    text: str


class Interrupts:
    """Notes SIGINT and SIGTERM as long as it is entered; what they did before, they do again afterwards.

    The first Ctrl-C and SIGTERM ask for an end at the next slice, the second Ctrl-C for one at once, as does time some
    seconds after SIGTERM; the third is Python's own. A signal that is ignored stays so. Signals reach the main thread
    alone: entered in another one, it only hears `interrupt` and `terminate`.
    """

    def __init__(self) -> None:
        self.count = 0
        self.terminated_at: float | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number, handler in ((signal.SIGINT, self.interrupt), (signal.SIGTERM, self.terminate)):
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):  # None: a handler that Python cannot put back
                    self._before[number] = before
                    signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def interrupt(self, number: int = signal.SIGINT, frame: FrameType | None = None) -> None:
        """Hear a Ctrl-C."""
        self.count += 1
        if self.count > 2:
            raise KeyboardInterrupt

    def terminate(self, number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """Hear a SIGTERM."""
        self.terminated_at = self.terminated_at or time.monotonic()

    @property
    def halt(self) -> Halt | None:
        """Why to end, if there is a reason."""
        if self.terminated_at is not None:
            return Halt("terminated", "terminated by SIGTERM")
        return Halt("interrupted", "interrupted") if self.count else None

    @property
    def at_once(self) -> bool:
        """Whether to end now, not at the next slice."""
        waited = 0.0 if self.terminated_at is None else time.monotonic() - self.terminated_at
        return self.count > 1 or waited > KILL_SECONDS
