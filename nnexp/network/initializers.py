"""The initializers by name."""

from __future__ import annotations

from nnexp.component import table
from nnexp.network.drawn import (
    Constant,
    Drawn,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    Random,
    Scaled,
    Uniform,
    Zeros,
)
from nnexp.network.initializer import Initializer
from nnexp.network.weight_file import File

__all__ = [
    "INITIALIZERS",
    "Constant",
    "Drawn",
    "File",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "Random",
    "Scaled",
    "Uniform",
    "Zeros",
]

INITIALIZERS = table(
    "initializer",
    *(Zeros, Constant, Random, Uniform, HeNormal, HeUniform, GlorotNormal, GlorotUniform, LecunNormal, LecunUniform),
    *(Orthogonal, File),
)
