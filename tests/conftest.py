"""What all tests share: one BLAS thread, as in a worker, and the same Hypothesis examples everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

settings.register_profile("nnexp", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("nnexp")


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """Train in the test process as a worker does: other numbers of threads give other bits."""
    with threadpool_limits(1):
        yield
