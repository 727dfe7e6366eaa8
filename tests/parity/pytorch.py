"""The same trainings in plain PyTorch: its modules, optimizers and schedulers, float64, one thread.

Needs PyTorch 2.13. A lower-case name in a case is one of the formulas below, where PyTorch has no class for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from unittest import mock

import torch

from tests.parity.draws import Draw
from tests.parity.problem import EPOCHS, HIDDEN, INPUTS, OUTPUTS, TRAIN, Problem, problem
from tests.parity.words import Call, Case, Reference

Trajectory = dict[str, Any]
Memory = dict[str, Any]

LOSSES_OF_LABELS = {"CrossEntropyLoss", "MultiMarginLoss"}


def trajectory(case: Case) -> Trajectory:
    """Train a case; return its cost and its validation loss by epoch, and the parameters after the last step."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # else NAdam keeps its product of momenta in float32
    return _Training(case).run()


def weights(case: Draw) -> Any:
    """Return what torch.nn.init draws."""
    torch.manual_seed(3)
    W = torch.empty(case.shape, dtype=torch.float64)
    getattr(torch.nn.init, case.theirs.name)(W, **case.theirs.settings)
    return W.numpy()


def gain(wanted: Call) -> float:
    """Return torch.nn.init's gain."""
    return float(getattr(torch.nn.init, wanted.name)(**wanted.settings))


class _Training:
    """One training."""

    def __init__(self, case: Case) -> None:
        self.theirs, self.given = case.theirs, problem(case.kind)
        self.batch_size = case.batch_size or TRAIN
        self.layers = _layers(self.given, self.theirs)
        self.net = torch.nn.Sequential(*self.layers)
        self.optimizer = _optimizer(self.theirs.optimizer, self.layers, self.net)
        self.schedule = None if self.theirs.schedule is None else _schedule(self.theirs.schedule, self.optimizer)
        self.average = None if self.theirs.averaging is None else _average(self.theirs.averaging, self.net)
        self.loss = _made(self.theirs.loss, torch.nn)
        self.X = torch.from_numpy(self.given.X)
        self.y = _targets(case)
        self.weights_of_examples = torch.from_numpy(self.given.weights) if case.weighted else None
        self.weights = [layer.weight for layer in self.layers if isinstance(layer, torch.nn.Linear)]

    def run(self) -> Trajectory:
        found: Trajectory = {"train/cost": [], "val/loss": []}
        for epoch in range(EPOCHS):
            plateau = _plateau(self.schedule)
            costs = sum(self.step(batch) * self.weight(batch) for batch in self.batches(epoch))
            found["train/cost"].append(costs / self.weight(slice(TRAIN)))
            found["val/loss"].append(self.validate(self.net))
            if self.average is not None:
                found.setdefault("val/ema_loss", []).append(self.validate(self.average))
            if plateau is not None:
                plateau.step(found["val/loss"][-1])
        return {**found, "last": _named(self.layers)}

    def batches(self, epoch: int) -> Iterator[Any]:
        order = torch.from_numpy(self.given.order[epoch])
        yield from order.split(self.batch_size)

    def step(self, batch: Any) -> float:
        """Take one step; return the cost before it."""
        self.net.train()
        self.net.zero_grad()
        cost = self.mean(self.net, batch) + self.penalty(len(batch))
        cost.backward()
        if self.theirs.clip is not None:
            _made(self.theirs.clip, torch.nn.utils, self.net.parameters())
        self.optimizer.step()
        if self.theirs.constraint is not None:
            _constrain(self.theirs.constraint, self.weights)
        if self.average is not None:
            self.average.update_parameters(self.net)
        if self.schedule is not None and _plateau(self.schedule) is None:
            self.schedule.step()
        return float(cost.detach())

    def penalty(self, examples: int) -> Any:
        l2, l1 = self.theirs.l2 / (2 * examples), self.theirs.l1 / examples
        return sum(l2 * W.square().sum() + l1 * W.abs().sum() for W in self.weights)

    def validate(self, net: Any) -> float:
        net.eval()
        with torch.no_grad():
            return float(self.mean(net, slice(TRAIN, None)))

    def mean(self, net: Any, part: Any) -> Any:
        """Return the mean loss of some examples."""
        given = [] if self.weights_of_examples is None else [self.weights_of_examples[part]]
        return self.loss(net(self.X[part]), self.y[part], *given)

    def weight(self, part: Any) -> float:
        """Return how much some examples weigh: as many as there are, or the sum of their weights."""
        return len(self.y[part]) if self.weights_of_examples is None else float(self.weights_of_examples[part].sum())


def _made(wanted: Call, module: Any, *first: Any) -> Any:
    """Return what a class of PyTorch, or a formula, makes of its arguments."""
    maker = getattr(module, wanted.name, None) or FORMULAS[wanted.name]
    settings = dict(wanted.settings)
    if "weight" in settings:
        settings["weight"] = torch.tensor(settings["weight"])
    return maker(*first, **settings)


def _layers(given: Problem, theirs: Reference) -> list[Any]:
    """Return the layers of the network, with the problem's weights in them."""
    layers: list[Any] = []
    sizes = (INPUTS, *HIDDEN, OUTPUTS[given.kind])
    for number, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        hidden = number < len(sizes) - 1
        normalized = hidden and theirs.normalization is not None
        linear = torch.nn.Linear(fan_in, fan_out, bias=not normalized)
        layers.append(linear)
        biased = linear
        if normalized:
            assert theirs.normalization is not None
            biased = _made(theirs.normalization, torch.nn, fan_out)
            layers.append(biased)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(given.start[f"W{number}"]))
            biased.bias.copy_(torch.from_numpy(given.start[f"b{number}"]))
        if hidden:
            layers.append(_made(theirs.activation, torch.nn))
    if theirs.output is not None:
        layers.append(_made(theirs.output, torch.nn))
    return layers


def _named(layers: list[Any]) -> dict[str, Any]:
    """Return the parameters by nnexp's names."""
    found: dict[str, Any] = {}
    number = 0
    for layer in layers:
        if isinstance(layer, torch.nn.Linear):
            number += 1
            found[f"W{number}"] = layer.weight.tolist()
            if layer.bias is not None:
                found[f"b{number}"] = layer.bias.tolist()
        elif isinstance(layer, torch.nn.BatchNorm1d | torch.nn.LayerNorm):
            found[f"gamma{number}"], found[f"b{number}"] = layer.weight.tolist(), layer.bias.tolist()
        if isinstance(layer, torch.nn.BatchNorm1d):
            found[f"mean{number}"], found[f"variance{number}"] = layer.running_mean.tolist(), layer.running_var.tolist()
    return found


def _targets(case: Case) -> Any:
    """Return labels (N,) for the losses that take them, and values (N, outputs) for the others."""
    y = torch.from_numpy(problem(case.kind).y)
    if y.ndim == 2:
        return y
    if LOSSES_OF_LABELS & {case.theirs.loss.name, case.theirs.loss.settings.get("of")}:
        return y
    if case.kind == "classes":
        return torch.nn.functional.one_hot(y, OUTPUTS["classes"]).double()
    return y.double()[:, None]


def _optimizer(wanted: Call, layers: list[Any], net: Any) -> Any:
    if wanted.name in FORMULAS_OF_LAYERS:
        return FORMULAS_OF_LAYERS[wanted.name](layers, **wanted.settings)
    return _made(wanted, torch.optim, net.parameters())


def _schedule(wanted: Call, optimizer: Any) -> Any:
    if wanted.name != "SequentialLR":
        return _made(wanted, torch.optim.lr_scheduler, optimizer)
    inner = [_schedule(each, optimizer) for each in wanted.settings["schedulers"]]
    return torch.optim.lr_scheduler.SequentialLR(optimizer, inner, milestones=wanted.settings["milestones"])


def _plateau(schedule: Any) -> Any:
    """Return the scheduler that follows the validation loss; None where there is none, or not yet."""
    current = getattr(schedule, "current", schedule)
    return current if isinstance(current, torch.optim.lr_scheduler.ReduceLROnPlateau) else None


def _average(wanted: Call, net: Any) -> Any:
    averaged = torch.optim.swa_utils
    return averaged.AveragedModel(net, multi_avg_fn=_made(wanted, averaged), use_buffers=True)


def _constrain(wanted: Call, weights: list[Any]) -> None:
    with torch.no_grad():
        for W in weights:
            W.copy_(_made(wanted, torch, W))


# formulas


class ByFormula:
    """An optimizer that PyTorch has not, from the step of one parameter.

    rule: moves theta, in place, by a gradient; t counts from 1, the memory starts empty.
    """

    def __init__(self, parameters: Any, rule: Callable[[Any, Any, Memory, int], None]) -> None:
        self.rule, self.t = rule, 0
        self.parameters = [(parameter, Memory()) for parameter in parameters]

    def step(self) -> None:
        """Move all parameters."""
        self.t += 1
        with torch.no_grad():
            for theta, memory in self.parameters:
                self.rule(theta, theta.grad, memory, self.t)


def rmsprop_eps_inside(
    parameters: Any,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float = 0.0,
    centered: bool = False,
) -> ByFormula:
    """Return RMSprop whose eps is inside the root."""

    def rule(theta: Any, g: Any, memory: Memory, t: int) -> None:
        g = g + weight_decay * theta
        v = memory["v"] = alpha * memory.get("v", 0) + (1 - alpha) * g**2
        m = memory["m"] = alpha * memory.get("m", 0) + (1 - alpha) * g
        size = (v - m**2 if centered else v) + eps
        b = memory["b"] = momentum * memory.get("b", 0) + g / size.sqrt()
        theta -= lr * b

    return ByFormula(parameters, rule)


def lion(parameters: Any, lr: float, betas: tuple[float, float], weight_decay: float) -> ByFormula:
    """Return Lion, by Chen et al. 2023, arXiv:2302.06675, Algorithm 2."""
    beta1, beta2 = betas

    def rule(theta: Any, g: Any, memory: Memory, t: int) -> None:
        m = memory.get("m", torch.zeros_like(g))
        theta -= lr * ((beta1 * m + (1 - beta1) * g).sign() + weight_decay * theta)
        memory["m"] = beta2 * m + (1 - beta2) * g

    return ByFormula(parameters, rule)


class MuonAndAdamW:
    """PyTorch's own Muon, in float64, for the weights of hidden layers, and its AdamW for all other parameters."""

    def __init__(self, layers: list[Any], muon: Call, adamw: Call) -> None:
        linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
        matrices = [layer.weight for layer in linear[:-1]]
        others = [each for layer in layers for each in layer.parameters() if all(each is not W for W in matrices)]
        self.optimizers = [_made(muon, torch.optim, matrices), _made(adamw, torch.optim, others)]

    def step(self) -> None:
        """Move all parameters, with no number cut down to bfloat16."""
        with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
            for optimizer in self.optimizers:
                optimizer.step()


class HardSigmoid(torch.nn.Module):  # type: ignore[misc]
    """A hard sigmoid whose derivative is that of its clamp."""

    def forward(self, z: Any) -> Any:
        """Return the activations."""
        return (z + 3).clamp(0, 6) / 6


def mean_of_sums(of: str, smoothing: float = 0.0, class_weight: tuple[float, ...] = (), **settings: Any) -> Any:
    """Return a loss of PyTorch as the mean over examples, by their weights, of sums over their outputs.

    smoothing: of targets 0 and 1. class_weight: further factors on the weights of the examples, by their labels.
    """
    criterion = getattr(torch.nn, of)(reduction="none", **settings)

    def mean(outputs: Any, y: Any, weights: Any = 1.0) -> Any:
        each = criterion(outputs, (1 - smoothing) * y + smoothing / 2 if smoothing else y)
        each = each if each.ndim == 1 else each.sum(dim=1)
        w = weights * torch.ones_like(each)
        if class_weight:
            w = w * torch.tensor(class_weight)[y.reshape(-1).long()]
        return (w * each).sum() / w.sum()

    return mean


def max_norm(W: Any, limit: float) -> Any:
    """Return weights (n_out, n_in) with each unit's norm within the limit."""
    return W * (limit / W.norm(dim=1, keepdim=True)).clamp(max=1)


def inverse_time(optimizer: Any, rate: float) -> Any:
    """Return a schedule that falls as 1 / t."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda steps: 1 / (1 + rate * steps))


def polynomial(optimizer: Any, power: float, end: float, total_iters: int) -> Any:
    """Return a schedule that falls to an end that is not 0."""
    factor = lambda steps: end + (1 - end) * (1 - steps / total_iters) ** power  # noqa: E731
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


class OneAfterAnother:
    """Two schedules, the second of which is made when the first is over."""

    def __init__(self, optimizer: Any, first: Call, second: Call, milestone: int) -> None:
        self.optimizer, self.second, self.left = optimizer, second, milestone
        self.current = _schedule(first, optimizer)

    def step(self) -> None:
        """Set the lr of the next step."""
        self.current.step()
        self.left -= 1
        if self.left == 0:
            self.current = _schedule(self.second, self.optimizer)


FORMULAS: dict[str, Callable[..., Any]] = {
    "inverse_time": inverse_time,
    "hard_sigmoid": HardSigmoid,
    "lion": lion,
    "max_norm": max_norm,
    "one_after_another": OneAfterAnother,
    "polynomial": polynomial,
    "rmsprop_eps_inside": rmsprop_eps_inside,
    "mean_of_sums": mean_of_sums,
}
FORMULAS_OF_LAYERS: dict[str, Callable[..., Any]] = {"muon_and_adamw": MuonAndAdamW}
