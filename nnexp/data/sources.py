"""Data sources: bundled with scikit-learn, or generated from a seed."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.component import Component, table
from nnexp.data.bundled import read_bundled
from nnexp.errors import require
from nnexp.randomness import Purpose, stream

Float64s = NDArray[np.float64]
Labels = NDArray[np.intp]


@dataclass(frozen=True)
class Examples:
    """What a source holds: X (N, n) in float64, and targets y; weights (N,), >= 0, of the examples if they have some.

    y: integer labels from 0, (N,), or probabilities of C classes, (N, C); or values, (N,) or (N, d), in float64; or 0
    and 1 for labels that do not exclude each other, (N, L).
    """

    X: Float64s
    y: Labels | Float64s
    weights: Float64s | None = None


@dataclass(frozen=True, kw_only=True)
class Source(Component):
    """A set of examples, and how it is divided.

    Args: validation, test: share of the examples, in [0, 1), together below 1; 0 is none. split_seed: of the stream
    that divides the examples, >= 0, the same for all trials; or `trial`: each trial's own seed. standardize: shift and
    scale inputs (and the values of a regression) to mean 0 and variance 1 on the training part.
    `image`: rows and columns of the image that the inputs are, row by row; None where they are none.
    Raises: ConfigError if a value is out of range.
    """

    class_count: ClassVar[int | None]
    image: ClassVar[tuple[int, int] | None] = None
    validation: float = 0.2
    test: float = 0.2
    split_seed: int | Literal["trial"] = 0
    standardize: bool = True

    def __post_init__(self) -> None:
        require(0 <= self.validation < 1, "dataset.validation", "in [0, 1)", self.validation)
        require(0 <= self.test < 1, "dataset.test", "in [0, 1)", self.test)
        require(
            self.validation + self.test < 1, "dataset.validation + dataset.test", "< 1", self.validation + self.test
        )
        if self.split_seed != "trial":
            valid = isinstance(self.split_seed, int) and self.split_seed >= 0
            require(valid, "dataset.split_seed", "an integer >= 0 or trial", self.split_seed)

    @property
    def classes(self) -> int | None:
        """The number of classes; None for a regression, 0 for labels that do not exclude each other."""
        return self.class_count

    @property
    def targets(self) -> int:
        """How many values an example of a regression has, or labels where they do not exclude each other."""
        return 1

    @abstractmethod
    def load(self) -> Examples:
        """Return the examples."""


@dataclass(frozen=True, kw_only=True)
class Digits(Source):
    """1,797 handwritten digits of 8 x 8 grey values, 10 classes. Source: UCI, Alpaydin & Kaynak 1998."""

    name: ClassVar[str] = "digits"
    class_count: ClassVar[int | None] = 10
    image: ClassVar[tuple[int, int] | None] = (8, 8)

    def load(self) -> Examples:
        return Examples(*read_bundled("load_digits"))


@dataclass(frozen=True, kw_only=True)
class Iris(Source):
    """150 flowers, 4 lengths, 3 species. Source: Fisher 1936."""

    name: ClassVar[str] = "iris"
    class_count: ClassVar[int | None] = 3

    def load(self) -> Examples:
        return Examples(*read_bundled("load_iris"))


@dataclass(frozen=True, kw_only=True)
class Wine(Source):
    """178 wines, 13 measurements, 3 growers. Source: UCI, Forina et al. 1988."""

    name: ClassVar[str] = "wine"
    class_count: ClassVar[int | None] = 3

    def load(self) -> Examples:
        return Examples(*read_bundled("load_wine"))


@dataclass(frozen=True, kw_only=True)
class BreastCancer(Source):
    """569 tumours, 30 measurements, 2 classes. Source: UCI, Wolberg et al. 1995."""

    name: ClassVar[str] = "breast_cancer"
    class_count: ClassVar[int | None] = 2

    def load(self) -> Examples:
        return Examples(*read_bundled("load_breast_cancer"))


@dataclass(frozen=True, kw_only=True)
class Diabetes(Source):
    """442 patients, 10 measurements, the progress of their disease (25 to 346). Source: Efron et al. 2004."""

    name: ClassVar[str] = "diabetes"
    class_count: ClassVar[int | None] = None

    def load(self) -> Examples:
        return Examples(*read_bundled("load_diabetes"))


@dataclass(frozen=True, kw_only=True)
class Linnerud(Source):
    """20 men of a fitness club, 3 exercises, 3 values: weight, waist and pulse. Source: Tenenhaus 1998."""

    name: ClassVar[str] = "linnerud"
    class_count: ClassVar[int | None] = None

    @property
    def targets(self) -> int:
        return 3

    def load(self) -> Examples:
        return Examples(*read_bundled("load_linnerud"))


@dataclass(frozen=True, kw_only=True)
class MultiLabel(Source):
    """Word counts of made-up documents and the topics that they are about: any number of 0/1 labels an example.

    Args: examples: how many, >= 10. features: words, >= 1. labels: topics, >= 1. seed: of their stream, >= 0.
    Raises: ConfigError if a value is out of range.
    Source: scikit-learn's make_multilabel_classification.
    """

    name: ClassVar[str] = "multi_label"
    class_count: ClassVar[int | None] = 0
    examples: int = 1000
    features: int = 20
    labels: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.examples >= 10, "dataset.examples", ">= 10", self.examples)
        require(self.features >= 1, "dataset.features", ">= 1", self.features)
        require(self.labels >= 1, "dataset.labels", ">= 1", self.labels)
        require(self.seed >= 0, "dataset.seed", ">= 0", self.seed)

    @property
    def targets(self) -> int:
        return self.labels

    def load(self) -> Examples:
        from sklearn.datasets import make_multilabel_classification

        state = int(stream(self.seed, Purpose.GENERATE).integers(2**32))
        X, y = make_multilabel_classification(self.examples, self.features, n_classes=self.labels, random_state=state)
        return Examples(np.asarray(X, np.float64), np.asarray(y, np.float64))


@dataclass(frozen=True, kw_only=True)
class Generated(Source):
    """Points in the plane.

    Args: examples: how many, >= 10. noise: standard deviation added to each coordinate, >= 0. seed: of their stream,
    >= 0.
    """

    class_count: ClassVar[int | None] = 2
    examples: int = 1000
    noise: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.examples >= 10, "dataset.examples", ">= 10", self.examples)
        require(0 <= self.noise < np.inf, "dataset.noise", ">= 0", self.noise)
        require(self.seed >= 0, "dataset.seed", ">= 0", self.seed)

    def load(self) -> Examples:
        rng = stream(self.seed, Purpose.GENERATE)
        y = np.arange(self.examples, dtype=np.intp) % (self.classes or 1)
        X = self.points(y, rng)
        X += self.noise * rng.standard_normal(X.shape)
        return Examples(X, y)

    @abstractmethod
    def points(self, y: Labels, rng: np.random.Generator) -> Float64s:
        """Return a point (2,) without noise for each label, (N, 2)."""


def _on_circle(angle: Float64s, radius: Float64s | float) -> Float64s:
    """Return points at an angle and a distance from the origin, (N, 2)."""
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@dataclass(frozen=True, kw_only=True)
class Moons(Generated):
    """Two interleaved half circles of radius 1."""

    name: ClassVar[str] = "moons"

    def points(self, y: Labels, rng: np.random.Generator) -> Float64s:
        angle = np.pi * rng.random(len(y))
        upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
        return np.where(y[:, None] == 0, upper, lower)


@dataclass(frozen=True, kw_only=True)
class Circles(Generated):
    """A circle of radius 1 around one of radius `factor`, in (0, 1)."""

    name: ClassVar[str] = "circles"
    noise: float = 0.1
    factor: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor < 1, "dataset.factor", "in (0, 1)", self.factor)

    def points(self, y: Labels, rng: np.random.Generator) -> Float64s:
        angle = 2 * np.pi * rng.random(len(y))
        radius = np.where(y == 0, 1.0, self.factor)
        return _on_circle(angle, radius)


@dataclass(frozen=True, kw_only=True)
class Spirals(Generated):
    """Two arms of a spiral that winds `turns` times, > 0, out to radius 1."""

    name: ClassVar[str] = "spirals"
    noise: float = 0.02
    turns: float = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.turns < np.inf, "dataset.turns", "> 0", self.turns)

    def points(self, y: Labels, rng: np.random.Generator) -> Float64s:
        radius = np.sqrt(rng.random(len(y)))  # the root spreads points evenly along the arm
        angle = 2 * np.pi * self.turns * radius + np.pi * y
        return _on_circle(angle, radius)


@dataclass(frozen=True, kw_only=True)
class Blobs(Generated):
    """Normal clouds around `centers`, >= 2, that stand evenly on a circle of radius 2: as many classes."""

    name: ClassVar[str] = "blobs"
    noise: float = 0.7
    centers: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.centers >= 2, "dataset.centers", ">= 2", self.centers)

    @property
    def classes(self) -> int | None:
        return self.centers

    def points(self, y: Labels, rng: np.random.Generator) -> Float64s:
        angle = 2 * np.pi * y / self.centers
        return _on_circle(angle, 2.0)


DATASETS = table(
    "dataset", Digits, Iris, Wine, BreastCancer, Diabetes, Linnerud, MultiLabel, Moons, Circles, Spirals, Blobs
)
