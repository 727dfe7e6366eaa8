"""Where things are, and how to look at them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def shown_path(path: Path) -> str:
    """Return a path as short as the current folder allows."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def how_to_look(store: str, page: str | None, root: Path, sweep: str | None = None) -> tuple[str, ...]:
    """Return the command that opens MLflow's UI, and the link to what it shows.

    Args: store: its address, without credentials. page: the link, relative to where the UI is; None if it is not
    known. root: where nnexp wrote.
    sweep: the sweep's name, None for a trial of its own.
    """
    if store.startswith(("http://", "https://")):
        return _with_link(f"open {store}", store.rstrip("/"), page)
    words = [shown_path(Path(sys.executable)), "-m", "nnexp.ui", *([sweep] if sweep else [])]
    if root != Path("runs").resolve():
        words += ["--root", shown_path(root)]
    return _with_link(shlex.join(words), "http://127.0.0.1:5000", page)


def _with_link(command: str, server: str, page: str | None) -> tuple[str, ...]:
    return (command,) if page is None else (command, f"{server}/{page}")


def how_to_free(uri: str) -> str:
    """Return the command that frees what was deleted in a store, and its artifacts, for good."""
    if uri.startswith(("http://", "https://")):
        return f"mlflow gc --tracking-uri {uri} --backend-store-uri …"
    return f"{_mlflow()} gc --backend-store-uri {_shown_uri(uri)} --tracking-uri {_shown_uri(uri)}"


def _mlflow() -> str:
    return shlex.quote(shown_path(Path(sys.executable).with_name("mlflow")))


def _shown_uri(uri: str) -> str:
    path = uri.removeprefix("sqlite:///")
    return shlex.quote(uri if path == uri else f"sqlite:///{shown_path(Path(path))}")
