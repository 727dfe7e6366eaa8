"""Packages that announce components, made for a test: a module, and what an installer would write beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from nnexp import own
from nnexp.config.registration import KINDS

CUBE = '''
"""One activation."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnexp.network.activations import Activation
from nnexp.network.optimizers import SGD


@dataclass(frozen=True, kw_only=True)
class Cube(Activation):
    """g(z) = z³."""

    name: ClassVar[str] = "cube"

    def forward(self, Z, spare):
        Z **= 3

    def backward(self, dA, A, spare):
        dA *= 3 * np.cbrt(A) ** 2


@dataclass(frozen=True, kw_only=True)
class Slow(SGD):
    """Gradient descent with a smaller default."""

    name: ClassVar[str] = "slow"
    lr: float = 0.01
'''


def install(folder: Path, name: str, source: str, entries: Mapping[str, str], version: str = "1.0") -> Path:
    """Write a package into a folder as an installer would; entries: `nnexp.optimizers: slow` to `module:Class`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"[{group}]\n{own_name} = {value}\n" for (group, _, own_name), value in _parted(entries)]
    (info / "entry_points.txt").write_text("".join(lines))
    return folder


def _parted(entries: Mapping[str, str]) -> Iterator[tuple[tuple[str, str, str], str]]:
    for where, value in entries.items():
        yield where.partition(": "), value


CUBE_ENTRIES = {"nnexp.activations: cube": "cubes:Cube", "nnexp.optimizers: slow": "cubes:Slow"}


@contextmanager
def seen(*folders: Path) -> Iterator[None]:
    """Let this process find the packages of some folders, and forget them and all that was registered afterwards."""
    registered = {kind: dict(of_kind) for kind, of_kind in own.REGISTERED.items()}
    with pytest.MonkeyPatch.context() as patch:
        for folder in folders:
            patch.syspath_prepend(folder)
        _forget()
        try:
            yield
        finally:
            for kind, of_kind in registered.items():
                own.REGISTERED[kind].clear()
                own.REGISTERED[kind].update(of_kind)
    _forget()


def _forget() -> None:
    own._entries.cache_clear()
    for table in KINDS.values():
        table._loaded.clear()
