"""Both components keep every contract that nnexp's own keep, and signum takes the steps of its source."""

from __future__ import annotations

import numpy as np
import pytest
from nnexp_example import Signum, SquaredReLU

from nnexp.testing import assert_textbook, check_component


@pytest.mark.parametrize("cls", [Signum, SquaredReLU])
def test_a_component_keeps_every_contract(cls: type) -> None:
    check_component(cls)


def test_signum_takes_the_steps_of_its_formula() -> None:
    def formula(o, theta, g, memory, t):
        memory["m"] = o.beta1 * memory["m"] + (1 - o.beta1) * g
        return theta - o.lr * np.sign(memory["m"])

    assert_textbook(Signum(), formula)
    assert_textbook(Signum(beta1=0.0), formula)
