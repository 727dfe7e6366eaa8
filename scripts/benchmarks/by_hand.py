"""The same training step written by hand: as little as it takes, as one writes it at first, and its products alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.workloads import Workload
from nnexp.arrays import Floats, Integers

LR, BETA1, BETA2, EPS = 0.001, 0.9, 0.999, 1e-8


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
