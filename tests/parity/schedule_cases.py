"""The schedules' cases: alone, within epochs of three steps, and behind a warm-up of four epochs."""

from __future__ import annotations

from typing import Any

from nnexp.network.optimizers import SGD
from nnexp.network.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    InverseTime,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Schedule,
    Step,
)
from tests.parity.problem import EPOCHS
from tests.parity.words import Call, Case, Reference, Settings, call

NONE_SO_CALLED = "PyTorch has none of this name; compared with LambdaLR and the formula"
ENDS_AT_0 = "PyTorch's ends at 0; compared with LambdaLR and the formula"
MADE_LATER = "PyTorch's sets lr as soon as it is made, also behind a warm-up; compared with one that is made after it"
NOT_IN_SEQUENCE = "PyTorch's SequentialLR takes no ReduceLROnPlateau; compared with one that is made after the warm-up"

LR = 0.5
STEPS = 3 * EPOCHS  # of mini-batches of 5, 5 and 2 examples
LEFT = EPOCHS - 4  # after the warm-up
WARM: Settings = {"warmup": 4.0, "warmup_start": 0.2}
RISE = call("LinearLR", start_factor=0.2, total_iters=4)


def case(ours: Schedule, theirs: Call, reason: str = "", **more: Any) -> Case:
    """Return a training with a schedule."""
    chosen: Settings = {"optimizer": SGD(lr=LR), "schedule": ours}
    reference = Reference(optimizer=call("SGD", lr=LR), schedule=theirs)
    return Case(group="schedule", ours=chosen, theirs=reference, reason=reason, **more)


def warm(ours: Schedule, theirs: Call, reason: str = "") -> Case:
    """Return a training with a schedule behind a warm-up."""
    return case(ours, call("SequentialLR", schedulers=(RISE, theirs), milestones=[4]), reason)


def by_steps(ours: Schedule, theirs: Call, reason: str = "") -> Case:
    """Return a training of mini-batches, in which PyTorch's schedule is stepped with each."""
    return case(ours, theirs, reason, batch_size=5)


def after_warm_up(theirs: Call) -> Call:
    """Return a warm-up and what is made when it is over."""
    return call("one_after_another", first=RISE, second=theirs, milestone=4)


RESTARTS: Settings = {"period": 3.0, "growth": 2.0, "end": 0.1}
THEIR_RESTARTS = call("CosineAnnealingWarmRestarts", T_0=3, T_mult=2, eta_min=0.1 * LR)
CYCLE: Settings = {"rise": 0.5, "start": 0.1, "end": 0.005}
THEIR_CYCLE: Settings = {"max_lr": LR, "pct_start": 0.5, "div_factor": 10.0, "final_div_factor": 20.0}
THEIR_CYCLE["cycle_momentum"] = False
PLATEAU: Settings = {"factor": 0.5, "patience": 1, "cooldown": 2, "threshold": 0.03}

SCHEDULE_CASES: dict[str, Case] = {
    "constant": case(Constant(), call("ConstantLR", factor=1.0)),
    "constant, warm-up": warm(Constant(**WARM), call("ConstantLR", factor=1.0)),
    "step": case(Step(every=6.0, gamma=0.3), call("StepLR", step_size=6, gamma=0.3)),
    "step, warm-up": warm(Step(every=6.0, gamma=0.3, **WARM), call("StepLR", step_size=6, gamma=0.3)),
    "step, mini-batches": by_steps(Step(every=6.0, gamma=0.3), call("StepLR", step_size=18, gamma=0.3)),
    "exponential": case(Exponential(gamma=0.9), call("ExponentialLR", gamma=0.9)),
    "exponential, warm-up": warm(Exponential(gamma=0.9, **WARM), call("ExponentialLR", gamma=0.9)),
    "exponential, mini-batches": by_steps(Exponential(gamma=0.9), call("ExponentialLR", gamma=0.9 ** (1 / 3))),
    "inverse_time": case(InverseTime(rate=0.3), call("inverse_time", rate=0.3), NONE_SO_CALLED),
    "inverse_time, warm-up": warm(InverseTime(rate=0.3, **WARM), call("inverse_time", rate=0.3), NONE_SO_CALLED),
    "inverse_time, mini-batches": by_steps(InverseTime(rate=0.3), call("inverse_time", rate=0.1), NONE_SO_CALLED),
    "polynomial": case(Polynomial(power=2.0), call("PolynomialLR", total_iters=EPOCHS, power=2.0)),
    "polynomial, end": case(Polynomial(end=0.2), call("polynomial", power=1, end=0.2, total_iters=EPOCHS), ENDS_AT_0),
    "polynomial, warm-up": warm(Polynomial(power=2.0, **WARM), call("PolynomialLR", total_iters=LEFT, power=2.0)),
    "polynomial, mini-batches": by_steps(Polynomial(power=2.0), call("PolynomialLR", total_iters=STEPS, power=2.0)),
    "cosine": case(Cosine(end=0.1), call("CosineAnnealingLR", T_max=EPOCHS, eta_min=0.1 * LR)),
    "cosine, warm-up": warm(Cosine(**WARM), call("CosineAnnealingLR", T_max=LEFT)),
    "cosine, mini-batches": by_steps(Cosine(), call("CosineAnnealingLR", T_max=STEPS)),
    "cosine_restarts": case(CosineRestarts(**RESTARTS), THEIR_RESTARTS),
    "cosine_restarts, equal": case(CosineRestarts(period=6.0), call("CosineAnnealingWarmRestarts", T_0=6)),
    "cosine_restarts, warm-up": warm(CosineRestarts(**RESTARTS, **WARM), THEIR_RESTARTS),
    "one_cycle": case(OneCycle(**CYCLE), call("OneCycleLR", total_steps=EPOCHS, **THEIR_CYCLE)),
    "one_cycle, linear": case(
        OneCycle(anneal="linear", **CYCLE),
        call("OneCycleLR", total_steps=EPOCHS, anneal_strategy="linear", **THEIR_CYCLE),
    ),
    "one_cycle, mini-batches": by_steps(OneCycle(**CYCLE), call("OneCycleLR", total_steps=STEPS, **THEIR_CYCLE)),
    "one_cycle, warm-up": case(
        OneCycle(**CYCLE, **WARM), after_warm_up(call("OneCycleLR", total_steps=LEFT, **THEIR_CYCLE)), MADE_LATER
    ),
    "reduce_on_plateau": case(
        ReduceOnPlateau(end=0.2, **PLATEAU), call("ReduceLROnPlateau", min_lr=0.2 * LR, eps=0, **PLATEAU)
    ),
    "reduce_on_plateau, warm-up": case(
        ReduceOnPlateau(threshold_mode="abs", **PLATEAU, **WARM),
        after_warm_up(call("ReduceLROnPlateau", threshold_mode="abs", eps=0, **PLATEAU)),
        NOT_IN_SEQUENCE,
    ),
}
