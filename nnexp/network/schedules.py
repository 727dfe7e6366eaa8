"""Schedules: how the step size changes while a network trains.

A schedule is a factor on lr as a function of time, in epochs: its `course`. In front of any course lr may warm up; the
course begins when that is over. With one step an epoch the factors are those of PyTorch's schedulers of the same names,
stepped once an epoch; with more they follow the same formula within an epoch.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nnexp.component import Component, table
from nnexp.errors import choose, require

Times = NDArray[np.float64]  # epochs since the course began, (S,)
Memory = NDArray[np.float64]  # (factor, best, bad epochs, cooldown left): what a schedule keeps of what was observed
WARMUP_START = 0.1
DIGITS = 9  # of a number of steps or periods: 0.3 / 0.1 is 2.9999999999999996, and must be 3


@dataclass(frozen=True, kw_only=True)
class Schedule(Component):
    """The factor on lr at each step: a linear warm-up, then the course of the schedule.

    Before step t, i = t - 1 steps are done; W = warmup epoch_steps of them warm up, with the factor
    warmup_start + (1 - warmup_start) i / W. Then the course runs as if training began there and had W steps less.
    This is PyTorch's LinearLR(start_factor=warmup_start, total_iters=W) followed by the schedule in a SequentialLR.

    Args: warmup: epochs, >= 0 and less than training.epochs; 0 is off. warmup_start: first factor, in [0, 1]; without a
    warm-up it would do nothing, so there it must be left at 0.1.
    Raises: ConfigError if a value is out of range.
    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2 (gradual warm-up).
    """

    warmup: float = 0.0
    warmup_start: float = WARMUP_START

    def __post_init__(self) -> None:
        require(0 <= self.warmup < np.inf, f"{self.name}: warmup", ">= 0", self.warmup)
        self._require_share("warmup_start")
        idle = self.warmup == 0 and self.warmup_start != WARMUP_START
        require(not idle, f"{self.name}: warmup_start", f"{WARMUP_START} where warmup is 0", self.warmup_start)

    def factors(self, step: NDArray[np.float64], steps: int, epoch_steps: int) -> NDArray[np.float64]:
        """Return the factor at each of the given steps (counted from 1) of a training of so many steps, (S,).

        epoch_steps: of one epoch, so that (step - 1) / epoch_steps is the time before a step, in epochs.
        """
        warming = round(self.warmup * epoch_steps, DIGITS)
        since = np.maximum(step - 1 - warming, 0)  # steps done since the course began
        course = self.course(since / epoch_steps, (steps - warming) / epoch_steps, 1 / epoch_steps)
        if not warming:
            return course
        rising = self.warmup_start + (1 - self.warmup_start) * (step - 1) / warming
        return np.where(step - 1 < warming, rising, course)

    @abstractmethod
    def course(self, time: Times, end: float, tick: float) -> NDArray[np.float64]:
        """Return the factor at each time >= 0 of a course that ends at `end`; all in epochs. tick: of one step."""

    def judge(self, memory: Memory, value: float, direction: str, *, epoch: int) -> Memory:
        """Return what to remember after an epoch's objective was observed; memory[0] is a further factor on lr."""
        return memory

    def _require_share(self, *fields: str) -> None:
        for field in fields:
            require(0 <= getattr(self, field) <= 1, f"{self.name}: {field}", "in [0, 1]", getattr(self, field))


def start() -> Memory:
    """Return what any schedule remembers before the first epoch: factor 1, no best yet."""
    return np.array([1.0, np.nan, 0.0, 0.0])


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """lr_t = lr.

    Args: warmup, warmup_start: see Schedule.
    Raises: ConfigError if a value is out of range.
    """

    name: ClassVar[str] = "constant"

    def course(self, time: Times, end: float, tick: float) -> NDArray[np.float64]:
        return np.ones_like(time)


@dataclass(frozen=True, kw_only=True)
class Step(Schedule):
    """lr_t = lr gamma^floor(e / every), e the epochs so far.

    Args: every: epochs, > 0. gamma: in (0, 1]. warmup, warmup_start: see Schedule.
    Raises: ConfigError if a value is out of range.
    """

    name: ClassVar[str] = "step"
    every: float = 10.0
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.every < np.inf, "step: every", "> 0", self.every)
        require(0 < self.gamma <= 1, "step: gamma", "in (0, 1]", self.gamma)

    def course(self, time: Times, end: float, tick: float) -> NDArray[np.float64]:
        return np.power(self.gamma, np.floor(np.round(time / self.every, DIGITS)))


@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """lr_t = lr gamma^e, e the epochs so far.

    Args: gamma: in (0, 1]. warmup, warmup_start: see Schedule.
    Raises: ConfigError if a value is out of range.
    """

    name: ClassVar[str] = "exponential"
    gamma: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.gamma <= 1, "exponential: gamma", "in (0, 1]", self.gamma)

    def course(self, time: Times, end: float, tick: float) -> NDArray[np.float64]:
        return np.power(self.gamma, time)


@dataclass(frozen=True, kw_only=True)
class InverseTime(Schedule):
    """lr_t = lr / (1 + rate e), e the epochs so far.

    Args: rate: per epoch, > 0. warmup, warmup_start: see Schedule.
    Raises: ConfigError if a value is out of range.
    Source: Robbins & Monro 1951, doi:10.1214/aoms/1177729586, for steps that fall as 1 / t.
    """

    name: ClassVar[str] = "inverse_time"
    rate: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.rate < np.inf, "inverse_time: rate", "> 0", self.rate)

    def course(self, time: Times, end: float, tick: float) -> NDArray[np.float64]:
        return 1 / (1 + self.rate * time)


@dataclass(frozen=True, kw_only=True)
class Polynomial(Schedule):
    """lr_t = lr (end + (1 - end) (1 - e / E)^power), e the epochs so far and E all of them.

    Args: power: > 0; 1 is a straight line. end: factor at the end, in [0, 1]. warmup, warmup_start: see Schedule.
    Raises: ConfigError if a value is out of range.
    """

    name: ClassVar[str] = "polynomial"
    power: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.power < np.inf, "polynomial: power", "> 0", self.power)
        self._require_share("end")

    def course(self, time: Times, end: float, tick: float) -> NDArray[np.float64]:
        return self.end + (1 - self.end) * np.maximum(1 - time / end, 0) ** self.power


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """lr_t = lr (end + (1 - end) (1 + cos(pi e / E)) / 2), e the epochs so far and E all of them.

    Args: end: factor at the end, in [0, 1]. warmup, warmup_start: see Schedule.
    Raises: ConfigError if a value is out of range.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5 with a single period.
    """

    name: ClassVar[str] = "cosine"
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_share("end")

    def course(self, time: Times, end: float, tick: float) -> NDArray[np.float64]:
        return _fall(time / end, 1.0, self.end)


@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Schedule):
    """lr_t = lr (end + (1 - end) (1 + cos(pi c / T_n)) / 2), c the epochs since the last restart.

    Period n = 0, 1, … lasts T_n = period growth^n epochs.

    Args: period: epochs, >= 0.001. growth: of each period over the one before, in [1, 100]. end: factor at the end of
    a period, in [0, 1]. warmup, warmup_start: see Schedule.
    Raises: ConfigError if a value is out of range.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5.
    """

    name: ClassVar[str] = "cosine_restarts"
    period: float = 10.0
    growth: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.001 <= self.period < np.inf, "cosine_restarts: period", ">= 0.001", self.period)
        require(1 <= self.growth <= 100, "cosine_restarts: growth", "in [1, 100]", self.growth)
        self._require_share("end")

    def course(self, time: Times, end: float, tick: float) -> NDArray[np.float64]:
        periods, growth = time / self.period, self.growth  # since the beginning, in units of the first
        if growth == 1:
            number = np.floor(np.round(periods, DIGITS))
            return _fall(np.maximum(periods - number, 0), 1.0, self.end)
        number = np.floor(np.round(np.log1p(periods * (growth - 1)) / np.log(growth), DIGITS))
        length = growth**number
        return _fall(np.maximum(periods - (length - 1) / (growth - 1), 0) / length, 1.0, self.end)


@dataclass(frozen=True, kw_only=True)
class OneCycle(Schedule):
    """lr_t = lr times a factor that rises from start to 1 and falls to end, once in a training.

    Of S steps it is 1 at step rise S, and end at the last one. anneal: along half a cosine, or a straight line.

    Args: rise: share of the training, in (0, 1). start: first factor, in [0, 1]. end: last factor, in [0, 1]. anneal:
    `cos` or `linear`. warmup, warmup_start: see Schedule.
    Raises: ConfigError if a value is out of range.
    Source: Smith & Topin 2017, arXiv:1708.07120, in two phases as in PyTorch; the momentum stays as it is.
    """

    name: ClassVar[str] = "one_cycle"
    rise: float = 0.3
    start: float = 0.04
    end: float = 4e-6
    anneal: Literal["cos", "linear"] = "cos"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.rise < 1, "one_cycle: rise", "in (0, 1)", self.rise)
        self._require_share("start", "end")
        choose("one_cycle: anneal", self.anneal, ("cos", "linear"))

    def course(self, time: Times, end: float, tick: float) -> NDArray[np.float64]:
        between = _fall if self.anneal == "cos" else _line
        top, last = self.rise * end - tick, end - tick  # before step t, t - 1 are done
        rising = between(time / top, self.start, 1.0) if top > 0 else np.ones_like(time)
        return np.where(time < top, rising, between((time - top) / (last - top), 1.0, self.end))


@dataclass(frozen=True, kw_only=True)
class ReduceOnPlateau(Schedule):
    """lr <- max(factor lr, end lr_0) after more than `patience` epochs without an improvement of the objective.

    An epoch improves, and is the best from then on, if its objective is less than best (1 - threshold) where it is
    minimised, more than best (1 + threshold) where it is maximised; less than best - threshold or more than
    best + threshold where threshold_mode is `abs`. The first one improves. After a reduction, `cooldown` epochs do not
    count, nor do those of the warm-up. Epochs are those that are recorded.

    Args: factor: in (0, 1). patience: epochs, >= 0. threshold: >= 0. threshold_mode: `rel` or `abs`. cooldown: epochs,
    >= 0. end: least factor, in [0, 1]. warmup, warmup_start: see Schedule.
    Raises: ConfigError if a value is out of range.
    Source: PyTorch's ReduceLROnPlateau, with eps = 0: no reduction is too small to be made.
    """

    name: ClassVar[str] = "reduce_on_plateau"
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: int = 0
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor < 1, "reduce_on_plateau: factor", "in (0, 1)", self.factor)
        require(self.patience >= 0, "reduce_on_plateau: patience", ">= 0", self.patience)
        require(0 <= self.threshold < np.inf, "reduce_on_plateau: threshold", ">= 0", self.threshold)
        choose("reduce_on_plateau: threshold_mode", self.threshold_mode, ("rel", "abs"))
        require(self.cooldown >= 0, "reduce_on_plateau: cooldown", ">= 0", self.cooldown)
        self._require_share("end")

    def course(self, time: Times, end: float, tick: float) -> NDArray[np.float64]:
        return np.ones_like(time)

    def judge(self, memory: Memory, value: float, direction: str, *, epoch: int) -> Memory:
        if epoch <= self.warmup:
            return memory
        factor, best, bad, cooling = memory.tolist()
        best, bad = (value, 0) if self._improves(value, best, direction) else (best, bad + 1)
        if cooling > 0:
            bad, cooling = 0, cooling - 1
        if bad > self.patience:
            factor, bad, cooling = max(factor * self.factor, self.end), 0, self.cooldown
        return np.array([factor, best, bad, cooling], np.float64)

    def _improves(self, value: float, best: float, direction: str) -> bool:
        sign = 1.0 if direction == "maximize" else -1.0
        change = sign * self.threshold
        bound = best * (1 + change) if self.threshold_mode == "rel" else best + change
        return bool(np.isnan(best) or sign * value > sign * bound)


def _fall(share: Times, first: float, last: float) -> NDArray[np.float64]:
    """Return what lies between first and last along half a cosine."""
    return last + (first - last) * (1 + np.cos(np.pi * np.minimum(share, 1))) / 2


def _line(share: Times, first: float, last: float) -> NDArray[np.float64]:
    """Return what lies between first and last along a straight line."""
    return first + (last - first) * np.minimum(share, 1)


SCHEDULES = table(
    "schedule",
    *(Constant, Step, Exponential, InverseTime, Polynomial, Cosine, CosineRestarts, OneCycle, ReduceOnPlateau),
)
