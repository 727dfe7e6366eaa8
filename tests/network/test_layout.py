"""The layout: what lies where in the one array of parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.errors import UsageError
from nnexp.network.layout import Layout

SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=5).map(tuple)


@given(SIZES, st.integers(0, 2**32 - 1))
def test_packing_undoes_unpacking(sizes: tuple[int, ...], seed: int) -> None:
    layout = Layout(sizes)
    theta = np.random.default_rng(seed).normal(size=layout.size)
    assert layout.pack(layout.unpack(theta)).tobytes() == theta.tobytes()


@given(SIZES)
def test_every_parameter_has_one_place(sizes: tuple[int, ...]) -> None:
    layout = Layout(sizes)
    named = layout.unpack(np.arange(layout.size, dtype=float))
    assert sorted(np.concatenate([part.ravel() for part in named.values()]).tolist()) == list(range(layout.size))
    assert [named[f"W{layer}"].shape for layer in range(1, len(sizes))] == list(zip(sizes[1:], sizes, strict=False))
    assert [named[f"b{layer}"].shape for layer in range(1, len(sizes))] == [(n,) for n in sizes[1:]]


@given(SIZES)
def test_the_mask_is_0_at_biases_and_1_at_weights(sizes: tuple[int, ...]) -> None:
    layout = Layout(sizes)
    named = layout.unpack(layout.weight_mask(np.dtype("float32")))
    assert all((part == (name[0] == "W")).all() for name, part in named.items())


def test_views_share_memory_with_a_whole_stack() -> None:
    layout = Layout((2, 3, 1))
    theta = np.zeros((5, layout.size), np.float32)
    for layer, view in enumerate(layout.views(theta), start=1):
        view += layer
    assert sorted(set(theta.ravel().tolist())) == [1.0, 2.0]


def test_a_bias_may_be_a_column() -> None:
    named = {"W1": [[1.0, 2.0], [3.0, 4.0]], "b1": [[5.0], [6.0]]}
    assert Layout((2, 2)).pack(named).tolist() == [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"W1": [[0.0]]}, "must be W1, b1, got W1"),
        ({"W1": [[0.0]], "b1": [0.0], "W2": [[0.0]]}, "must be W1, b1, got W1, W2, b1"),
        ({"W1": [[0.0, 0.0]], "b1": [0.0]}, r"must have W1 \(1, 1\), got \(1, 2\)"),
        ({"W1": [[0.0]], "b1": [0.0, 0.0]}, r"must have b1 \(1,\), got \(2,\)"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(named: dict[str, list[float]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Layout((1, 1)).pack(named)
