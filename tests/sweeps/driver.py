"""A command that executes what is missing of a sweep, for tests that send it signals: `python -m tests.sweeps.driver`.

Arguments: the sweep's root, the name of its trials, settings of the executor as JSON. It prints a line for every slice
and for all that it is told, and exits as nnexp's commands do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from nnexp.data.sources import Blobs, Digits
from nnexp.errors import NnexpError
from nnexp.network.architecture import MLP
from nnexp.network.optimizers import SGD, Adam
from nnexp.testing.trials import small
from nnexp.training import Training, TrialConfig
from tests.sweeps.executed import Sweep, Told

EXIT_CODES = {"interrupted": 130, "terminated": 143}

TRIALS: dict[str, Sequence[TrialConfig]] = {
    # a few seconds on two cores
    "short": [
        small(seed=seed, training=Training(epochs=epochs, batch_size=batch), **settings)
        for settings, epochs, batch in (
            ({"optimizer": Adam(lr=0.01)}, 1500, 16),
            ({"optimizer": SGD(lr=0.3)}, 1500, 16),
            ({"optimizer": SGD(lr=1e30)}, 1500, 16),
            ({"dataset": Blobs(examples=60, split_seed="trial"), "architecture": MLP(hidden=(6,))}, 900, 8),
            ({"dataset": Blobs(examples=60, split_seed="trial"), "architecture": MLP(hidden=(6,))}, 2000, 32),
        )
        for seed in range(2)
    ],
    # for ever
    "long": [
        small(seed=seed, dataset=Digits(), architecture=MLP(hidden=(64,)), training=Training(epochs=10**6))
        for seed in range(4)
    ],
}


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    root, name, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    sweep, told_before = Sweep(TRIALS[name], root), 0

    def then(told: Told) -> None:
        nonlocal told_before
        for note in told.notes[told_before:]:
            say(f"note {note}")
        told_before = len(told.notes)
        say(f"slice {told.progress[-1].epochs}")

    try:
        halt, told = sweep.execute(then=then, **settings)
    except NnexpError as error:
        say(f"error {error}")
        return error.exit_code
    if halt is None:
        return 1 if told.failures else 0
    say(f"halt {halt.text}")
    return EXIT_CODES.get(halt.cause, 1)


if __name__ == "__main__":
    sys.exit(main())
