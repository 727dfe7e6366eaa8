"""The sign without branches is NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.network.sign import sign


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(values=st.lists(st.floats(allow_subnormal=False), min_size=1))
def test_the_sign_of_any_normal_number_is_numpys(dtype: str, values: list[float]) -> None:
    with np.errstate(over="ignore"):
        given = np.array(values, dtype)
    given[np.abs(given) < np.finfo(dtype).tiny] = 0
    found = np.empty_like(given)
    sign(given, out=found)
    np.testing.assert_array_equal(found, np.sign(given))
    assert found.dtype == dtype
    sign(given, out=given)
    np.testing.assert_array_equal(given, found)
