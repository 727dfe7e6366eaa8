"""How far a sweep is, in words."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from nnexp.screen.wording import counted, duration

if TYPE_CHECKING:
    from nnexp.sweeps.progress import Best, Progress

OUTCOMES = ("diverged", "failed", "stopped")  # worth saying once there are any


def standing_line(progress: Progress, left: float) -> str:
    """Return how far it is, how fast, how many seconds it still takes, and what leads."""
    parts = [
        f"{done(progress)} trials done{outcomes(progress)}",
        f"{progress.running:,} running",
        f"{progress.share:.0%} of the work",
    ]
    parts += [speed(progress)] if progress.epochs else []
    parts += [f"{duration(left)} left"] if isfinite(left) else []
    best = f"; best {leader(progress.best)}" if progress.best else ""
    return ", ".join(parts) + best


def done(progress: Progress) -> str:
    """Return `3 of 8`."""
    return f"{progress.ended:,} of {progress.trials:,}"


def outcomes(progress: Progress) -> str:
    """Return ` (1 diverged)` if any trial did anything but finish."""
    there = ", ".join(f"{getattr(progress, name):,} {name}" for name in OUTCOMES if getattr(progress, name))
    return f" ({there})" if there else ""


def speed(progress: Progress) -> str:
    """Return epochs a second, over all trials."""
    rate = epochs_a_second(progress)
    return f"{rate:,.1f} epochs/s" if rate < 10 else f"{rate:,.0f} epochs/s"


def epochs_a_second(progress: Progress) -> float:
    """Return epochs a second, 0 before there are any seconds."""
    return progress.epochs / progress.seconds if progress.seconds else 0.0


def to_deliver(pending: int) -> str:
    """Return what MLflow has not got yet: rows of the outbox, of which a run has one."""
    return f"{counted(pending, 'run')} to deliver"


def leader(best: Best) -> str:
    """Return the configuration that leads, with the 95 % interval of its mean where it has one."""
    from nnexp.sweeps.leaderboard import half_width

    half = half_width(best.deviation, best.n)
    spread = f" ± {half:.4f}" if half is not None else ""
    return f"{best.metric} {best.mean:.4f}{spread} (n={best.n}) {best.label}"
