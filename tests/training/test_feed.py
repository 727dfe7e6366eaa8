"""What a stack reads: every example once an epoch, in each replica's own order, standardised by its own division."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnexp.arrays import Floats
from nnexp.data.prepared import prepare
from nnexp.data.sources import Blobs, Diabetes, Moons
from nnexp.network.losses import LOSSES
from nnexp.randomness import Purpose, stream
from nnexp.testing.trials import regression, small
from nnexp.training import Training, TrialConfig, train
from nnexp.training.feed import Batches, Blocks
from nnexp.training.stacking import form_problem
from nnexp.training.state import Problem, begin

FLOAT64 = Training(epochs=2, batch_size=16, dtype="float64")


def problem_of(trial: TrialConfig, seeds: tuple[int, ...]) -> Problem:
    trials = [replace(trial, seed=seed) for seed in seeds]
    return form_problem(trials, prepare(trial.dataset, seeds, trial.training.dtype))[0]


def read(problem: Problem, epoch: int) -> tuple[Floats, list[int]]:
    """Return the rows (S, m, n + 1) that an epoch reads, in order, and the sizes of its batches."""
    batches = [rows.copy() for rows, _ in Batches(problem, problem.replicas).epoch(epoch)]
    return np.concatenate(batches, axis=1), [batch.shape[1] for batch in batches]


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(16, [16, 16, 4]), (35, [35, 1]), (36, [36]), (1, [1] * 36), (1000, [36]), ("full", [36])],
)
def test_an_epoch_reads_every_example_once_and_keeps_a_last_short_batch(batch_size: Any, sizes: list[int]) -> None:
    problem = problem_of(small(training=replace(FLOAT64, batch_size=batch_size)), (0, 1))
    rows, found = read(problem, 1)
    assert found == sizes
    data = problem.data
    expected = sorted(map(tuple, data.rows[data.division(0).split.train].tolist()))
    for each in rows:
        assert sorted(map(tuple, each.tolist())) == expected


def test_orders_change_from_epoch_to_epoch_and_from_seed_to_seed() -> None:
    problem = problem_of(small(training=FLOAT64), (0, 1))
    (one, another), (later, _) = read(problem, 1)[0], read(problem, 2)[0]
    assert one.tobytes() != another.tobytes()
    assert one.tobytes() != later.tobytes()
    assert read(problem, 1)[0][0].tobytes() == one.tobytes()


def test_without_shuffling_examples_come_as_they_are() -> None:
    problem = problem_of(small(training=replace(FLOAT64, shuffle=False)), (0, 1))
    data = problem.data
    for epoch in (1, 2):
        rows, _ = read(problem, epoch)
        assert len(rows) == 1
        assert rows[0].tobytes() == data.rows[data.division(0).split.train].tobytes()


@pytest.mark.parametrize("seeds", [(0, 1), (2, 1, 0), (0, 1, 1), (0, 1, 0, 1)])
def test_a_division_by_seed_is_read_standardised_by_itself(seeds: tuple[int, ...]) -> None:
    problem = problem_of(small(dataset=Moons(examples=60, split_seed="trial"), training=FLOAT64), seeds)
    rows, _ = read(problem, 1)
    for k, seed in enumerate(seeds):
        mine = rows[k % len(rows)]
        np.testing.assert_allclose(mine[:, :-1].mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(mine[:, :-1].std(axis=0), 1)
        assert (mine[:, -1] == 1).all()
        alone, _ = read(problem_of(small(dataset=Moons(examples=60, split_seed="trial"), training=FLOAT64), (seed,)), 1)
        assert alone[0].tobytes() == mine.tobytes()


@pytest.mark.parametrize("base", [small, regression])
def test_a_split_by_trial_trains_as_the_same_split_for_all(base: Any) -> None:
    trial = base(training=FLOAT64, seed=3)
    source = trial.dataset
    (own,) = train([replace(trial, dataset=replace(source, split_seed="trial"))])
    (shared,) = train([replace(trial, dataset=replace(source, split_seed=3))])
    for name, values in shared.history.items():
        np.testing.assert_allclose(own.history[name], values, rtol=1e-9, atol=1e-12, err_msg=name)
    assert own.summary == pytest.approx(shared.summary, rel=1e-9)


@pytest.mark.parametrize("name", sorted(name for name, cls in LOSSES.items() if cls.target_kind != "multi"))
def test_the_targets_of_a_batch_are_those_of_its_rows(name: str) -> None:
    kind = LOSSES[name].target_kind
    source = Moons(examples=60) if kind == "binary" else Blobs(examples=60, noise=0.01)
    problem = problem_of(small(dataset=source, loss=LOSSES[name](), training=FLOAT64), (0, 1, 1))
    data = problem.data
    assert data.labels is not None
    by_row = {tuple(row): label for row, label in zip(data.rows.tolist(), data.labels.tolist(), strict=True)}
    for rows, targets in Batches(problem, problem.replicas).epoch(1):
        labels = [[by_row[tuple(row)] for row in rows[k % len(rows)].tolist()] for k in range(3)]
        assert targets.labels is not None
        assert targets.labels.tolist() == labels
        if kind == "labels":
            assert targets.values is None
            continue
        assert targets.values is not None
        one_hot = np.eye(data.classes or 0)[np.array(labels)].swapaxes(1, 2)
        assert targets.values.tolist() == (np.array(labels)[:, None] if kind == "binary" else one_hot).tolist()


@pytest.mark.parametrize("split_seed", [0, "trial"])
def test_the_targets_of_a_regression_are_standardised_values(split_seed: Any) -> None:
    problem = problem_of(regression(dataset=Diabetes(split_seed=split_seed), training=FLOAT64), (0, 1))
    values = np.concatenate([batch.values for _, batch in Batches(problem, problem.replicas).epoch(1)], axis=2)
    assert values.shape == (2, 1, 266)
    np.testing.assert_allclose(values.mean(axis=2), 0, atol=1e-12)
    np.testing.assert_allclose(values.std(axis=2), 1)


@pytest.mark.parametrize("about", [1, 7, 12, 13, 256])
def test_blocks_hold_every_example_of_a_part_once_and_say_which_count(about: int) -> None:
    problem = problem_of(small(training=FLOAT64), (0, 1))
    data = problem.data
    found: list[list[float]] = []
    problem = replace(problem, training=replace(problem.training, evaluation_block=about))
    blocks = Blocks(problem, problem.replicas, "validation")
    for rows, targets, count in blocks:
        assert rows.shape[1] == blocks.size
        assert targets.labels is not None
        found += rows[0, :count].tolist()
    assert found == data.rows[data.division(0).split.validation].tolist()


@pytest.mark.parametrize("examples", [1000, 1285, 1505, 2565])
def test_a_part_larger_than_a_block_is_judged_by_its_own_examples_alone(examples: int) -> None:
    trial = small(dataset=Moons(examples=examples), training=replace(FLOAT64, batch_size=256))
    data = prepare(trial.dataset, [0], "float64")
    (result,) = train([trial], data)
    assert data.labels is not None
    for part, name in (("validation", "val/{}_best"), ("test", "test/{}")):
        rows = getattr(data.division(0).split, part)
        P, labels = result.predict(data.rows[rows, :-1]), data.labels[rows]
        assert result.summary[name.format("acc")] == (P.argmax(axis=1) == labels).mean()
        loss = -np.log(P[np.arange(len(rows)), labels]).mean()
        assert result.summary[name.format("loss")] == pytest.approx(loss, rel=1e-12)


def test_replicas_start_from_what_their_own_streams_draw() -> None:
    problem = problem_of(small(training=FLOAT64), (0, 5, 0, 2))
    state, layout = begin(problem), problem.blueprint.layout
    for replica, theta in zip(problem.replicas, state.theta, strict=True):
        drawn = replica.initializer.start(layout, problem.blueprint.gains, stream(replica.seed, Purpose.INIT))
        assert theta.tobytes() == drawn.tobytes()
    assert len({theta.tobytes() for theta in state.theta}) == 3
