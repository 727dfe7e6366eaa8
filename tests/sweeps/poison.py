"""A schedule that harms the worker that trains with it, for tests of what becomes of the others."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from nnexp.network.schedules import Constant, Memory


@dataclass(frozen=True, kw_only=True)
class Poison(Constant):
    """A constant rate, and harm after an epoch: of a kind, so many times.

    Each time is a file in a folder, because workers do not remember.
    """

    name: ClassVar[str] = "poison"
    kind: str = "raise"
    epoch: int = 1
    times: int = 10**6
    folder: str = ""

    def judge(self, memory: Memory, value: float, direction: str, *, epoch: int) -> Memory:
        if epoch == self.epoch and self._again():
            HARMS[self.kind]()
        return memory

    def _again(self) -> bool:
        folder = Path(self.folder)
        before = len(list(folder.glob("harm-*"))) if self.folder else 0
        if self.folder:
            (folder / f"harm-{before}").touch()
        return before < self.times


def _raise() -> None:
    raise ValueError("no luck\nat all")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _exit() -> None:
    os._exit(3)


def _hang() -> None:
    time.sleep(10**6)


def _hold() -> None:
    np.ones(1 << 32, np.uint8)


HARMS = {"raise": _raise, "kill": _kill, "crash": _crash, "exit": _exit, "hang": _hang, "hold": _hold}
