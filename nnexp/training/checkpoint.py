"""Checkpoints: a stack's state as a plain .npz file, from which its training goes on bit for bit."""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path

import numpy as np

from nnexp.errors import DataError
from nnexp.training.state import State


def save(state: State, path: Path) -> None:
    """Write a state, whole or not at all."""
    building = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with building.open("wb") as file:
        np.savez(file, allow_pickle=False, **vars(state))
    building.replace(path)


def load(path: Path) -> State:
    """Return the state of a checkpoint.

    Raises: DataError if the file is none.
    """
    names = [field.name for field in fields(State)]
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is no checkpoint of this version: {error}") from None
    return State(**{**found, "epoch": int(found["epoch"])})
