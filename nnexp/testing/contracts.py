"""What holds for every component, as functions that raise AssertionError where it does not.

The tests run them over the component tables; the fault tests run them on deliberately broken twins, which they must
reject, so that no contract can pass emptily.
"""

from __future__ import annotations

import pickle
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnexp.arrays import Floats
from nnexp.data.prepared import Data, prepare
from nnexp.data.splits import Split
from nnexp.errors import ConfigError
from nnexp.network.activations import Activation, Spare
from nnexp.network.groups import Piece, group_rows
from nnexp.network.losses import Desk, Loss, Targets, assess
from nnexp.network.optimizers import SGD, Optimizer
from nnexp.network.schedules import Constant
from nnexp.training import Result, Training, TrialConfig, train
from nnexp.training.advance import advance
from nnexp.training.checkpoint import load, save
from nnexp.training.state import Problem, Slice, State, begin

Numbers = dict[str, bytes]
Float64s = NDArray[np.float64]
Formula = Callable[[Any, Float64s, Float64s, dict[str, Float64s], int], Float64s]


# gradient


def assert_gradient(trial: TrialConfig, data: Data, *, directions: int = 3) -> None:
    """The gradient is the slope of the cost along random directions, by central differences in float64.

    All through `train`: one full batch whose cost is recorded before the update, and whose update, of gradient descent
    with lr = 1, is the gradient. Dropout's mask is the same at every point: its stream knows seed and epoch alone.
    """
    whole = Training(epochs=1, batch_size="full", shuffle=False, dtype="float64")
    trial = replace(trial, optimizer=SGD(lr=1.0), schedule=Constant(), training=whole)
    rng = np.random.default_rng(11)
    for _ in range(40):
        slopes, measured, closer = _slopes(trial, data, rng, directions)
        smooth = (np.abs(measured - closer) < 3e-7 * np.abs(measured)).all()  # else a kink lies between the points
        if smooth and np.abs(slopes).min() > 1e-3:  # rectified outputs may all be 0: flat, which shows nothing
            break
    else:
        raise AssertionError("kinks or flat everywhere, which shows nothing")
    error = np.abs(slopes - measured) / np.abs(slopes)
    assert error.max() < 1e-6, f"gradient {slopes}, but slope {measured}"


def _slopes(trial: TrialConfig, data: Data, rng: np.random.Generator, directions: int) -> tuple[Float64s, ...]:
    """Return slopes along random directions at a random place: from the gradient, measured, measured more closely."""
    layout = trial.blueprint(data.inputs, data.targets).layout
    start = layout.pack(layout.unpack(np.zeros(layout.total)))
    theta, trained = start + rng.normal(0, 0.7, layout.total), np.arange(layout.total) < layout.size
    theta[~trained] = start[~trained]
    along = rng.normal(size=(directions, layout.total)) * trained
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    steps = np.array([1e-5, -1e-5, 5e-6, -5e-6])
    points = np.concatenate([theta[None], *(theta + step * along for step in steps)])
    results = train([trial] * len(points), data, initial=[layout.unpack(point) for point in points])
    costs = np.array([result.history["train/cost"][0] for result in results])[1:].reshape(4, directions)
    last = results[0].last
    assert last is not None, "the training diverged"
    wide, close = (costs[0] - costs[1]) / (2 * steps[0]), (costs[2] - costs[3]) / (2 * steps[2])
    return along[:, trained] @ (theta - layout.pack(last))[trained], wide, close


# alone


def numbers(result: Result) -> Numbers:
    """Return everything that a training gave, as bytes by name."""
    parts: dict[str, Any] = {"outcome": result.outcome, "epochs": result.epochs, "steps": result.costs["steps"]}
    parts |= {f"history {name}": values for name, values in result.history.items()}
    parts |= {f"summary {name}": value for name, value in result.summary.items()}
    parts |= {f"best {name}": values for name, values in result.best.items()}
    parts |= {f"confusion {part}": counts for part, counts in result.confusion.items()}
    parts |= {f"last {name}": values for name, values in (result.last or {}).items()}
    parts |= {f"average {name}": values for name, values in (result.average or {}).items()}
    return {name: _bytes(value) for name, value in parts.items()}


def assert_equal_numbers(found: Numbers, expected: Numbers, what: str) -> None:
    """Two trainings gave the same, bit for bit."""
    different = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    assert not different, f"{what} differs in: {', '.join(different)}"


def assert_alone(trials: Sequence[TrialConfig], data: Data | None = None, **given: Any) -> None:
    """Each trial's numbers in a stack are those it has alone, bit for bit."""
    assert len(trials) > 1, "a stack of one shows nothing"
    if data is None:
        data = prepare(trials[0].dataset, [trial.seed for trial in trials], trials[0].training.dtype)
    for place, stacked in enumerate(train(trials, data, **given)):
        (alone,) = train([trials[place]], data, **given)
        assert_equal_numbers(numbers(stacked), numbers(alone), f"trial {place}, stacked against alone,")


# slices


def assert_slices(problem: Problem, cuts: Sequence[int]) -> None:
    """Training in slices, from checkpoints and with the problem pickled, gives the bits of one go; no input changes."""
    whole, observed = advance(problem, begin(problem), problem.training.epochs)
    state, pieces = begin(problem), []
    for epochs in [*cuts, problem.training.epochs]:
        problem, state = pickle.loads(pickle.dumps(problem)), _restored(state)
        before = _state_bytes(state)
        following, piece = advance(problem, state, epochs)
        assert_equal_numbers(_state_bytes(state), before, "the state that was given to advance")
        state = following
        pieces.append(piece)
    assert_equal_numbers(_state_bytes(state), _state_bytes(whole), "the state after slices")
    assert_equal_numbers(_slice_bytes(pieces), _slice_bytes([observed]), "what slices observed")


def _restored(state: State) -> State:
    """Return what a checkpoint keeps of a state."""
    with tempfile.TemporaryDirectory() as folder:
        save(state, Path(folder) / "state.npz")
        return load(Path(folder) / "state.npz")


def _state_bytes(state: State) -> Numbers:
    return {name: _bytes(value) for name, value in vars(state).items()}


def _slice_bytes(pieces: Sequence[Slice]) -> Numbers:
    found: Numbers = {}
    for piece in pieces:
        for position, records in piece.records.items():
            for epoch, values in zip(records.epochs.tolist(), records.values, strict=True):
                assert f"record {position} {epoch}" not in found, "an epoch was recorded twice"
                found[f"record {position} {epoch}"] = _bytes(values)
        for position, end in piece.ends.items():
            summary = {name: _bytes(value) for name, value in end.summary.items()}
            last = None if end.last is None else _bytes(end.last)
            kept = end.outcome, end.epoch, summary, _bytes(end.theta), _bytes(end.average), last
            found[f"end {position}"] = repr(kept).encode()
    return found


# live


def assert_live(trial: TrialConfig, **changes: Any) -> None:
    """A change of a trial's settings changes what training gives, or is refused with a ConfigError."""
    try:
        changed = replace(trial, **changes)
        assert changed != trial, "nothing was changed"
        if changed.resolved() == trial.resolved():  # names what `auto` stands for
            return
        after = _trained(changed)
    except ConfigError:
        return
    assert after != _trained(trial), f"{changed} trains like {trial}"


@cache
def _trained(trial: TrialConfig) -> Numbers:
    return numbers(train([trial])[0])


# values of single components


def activate(activation: Activation, Z: ArrayLike, dtype: str = "float64", *, slope: bool = False) -> Floats:
    """Return g(Z), for Z (K, n, B), (n, B) or (B,)."""
    return _run(activation, Z, dtype, slope=slope)[0].reshape(np.shape(Z))


def slopes(activation: Activation, Z: ArrayLike, dA: ArrayLike = 1.0, dtype: str = "float64") -> Floats:
    """Return dZ for dA above it, shapes as in `activate`."""
    A, spare = _run(activation, Z, dtype, slope=activation.keeps_slope)
    dZ = np.broadcast_to(np.asarray(dA, dtype), np.shape(Z)).reshape(A.shape).copy()
    with np.errstate(all="ignore"):
        activation.backward(dZ, A, spare)
    return dZ.reshape(np.shape(Z))


def _run(activation: Activation, Z: ArrayLike, dtype: str, *, slope: bool) -> tuple[Floats, Spare]:
    A = np.array(Z, dtype)
    A = A.reshape((1,) * (3 - A.ndim) + A.shape)
    spare = Spare.of(A.shape, A.dtype, slope=slope)
    with np.errstate(all="ignore"):  # as in a training
        activation.forward(A, spare)
    return A, spare


def judge_loss(loss: Loss, Z: Floats, y: Any, weights: ArrayLike | None = None) -> tuple[Floats, Floats, Floats]:
    """Return a loss's (B,) losses and scores and the gradient (n, B) of their sum, for outputs (n, B).

    y: labels (B,), or probabilities (n, B); or values or labels that do not exclude each other, (n, B). With weights,
    (B,), losses are weighed, and the gradient is that of their mean. The scores of several values are summed.
    """
    given, kind = np.asarray(y), loss.target_kind
    values = given.reshape(1, -1) if kind == "binary" else given if given.ndim == 2 else None
    labels = None if kind in ("values", "multi") else given.argmax(axis=0) if given.ndim == 2 else given
    targets = Targets(
        None if labels is None else labels.astype(np.intp)[None],
        None if values is None else values.astype(Z.dtype)[None],
        None if weights is None else np.asarray(weights, Z.dtype)[None],
    )
    n, B = Z.shape
    outputs, desk = Z[None].copy(), Desk(1, n, B, Z.dtype, squares=n if kind == "values" else 1)
    with np.errstate(over="ignore", under="ignore"):  # as in a training: the difference of finite logits may overflow
        assess(loss, outputs, targets, desk)
        loss.backward(outputs, targets, desk)
    scores = desk.squares[:, 0].sum(axis=0)
    return desk.losses[0], scores, outputs[0] * (Z.shape[1] if weights is None else 1)


def assert_finite_loss(loss: Loss, Z: Floats, y: Any) -> None:
    """The losses and their gradient are finite and of the logits' type, and no loss is negative."""
    losses, scores, gradient = judge_loss(loss, Z, y)
    for what, array in (("losses", losses), ("scores", scores), ("gradient", gradient)):
        assert array.dtype == Z.dtype, f"{what} are {array.dtype}, not {Z.dtype}"
        assert np.isfinite(array).all(), f"{what} {array} of logits {Z}"
    assert (losses >= 0).all(), f"negative losses {losses} of logits {Z}"


def assert_textbook(optimizer: Optimizer, formula: Formula, *, steps: int = 50) -> None:
    """An optimizer's steps are those of its formula as the source prints it."""
    rng = np.random.default_rng(5)
    theta = rng.normal(size=(1, 12))
    expected = theta[0].copy()
    slots = tuple(np.zeros_like(theta) for _ in range(optimizer.slots))
    (group,) = group_rows([optimizer], [Constant()])
    group.prepare(1, steps, steps, theta.dtype)
    memory: dict[str, Float64s] = defaultdict(lambda: np.zeros(12))
    for step in range(steps):
        grad = rng.normal(size=(1, 12)) * 10 ** rng.uniform(-3, 3, 12)
        expected = formula(optimizer, expected, grad[0], memory, step + 1)
        group.move(step, Piece(slice(0, 1), theta, grad.copy(), slots, np.empty_like(theta)))
        near = 1e-12 * np.abs(expected).max()  # a parameter that passes through 0 has fewer digits
        np.testing.assert_allclose(theta[0], expected, rtol=1e-12, atol=near, err_msg=f"{optimizer} at step {step + 1}")


# data and types


def assert_partition(split: Split, examples: int) -> None:
    """The parts hold every example exactly once, each part in ascending order."""
    parts = (split.train, split.validation, split.test)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(examples)), "not every example exactly once"
    assert all((np.diff(part) > 0).all() for part in parts), "a part is not in ascending order"


def assert_dtype_kept(arrays: dict[str, Any], dtype: str) -> None:
    """Every array of floats is of one type."""
    kinds = {name: array.dtype for name, array in arrays.items() if array.dtype.kind == "f"}
    assert kinds, "no floats to look at"
    wrong = {name: str(kind) for name, kind in kinds.items() if kind != np.dtype(dtype)}
    assert not wrong, f"not {dtype}: {wrong}"


def assert_rejected(make: Callable[[], Any], *words: str) -> None:
    """What is asked for is refused with a ConfigError of one line that holds the words: thing, range and value."""
    try:
        made = make()
    except ConfigError as error:
        text = str(error)
        assert "\n" not in text, f"more than one line: {text}"
        missing = [word for word in words if word not in text]
        assert not missing, f"{text!r} does not say {missing}"
    else:
        raise AssertionError(f"was not rejected: {made}")


def _bytes(value: Any) -> bytes:
    array = np.asarray(value)
    return f"{array.dtype.str} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes()
