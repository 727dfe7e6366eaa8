"""Where things are, and how to look at them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def shown_path(path: Path) -> str:
    """Return a path as short as the current folder allows."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def how_to_look(uri: str, experiment_id: str) -> tuple[str, str]:
    """Return the command that starts MLflow's UI on a store, and the link to the runs in it."""
    view = f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    if uri.startswith(("http://", "https://")):
        return f"open {uri}", f"{uri.rstrip('/')}{view}"
    mlflow = shown_path(Path(sys.executable).with_name("mlflow"))
    if uri.startswith("sqlite:///"):
        uri = f"sqlite:///{shown_path(Path(uri.removeprefix('sqlite:///')))}"
    return (
        f"{shlex.quote(mlflow)} ui --workers 1 --backend-store-uri {shlex.quote(uri)}",
        f"http://127.0.0.1:5000{view}",
    )
