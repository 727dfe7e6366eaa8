"""How a sweep was asked for: by a command, or by a call in somebody's program."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnexp.tracking.store import told


@dataclass(frozen=True)
class Invocation:
    """How a sweep was asked for.

    argv: arguments of nnexp-run that do the same. again: what goes on with it, which may be shown.
    """

    argv: Sequence[str]
    again: str


def of_command() -> Invocation:
    """Return how this process was called."""
    program = "python -m nnexp.run" if sys.argv[0].endswith("run.py") else Path(sys.argv[0]).name
    return Invocation(sys.argv[1:], f"{program} {shlex.join(map(told, sys.argv[1:]))}")


def of_call(function: str, options: Sequence[str], overrides: Sequence[str], config_dir: Path | None) -> Invocation:
    """Return what a call of nnexp's function does. Args: options: of nnexp-run that do the same."""
    folder = [] if config_dir is None else ["--config-dir", str(config_dir)]
    said = [*map(repr, map(told, overrides)), *([] if config_dir is None else [f"config_dir={str(config_dir)!r}"])]
    return Invocation([*options, *folder, *overrides], f"nnexp.{function}({', '.join(said)})")
