"""Architectures: what network follows from settings, data and loss."""

from __future__ import annotations

import pytest

from nnexp.network.activations import ACTIVATIONS, ReLU, Tanh
from nnexp.network.architecture import ARCHITECTURES, MLP
from nnexp.network.losses import LOSSES, MeanSquaredError


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_network_leads_from_the_inputs_to_the_outputs(name: str, loss: str) -> None:
    architecture = ARCHITECTURES[name]()
    blueprint = architecture.blueprint(7, 3, LOSSES[loss](), "float64")
    assert (blueprint.sizes[0], blueprint.sizes[-1], blueprint.dtype) == (7, 3, "float64")
    assert len(blueprint.activations) == len(blueprint.sizes) - 2
    assert blueprint.layout.sizes == blueprint.sizes


def test_the_layers_of_an_mlp_are_as_listed() -> None:
    mlp = MLP(hidden=(5, 4), activation=(Tanh(), ReLU()))
    blueprint = mlp.blueprint(3, 2, MeanSquaredError(), "float32")
    assert blueprint.sizes == (3, 5, 4, 2)
    assert blueprint.activations == (Tanh(), ReLU())
    assert MLP(hidden=(5, 4), activation=Tanh()).activations == (Tanh(), Tanh())


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_automatic_output_is_the_losss_own(loss: str) -> None:
    expected = LOSSES[loss].output or "identity"
    assert MLP().output_for(LOSSES[loss]()) == expected
    assert MLP(output=expected).output_for(LOSSES[loss]()) == expected
    assert MLP().blueprint(1, 1, LOSSES[loss](), "float32").output is None


@pytest.mark.parametrize("output", sorted(set(ACTIVATIONS) - {"identity"}))
def test_a_loss_of_values_sees_the_output_that_was_chosen(output: str) -> None:
    assert MLP(output=output).blueprint(1, 1, MeanSquaredError(), "float32").output == ACTIVATIONS[output]()
