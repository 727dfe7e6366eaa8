"""What users would take instead, on the same networks: PyTorch and JAX, one thread, as their documentation has it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.by_hand import LR
from benchmarks.turns import Subject
from benchmarks.workloads import Workload

SCANNED = 20  # steps of one compiled JAX loop; fewer where the batches would be large
MOST_SCANNED = 4e6  # numbers in a loop's batches
MOST_PARAMETERS = 6e6  # of a vmapped stack
WIDTHS = (16, 64, 256)


class Torch:
    """One network in PyTorch's eager mode, with its fused Adam."""

    def __init__(self, workload: Workload) -> None:
        import torch
        from torch.nn import Linear, ReLU, Sequential

        torch.set_num_threads(1)
        pairs = list(zip(workload.sizes, workload.sizes[1:], strict=False))
        layers = [[Linear(fan_in, fan_out), ReLU()] for fan_in, fan_out in pairs]
        self.network = Sequential(*[layer for both in layers for layer in both][:-1])
        inputs, labels = workload.examples(workload.batch)
        self.inputs, self.labels = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
        self.loss = torch.nn.functional.cross_entropy
        self.adam = torch.optim.Adam(self.network.parameters(), LR, fused=True)

    def reset(self) -> None:
        """Nothing changes that takes time."""

    def step(self) -> None:
        """Take one step."""
        self.adam.zero_grad()
        self.loss(self.network(self.inputs), self.labels).backward()
        self.adam.step()


class Jax:
    """A compiled loop of steps in JAX with Optax's Adam: one network, or so many by vmap."""

    def __init__(self, workload: Workload, width: int) -> None:
        import jax

        step, start = _jax_step(workload)
        shape = (width,) if width > 1 else ()
        self.steps = max(3, min(SCANNED, int(MOST_SCANNED / (width * workload.sizes[0] * workload.batch))))
        inputs, labels = workload.examples(workload.batch)
        self.batches = tuple(
            np.broadcast_to(each.astype(kind), (self.steps, *shape, *each.shape)).copy()
            for each, kind in ((inputs, np.float32), (labels, np.int32))
        )
        keys = jax.random.split(jax.random.key(0), width)
        self.carry = jax.vmap(start)(keys) if width > 1 else start(keys[0])
        step = jax.vmap(step) if width > 1 else step
        self.loop = jax.jit(lambda carry, batches: jax.lax.scan(step, carry, batches))

    def reset(self) -> None:
        """Nothing changes that takes time."""

    def step(self) -> None:
        """Run the loop once: `steps` steps of all networks."""
        self.carry, losses = self.loop(self.carry, self.batches)
        losses.block_until_ready()


def _jax_step(workload: Workload) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return a step of one network and what makes its first state."""
    import jax
    import jax.numpy as jnp
    import optax

    adam = optax.adam(LR)
    pairs = list(zip(workload.sizes, workload.sizes[1:], strict=False))

    def start(key: Any) -> Any:
        keys = jax.random.split(key, len(pairs))
        layers = [
            (jax.random.normal(each, pair) * jnp.sqrt(2 / pair[0]), jnp.zeros(pair[1]))
            for each, pair in zip(keys, pairs, strict=True)
        ]
        return layers, adam.init(layers)

    def cost(layers: Any, inputs: Any, labels: Any) -> Any:
        A = inputs
        for number, (W, b) in enumerate(layers, start=1):
            Z = A @ W + b
            A = jax.nn.relu(Z) if number < len(layers) else Z
        return optax.softmax_cross_entropy_with_integer_labels(A, labels).mean()

    def step(carry: Any, batch: Any) -> Any:
        layers, moments = carry
        value, gradients = jax.value_and_grad(cost)(layers, *batch)
        updates, moments = adam.update(gradients, moments)
        return (optax.apply_updates(layers, updates), moments), value

    return step, start


def peers(workload: Workload) -> Iterator[tuple[str, Subject, float]]:
    """Yield each peer that is installed: its name, what to measure, and how many steps of one network it takes."""
    if importlib.util.find_spec("torch") is not None:
        yield "PyTorch eager, fused Adam", Torch(workload), 1
    if importlib.util.find_spec("jax") is not None and importlib.util.find_spec("optax") is not None:
        for width in (1, *WIDTHS):
            if width == 1 or width * workload.blueprint.layout.size <= MOST_PARAMETERS:
                loop = Jax(workload, width)
                name = "JAX jit + scan" if width == 1 else f"JAX vmap + scan, {width} wide"
                yield name, loop, loop.steps * width
