"""Prepared data: standardised on the training part, digested to the byte, stored without loss."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.data.prepared import Data, from_arrays, open_data, prepare, store
from nnexp.data.sources import DATASETS, Digits, Examples, Moons, Source
from nnexp.errors import DataError
from nnexp.testing.contracts import assert_dtype_kept
from nnexp.testing.variations import others

SEEDS = (0, 1, 5)
RNG = np.random.default_rng(0)
X, CLASSES, VALUES = RNG.normal(3, 2, size=(40, 3)), np.arange(40) % 2, RNG.normal(50, 9, size=40)
LABELLED, VALUED = Examples(X, CLASSES), Examples(X, VALUES)


@dataclass(frozen=True, kw_only=True)
class Labelled(Source):
    """Examples given in a test."""

    name: ClassVar[str] = "labelled"
    class_count: ClassVar[int | None] = 2
    given: Examples = LABELLED

    def load(self) -> Examples:
        return self.given


@dataclass(frozen=True, kw_only=True)
class Valued(Labelled):
    """Values given in a test."""

    name: ClassVar[str] = "valued"
    class_count: ClassVar[int | None] = None
    given: Examples = VALUED


def digest(source: Source, seed: int = 0) -> str:
    return prepare(source, [seed], "float32").division(seed).digest


def seen(data: Data, seed: int, part: str) -> np.ndarray[Any, Any]:
    """Return the inputs of a part as a network sees them."""
    division = data.division(seed)
    rows = data.rows[getattr(division.split, part), :-1]
    return np.asarray((rows - division.shift) / division.scale)


def arrays(data: Data) -> dict[str, Any]:
    found: dict[str, Any] = {"rows": data.rows, "labels": data.labels, "values": data.values}
    for seed, division in data.divisions.items():
        found |= {f"{seed} {name}": value for name, value in vars(division).items() if name != "split"}
        found |= {f"{seed} {name}": value for name, value in vars(division.split).items()}
    return found


@pytest.mark.parametrize("split_seed", [0, "trial"])
@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_training_part_has_mean_0_and_deviation_1(name: str, split_seed: Any) -> None:
    data = prepare(DATASETS[name](split_seed=split_seed), SEEDS, "float64")
    for seed in SEEDS:
        inputs = seen(data, seed, "train")
        np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-9)
        deviations = inputs.std(axis=0)
        constant = deviations < 1e-9  # a constant input, as a corner of the digits, is only shifted
        np.testing.assert_allclose(deviations[~constant], 1, rtol=1e-9)
        assert not constant.all()


@pytest.mark.parametrize("split_seed", [0, "trial"])
def test_values_of_a_regression_are_standardised_on_the_training_part(split_seed: Any) -> None:
    data = prepare(Valued(split_seed=split_seed), SEEDS, "float64")
    assert data.values is not None
    for seed in SEEDS:
        division = data.division(seed)
        part = (data.values[division.split.train] - division.value_shift) / division.value_scale
        assert part.mean() == pytest.approx(0, abs=1e-12)
        assert part.std() == pytest.approx(1)


def test_data_that_are_not_to_be_standardised_come_as_they_are() -> None:
    data = prepare(Valued(standardize=False), [0], "float64")
    assert data.rows[:, :-1].tobytes() == X.tobytes()
    assert data.values is not None
    assert data.values.tobytes() == VALUES.tobytes()
    division = data.division(0)
    assert (division.value_shift, division.value_scale) == (0.0, 1.0)
    assert (division.shift.tolist(), division.scale.tolist()) == ([0.0] * 3, [1.0] * 3)


def test_a_constant_input_is_shifted_and_not_scaled() -> None:
    constant = np.concatenate([X, np.full((40, 1), 7.0)], axis=1)
    data = prepare(Labelled(given=Examples(constant, CLASSES)), [0], "float64")
    assert (data.rows[:, 3] == 0).all()


def test_standardising_looks_at_no_other_part() -> None:
    split = prepare(Labelled(), [0], "float64").division(0).split
    outliers = X.copy()
    outliers[np.concatenate([split.validation, split.test])] += 1000
    one, another = (prepare(Labelled(given=Examples(x, CLASSES)), [0], "float64") for x in (X, outliers))
    assert seen(one, 0, "train").tobytes() == seen(another, 0, "train").tobytes()


def test_the_last_column_of_the_rows_is_one() -> None:
    for data in (prepare(Labelled(), [0], "float32"), from_arrays((X, CLASSES), classes=2)):
        assert (data.rows[:, -1] == 1).all()
        assert data.inputs == 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_have_the_type_that_was_asked_for(dtype: str) -> None:
    for data in (prepare(Labelled(), [0], dtype), from_arrays((X, CLASSES), classes=2, dtype=dtype)):
        assert_dtype_kept({"rows": data.rows}, dtype)


def test_trials_share_one_division_unless_each_divides_by_its_own_seed() -> None:
    shared, own = (prepare(Labelled(split_seed=seed), SEEDS, "float32") for seed in (3, "trial"))
    assert shared.shared
    assert shared.division(0) is shared.division(5)
    assert not own.shared
    assert set(own.divisions) == set(SEEDS)
    trains = {own.division(seed).split.train.tobytes() for seed in SEEDS}
    assert len(trains) == len(SEEDS)


def test_a_split_by_trial_is_the_split_by_that_seed() -> None:
    own = prepare(Labelled(split_seed="trial"), SEEDS, "float32")
    for seed in SEEDS:
        same = prepare(Labelled(split_seed=seed), [0], "float32").division(0)
        assert own.division(seed).digest == same.digest
        assert own.division(seed).split.test.tolist() == same.split.test.tolist()


@given(st.integers(0, 39), st.integers(0, 2), st.sampled_from([Labelled, Valued]))
def test_the_digest_changes_with_the_last_bit_of_any_input(row: int, column: int, cls: type[Labelled]) -> None:
    touched = X.copy()
    touched[row, column] = np.nextafter(touched[row, column], np.inf)
    given = cls().given
    assert digest(cls(given=Examples(touched, given.y))) != digest(cls())


@given(st.integers(0, 39))
def test_the_digest_changes_with_any_target(row: int) -> None:
    values = VALUES.copy()
    values[row] = np.nextafter(values[row], np.inf)
    assert digest(Valued(given=Examples(X, values))) != digest(Valued())
    labels = CLASSES.copy()
    labels[row] = 1 - labels[row]
    assert digest(Labelled(given=Examples(X, labels))) != digest(Labelled())


@pytest.mark.parametrize("field", [field.name for field in fields(Source)])
def test_the_digest_changes_with_every_setting_of_how_examples_are_used(field: str) -> None:
    for changed in others(Labelled(), field):
        if changed.split_seed != "trial":  # which by itself is the division by the trial's seed, here 0
            assert digest(changed) != digest(Labelled())


def test_the_digest_of_a_split_by_trial_changes_with_the_seed() -> None:
    assert digest(Labelled(split_seed="trial"), 1) != digest(Labelled(split_seed="trial"), 2)


def test_the_digest_does_not_change_with_what_is_not_used() -> None:
    first = digest(Labelled())
    assert digest(Labelled()) == first
    assert digest(Labelled(given=Examples(np.asfortranarray(X), CLASSES.copy()))) == first
    for dtype in ("float32", "float64"):
        for seeds in ([0], [4], [4, 0, 7]):
            assert prepare(Labelled(), seeds, dtype).division(seeds[0]).digest == first


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("source", [Digits(), Moons(examples=30), Valued(), Valued(split_seed="trial")])
def test_stored_data_are_the_same_data(source: Source, dtype: str, tmp_path: Path) -> None:
    data = prepare(source, SEEDS, dtype)
    for stored in (store(data, tmp_path / "data"), open_data(tmp_path / "data")):
        assert (stored.classes, stored.inputs, stored.shared) == (data.classes, data.inputs, data.shared)
        found, expected = arrays(stored), arrays(data)
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert np.asarray(found[name]).tobytes() == np.asarray(value).tobytes(), name
            assert np.asarray(found[name]).dtype == np.asarray(value).dtype, name


def test_stored_data_are_mapped_and_pickled_as_their_place(tmp_path: Path) -> None:
    data = prepare(Digits(), [0], "float32")
    stored = store(data, tmp_path / "data")
    assert isinstance(stored.rows.base, np.memmap)
    assert len(pickle.dumps(stored)) < 1000 < len(pickle.dumps(data))
    assert pickle.loads(pickle.dumps(stored)).rows.tobytes() == data.rows.tobytes()
    assert pickle.loads(pickle.dumps(data)).rows.tobytes() == data.rows.tobytes()


def test_storing_leaves_nothing_half_done_beside_its_folder(tmp_path: Path) -> None:
    store(prepare(Labelled(), [0], "float32"), tmp_path / "deep" / "data")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["data"]


def test_arrays_become_data_as_they_are() -> None:
    data = from_arrays((X[:30], CLASSES[:30]), (X[30:35], CLASSES[30:35]), (X[35:], CLASSES[35:]), classes=2)
    split = data.division(9).split
    assert [len(part) for part in (split.train, split.validation, split.test)] == [30, 5, 5]
    assert data.rows[:, :-1].tobytes() == X.astype("float32").tobytes()
    assert data.labels is not None
    assert data.labels.tolist() == CLASSES.tolist()
    assert data.values is None


def test_parts_that_are_not_given_are_empty() -> None:
    split = from_arrays((X, VALUES), classes=None).division(0).split
    assert [len(part) for part in (split.train, split.validation, split.test)] == [40, 0, 0]


@pytest.mark.parametrize(
    ("given_X", "given_y", "classes", "message"),
    [
        (X, CLASSES[:-1], 2, "the arrays have 40 rows of inputs but 39 targets"),
        (X[:-1], CLASSES, 2, "the arrays have 39 rows of inputs but 40 targets"),
        (X, CLASSES + 1, 2, "labels must be 0 … 1, got 1 … 2"),
        (X, CLASSES - 1, 2, "labels must be 0 … 1, got -1 … 0"),
        (X, CLASSES + 0.5, 2, "labels must be integers from 0"),
        (np.where(X > 3, np.nan, X), CLASSES, 2, "inputs and targets must be finite"),
        (X, np.where(VALUES > 50, np.inf, VALUES), None, "inputs and targets must be finite"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(given_X: Any, given_y: Any, classes: int | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_arrays((given_X, given_y), classes=classes)


def test_parts_that_fit_only_together_are_refused() -> None:
    with pytest.raises(DataError, match=r"^the arrays have 30 rows of inputs but 31 targets$"):
        from_arrays((X[:30], CLASSES[:31]), (X[30:], CLASSES[31:]), classes=2)


@pytest.mark.parametrize("given", [Examples(X * np.nan, VALUES), Examples(X, VALUES + np.inf)])
def test_a_source_that_is_not_finite_is_refused(given: Examples) -> None:
    with pytest.raises(DataError, match=r"^valued: inputs and targets must be finite$"):
        prepare(replace(Valued(), given=given), [0], "float32")


# targets of other kinds, and weights

MARKS = RNG.integers(0, 2, (40, 3))
ROWS = RNG.dirichlet(np.ones(3), 40)
PAIRS = RNG.normal(size=(40, 2)) * [1, 50] + [0, 9]
WEIGHTS = RNG.uniform(0, 2, 40)


@dataclass(frozen=True, kw_only=True)
class Marked(Labelled):
    """Labels that do not exclude each other, given in a test."""

    class_count: ClassVar[int | None] = 0

    @property
    def targets(self) -> int:
        return 3


@dataclass(frozen=True, kw_only=True)
class Mixed(Labelled):
    """Probabilities of classes, given in a test."""

    class_count: ClassVar[int | None] = 3


OTHERS: list[Source] = [
    Marked(given=Examples(X, MARKS)),
    Mixed(given=Examples(X, ROWS)),
    Valued(given=Examples(X, PAIRS)),
    Valued(given=Examples(X, PAIRS), split_seed="trial"),
    Labelled(given=Examples(X, CLASSES, WEIGHTS)),
]


@pytest.mark.parametrize("source", OTHERS)
def test_targets_of_other_kinds_and_weights_are_stored_and_pickled_whole(source: Source, tmp_path: Path) -> None:
    data = prepare(source, SEEDS, "float32")
    for same in (store(data, tmp_path / "data"), open_data(tmp_path / "data"), pickle.loads(pickle.dumps(data))):
        assert (same.classes, same.targets) == (data.classes, data.targets)
        for name in ("labels", "values", "probabilities", "weights"):
            one, another = getattr(same, name), getattr(data, name)
            assert (one is None) == (another is None)
            assert one is None or one.tobytes() == another.tobytes()
        for seed, division in data.divisions.items():
            found = same.division(seed)
            assert (found.value_shift, found.value_scale) == (division.value_shift, division.value_scale)


def test_several_values_are_standardised_each_by_itself() -> None:
    data = prepare(Valued(given=Examples(X, PAIRS)), [0], "float64")
    assert data.values is not None
    division = data.division(0)
    part = (data.values[division.split.train] - division.value_shift) / division.value_scale
    np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(part.std(axis=0), 1)


def test_the_digest_changes_with_weights() -> None:
    without, ones, other = (
        digest(Labelled(given=Examples(X, CLASSES, weights))) for weights in (None, np.ones(40), WEIGHTS)
    )
    assert len({without, ones, other}) == 3


def test_arrays_of_other_kinds_become_data() -> None:
    marks = from_arrays((X, MARKS), classes=None, multi_label=True)
    assert (marks.classes, marks.targets, marks.labels) == (0, 3, None)
    mixed = from_arrays((X[:30], ROWS[:30]), (X[30:], ROWS[30:]), classes=3, weights=(None, WEIGHTS[30:]))
    assert mixed.labels is not None
    assert mixed.labels.tolist() == ROWS.argmax(axis=1).tolist()
    assert mixed.weights is not None
    assert mixed.weights.tolist() == [1.0] * 30 + WEIGHTS[30:].tolist()
    assert from_arrays((X, PAIRS), classes=None).targets == 2
    column = from_arrays((X, VALUES[:, None]), classes=None)
    assert column.values is not None
    assert column.values.shape == (40,)


@pytest.mark.parametrize(
    ("y", "given", "message"),
    [
        (
            MARKS,
            {"classes": 3, "multi_label": True},
            "multi_label data have no exclusive classes: classes must be None",
        ),
        (MARKS * 2, {"classes": None, "multi_label": True}, "labels that do not exclude each other must be 0 or 1"),
        (CLASSES, {"classes": None, "multi_label": True}, r"targets must be \(N, labels\), got \(40,\)"),
        (ROWS, {"classes": 2}, r"probabilities of 2 classes must be \(N, 2\), got \(40, 3\)"),
        (ROWS + 0.1, {"classes": 3}, "probabilities of classes must be >= 0 and sum to 1"),
        (ROWS * [-1, 1, 1] + [0, 0, 2] * ROWS[:, :1], {"classes": 3}, "probabilities of classes must be >= 0"),
        (np.zeros((40, 2, 2)), {"classes": None}, "targets must be"),
        (CLASSES, {"classes": 2, "weights": [-WEIGHTS]}, "weights must be finite and >= 0"),
        (CLASSES, {"classes": 2, "weights": [WEIGHTS * np.nan]}, "weights must be finite and >= 0"),
        (CLASSES, {"classes": 2, "weights": [WEIGHTS * 0]}, "must not all be 0"),
        (CLASSES, {"classes": 2, "weights": [WEIGHTS[:3]]}, r"the weights of 40 examples must be \(40,\), got \(3,\)"),
        (CLASSES, {"classes": 2, "weights": [WEIGHTS] * 4}, "weights must be given for at most 3 parts, got 4"),
    ],
)
def test_targets_and_weights_that_cannot_be_used_are_refused(y: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        from_arrays((X, y), **given)
    assert "\n" not in str(caught.value)
