"""Fair timing: subjects take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

TURN_SECONDS = 0.02  # how long each subject works in a round, at least
MOST_STEPS = 500  # between two resets

Times = NDArray[np.float64]


class Subject(Protocol):
    """What is measured."""

    def reset(self) -> None:
        """Start again, so that every round does the same work."""

    def step(self) -> None:
        """Take one step."""


def take_turns(subjects: Mapping[str, Subject], rounds: int) -> dict[str, Times]:
    """Return each subject's seconds a step in each round."""
    counts = {}
    for name, subject in subjects.items():
        subject.reset()
        subject.step()
        seconds = _seconds(subject, 1)
        counts[name] = min(MOST_STEPS, 1 + int(TURN_SECONDS / seconds))
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            subject.reset()
            subject.step()  # brings its memory into the caches
            found[name].append(_seconds(subject, counts[name]))
    return {name: np.array(times) for name, times in found.items()}


def _seconds(subject: Subject, steps: int) -> float:
    start = time.process_time()
    for _ in range(steps):
        subject.step()
    return (time.process_time() - start) / steps


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    found = [
        f"{each['internal_api']} {each['version']}, kernel {each.get('architecture')}, threads {each['num_threads']}"
        for each in threadpool_info()
        if each["user_api"] == "blas"
    ]
    return {"cpu": _cpu(), "python": platform.python_version(), "numpy": np.__version__, "blas": "; ".join(found)}


def _cpu() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
