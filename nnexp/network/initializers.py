"""Initializers: the weights a network starts from. Biases start at 0, unless a file says otherwise."""

from __future__ import annotations

import hashlib
import math
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from nnexp.arrays import Floats
from nnexp.component import Component, table
from nnexp.errors import ConfigError, UsageError, require

if TYPE_CHECKING:
    from nnexp.network.layout import Layout

SQRT2 = math.sqrt(2)
Gain = float | Literal["activation"]
Arrays = Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True)
class Initializer(Component):
    """What a network starts from."""

    @abstractmethod
    def start(self, layout: Layout, gains: Sequence[float], rng: np.random.Generator) -> Floats:
        """Return what a network starts from, (P + S,), in float64; gains: of each layer's activation."""

    def check(self, layout: Layout) -> None:
        """Raise ConfigError if networks of a layout cannot start from it."""


@dataclass(frozen=True, kw_only=True)
class Drawn(Initializer):
    """Draws one layer's weights W, (fan_out, fan_in), after another's."""

    def start(self, layout: Layout, gains: Sequence[float], rng: np.random.Generator) -> Floats:
        theta = layout.blank()
        for view, gain in zip(layout.views(theta), gains, strict=True):
            view[:, :-1] = self.weights(view.shape[0], view.shape[1] - 1, gain, rng)
        return theta

    @abstractmethod
    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        """Return new weights, (fan_out, fan_in), in float64; gain: of the layer's own activation."""


@dataclass(frozen=True, kw_only=True)
class Zeros(Drawn):
    """W = 0: every unit of a layer stays equal; here to show why weights are drawn."""

    name: ClassVar[str] = "zeros"

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        return np.zeros((fan_out, fan_in))


@dataclass(frozen=True, kw_only=True)
class Constant(Drawn):
    """W = value: as equal as zeros, but gradients pass.

    Args: value: of every weight, finite.
    Raises: ConfigError if the value is not finite.
    """

    name: ClassVar[str] = "constant"
    value: float = 0.1

    def __post_init__(self) -> None:
        require(math.isfinite(self.value), "constant: value", "finite", self.value)

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        return np.full((fan_out, fan_in), self.value)


@dataclass(frozen=True, kw_only=True)
class Random(Drawn):
    """W ~ scale N(0, 1), whatever the layer's size.

    Args: scale: standard deviation, > 0.
    Raises: ConfigError if the scale is out of range.
    """

    name: ClassVar[str] = "random"
    scale: float = 0.01

    def __post_init__(self) -> None:
        require(0 < self.scale < np.inf, "random: scale", "> 0", self.scale)

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        return self.scale * rng.standard_normal((fan_out, fan_in))


@dataclass(frozen=True, kw_only=True)
class Uniform(Drawn):
    """W ~ U(-bound, bound), whatever the layer's size.

    Args: bound: > 0.
    Raises: ConfigError if the bound is out of range.
    """

    name: ClassVar[str] = "uniform"
    bound: float = 0.05

    def __post_init__(self) -> None:
        require(0 < self.bound < np.inf, "uniform: bound", "> 0", self.bound)

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        return self.bound * rng.uniform(-1, 1, (fan_out, fan_in))


@dataclass(frozen=True, kw_only=True)
class Scaled(Drawn):
    """Independent weights whose variance follows from the layer's size: gain² share, the share as each class says.

    Normal, or uniform in ±gain sqrt(3 share).
    """

    gain: Gain = 1.0

    def __post_init__(self) -> None:
        valid = self.gain == "activation" or (isinstance(self.gain, int | float) and 0 < self.gain < math.inf)
        require(valid, f"{self.name}: gain", "> 0, or activation", self.gain)

    def weights(self, fan_out: int, fan_in: int, gain: float, rng: np.random.Generator) -> Floats:
        own = gain if self.gain == "activation" else float(self.gain)
        return own * self.draw(fan_out, fan_in, rng)

    @abstractmethod
    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        """Return weights for a gain of 1."""


def _normal(variance: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    return math.sqrt(variance) * rng.standard_normal(shape)


def _uniform(variance: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    bound = math.sqrt(3 * variance)  # the variance of U(-b, b) is b² / 3
    return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True, kw_only=True)
class HeNormal(Scaled):
    """W ~ N(0, gain² / fan_in); gain = sqrt(2) keeps the mean square of rectified layers.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: He et al. 2015, arXiv:1502.01852, equation 10.
    """

    name: ClassVar[str] = "he_normal"
    gain: Gain = SQRT2

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _normal(1 / fan_in, (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class HeUniform(HeNormal):
    """W ~ U(±gain sqrt(3 / fan_in)): the variance of he_normal.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: He et al. 2015, arXiv:1502.01852, equation 10.
    """

    name: ClassVar[str] = "he_uniform"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _uniform(1 / fan_in, (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class GlorotNormal(Scaled):
    """W ~ N(0, gain² 2 / (fan_in + fan_out)), which keeps the variance of linear and tanh layers both ways.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: Glorot & Bengio 2010, equation 12.
    """

    name: ClassVar[str] = "glorot_normal"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _normal(2 / (fan_in + fan_out), (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class GlorotUniform(Scaled):
    """W ~ U(±gain sqrt(6 / (fan_in + fan_out))): the variance of glorot_normal.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: Glorot & Bengio 2010, equation 16.
    """

    name: ClassVar[str] = "glorot_uniform"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _uniform(2 / (fan_in + fan_out), (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class LecunNormal(Scaled):
    """W ~ N(0, gain² / fan_in), which keeps the variance of linear layers; selu is made for it.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: LeCun et al. 1998, Efficient BackProp, equation 16.
    """

    name: ClassVar[str] = "lecun_normal"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _normal(1 / fan_in, (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class LecunUniform(Scaled):
    """W ~ U(±gain sqrt(3 / fan_in)): the variance of lecun_normal.

    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: LeCun et al. 1998, Efficient BackProp, equation 16.
    """

    name: ClassVar[str] = "lecun_uniform"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        return _uniform(1 / fan_in, (fan_out, fan_in), rng)


@dataclass(frozen=True, kw_only=True)
class Orthogonal(Scaled):
    """W = gain Q, whose rows, or columns where there are fewer of them, are orthonormal.

    Q R is the decomposition of a normal matrix, with the signs that make R's diagonal positive: so every Q is as likely
    as any other.
    Args: gain: > 0, or `activation`: that of the layer's own activation, 1 for logits.
    Raises: ConfigError if the gain is out of range.
    Source: Saxe, McClelland & Ganguli 2014, arXiv:1312.6120; Mezzadri 2007, arXiv:math-ph/0609050, for the signs.
    """

    name: ClassVar[str] = "orthogonal"

    def draw(self, fan_out: int, fan_in: int, rng: np.random.Generator) -> Floats:
        tall = rng.standard_normal((max(fan_out, fan_in), min(fan_out, fan_in)))
        Q, R = np.linalg.qr(tall)
        Q *= np.copysign(1.0, np.diagonal(R))
        return Q if fan_out >= fan_in else Q.T


@dataclass(frozen=True, kw_only=True)
class File(Initializer):
    """Starts from the arrays of an .npz file: W1 (n_1, n_0), b1 (n_1,), W2, …, as trials write their weights.

    The file is read once, when the component is made, and its arrays go with it: a file that changes later changes no
    number. What the arrays are, not where they lie, is part of a trial's key.
    Args: path: of the file. Only gammas and statistics of a normalization may be left out of it.
    Raises: ConfigError if the file is missing, cannot be read, or holds anything but finite numbers; by `check` if its
    arrays do not have the shapes of the network.
    """

    name: ClassVar[str] = "file"
    path: str = ""

    def __post_init__(self) -> None:
        # not a field: a component's fields are what can be set; an empty path is the default, refused where it is used
        object.__setattr__(self, "_arrays", _read(self.path) if self.path else None)

    @property
    def arrays(self) -> Arrays:
        """What the file holds, by name."""
        found: Arrays | None = vars(self)["_arrays"]
        if found is None:
            raise ConfigError("initializer.path must be the .npz file of a network's weights, got ''")
        return found

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "arrays": _digest(self.arrays)}

    def check(self, layout: Layout) -> None:
        try:
            layout.pack(self.arrays)
        except ConfigError:
            raise
        except UsageError as error:
            raise ConfigError(f"initializer.path {self.path!r} does not fit the network: {error}") from None

    def start(self, layout: Layout, gains: Sequence[float], rng: np.random.Generator) -> Floats:
        self.check(layout)
        return layout.pack(self.arrays)


def _read(path: str) -> Arrays:
    """Return the arrays of an .npz file; read again only if it has changed."""
    try:
        facts = Path(path).stat()
        return _read_once(path, facts.st_mtime_ns, facts.st_size)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(getattr(error, "strerror", None) or error).splitlines() or ["unreadable"])[0]
        raise ConfigError(f"initializer.path must be an .npz file of weights, got {path!r}: {reason}") from None


@lru_cache(maxsize=8)
def _read_once(path: str, changed: int, size: int) -> Arrays:
    with Path(path).open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("not an .npz file")
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ValueError(f"{name} must hold finite numbers")
    return {name: np.asarray(array, np.float64) for name, array in sorted(arrays.items())}


def _digest(arrays: Arrays) -> str:
    """Return the SHA-256 of arrays: their names, shapes and bytes."""
    sha = hashlib.sha256()
    for name, array in arrays.items():
        sha.update(f"{name} {array.shape} ".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


INITIALIZERS = table(
    "initializer",
    *(Zeros, Constant, Random, Uniform, HeNormal, HeUniform, GlorotNormal, GlorotUniform, LecunNormal, LecunUniform),
    *(Orthogonal, File),
)
