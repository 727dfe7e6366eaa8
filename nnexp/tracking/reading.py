"""Reading back what was recorded: a run's config, exactly as it was resolved."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.errors import TrackingError
from nnexp.tracking.entries import DIGEST, WHOLE, config_of

if TYPE_CHECKING:
    from mlflow import MlflowClient


def read_config(client: MlflowClient, run_id: str) -> dict[str, Any]:
    """Return the resolved config of a trial's run.

    Raises: TrackingError if what its params stand for is missing or damaged.
    """
    params = client.get_run(run_id).data.params
    return config_of(params, _whole(client, run_id) if is_cut(params) else {})


def is_cut(params: Mapping[str, str]) -> bool:
    """Return whether an artifact has what some params could not hold."""
    return any(value.startswith(DIGEST) or f":{DIGEST}" in name for name, value in params.items())


def _whole(client: MlflowClient, run_id: str) -> dict[str, tuple[str, str]]:
    """Return the names and values that params could not hold."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            text = Path(client.download_artifacts(run_id, WHOLE, folder)).read_text(encoding="utf-8")
            return {short: (str(name), str(value)) for short, (name, value) in json.loads(text).items()}
        except Exception as error:  # of MLflow, of where its artifacts are, of JSON
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise TrackingError(f"run {run_id}: its artifact {WHOLE} cannot be read: {told}") from None
