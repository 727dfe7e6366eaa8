"""Checkpoints: a state comes back as it was, and what is no checkpoint is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnexp.data.prepared import prepare
from nnexp.errors import DataError
from nnexp.network.averaging import EMA
from nnexp.network.normalization import BatchNorm
from nnexp.testing.trials import small
from nnexp.training.advance import advance
from nnexp.training.checkpoint import load, save
from nnexp.training.stacking import form_problem
from nnexp.training.state import State, begin


def trained() -> State:
    trials = [small(seed=seed, normalization=BatchNorm(), averaging=EMA()) for seed in (0, 1)]
    problem, _ = form_problem(trials, prepare(trials[0].dataset, [0], "float32"))
    return advance(problem, begin(problem), 2)[0]


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = trained()
    save(state, tmp_path / "state.npz")
    again = load(tmp_path / "state.npz")
    assert again.epoch == state.epoch == 2
    for name, value in vars(state).items():
        assert np.array_equal(getattr(again, name), value, equal_nan=True), name
        assert getattr(again, name).dtype == value.dtype if name != "epoch" else True
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


@pytest.mark.parametrize("damage", ["cut", "flip", "text", "missing", "pickle"])
def test_what_is_no_checkpoint_is_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.npz"
    save(trained(), path)
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flip":
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
    elif damage == "text":
        path.write_text("epoch: 2")
    elif damage == "missing":
        np.savez(path, epoch=2)
    else:
        np.savez(path, allow_pickle=True, **{name: np.array([object()]) for name in vars(trained())})
    with pytest.raises(DataError, match="no checkpoint") as found:
        load(path)
    assert "\n" not in str(found.value)
