"""The normal distribution's function is SciPy's, to what the type can tell."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from nnexp.network.normal import normal

Z = np.concatenate([np.linspace(-12, 12, 200_001), [0.0, -0.0, 1e-30, -1e-30, 1e30, -1e30, np.inf, -np.inf]])


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-7), ("float64", 1e-15)])
def test_it_is_scipys(dtype: str, tolerance: float) -> None:
    given = Z.astype(dtype)
    found = np.empty_like(given)
    with np.errstate(over="ignore"):
        normal(given, out=found, spare=np.empty_like(given))
    np.testing.assert_allclose(found, ndtr(given.astype(np.float64)), rtol=0, atol=tolerance)
    assert found.dtype == dtype
    assert ((found >= 0) & (found <= 1)).all()
    assert np.array_equal(given, Z.astype(dtype))


def test_what_is_no_number_stays_none() -> None:
    found = np.empty(1, np.float32)
    normal(np.array([np.nan], np.float32), out=found, spare=np.empty_like(found))
    assert np.isnan(found).all()
