"""nnexp's trainings are PyTorch's: 20 steps from the same weights, float64, compared with stored results.

`tests/parity/live` does the same with PyTorch itself, and looks whether it still gives what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from nnexp.component import Component
from nnexp.network.initializers import Orthogonal
from nnexp.testing.variations import tables
from tests.parity.cases import CASES, ELSEWHERE, OUTSIDE, UNVARIED
from tests.parity.draws import DRAWS, GAINS, assert_same_distribution
from tests.parity.goldens import assert_same, flat, ours, stored
from tests.parity.table import PAGE, found
from tests.parity.table import tables as documented
from tests.parity.words import Case

STORED = stored()
HELP = "the stored results are of other cases: run bash scripts/parity --make"


def parts(value: Any) -> Iterator[Component]:
    """Yield the components that something consists of."""
    if isinstance(value, tuple):
        for each in value:
            yield from parts(each)
    elif isinstance(value, Component):
        yield value
        for field in fields(value):
            yield from parts(getattr(value, field.name))


def trained(cases: dict[str, Case]) -> set[Component]:
    """Return the components of all cases' trials."""
    found = {part for case in cases.values() for value in vars(case.trial).values() for part in parts(value)}
    return found | {draw.ours for draw in DRAWS.values()}


def wanted() -> dict[str, dict[str, type[Component]]]:
    """Return the tables whose components take part in the arithmetic of a training."""
    return {name: dict(table) for name, table in tables().items() if name not in OUTSIDE}


@pytest.mark.parametrize("name", CASES)
def test_a_training_is_that_of_pytorch(name: str) -> None:
    assert name in STORED["trajectories"], HELP
    assert_same(ours(CASES[name]), STORED["trajectories"][name])


def test_what_is_stored_belongs_to_the_cases() -> None:
    assert list(STORED["trajectories"]) == list(CASES), HELP
    assert list(STORED["draws"]) == list(DRAWS), HELP
    assert list(STORED["gains"]) == list(GAINS), HELP


@pytest.mark.parametrize("name", DRAWS)
def test_weights_are_distributed_as_those_of_pytorch(name: str) -> None:
    assert_same_distribution(DRAWS[name].weights(), STORED["draws"][name])


@pytest.mark.parametrize("name", [name for name in DRAWS if name.startswith("orthogonal")])
def test_orthogonal_weights_are_orthogonal(name: str) -> None:
    W, draw = DRAWS[name].weights(), DRAWS[name]
    assert isinstance(draw.ours, Orthogonal)
    assert not isinstance(draw.ours.gain, str)
    products = W.T @ W if W.shape[0] >= W.shape[1] else W @ W.T
    np.testing.assert_allclose(products, draw.ours.gain**2 * np.eye(len(products)), atol=1e-13)


@pytest.mark.parametrize("name", GAINS)
def test_a_gain_is_that_of_pytorch(name: str) -> None:
    assert GAINS[name][0].gain == pytest.approx(STORED["gains"][name], rel=1e-15)


def test_the_documentation_shows_the_cases() -> None:
    assert found(PAGE.read_text()) == documented(), "run python -m tests.parity.table"


def test_every_component_has_a_case_or_a_reason_why_not() -> None:
    proved = {type(part) for part in trained(CASES)}
    missing = {
        f"{table} {name}"
        for table, classes in wanted().items()
        for name, cls in classes.items()
        if cls not in proved and (table, name) not in ELSEWHERE
    }
    assert not missing, f"no case: add one in tests/parity and run its make.py, or a reason to ELSEWHERE: {missing}"


def test_every_setting_of_a_component_differs_from_its_default_in_some_case() -> None:
    found = trained(CASES)
    still = {
        f"{cls.name}.{field.name}"
        for classes in wanted().values()
        for cls in classes.values()
        for field in fields(cls)
        for parts_of in [[part for part in found if type(part) is cls]]
        if parts_of and all(getattr(part, field.name) == getattr(cls(), field.name) for part in parts_of)
    }
    assert still == set(UNVARIED)


def test_reasons_are_given_for_components_that_there_are() -> None:
    every = {(table, name) for table, classes in tables().items() for name in classes}
    assert set(ELSEWHERE) <= every
    assert set(OUTSIDE) <= set(tables())


def test_what_a_case_varies_acts() -> None:
    """No two cases give the same numbers, but those that show that what is off does nothing."""
    numbers = {name: flat(STORED["trajectories"][name]) for name in CASES}

    def alike(one: str, other: str) -> bool:
        first, second = numbers[one], numbers[other]
        return first.keys() == second.keys() and all(
            np.shape(first[name]) == np.shape(second[name])
            and np.allclose(first[name], second[name], rtol=0, atol=1e-8)
            for name in first
        )

    names = list(CASES)
    repeated = {one for place, one in enumerate(names) if any(alike(one, other) for other in names[:place])}
    assert repeated == {name for name, case in CASES.items() if case.off}


def test_a_training_that_differs_in_the_ninth_digit_is_found() -> None:
    name = "adam"
    expected = STORED["trajectories"][name]
    changed = {**expected, "val/loss": np.array(expected["val/loss"]) * (1 + 1e-9)}
    with pytest.raises(AssertionError, match="val/loss"):
        assert_same(changed, expected)
    for key in flat(expected):
        if key in expected["last"]:
            moved = {**expected, "last": {**expected["last"], key: np.array(expected["last"][key]) + 1e-9}}
            with pytest.raises(AssertionError, match=key):
                assert_same(moved, expected)


def test_weights_of_another_scale_or_distribution_are_found() -> None:
    W = DRAWS["he_normal"].weights()
    for changed in (W * 1.02, W + 0.02 * W.std(), np.sign(W) * W.std(), DRAWS["he_uniform"].weights()):
        with pytest.raises(AssertionError):
            assert_same_distribution(changed, STORED["draws"]["he_normal"])
