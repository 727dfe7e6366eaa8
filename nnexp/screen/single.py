"""A single trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnexp.screen.lines import say

if TYPE_CHECKING:
    from nnexp.sweeps.plan import Trial
    from nnexp.sweeps.results import TrialResult


def show_trial(trial: Trial, result: TrialResult) -> None:
    """Print how a single trial went."""
    objective = trial.config.objective.metric
    if result.outcome != "finished":
        why = "its cost or a metric is not finite" if result.outcome == "diverged" else result.reason
        say(f"{result.outcome} in epoch {result.epoch} of {trial.config.training.epochs}: {why}")
        return
    best = int(result.summary["epoch_best"])
    at_best = "" if result.objective is None else f", {objective} {result.objective:.4f}"
    early = f" (stopped early, of {trial.config.training.epochs})" if "epoch_stopped" in result.summary else ""
    say(f"best epoch by {objective}: {best} of {result.epoch}{early}{at_best}")
    for name, value in result.summary.items():
        if name.startswith("test/"):
            say(f"  {name} {value:.4f}")
    say(f"  {result.costs['parameters']:.0f} parameters, {result.costs['wall_seconds']:.2f} s of training")
