"""Checkpoints: a stack's state as a plain .npz file, from which its training goes on bit for bit."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path

import numpy as np

from nnexp.errors import DataError
from nnexp.training.state import State


def save(state: State, path: Path) -> str:
    """Write a state, whole or not at all, on the disk when this returns; return the SHA-256 of the file."""
    building = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with building.open("w+b") as file:
            np.savez(file, allow_pickle=False, **vars(state))
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            sha = hashlib.file_digest(file, "sha256").hexdigest()
        building.replace(path)
    finally:
        building.unlink(missing_ok=True)
    sync_folder(path.parent)
    return sha


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


def check(path: Path, sha256: str) -> None:
    """Raise DataError unless a file is there and has a SHA-256."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if found != sha256:
        raise DataError(f"{path} is damaged")


def sync_folder(folder: Path) -> None:
    """Let the names of a folder's files be on the disk; nothing where folders cannot be opened."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
