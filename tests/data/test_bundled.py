"""The sets that scikit-learn brings are what its loaders return, bit for bit, mostly without importing it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn import datasets

from nnexp.data import bundled
from nnexp.data.bundled import TABLES, read_bundled

LOADERS = [*TABLES, "load_diabetes", "load_linnerud"]


@pytest.mark.parametrize("loader", LOADERS)
def test_a_set_is_what_its_loader_returns(loader: str) -> None:
    X, y = read_bundled(loader)
    expected = [np.ascontiguousarray(each) for each in getattr(datasets, loader)(return_X_y=True)]
    assert X.dtype == np.float64
    assert y.dtype == (np.intp if loader in TABLES else np.float64)
    assert X.flags.c_contiguous
    assert X.tobytes() == expected[0].astype(np.float64).tobytes()
    assert y.tobytes() == expected[1].astype(y.dtype).tobytes()


@pytest.mark.parametrize("loader", TABLES)
def test_a_set_whose_file_is_not_found_comes_from_its_loader(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = read_bundled(loader)
    monkeypatch.setattr(bundled, "TABLES", {loader: ("missing.csv", 0)})
    again = read_bundled(loader)
    assert (again[0].tobytes(), again[1].tobytes()) == (X.tobytes(), y.tobytes())


def test_reading_a_table_does_not_import_scikit_learn() -> None:
    code = f"import sys; from nnexp.data.bundled import read_bundled; [read_bundled(each) for each in {list(TABLES)}]; "
    code += "print([name for name in ('sklearn', 'pandas', 'scipy.stats') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"
