"""Hydra's side of the sweeper. `nnexp_sweeper/` is found by Hydra as a part of its `hydra_plugins` namespace."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType


def register() -> None:
    """Add this folder to the namespace package that Hydra searches for plugins, creating it if nothing provides it."""
    try:
        namespace = importlib.import_module("hydra_plugins")
    except ModuleNotFoundError:
        namespace = ModuleType("hydra_plugins")
        namespace.__path__ = []
        sys.modules["hydra_plugins"] = namespace
    folder = str(Path(__file__).parent)
    if folder not in list(namespace.__path__):
        namespace.__path__ = [*namespace.__path__, folder]


def share_config_store() -> None:
    """Let Hydra's repositories share its one ConfigStore, where they would each copy all of it.

    Hydra copies a repository, and with it the store, for every composition and every look at a group: half the time of
    a composition and two thirds of `--help`. What is loaded from the store is copied once more then, so nothing is
    shared that anybody changes.
    """
    from hydra.core.config_store import ConfigStore

    ConfigStore.__deepcopy__ = lambda store, memo: store  # type: ignore[attr-defined]
