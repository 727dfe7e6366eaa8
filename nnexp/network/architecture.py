"""Architectures: the layers of a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from nnexp.component import Component, table
from nnexp.errors import ConfigError, choose, require
from nnexp.network.activations import ACTIVATIONS, Activation, ReLU
from nnexp.network.losses import Loss
from nnexp.network.normalization import Normalization
from nnexp.network.stack import Blueprint


@dataclass(frozen=True, kw_only=True)
class MLP(Component):
    """A multi-layer perceptron: A_l = g_l(W_l A_{l-1} + b_l).

    Args: hidden: units of each hidden layer, >= 1; none for a linear model. activation: one for all hidden layers or
    one a layer. output: the activation of the outputs; `auto` follows the loss.
    Raises: ConfigError if a value is out of range, or there is not one activation a layer.
    """

    name: ClassVar[str] = "mlp"
    hidden: tuple[int, ...] = (64, 64)
    activation: Activation | tuple[Activation, ...] = field(default_factory=ReLU)
    output: str = "auto"

    def __post_init__(self) -> None:
        require(isinstance(self.hidden, tuple), "architecture.hidden", "a tuple of units", self.hidden)
        for units in self.hidden:
            require(units >= 1, "architecture.hidden", "a list of units, each >= 1", list(self.hidden))
        if isinstance(self.activation, tuple) and len(self.activation) != len(self.hidden):
            names = [activation.name for activation in self.activation]
            require(False, "architecture.activation", f"one or one a hidden layer ({len(self.hidden)})", names)
        choose("architecture.output", self.output, ("auto", *ACTIVATIONS))

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activation of each hidden layer."""
        return self.activation if isinstance(self.activation, tuple) else (self.activation,) * len(self.hidden)

    def output_for(self, loss: Loss) -> str:
        """Return the name of the output's activation under a loss.

        Raises: ConfigError if the loss fixes another one.
        """
        if self.output == "auto":
            return loss.output or "identity"
        if loss.output is not None and self.output != loss.output:
            raise ConfigError(
                f"architecture.output must be {loss.output} (or auto) for {loss.name}, got {self.output!r}"
            )
        return self.output

    def blueprint(
        self, inputs: int, outputs: int, loss: Loss, dtype: str, normalization: Normalization | None = None
    ) -> Blueprint:
        """Return the network for data with so many inputs and outputs."""
        output = self.output_for(loss)
        link = None if loss.output is not None or output == "identity" else ACTIVATIONS[output]()
        sizes = (inputs, *self.hidden, outputs)
        return Blueprint(sizes, self.activations, link, loss, dtype, normalization or Normalization())


ARCHITECTURES = table("architecture", MLP)
