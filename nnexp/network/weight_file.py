"""Parameters that a network starts from, out of a file."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nnexp.arrays import Floats
from nnexp.errors import ConfigError, UsageError
from nnexp.network.initializer import Initializer
from nnexp.network.layout import Layout

Arrays = Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True)
class File(Initializer):
    """Starts from the arrays of an .npz file: W1 (n_1, n_0), b1 (n_1,), W2, …, as trials write their weights.

    The file is read once, when the component is made, and its arrays go with it: a file that changes later changes no
    number. What the arrays are, not where they lie, is part of a trial's key.
    Args: path: of the file. Only gammas and statistics of a normalization may be left out of it.
    Raises: ConfigError if the file is missing, cannot be read, or holds anything but finite numbers; by `check` if its
    arrays do not have the shapes of the network.
    """

    name: ClassVar[str] = "file"
    path: str = ""

    def __post_init__(self) -> None:
        # not a field: a component's fields are what can be set; an empty path is the default, refused where it is used
        object.__setattr__(self, "_arrays", _read(self.path) if self.path else None)

    @property
    def arrays(self) -> Arrays:
        """What the file holds, by name."""
        found: Arrays | None = vars(self)["_arrays"]
        if found is None:
            raise ConfigError("initializer.path must be the .npz file of a network's weights, got ''")
        return found

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "arrays": _digest(self.arrays)}

    def check(self, layout: Layout) -> None:
        try:
            layout.pack(self.arrays)
        except ConfigError:
            raise
        except UsageError as error:
            raise ConfigError(f"initializer.path {self.path!r} does not fit the network: {error}") from None

    def start(self, layout: Layout, gains: Sequence[float], rng: np.random.Generator) -> Floats:
        self.check(layout)
        return layout.pack(self.arrays)


def _read(path: str) -> Arrays:
    """Return the arrays of an .npz file; read again only if it has changed."""
    try:
        facts = Path(path).stat()
        return _read_once(path, facts.st_mtime_ns, facts.st_size)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(getattr(error, "strerror", None) or error).splitlines() or ["unreadable"])[0]
        raise ConfigError(f"initializer.path must be an .npz file of weights, got {path!r}: {reason}") from None


@lru_cache(maxsize=8)
def _read_once(path: str, changed: int, size: int) -> Arrays:
    with Path(path).open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("not an .npz file")
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ValueError(f"{name} must hold finite numbers")
    return {name: np.asarray(array, np.float64) for name, array in sorted(arrays.items())}


def _digest(arrays: Arrays) -> str:
    """Return the SHA-256 of arrays: their names, shapes and bytes."""
    sha = hashlib.sha256()
    for name, array in arrays.items():
        sha.update(f"{name} {array.shape} ".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()
