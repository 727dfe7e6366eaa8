"""Components for the fault matrix: one that witnesses every epoch, one that harms its worker, data in a file."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nnexp.data.sources import Examples, Source
from nnexp.training.metrics import Direction
from nnexp.training.stopping import Memory, Patience

WITNESS = "NNEXP_FAULTS_WITNESS"  # names the file that epochs are told to
FILE = "NNEXP_FAULTS_DATA"  # names the file that examples come from


@dataclass(frozen=True, kw_only=True)
class Witness(Patience):
    """Patience that tells a file of every epoch as it is trained: when, in which process, the epoch and its objective.

    A line is one write to a file that is appended to: those of a process that is killed are whole.
    """

    name: ClassVar[str] = "witness"

    def judge(self, memory: Memory, value: float, direction: Direction) -> Memory:
        path = os.environ.get(WITNESS)
        if path:
            line = f"{time.time():.6f} {os.getpid()} {float(value).hex()}\n"
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, line.encode())
            os.close(file)
        return super().judge(memory, value, direction)


@dataclass(frozen=True, kw_only=True)
class Poison(Patience):
    """Training that ends its worker, hangs, fills the memory or raises, after so many epochs.

    Args: way: abort, hang, memory or raise. after: recorded epochs that go well.
    """

    name: ClassVar[str] = "poison"
    way: str = "abort"
    after: int = 3

    def judge(self, memory: Memory, value: float, direction: Direction) -> Memory:
        told = memory[1] + 1
        if told > self.after:
            self._harm()
        return np.array([value, told])

    def _harm(self) -> None:
        if self.way == "abort":
            os.abort()
        held: list[NDArray[np.float64]] = []
        while self.way == "hang":
            time.sleep(0.01)
        while self.way == "memory":
            held.append(np.ones(1 << 20))  # 8 MB, touched
        raise RuntimeError("poison")


@dataclass(frozen=True, kw_only=True)
class InFile(Source):
    """Examples of two arrays, X and y, in the file that a variable names."""

    name: ClassVar[str] = "in_file"
    class_count: ClassVar[int | None] = 10

    def load(self) -> Examples:
        with np.load(Path(os.environ[FILE])) as stored:
            return Examples(stored["X"], stored["y"])
