"""`nnexp.compose`, `nnexp.train` and `nnexp.sweep`: what the command line does, from Python, with typed results."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnexp.clock import Clock
from nnexp.config.build import RunSettings, build_run, build_trial
from nnexp.config.compose import resolve, unresolved
from nnexp.errors import UsageError
from nnexp.invocation import of_call
from nnexp.job import Job, carry_out, plan_single, plan_sweep
from nnexp.outcome import Swept, Trained, swept, trained
from nnexp.sweeps.interrupts import Halt
from nnexp.training.settings import TrialConfig

Override = str | Mapping[str, Any]


@dataclass(frozen=True)
class Composed:
    """A config: resolved, typed and checked. trial: what determines the numbers. run: where and how it is trained."""

    trial: TrialConfig
    run: RunSettings

    def describe(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {**self.trial.describe(), **asdict(self.run)}


def compose(*overrides: Override, config_dir: str | Path | None = None) -> Composed:
    """Return the config that overrides make, as `nnexp-run` would train it.

    Args: overrides: texts as on the command line ("optimizer=adam"), or mappings of keys to values. config_dir: a
    folder with choices of one's own, as with --config-dir.
    Raises: ConfigError, in one line, if anything is missing, unknown, of the wrong type, out of range or contradictory.
    """
    from nnexp.composing import compose_single, composing

    lines = overrides_of(overrides)
    with composing(lines, _folder(config_dir)) as composer:
        plain = resolve(unresolved(compose_single(composer, lines)))
        return Composed(build_trial(plain), build_run(plain))


def train(*overrides: Override, config_dir: str | Path | None = None) -> Trained:
    """Train one network, tracked, as `nnexp-run` with the same overrides does; once more, return what is there.

    Args: as of compose.
    Raises: NnexpError: ConfigError and other UsageErrors before anything starts, DataError, TrackingError.
    """
    from nnexp.composing import compose_single, composing

    lines, folder, clock = overrides_of(overrides), _folder(config_dir), Clock(time.perf_counter())
    with composing(lines, folder) as composer:
        job = plan_single(compose_single(composer, lines), clock)
    halt, previewed = _carry_out(job, "train", [], lines, folder)
    return trained(job.plan, job.folder, halt, previewed=previewed)


def sweep(*overrides: Override, config_dir: str | Path | None = None) -> Swept:
    """Train every combination of overrides, tracked, as `nnexp-run -m` with the same ones does; once more, do what is
    missing and return what is there.

    Args: as of compose; a text as "seed=0,1,2", a tuple or a range in a mapping are several choices.
    Raises: as train.
    """
    from nnexp.composing import composing, sweep_overrides

    lines, folder, clock = overrides_of(overrides), _folder(config_dir), Clock(time.perf_counter())
    with composing(lines, folder) as composer:
        job = plan_sweep(composer, sweep_overrides(composer, lines), clock)
    halt, previewed = _carry_out(job, "sweep", ["-m"], lines, folder)
    return swept(job.plan, job.folder, halt, previewed=previewed)


def _carry_out(
    job: Job, function: str, options: Sequence[str], overrides: Sequence[str], folder: Path | None
) -> tuple[Halt | None, bool]:
    """Return why it ended early, if it did, and whether it was only previewed."""
    ran = carry_out(job, of_call(function, options, overrides, folder))
    halt = None if ran is None else ran.halt
    if halt is not None and halt.cause == "terminated" and threading.current_thread() is threading.main_thread():
        signal.raise_signal(signal.SIGTERM)  # it was the program's: what is saved is saved, now it goes where it went
    return halt, ran is None


def overrides_of(given: Sequence[Override]) -> list[str]:
    """Return overrides as texts in Hydra's grammar.

    Raises: UsageError if one is neither a text nor a mapping, or has a value that no override can have.
    """
    found: list[str] = []
    for each in given:
        if isinstance(each, str):
            found.append(each)
        elif isinstance(each, Mapping):
            found += [f"{key}={_written(key, value)}" for key, value in each.items()]
        else:
            raise UsageError(f"an override is a text or a mapping, got {each!r}")
    return found


def _written(key: str, value: Any) -> str:
    """Return a value as an override has it: a text as it is, several choices for a tuple or a range."""
    if isinstance(value, str):
        return value
    if isinstance(value, range):
        return f"range({value.start},{value.stop},{value.step})"
    if isinstance(value, tuple):
        if not value:
            raise UsageError(f"{key} has no choices: the tuple is empty")
        return ",".join(each if isinstance(each, str) else _literal(key, each) for each in value)
    return _literal(key, value)


def _literal(key: str, value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):  # Hydra reads a backslash as itself, but in front of a quote
        return "'" + re.sub(r"(\\*)('|$)", lambda at: 2 * at[1] + at[2].replace("'", "\\'"), value) + "'"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(_literal(key, each) for each in value)}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_literal(key, each)}" for name, each in value.items()) + "}"
    raise UsageError(f"{key} has a value that no setting can have: {value!r}")


def _folder(config_dir: str | Path | None) -> Path | None:
    return None if config_dir is None else Path(config_dir)
