"""The sweeps that faults happen to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """A sweep. trials: how many it has. overrides: what the command line says of it, without paths."""

    name: str
    trials: int
    overrides: tuple[str, ...]
    multirun: bool = True

    def arguments(self, root: str) -> list[str]:
        """Return the command's arguments."""
        return [*(["-m"] if self.multirun else []), f"paths.root={root}", f"sweep.name={self.name}", *self.overrides]

    def but(self, *overrides: str, name: str | None = None, trials: int | None = None) -> Workload:
        """Return the same sweep with other settings. trials: how many it has then."""
        changed = {each.partition("=")[0] for each in overrides}
        kept = [each for each in self.overrides if each.partition("=")[0] not in changed]
        return Workload(name or self.name, trials or self.trials, (*kept, *overrides), self.multirun)


NETWORKS = (
    "optimizer=momentum",
    "optimizer.lr=0.01",
    "dropout.keep=0.9",
    "averaging=ema",
    "objective=val_loss",
    "early_stopping=witness",
    "early_stopping.patience=1000",
    "executor.workers=2",
)


def _union(*grids: dict[str, str]) -> str:
    texts = (", ".join(f'{name}: "{value}"' for name, value in grid.items()) for grid in grids)
    return f"sweep.union=[{', '.join(f'{{{text}}}' for text in texts)}]"


# 12 trials in stacks of four shapes. Two diverge, one stops early, all draw dropout and keep an average, so that there
# is something to get wrong in everything that a checkpoint holds.
MAIN = Workload(
    "faults",
    12,
    (
        *NETWORKS,
        "training.epochs=100",
        "training.batch_size=8",
        _union(
            {"architecture.hidden": "[64,64],[96]", "seed": "range(3)"},
            {"architecture.hidden": "[48,48,48]", "seed": "range(3)"},
            {"architecture.hidden": "[64,64]", "optimizer.lr": "1e6", "seed": "range(2)"},
            {"architecture.hidden": "[128]", "early_stopping.patience": "1"},
        ),
    ),
)
SHORT = MAIN.but("training.epochs=40")

# Three trials in two stacks: little to write, so that every write of it can be made to fail.
SMALL = Workload(
    "small",
    3,
    (
        *NETWORKS,
        "training.epochs=8",
        "training.batch_size=16",
        _union(
            {"architecture.hidden": "[64,64]", "seed": "range(2)"},
            {"architecture.hidden": "[16]"},
        ),
    ),
)

# One trial, in which nothing takes long.
TINY = Workload("tiny", 1, (*NETWORKS, "training.epochs=2", "architecture.hidden=[8]"), multirun=False)
