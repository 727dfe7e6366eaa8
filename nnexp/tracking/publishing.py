"""Publishing: a report among the files of a sweep's run in MLflow."""

from __future__ import annotations

from pathlib import Path

from nnexp.errors import TrackingError
from nnexp.tracking.store import Store, import_mlflow, knock, one_line

PLACE = "report"  # of a run's artifacts
APART = ("snapshot",)  # what the run has already


def publish(store: Store, run: str, folder: Path) -> None:
    """Upload a report's files to a run, as report/….

    Raises: TrackingError if the store does not take them.
    """
    import_mlflow()
    from mlflow import MlflowClient

    try:
        knock(store)
        client = MlflowClient(tracking_uri=store.uri)
        for path in sorted(folder.iterdir()):
            if path.name in APART:
                continue
            if path.is_dir():
                client.log_artifacts(run, str(path), f"{PLACE}/{path.name}")
            else:
                client.log_artifact(run, str(path), PLACE)
    except TrackingError:
        raise
    except Exception as error:  # of MLflow, of where its artifacts are
        said = one_line(error, store.uri)
        raise TrackingError(f"MLflow's store {store.address} has not taken the report: {said}") from None
