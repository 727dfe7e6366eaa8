"""The files of a trial: its config, its history and its weights, in a folder of its own."""

from __future__ import annotations

from pathlib import Path


def trial_folder(folder: Path, key: str) -> Path:
    """Return where a trial's files are, below its sweep's folder."""
    return folder / "trials" / key[:16]
