"""What tests share: one BLAS thread, as in a worker, the same Hypothesis examples everywhere, an empty store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

from nnexp.tracking.store import Store, open_store

settings.register_profile("nnexp", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("nnexp")


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """Train in the test process as a worker does: other numbers of threads give other bits."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store without a run, to copy: MLflow takes seconds to make one."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    open_store(Store(f"sqlite:///{path}", "nobody's", path.parent))
    return path
