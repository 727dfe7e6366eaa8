"""The optimizers' cases: all options, weight decay coupled and decoupled."""

from __future__ import annotations

from typing import Any

from nnexp.network.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Momentum,
    Muon,
    NAdam,
    Nesterov,
    Optimizer,
    RAdam,
    RMSprop,
)
from tests.parity.words import Call, Case, Reference, Settings, call

EPS_INSIDE = "PyTorch adds eps outside the root, as nnexp where eps_inside is false; compared with the formula"
NO_LION = "PyTorch has none; compared with the algorithm of its source"
FLOAT64 = (
    "PyTorch iterates in bfloat16 and takes nothing but matrices; compared with its code in float64, AdamW beside it"
)


def case(ours: Optimizer, theirs: Call, reason: str = "", **more: Any) -> Case:
    """Return a training with an optimizer."""
    return Case(group="optimizer", ours={"optimizer": ours}, theirs=Reference(optimizer=theirs), reason=reason, **more)


DECAY: Settings = {"weight_decay": 0.15}
SAME: Settings = {"lr": 0.02, "eps": 1e-4, **DECAY}
BETAS: Settings = {"beta1": 0.8, "beta2": 0.95}
PAIR: Settings = {"betas": (0.8, 0.95)}
HEAVY: Settings = {"lr": 0.2, "beta1": 0.8, **DECAY}
SUMMED: Settings = {"lr": 0.2, "momentum": 0.8, **DECAY}
WEIGHTED: Settings = SUMMED | {"lr": 0.2 * (1 - 0.8)}

DESCENT: dict[str, Case] = {
    "sgd": case(SGD(lr=0.2, **DECAY), call("SGD", lr=0.2, **DECAY)),
    "momentum": case(Momentum(**HEAVY), call("SGD", **WEIGHTED)),
    "momentum, summed": case(Momentum(form="pytorch", **HEAVY), call("SGD", **SUMMED)),
    "nesterov": case(Nesterov(**HEAVY), call("SGD", nesterov=True, **WEIGHTED)),
    "nesterov, summed": case(Nesterov(form="pytorch", **HEAVY), call("SGD", nesterov=True, **SUMMED)),
    "lion": case(Lion(lr=0.02, **BETAS, **DECAY), call("lion", lr=0.02, **PAIR, **DECAY), NO_LION),
}

ADAPTIVE: dict[str, Case] = {
    "adagrad": case(Adagrad(**SAME | {"lr": 0.1}), call("Adagrad", **SAME | {"lr": 0.1})),
    "adadelta": case(Adadelta(rho=0.8, **SAME | {"lr": 2.0}), call("Adadelta", rho=0.8, **SAME | {"lr": 2.0})),
}
PARTS: dict[str, Settings] = {
    "rmsprop": {},
    "rmsprop, momentum": {"momentum": 0.7},
    "rmsprop, centred": {"centered": True},
}
for name, parts in PARTS.items():
    outside = RMSprop(beta2=0.8, eps_inside=False, **SAME, **parts)
    ADAPTIVE[name] = case(outside, call("RMSprop", alpha=0.8, **SAME, **parts))
    inside = RMSprop(beta2=0.8, **SAME, **parts)
    ADAPTIVE[f"{name}, eps inside"] = case(inside, call("rmsprop_eps_inside", alpha=0.8, **SAME, **parts), EPS_INSIDE)

MOMENTS: dict[str, Case] = {
    "adam, mini-batches": case(Adam(lr=0.02), call("Adam", lr=0.02), batch_size=5),
    "adamax": case(Adamax(**BETAS, **SAME), call("Adamax", **PAIR, **SAME)),
}
for on in (False, True):
    amsgrad, decoupled = ", amsgrad" if on else "", ", decoupled" if on else ""
    MOMENTS |= {
        f"adam{amsgrad}": case(Adam(amsgrad=on, **BETAS, **SAME), call("Adam", amsgrad=on, **PAIR, **SAME)),
        f"adamw{amsgrad}": case(AdamW(amsgrad=on, **BETAS, **SAME), call("AdamW", amsgrad=on, **PAIR, **SAME)),
        f"nadam{decoupled}": case(
            NAdam(decoupled=on, momentum_decay=0.05, **BETAS, **SAME),
            call("NAdam", decoupled_weight_decay=on, momentum_decay=0.05, **PAIR, **SAME),
        ),
        f"radam{decoupled}": case(
            RAdam(decoupled=on, **BETAS, **SAME), call("RAdam", decoupled_weight_decay=on, **PAIR, **SAME)
        ),
    }

MUON: dict[str, Case] = {}
FORMS: dict[str, Settings] = {
    "muon": {"nesterov": True, "ns_steps": 5, "adjust_lr_fn": "original"},
    "muon, plain": {"nesterov": False, "ns_steps": 4, "adjust_lr_fn": "match_rms_adamw"},
}
REST: Settings = {"adamw_lr": 0.03, "adamw_beta1": 0.8, "adamw_beta2": 0.95, "adamw_eps": 1e-4}
for name, form in FORMS.items():
    matrices = call("Muon", lr=0.02, momentum=0.8, **form, **DECAY)
    rest = call("AdamW", **SAME | {"lr": 0.03}, **PAIR)
    theirs = call("muon_and_adamw", muon=matrices, adamw=rest)
    MUON[name] = case(Muon(lr=0.02, momentum=0.8, **form, **REST, **DECAY), theirs, FLOAT64)

OPTIMIZER_CASES = DESCENT | ADAPTIVE | MOMENTS | MUON
