"""The language of conditions: it reads settings and compares them, and whatever else is written is one line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.config.expressions import LONGEST, Settings, parse
from nnexp.errors import ConfigError

CONFIG: dict[str, Any] = {
    "seed": 3,
    "architecture": {"name": "mlp", "hidden": [8, 4], "activation": {"name": "leaky_relu", "slope": 0.1}},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "l1": {"name": "none"},
    "l2": {"name": "l2", "strength": 0.5},
    "dataset": {"name": "moons", "seed": 7, "path": None},
    "training": {"batch_size": "full", "shuffle": True, "epochs": 20},
}

HOLDS = {
    "optimizer == 'sgd'": True,
    "optimizer.lr < 0.2": True,
    "lr < 0.2": True,
    "l2 == 'none'": False,
    "strength >= 0.5": True,
    "activation == 'leaky_relu' and slope < 1": True,
    "architecture.activation.slope == 0.1": True,
    "hidden == [8, 4]": True,
    "hidden in [[8], [8, 4]]": True,
    "hidden in ([8], [8, 4])": True,
    "8 in hidden": True,
    "16 not in hidden": True,
    "seed == 3": True,
    "dataset.seed == 7": True,
    "path == null": True,
    "path == None": True,
    "shuffle == true": True,
    "shuffle": True,
    "not shuffle": False,
    "true or false": True,
    "batch_size == 'full' or batch_size < 64": True,
    "1 < seed <= 3": True,
    "3 < seed < 1 / 0": False,
    "lr * epochs == 2": True,
    "-lr + 1 - 0.9 ** 2 > 0.05": True,
    "epochs // 3 == 6 and epochs % 3 == 2": True,
    "optimizer == 'adam' and beta1 < 0.9": False,  # what is clear already is not looked at
    "optimizer != 'adam' or beta1 < 0.9": True,
}

REFUSED = {
    "lr": "`lr` must be true or false, got 0.1",
    "lr <": "not an expression",
    "": "not an expression",
    "lr = 3": "not an expression",
    "lr := 3": "not an expression",
    "lr < 1; lr": "not an expression",
    "'\\d' == optimizer": "not an expression",
    "lr < 1\0": "not an expression",
    "(" * 300 + "lr": "not an expression",
    "lr < 'a'": "0.1 and 'a' cannot be compared so",
    "seed in lr": "3 and 0.1 cannot be compared so",
    "lr / 0 > 1": "divides by zero",
    "lr % 0 > 1": "divides by zero",
    "(-1) ** 0.5 > 1": "out of range",
    "9 ** 9 ** 9 > 1": "out of range",
    "optimizer * 3 == 'sgdsgdsgd'": "`optimizer` must be a number, got 'sgd'",
    "shuffle + 1 == 2": "`shuffle` must be a number, got True",
    "optimizer == 'sgd' or 'adam'": "`'adam'` between and, or",
    "not seed": "`seed` must be true or false, got 3",
    "lr and true": "`lr` must be true or false, got 0.1",
    "optimizer.beta1 < 1": "optimizer (sgd) has no setting 'beta1'; guard it",
    "epoch > 1": "no setting 'epoch' here (did you mean epochs?)",
    "name == 'a'": "'name' may be any of: architecture.activation.name",
    "training == 'a'": "'training' is a group of settings",
    "optimizer.lr.real > 1": "there is no setting 'optimizer.lr.real'",
    "__import__('os').system('ls')": "is not understood",
    "optimizer.__class__": "optimizer (sgd) has no setting '__class__'",
    "().__class__.__bases__": "is not understood",
    "hidden[0] == 8": "`hidden[0]` is not understood",
    "lr is 0.1": "is not understood",
    "seed is shuffle": "`seed is shuffle` is not understood",
    "[x for x in hidden] == []": "is not understood",
    "(lambda: true)()": "is not understood",
    "f'{lr}' == '0.1'": "is not understood",
    "lr if shuffle else seed": "is not understood",
    "b'a' == optimizer": "is not understood",
    "2j == lr": "is not understood",
    "... == lr": "is not understood",
    "{1: 2} == lr": "is not understood",
    "~seed == 1": "is not understood",
    "seed << 3 == 1": "is not understood",
    "(*hidden, 1) == 1": "`*hidden` is not understood",
    "seed" + " + seed" * 200 + " > 1": f"at most {LONGEST} characters",
}


@pytest.mark.parametrize("text", HOLDS)
def test_an_expression_says_of_a_config_whether_it_holds(text: str) -> None:
    assert parse("sweep.where", text).holds(Settings(CONFIG)) is HOLDS[text]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40])
def test_whatever_else_is_one_line_that_says_why(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("sweep.where", text).holds(Settings(CONFIG))
    line = str(caught.value)
    assert line.startswith("sweep.where")
    assert REFUSED[text] in line, line
    assert "\n" not in line


def test_of_several_settings_with_one_end_the_swept_one_is_meant() -> None:
    config = {"normalization": {"eps": 1}, "optimizer": {"eps": 2}}
    assert parse("w", "eps == 2").holds(Settings(config, ["optimizer.eps"]))
    for axes in ([], ["normalization.eps", "optimizer.eps"]):
        with pytest.raises(ConfigError, match=r"may be any of: normalization\.eps, optimizer\.eps"):
            parse("w", "eps == 2").holds(Settings(config, axes))


def test_a_condition_names_the_settings_that_it_reads() -> None:
    names = parse("w", "optimizer.lr < 1 and not (hidden == [8] or seed in [1, lr])").names
    assert {"optimizer.lr", "hidden", "seed", "lr"} <= names


@given(st.text(max_size=60) | st.text("()[]{}'\"\\.,:=<>+-*/% andornti0123456789lr", max_size=60))
def test_no_text_does_anything_but_hold_or_not_or_be_refused(text: str) -> None:
    try:
        told: bool | str = parse("w", text).holds(Settings(CONFIG))
    except ConfigError as error:
        told = str(error)
    assert isinstance(told, bool) or "\n" not in told
