"""Measures a training step: nnexp against a bare loop, plain NumPy and the matrix products alone.

Prints microseconds a step and replica (float32, relu, softmax cross-entropy, Adam, one seed a replica), at several
widths of a stack:

plain NumPy   one network as it is written by hand: a loop over layers, dictionaries, float64, new arrays
bare loop     the least a stacked step takes: the same arithmetic in one function, for this network only
nnexp step    forward, backward and update through nnexp's classes, on the same rows and labels
nnexp epoch   a whole epoch through `advance` divided by its steps: shuffling, gathering, metrics, validation, records
products      the matrix products of a step and nothing else

All of them take turns for several rounds. Figures are medians of the rounds, in the process's own time, and ratios
are medians of each round's ratio: so a busy machine slows all of them alike. Before that, nnexp, bare loop and plain
NumPy are seen to train to the same parameters.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from nnexp.arrays import Floats, Integers
from nnexp.data.prepared import from_arrays
from nnexp.network.activations import ReLU
from nnexp.network.clipping import Clip
from nnexp.network.constraints import MaxNorm
from nnexp.network.dropout import Fates, InvertedDropout
from nnexp.network.initializers import HeNormal
from nnexp.network.losses import CrossEntropy, Targets
from nnexp.network.optimizers import OPTIMIZERS, Adam, Optimizer
from nnexp.network.penalties import L2, Penalty
from nnexp.network.schedules import Constant
from nnexp.network.stack import Blueprint, Pass
from nnexp.network.update import Regularization, Update, group_rows
from nnexp.training.advance import advance
from nnexp.training.settings import Objective, Training
from nnexp.training.state import Problem, Replica, begin

WIDTHS = (1, 4, 16, 36, 64, 256)
MOST_PARAMETERS = 3e6  # of a stack
TURN_SECONDS = 0.015  # how long each subject works in a round, at least
EPOCH_STEPS = 25  # of an epoch; the validation part is a fifth of the data
PREPARED_STEPS = 500  # most steps between two resets
LR, BETA1, BETA2, EPS = 0.001, 0.9, 0.999, 1e-8

Times = NDArray[np.float64]


class Subject(Protocol):
    """What is measured."""

    def reset(self) -> None:
        """Start again, so that every round does the same work."""

    def step(self) -> None:
        """Take one step."""


@dataclass(frozen=True)
class Workload:
    """A network, and how many examples it sees a step."""

    sizes: tuple[int, ...]
    batch: int

    @property
    def name(self) -> str:
        """The sizes of the layers."""
        return "-".join(map(str, self.sizes))

    @property
    def blueprint(self) -> Blueprint:
        """The network in nnexp's words."""
        return Blueprint(self.sizes, (ReLU(),) * (len(self.sizes) - 2), None, CrossEntropy())

    def start(self, width: int) -> Floats:
        """Return parameters to start from, (K, P), in float64."""
        layout, gains = self.blueprint.layout, self.blueprint.gains
        return np.stack([HeNormal().start(layout, gains, np.random.default_rng(seed)) for seed in range(width)])

    def examples(self, *shape: int) -> tuple[Floats, Integers]:
        """Return inputs (…, n) in float64 and labels (…)."""
        rng = np.random.default_rng(shape)
        return rng.standard_normal((*shape, self.sizes[0])), rng.integers(0, self.sizes[-1], shape)

    def mini_batch(self, width: int, dtype: str) -> tuple[Floats, Integers]:
        """Return rows (K, B, n + 1), whose last column is one, and labels (K, B)."""
        inputs, labels = self.examples(width, self.batch)
        return np.concatenate([inputs, np.ones((width, self.batch, 1))], axis=2).astype(dtype), labels


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload((2, 16, 16, 2), 32),
        Workload((64, 64, 10), 64),
        Workload((784, 128, 64, 10), 128),
        Workload((784, 512, 512, 10), 128),
    )
}


class Bare:
    """The bare loop: K networks of one shape, every buffer made once, one function a step."""

    BLOCK = 1 << 15  # elements of an Adam pass: what it touches stays in the second-level cache

    def __init__(self, workload: Workload, start: Floats, batch: tuple[Floats, Integers]) -> None:
        K, B, sizes, dtype = len(start), workload.batch, workload.sizes, batch[0].dtype
        self.rows, self.labels = batch
        self.start, self.theta, self.steps = start.astype(dtype), start.astype(dtype), 0
        self.grad, self.M, self.V = (np.zeros_like(self.theta) for _ in range(3))
        self.W = workload.blueprint.layout.views(self.theta)
        self.dW = workload.blueprint.layout.views(self.grad)
        self.WT = [W[:, :, :-1].swapaxes(1, 2) for W in self.W]
        self.A = [np.ones((K, n + 1, B), dtype) for n in sizes[1:-1]]
        self.AT = [A.swapaxes(1, 2) for A in self.A]
        self.units = [A[:, :-1] for A in self.A]
        self.dA = [np.empty((K, n, B), dtype) for n in sizes[1:-1]]
        self.zeros = [np.zeros((n, B), dtype) for n in sizes[1:-1]]
        self.alive = [np.empty((K, n, B), np.bool_) for n in sizes[1:-1]]
        self.P = np.empty((K, sizes[-1], B), dtype)
        self.flat = self.P.reshape(-1)
        self.column = np.empty((K, 1, B), dtype)
        self.place = np.arange(K)[:, None] * (sizes[-1] * B) + np.arange(B)
        self.index, self.picked = np.empty((K, B), np.intp), np.empty((K, B), dtype)
        self.loss, self.zero, self.share = np.empty(K, dtype), dtype.type(0), dtype.type(1 / B)
        self.blocks = list(self._blocks())

    def _blocks(self) -> Iterator[tuple[Floats, ...]]:
        K, P = self.theta.shape
        rows, cols = max(1, self.BLOCK // P), -(-P // -(-P // self.BLOCK))
        spare = np.empty(min(self.theta.size, max(self.BLOCK, cols)), self.theta.dtype)
        for k in range(0, K, rows):
            for p in range(0, P, cols):
                block = [each[k : k + rows, p : p + cols] for each in (self.theta, self.grad, self.M, self.V)]
                yield (*block, spare[: block[0].size].reshape(block[0].shape))

    def reset(self) -> None:
        """Start again."""
        self.theta[:], self.M[:], self.V[:], self.steps = self.start, 0, 0, 0

    def step(self) -> None:
        """Take one step."""
        W, A, units, P, column, picked = self.W, self.A, self.units, self.P, self.column, self.picked
        np.matmul(W[0], self.rows.swapaxes(1, 2), out=units[0])
        for layer, Z in enumerate(units):
            np.maximum(Z, self.zeros[layer], out=Z)
            np.matmul(W[layer + 1], A[layer], out=units[layer + 1] if layer + 1 < len(units) else P)
        np.maximum.reduce(P, axis=1, keepdims=True, out=column)
        np.subtract(P, column, out=P)
        np.exp(P, out=P)
        np.add.reduce(P, axis=1, keepdims=True, out=column)
        np.divide(P, column, out=P)
        np.multiply(self.labels, P.shape[2], out=self.index)
        np.add(self.index, self.place, out=self.index)
        self.flat.take(self.index, out=picked, mode="clip")
        self.flat[self.index] = picked - 1
        np.log(picked, out=picked)
        np.add.reduce(picked, axis=1, out=self.loss)
        np.multiply(P, self.share, out=P)
        dZ = P
        for layer in range(len(A) - 1, -1, -1):
            dA, alive = self.dA[layer], self.alive[layer]
            np.matmul(dZ, self.AT[layer], out=self.dW[layer + 1])
            np.matmul(self.WT[layer + 1], dZ, out=dA)
            np.greater(units[layer], self.zero, out=alive)
            np.multiply(dA, alive, out=dA)
            dZ = dA
        np.matmul(dZ, self.rows, out=self.dW[0])
        self._adam()

    def _adam(self) -> None:
        self.steps += 1
        t, real = self.steps, self.theta.dtype.type
        size = LR * (1 - BETA1) / (1 - BETA1**t)
        slope, offset = real(((1 - BETA2) / (1 - BETA2**t)) ** 0.5 / size), real(EPS / size)
        beta1, beta2 = real(BETA1), real(BETA2)
        for theta, grad, M, V, spare in self.blocks:
            np.multiply(M, beta1, out=M)
            np.add(M, grad, out=M)
            np.multiply(V, beta2, out=V)
            np.multiply(grad, grad, out=grad)
            np.add(V, grad, out=V)
            np.sqrt(V, out=spare)
            np.multiply(spare, slope, out=spare)
            np.add(spare, offset, out=spare)
            np.divide(M, spare, out=spare)
            np.subtract(theta, spare, out=theta)


class Ours:
    """nnexp's step, through its classes."""

    def __init__(
        self,
        workload: Workload,
        start: Floats,
        batch: tuple[Floats, Integers],
        *,
        optimizer: Optimizer | None = None,
        keep: float = 1.0,
        seeds: Sequence[int] | None = None,
        l2: float = 0.0,
    ) -> None:
        K, blueprint = len(start), workload.blueprint
        self.rows, self.targets, self.examples = batch[0], Targets(batch[1], None), workload.batch
        self.start = start.astype(self.rows.dtype)
        self.theta, self.grad = self.start.copy(), np.zeros_like(self.start)
        rule = optimizer or Adam(lr=LR, beta1=BETA1, beta2=BETA2, eps=EPS)
        self.slots = np.zeros((rule.slots, K, self.start.shape[1]), self.start.dtype).swapaxes(0, 1)  # as in `advance`
        self.fates = Fates([InvertedDropout(keep=keep)] * K, seeds or range(K), len(workload.sizes) - 2)
        self.run = Pass(blueprint, self.theta, self.examples, sources=K, grad=self.grad, fates=self.fates)
        groups = group_rows([rule] * K, [Constant()] * K)
        groups[0].prepare(1, PREPARED_STEPS + 1, PREPARED_STEPS + 1, self.theta.dtype)
        held = Regularization([L2(strength=l2)] * K, [Penalty()] * K, [Clip()] * K, [MaxNorm()] * K)
        self.update = Update(blueprint.layout, groups, held, (self.theta, self.grad, self.slots))
        self.reset()

    def reset(self) -> None:
        """Start again."""
        self.theta[:], self.slots[:], self.steps = self.start, 0, 0
        self.fates.begin(1)

    def step(self) -> None:
        """Take one step."""
        self.run.forward(self.rows, self.targets)
        self.run.backward(self.targets)
        self.update.step(self.steps, self.examples, measure=False)
        self.steps += 1


class Plain:
    """One network the way it is written by hand: dictionaries, float64, new arrays for everything."""

    def __init__(self, workload: Workload, start: Floats, batch: tuple[Floats, Integers]) -> None:
        self.layout, self.layers = workload.blueprint.layout, len(workload.sizes) - 1
        self.start, self.X = start[0], batch[0][0, :, :-1].T.astype(float)
        self.Y = np.eye(workload.sizes[-1])[batch[1][0]].T
        self.reset()

    def reset(self) -> None:
        """Start again."""
        named = self.layout.unpack(self.start)
        self.params = {name: value if value.ndim == 2 else value[:, None] for name, value in named.items()}
        self.m = {name: np.zeros_like(value) for name, value in self.params.items()}
        self.v = {name: np.zeros_like(value) for name, value in self.params.items()}
        self.steps = 0

    @property
    def theta(self) -> Floats:
        """The parameters, (1, P)."""
        return self.layout.pack(self.params)[None]

    def step(self) -> None:
        """Take one step."""
        grads = self._gradients()
        self.steps += 1
        for name, grad in grads.items():
            self.m[name] = BETA1 * self.m[name] + (1 - BETA1) * grad
            self.v[name] = BETA2 * self.v[name] + (1 - BETA2) * grad**2
            m_hat = self.m[name] / (1 - BETA1**self.steps)
            v_hat = self.v[name] / (1 - BETA2**self.steps)
            self.params[name] = self.params[name] - LR * m_hat / (np.sqrt(v_hat) + EPS)

    def _gradients(self) -> dict[str, Floats]:
        values, grads = {"A0": self.X}, {}
        for layer in range(1, self.layers + 1):
            Z = self.params[f"W{layer}"] @ values[f"A{layer - 1}"] + self.params[f"b{layer}"]
            values[f"Z{layer}"], values[f"A{layer}"] = Z, np.maximum(0, Z)
        exponentials = np.exp(Z - Z.max(axis=0))
        dZ = exponentials / exponentials.sum(axis=0) - self.Y
        for layer in range(self.layers, 0, -1):
            grads[f"W{layer}"] = dZ @ values[f"A{layer - 1}"].T / self.X.shape[1]
            grads[f"b{layer}"] = dZ.sum(axis=1, keepdims=True) / self.X.shape[1]
            if layer > 1:
                dZ = (self.params[f"W{layer}"].T @ dZ) * (values[f"Z{layer - 1}"] > 0)
        return grads


class Products:
    """The matrix products of a step, on arrays that lie in memory as a stack's do."""

    def __init__(self, workload: Workload, start: Floats, batch: tuple[Floats, Integers]) -> None:
        bare = Bare(workload, start, batch)
        outputs = [*bare.units, bare.P]
        inputs = [bare.rows.swapaxes(1, 2), *bare.A]
        self.products = list(zip(bare.W, inputs, outputs, strict=True))
        gradients = [*bare.dA, bare.P]
        for layer in range(len(bare.W) - 1, -1, -1):
            self.products.append((gradients[layer], inputs[layer].swapaxes(1, 2), bare.dW[layer]))
            if layer:
                self.products.append((bare.WT[layer], gradients[layer], gradients[layer - 1]))

    def reset(self) -> None:
        """Nothing changes."""

    def step(self) -> None:
        """Multiply."""
        for left, right, out in self.products:
            np.matmul(left, right, out=out)


class Epochs:
    """nnexp's whole epochs, through `advance`; a step is a whole turn here."""

    def __init__(self, workload: Workload, width: int) -> None:
        train = EPOCH_STEPS * workload.batch
        data = from_arrays(workload.examples(train), workload.examples(train // 4), classes=workload.sizes[-1])
        replicas = tuple(Replica(seed, HeNormal(), Adam(lr=LR)) for seed in range(width))
        training = Training(epochs=1_000_000, batch_size=workload.batch)
        self.problem = Problem(workload.blueprint, training, Objective(), replicas, data)
        self.state, self.epochs = begin(self.problem), 1
        start = time.process_time()
        self.step()
        self.epochs += int(TURN_SECONDS / (time.process_time() - start))

    def reset(self) -> None:
        """Nothing changes: `advance` copies the state."""

    def step(self) -> None:
        """Train some epochs."""
        advance(self.problem, self.state, self.epochs)


def check(workload: Workload) -> None:
    """Train all of them from the same start, in float64, and see that they end at the same parameters."""
    start, batch = workload.start(2), workload.mini_batch(2, "float64")
    ours, bare, plain = Ours(workload, start, batch), Bare(workload, start, batch), Plain(workload, start, batch)
    for _ in range(10):
        ours.step()
        bare.step()
        plain.step()
    for name, found in (("bare loop", bare.theta), ("plain NumPy", plain.theta)):
        difference = np.abs(ours.theta[: len(found)] - found).max()
        if not difference < 1e-9:
            raise SystemExit(f"{workload.name}: nnexp and {name} train to parameters that differ by {difference}")


def take_turns(subjects: Mapping[str, Subject], rounds: int) -> dict[str, Times]:
    """Return each subject's seconds a step in each round."""
    counts = {}
    for name, subject in subjects.items():
        subject.reset()
        subject.step()
        seconds = _seconds(subject, 1)
        counts[name] = min(PREPARED_STEPS, 1 + int(TURN_SECONDS / seconds))
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            subject.reset()
            subject.step()  # brings its memory into the caches
            found[name].append(_seconds(subject, counts[name]))
    return {name: np.array(times) for name, times in found.items()}


def _seconds(subject: Subject, steps: int) -> float:
    start = time.process_time()
    for _ in range(steps):
        subject.step()
    return (time.process_time() - start) / steps


def measure(workload: Workload, width: int, rounds: int) -> dict[str, float]:
    """Return microseconds a step and replica, and ratios to the bare loop."""
    start, batch = workload.start(width), workload.mini_batch(width, "float32")
    epochs = Epochs(workload, width)
    subjects: dict[str, Subject] = {
        "plain": Plain(workload, start, batch),
        "bare": Bare(workload, start, batch),
        "step": Ours(workload, start, batch),
        "epoch": epochs,
        "products": Products(workload, start, batch),
    }
    times = take_turns(subjects, rounds)
    times["plain"] *= width  # one network alone
    times["epoch"] /= EPOCH_STEPS * epochs.epochs
    row = {f"{name}_us": float(np.median(each)) / width * 1e6 for name, each in times.items()}
    ratios = {f"{name}_to_bare": float(np.median(times[name] / times["bare"])) for name in ("step", "epoch")}
    return {"width": width, **row, **ratios}


def vary(workload: Workload, width: int, options: argparse.Namespace) -> dict[str, float]:
    """Return how much longer nnexp's step takes with other settings than with Adam alone."""
    start, batch = workload.start(width), workload.mini_batch(width, "float32")
    subjects: dict[str, Subject] = {"adam": Ours(workload, start, batch)}
    if options.dropout is not None:
        subjects["dropout"] = Ours(workload, start, batch, keep=options.dropout)
        subjects["dropout with one seed"] = Ours(workload, start, batch, keep=options.dropout, seeds=[0] * width)
    if options.l2 is not None:
        subjects["l2"] = Ours(workload, start, batch, l2=options.l2)
    if options.optimizer:
        for name, optimizer in OPTIMIZERS.items():
            if name != "adam":
                subjects[name] = Ours(workload, start, batch, optimizer=optimizer(lr=LR))
    if len(subjects) == 1:
        return {}
    times = take_turns(subjects, options.rounds)
    return {name: float(np.median(each / times["adam"])) for name, each in times.items() if name != "adam"}


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    found = [
        f"{each['internal_api']} {each['version']}, kernel {each.get('architecture')}, threads {each['num_threads']}"
        for each in threadpool_info()
        if each["user_api"] == "blas"
    ]
    return {"cpu": _cpu(), "python": platform.python_version(), "numpy": np.__version__, "blas": "; ".join(found)}


def _cpu() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


COLUMNS = {
    "plain_us": "plain NumPy",
    "bare_us": "bare loop",
    "step_us": "nnexp step",
    "step_to_bare": "to bare",
    "epoch_us": "nnexp epoch",
    "epoch_to_bare": "to bare",
    "products_us": "products",
}


def benchmark(workload: Workload, options: argparse.Namespace) -> list[dict[str, float]]:
    """Measure one workload, print its table and return it."""
    check(workload)
    print(f"\n{workload.name}, batch {workload.batch}: microseconds a step and replica")
    print(f"{'width':>5}" + "".join(f"{title:>13}" for title in COLUMNS.values()))
    table = []
    for width in options.widths:
        if width * workload.blueprint.layout.size <= MOST_PARAMETERS:
            row = measure(workload, width, options.rounds)
            print(f"{width:5}" + "".join(f"{row[key]:13.2f}" for key in COLUMNS), flush=True)
            ratios = vary(workload, width, options)
            if ratios:
                listed = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
                print(f"      to nnexp's step with Adam alone: {listed}", flush=True)
            table.append(row | {f"{name}_to_adam": ratio for name, ratio in ratios.items()})
    return table


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="one of the networks (all; repeatable)")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="replicas of the stacks")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of turns (15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures too")
    parser.add_argument("--dropout", type=float, metavar="KEEP", help="also measure dropout with this keep probability")
    parser.add_argument("--l2", type=float, metavar="STRENGTH", help="also measure a penalty")
    parser.add_argument("--optimizer", action="store_true", help="also measure the other optimizers")
    options = parser.parse_args()
    with threadpool_limits(1):
        facts = machine()
        for name, fact in facts.items():
            print(f"{name:8}{fact}")
        tables = {name: benchmark(WORKLOADS[name], options) for name in options.workload or WORKLOADS}
    if options.json:
        options.json.write_text(json.dumps({"machine": facts, "workloads": tables}, indent=1) + "\n")


if __name__ == "__main__":
    main()
